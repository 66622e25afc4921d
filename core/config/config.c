#include "core/config/config.h"

#include "core/base/nearest.h"
#include "core/config/config_args.h"
#include "core/config/config_file.h"
#include "core/config/options.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { WARNINGS_MAX = 32 };

/* One source while it is applied: what it held, for the rule about tokens without a mode. */
struct source {
    enum config_source source;
    bool given[CONFIG_OPTIONS_MAX];
};

static const struct option *known(const char *path)
{
    const struct option *o = option_by_path(slice_str(path));
    assert(o != NULL);
    return o;
}

static const struct config_origin *origin_of(const struct loaded_config *c, const char *path)
{
    return &c->origins[option_index(known(path))];
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for the configuration");
}

/* A formatted text that lives in the arena; NULL when memory is short. */
__attribute__((format(printf, 2, 3))) static const char *text_in(struct arena *a, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* cut texts are fine: a person reads them */
    va_end(ap);
    return arena_copy(a, slice_of(text, strlen(text) + 1)).bytes;
}

static enum sync_err set_origin(struct loaded_config *c, const struct option *o, enum config_source source,
                                const char *text, struct err_ctx *ec)
{
    if (text == NULL) return no_memory(ec);
    c->origins[option_index(o)] = (struct config_origin){.source = source, .text = text};
    return SYNC_OK;
}

/* Takes a flag's or variable's text. `name` is what an error calls it. */
static enum sync_err apply_text(struct loaded_config *c, struct source *s, const struct option *o,
                                const char *name, const char *text, struct err_ctx *ec)
{
    enum sync_err rc = option_set_text(o, &c->config, &c->arena, slice_str(text), ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "%s", name);
        return rc;
    }
    s->given[option_index(o)] = true;
    return set_origin(c, o, s->source, name, ec);
}

/* Whoever gives tokens means them to be asked for, so a source with tokens and without a mode says
 * token-whitelist, over a mode from a weaker source. */
static enum sync_err imply_mode(struct loaded_config *c, const struct source *s, struct err_ctx *ec)
{
    const struct option *mode = known("auth.mode"), *tokens = known("auth.tokens");
    const struct option *file = known("auth.tokensFile");
    bool has_file = s->given[option_index(file)] && c->config.auth.tokens_file[0] != '\0';
    if (s->given[option_index(mode)] || (!s->given[option_index(tokens)] && !has_file)) return SYNC_OK;
    const struct option *by = s->given[option_index(tokens)] ? tokens : file;
    c->config.auth.mode = AUTH_MODE_TOKEN_WHITELIST;
    return set_origin(c, mode, s->source,
                      text_in(&c->arena, "implied by %s, %s", by->path, c->origins[option_index(by)].text),
                      ec);
}

static enum sync_err apply_defaults(struct loaded_config *c, struct err_ctx *ec)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        c->origins[i] = (struct config_origin){.source = CONFIG_FROM_DEFAULT, .text = "default"};
        if (o->initial == NULL) continue;
        enum sync_err rc = option_set_text(o, &c->config, &c->arena, slice_str(o->initial), ec);
        assert(rc != SYNC_ECONFIG); /* a default is good */
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

/* `path` NULL: the default file, which need not be there. */
static enum sync_err apply_file(struct loaded_config *c, const struct config_input *in, const char *path,
                                struct err_ctx *ec)
{
    struct source s = {.source = CONFIG_FROM_FILE};
    const char *name = path == NULL ? CONFIG_FILE_DEFAULT : path;
    struct buf text = buf_make(CONFIG_FILE_BYTES_MAX);
    enum sync_err rc = in->read_file(in->read_arg, name, &text, ec);
    if (rc == SYNC_ENOTFOUND && path == NULL) {
        buf_deinit(&text);
        return SYNC_OK;
    }
    if (rc != SYNC_OK) err_wrap(ec, path == NULL ? "%s" : "--config: %s", name);
    if (rc == SYNC_OK) rc = config_file_apply(c, name, &text, s.given, ec);
    buf_deinit(&text);
    for (size_t i = 0; i < config_option_count && rc == SYNC_OK; i++)
        if (s.given[i]) rc = set_origin(c, &config_options[i], s.source, text_in(&c->arena, "%s", name), ec);
    return rc == SYNC_OK ? imply_mode(c, &s, ec) : rc;
}

/* The value of a variable, or NULL. An empty one counts as not there, as it always did. */
static const char *variable(const char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, len) != 0 || environment[i][len] != '=') continue;
        return environment[i][len + 1] == '\0' ? NULL : environment[i] + len + 1;
    }
    return NULL;
}

static enum sync_err apply_environment(struct loaded_config *c, const char *const *environment,
                                       struct err_ctx *ec)
{
    struct source s = {.source = CONFIG_FROM_ENVIRONMENT};
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        const char *text = variable(environment, o->env);
        if (text == NULL) continue;
        enum sync_err rc = apply_text(c, &s, o, o->env, text, ec);
        if (rc != SYNC_OK) return rc;
    }
    return imply_mode(c, &s, ec);
}

/* Takes the texts of a flag that was given once or more. Each is one item, whatever it holds. */
static enum sync_err apply_repeated(struct loaded_config *c, struct source *s, const struct option *o,
                                    const char *name, const struct config_args *args, struct err_ctx *ec)
{
    for (size_t i = 0; i < args->hook_count; i++)
        if (slice_trim(args->hooks[i]).len == 0)
            return err_set(ec, SYNC_ECONFIG, "%s: the path is missing", name);
    enum sync_err rc = option_set_list(o, &c->config, &c->arena, args->hooks, args->hook_count, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "%s", name);
        return rc;
    }
    s->given[option_index(o)] = true;
    return set_origin(c, o, s->source, name, ec);
}

static enum sync_err apply_flags(struct loaded_config *c, const struct config_args *args, struct err_ctx *ec)
{
    struct source s = {.source = CONFIG_FROM_FLAG};
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        if (args->texts[i] == NULL) continue;
        const char *name = text_in(&c->arena, "--%s", o->flag);
        if (name == NULL) return no_memory(ec);
        enum sync_err rc = o->traits & OPTION_REPEATED ? apply_repeated(c, &s, o, name, args, ec)
                                                       : apply_text(c, &s, o, name, args->texts[i], ec);
        if (rc != SYNC_OK) return rc;
    }
    return imply_mode(c, &s, ec);
}

static enum sync_err read_tokens(struct loaded_config *c, const struct config_input *in, struct err_ctx *ec)
{
    const char *path = c->config.auth.tokens_file;
    const struct option *tokens = known("auth.tokens");
    const struct config_origin *before = origin_of(c, "auth.tokens");
    if (path[0] == '\0') return SYNC_OK;
    struct buf text = buf_make(CONFIG_FILE_BYTES_MAX);
    enum sync_err rc = in->read_file(in->read_arg, path, &text, ec);
    if (rc != SYNC_OK)
        err_wrap(ec, "auth.tokensFile (%s): %s", origin_of(c, "auth.tokensFile")->text, path);
    else
        rc = config_tokens_append(c, buf_slice(&text), ec);
    buf_deinit(&text);
    if (rc != SYNC_OK) return rc;
    const char *origin = before->source == CONFIG_FROM_DEFAULT
                             ? text_in(&c->arena, "%s", path)
                             : text_in(&c->arena, "%s, %s", before->text, path);
    return set_origin(c, tokens, before->source, origin, ec);
}

static enum sync_err check_auth(const struct loaded_config *c, struct err_ctx *ec)
{
    const struct config_auth *auth = &c->config.auth;
    const char *origin = origin_of(c, "auth.mode")->text;
    switch (auth->mode) {
    case AUTH_MODE_NONE: return SYNC_OK;
    case AUTH_MODE_TOKEN_WHITELIST:
        if (auth->tokens.count > 0) return SYNC_OK;
        return err_set(ec, SYNC_ECONFIG,
                       "auth.mode (%s): token-whitelist without any token would let nobody in; "
                       "give auth.tokens or auth.tokensFile",
                       origin);
    case AUTH_MODE_CUSTOM:
        if (c->config.hooks.chain.count > 0)
            return SYNC_OK; /* whether one of them does shows when they load */
        break;
    }
    return err_set(ec, SYNC_ECONFIG,
                   "auth.mode (%s): custom needs a hook that authenticates, and none is loaded: "
                   "everyone would be let in",
                   origin);
}

static enum sync_err check_tls(const struct loaded_config *c, struct err_ctx *ec)
{
    bool has_cert = c->config.tls.cert[0] != '\0', has_key = c->config.tls.key[0] != '\0';
    if (has_cert == has_key) return SYNC_OK;
    const char *given = has_cert ? "tls.cert" : "tls.key";
    return err_set(ec, SYNC_ECONFIG, "%s (%s) is given without %s: TLS needs both", given,
                   origin_of(c, given)->text, has_cert ? "tls.key" : "tls.cert");
}

static enum sync_err check_receiving(const struct loaded_config *c, const char *path, size_t bytes,
                                     struct err_ctx *ec)
{
    if (bytes <= c->config.limits.receiving_bytes) return SYNC_OK;
    return err_set(ec, SYNC_ECONFIG, "%s (%s): %zu is more than limits.receivingBytes (%s): %zu", path,
                   origin_of(c, path)->text, bytes, origin_of(c, "limits.receivingBytes")->text,
                   c->config.limits.receiving_bytes);
}

/* A log object is written in one piece, so what one message can bring has to fit into one, with the value
 * that it replaces. */
enum { OBJECT_MESSAGE_BYTES_MAX = 120 << 20 };

static enum sync_err check_object_bytes(const struct loaded_config *c, const char *path, size_t bytes,
                                        struct err_ctx *ec)
{
    if (bytes <= OBJECT_MESSAGE_BYTES_MAX) return SYNC_OK;
    return err_set(ec, SYNC_ECONFIG, "%s (%s): %zu is more than fits into the object store: at most %d", path,
                   origin_of(c, path)->text, bytes, OBJECT_MESSAGE_BYTES_MAX);
}

static enum sync_err check_object(const struct loaded_config *c, struct err_ctx *ec)
{
    const struct config_object *object = &c->config.object;
    bool has_dir = object->dir[0] != '\0', has_s3 = c->config.s3.bucket[0] != '\0';
    if (has_dir && has_s3)
        return err_set(ec, SYNC_ECONFIG, "object.dir (%s) and s3.bucket (%s): there is one object store",
                       origin_of(c, "object.dir")->text, origin_of(c, "s3.bucket")->text);
    if (!has_dir && !has_s3) {
        if (c->config.storage.durability == DURABILITY_OBJECT)
            return err_set(ec, SYNC_ECONFIG,
                           "storage.durability (%s): object needs an object store: s3.bucket or object.dir",
                           origin_of(c, "storage.durability")->text);
        if (object->evict)
            return err_set(ec, SYNC_ECONFIG,
                           "diskEviction.enabled (%s): needs an object store: s3.bucket or object.dir",
                           origin_of(c, "diskEviction.enabled")->text);
        return SYNC_OK;
    }
    if (!object->log && c->config.storage.durability == DURABILITY_OBJECT)
        return err_set(ec, SYNC_ECONFIG,
                       "storage.durability (%s): object needs the shared log, and object.log (%s) is false",
                       origin_of(c, "storage.durability")->text, origin_of(c, "object.log")->text);
    if (!object->log && object->evict)
        return err_set(ec, SYNC_ECONFIG,
                       "diskEviction.enabled (%s): needs the shared log, and object.log (%s) is false",
                       origin_of(c, "diskEviction.enabled")->text, origin_of(c, "object.log")->text);
    enum sync_err rc = check_object_bytes(c, "limits.bodyBytes", c->config.limits.body_bytes, ec);
    if (rc == SYNC_OK) rc = check_object_bytes(c, "limits.messageBytes", c->config.limits.message_bytes, ec);
    return rc;
}

static enum sync_err check_coordinator(const struct loaded_config *c, struct err_ctx *ec)
{
    const struct config *config = &c->config;
    if (config->coordinator.enabled && config->object.dir[0] == '\0' && config->s3.bucket[0] == '\0')
        return err_set(
            ec, SYNC_ECONFIG,
            "coordinator.enabled (%s): instances meet in an object store: set s3.bucket or object.dir",
            origin_of(c, "coordinator.enabled")->text);
    return coordinator_config_check(&config->coordinator, ec);
}

enum sync_err config_check(const struct loaded_config *c, struct err_ctx *ec)
{
    enum sync_err rc = check_auth(c, ec);
    if (rc == SYNC_OK) rc = check_tls(c, ec);
    if (rc == SYNC_OK) rc = check_receiving(c, "limits.bodyBytes", c->config.limits.body_bytes, ec);
    if (rc == SYNC_OK) rc = check_receiving(c, "limits.messageBytes", c->config.limits.message_bytes, ec);
    if (rc == SYNC_OK) rc = check_object(c, ec);
    if (rc == SYNC_OK) rc = check_coordinator(c, ec);
    return rc;
}

static enum sync_err warn(struct loaded_config *c, struct slice *warnings, const char *text,
                          struct err_ctx *ec)
{
    if (text == NULL) return no_memory(ec);
    if (c->warnings.count == WARNINGS_MAX) return SYNC_OK; /* more would tell no more */
    warnings[c->warnings.count++] = slice_str(text);
    return SYNC_OK;
}

/* A browser's Origin is scheme://host or scheme://host:port, nothing behind it. */
static bool can_be_origin(struct slice s)
{
    if (slice_is(s, "null")) return true;
    const char *colons = memmem(s.bytes, s.len, "://", 3);
    if (colons == NULL || colons == s.bytes) return false;
    size_t host = (size_t)(colons - s.bytes) + 3;
    return host < s.len && memchr(s.bytes + host, '/', s.len - host) == NULL;
}

/* The option whose variable a set one was meant to be, or NULL. */
static const char *meant_variable(const char *entry)
{
    size_t len = strcspn(entry, "=");
    bool ours = (strncmp(entry, "SYNC_", 5) == 0 && len > 5) || (strncmp(entry, "S3_", 3) == 0 && len > 3);
    if (!ours || entry[len] == '\0' || entry[len + 1] == '\0') return NULL;
    struct nearest n = nearest_to(slice_of(entry, len));
    for (size_t i = 0; i < config_option_count; i++) nearest_offer(&n, config_options[i].env);
    return n.distance <= 2 && n.distance > 0 ? n.name : NULL;
}

static enum sync_err find_warnings(struct loaded_config *c, const char *const *environment,
                                   struct err_ctx *ec)
{
    const struct config_auth *auth = &c->config.auth;
    const struct text_list *origins = &c->config.cors.origin.list;
    enum sync_err rc = SYNC_OK;
    struct slice *warnings = arena_get(&c->arena, WARNINGS_MAX * sizeof *warnings);
    if (warnings == NULL) return no_memory(ec);
    c->warnings = (struct text_list){.items = warnings};

    if (auth->mode == AUTH_MODE_NONE && auth->tokens.count > 0)
        rc = warn(c, warnings,
                  text_in(&c->arena, "auth.mode (%s) is none: the tokens (%s) are not asked for",
                          origin_of(c, "auth.mode")->text, origin_of(c, "auth.tokens")->text),
                  ec);
    for (size_t i = 0; i < origins->count && rc == SYNC_OK; i++)
        if (!can_be_origin(origins->items[i]))
            rc =
                warn(c, warnings,
                     text_in(&c->arena,
                             "cors.origin (%s): %s is no browser's origin; write it like https://example.com",
                             origin_of(c, "cors.origin")->text, show_value(origins->items[i]).text),
                     ec);
    for (size_t i = 0; environment[i] != NULL && rc == SYNC_OK; i++) {
        const char *meant = meant_variable(environment[i]);
        if (meant == NULL) continue;
        struct slice name = slice_of(environment[i], strcspn(environment[i], "="));
        rc = warn(c, warnings,
                  text_in(&c->arena, "the variable %s is not known; did you mean %s?", show_value(name).text,
                          meant),
                  ec);
    }
    return rc;
}

enum sync_err config_load(const struct config_input *in, struct loaded_config *ret, struct err_ctx *ec)
{
    struct loaded_config c = {.command = CONFIG_RUN};
    struct config_args args;
    enum sync_err rc = apply_defaults(&c, ec);
    if (rc == SYNC_OK) rc = config_args_parse(in->argc, in->argv, &args, ec);
    if (rc != SYNC_OK) goto out;
    c.command = args.command;
    if (c.command != CONFIG_HELP && c.command != CONFIG_VERSION) {
        rc = apply_file(&c, in, args.file, ec);
        if (rc == SYNC_OK) rc = apply_environment(&c, in->environment, ec);
        if (rc == SYNC_OK) rc = apply_flags(&c, &args, ec);
        if (rc == SYNC_OK) rc = read_tokens(&c, in, ec);
        if (rc == SYNC_OK) rc = config_check(&c, ec);
        if (rc == SYNC_OK) rc = find_warnings(&c, in->environment, ec);
        if (rc != SYNC_OK) goto out;
    }
    *ret = c;
    c = (struct loaded_config){0}; /* now the caller's */
out:
    config_unload(&c);
    return rc;
}

void config_unload(struct loaded_config *c)
{
    arena_deinit(&c->arena);
    *c = (struct loaded_config){0};
}
