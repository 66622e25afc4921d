#include "core/config/config_file.h"

#include "core/base/nearest.h"
#include "core/config/config_hooks.h"
#include "core/config/options.h"
#include "core/json/json.h"
#include "core/json/json_text.h"

#include <assert.h>
#include <stdio.h>

enum {
    KEY_BYTES_MAX = 96,     /* of "section.key"; no option's path comes near */
    LIST_ITEMS_MAX = 10000, /* of one list in the file */
    FILE_DEPTH_MAX = 16,
};

struct file_reading {
    struct loaded_config *into;
    const char *path; /* of the file */
    const char *text;
    const char *last_key; /* the key read last, in the text: where we are */
    bool *given;
    struct err_ctx *ec;
};

/* A key with the section it stands in: "cors.origin". */
struct key {
    char text[KEY_BYTES_MAX];
};

static unsigned line_of(const struct file_reading *f)
{
    unsigned line = 1;
    for (const char *at = f->text; at < f->last_key; at++) line += *at == '\n';
    return line;
}

/* Puts file, line and key in front of the error's text. */
static enum sync_err at_key(struct file_reading *f, const char *key, enum sync_err rc)
{
    if (rc != SYNC_OK) err_wrap(f->ec, "%s:%u: %s", f->path, line_of(f), key);
    return rc;
}

static enum sync_err wrong_type(struct file_reading *f, const struct option *o, const struct json_value *v)
{
    static const char *const kinds[] = {
        [JSON_INVALID] = "value", [JSON_OBJECT] = "object", [JSON_ARRAY] = "list", [JSON_STRING] = "text",
        [JSON_NUMBER] = "number", [JSON_BOOLEAN] = "value", [JSON_NULL] = "value",
    };
    char takes[OPTION_TAKES_MAX];
    enum json_type type = json_type(v);
    option_takes(o, takes);
    if (o->traits & OPTION_SECRET || type == JSON_OBJECT || type == JSON_ARRAY)
        return err_set(f->ec, SYNC_ECONFIG, "the %s is not %s", kinds[type], takes);
    struct json_raw raw = json_take(v);
    if (raw.type == JSON_INVALID) return SYNC_OK; /* not JSON: told at the end */
    if (type == JSON_STRING) raw.text = slice_of(raw.text.bytes + 1, raw.text.len < 2 ? 0 : raw.text.len - 2);
    return err_set(f->ec, SYNC_ECONFIG, "the %s %s is not %s", kinds[type], show_value(raw.text).text, takes);
}

struct slice config_text_resolve(struct arena *a, struct slice inside)
{
    struct buf b = buf_make(inside.len + 1); /* escapes only get shorter */
    json_text_resolve(inside, &b);
    buf_put_char(&b, '\0'); /* so that an empty text has bytes too */
    struct slice copy = {.bytes = NULL};
    if (b.failed == SYNC_OK) copy = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    if (copy.bytes != NULL) copy.len--;
    return copy;
}

static struct slice resolve(struct file_reading *f, struct slice inside)
{
    return config_text_resolve(&f->into->arena, inside);
}

static enum sync_err no_memory(struct file_reading *f)
{
    return err_set(f->ec, SYNC_ENOMEM, "no memory for the configuration");
}

static enum sync_err read_list(struct file_reading *f, const struct option *o, const struct json_value *v)
{
    struct json_walk w = json_elements(v);
    struct json_value item;
    struct slice inside;
    enum sync_err rc = SYNC_OK;
    size_t count = 0;
    struct buf items = buf_make(LIST_ITEMS_MAX * sizeof(struct slice));
    while (rc == SYNC_OK && json_next_element(&w, &item)) {
        if (!json_take_string(&item, &inside)) {
            rc = json_type(&item) == JSON_INVALID
                     ? SYNC_OK /* not JSON: told at the end */
                     : err_set(f->ec, SYNC_ECONFIG, "item %zu of the list is not a text", count + 1);
            continue;
        }
        struct slice text = resolve(f, inside);
        if (text.bytes == NULL) rc = no_memory(f);
        buf_put(&items, &text, sizeof text);
        count++;
    }
    if (rc == SYNC_OK && items.failed == SYNC_ELIMIT)
        rc = err_set(f->ec, SYNC_ECONFIG, "the list has over %d items", LIST_ITEMS_MAX);
    if (rc == SYNC_OK && items.failed != SYNC_OK) rc = no_memory(f);
    if (rc == SYNC_OK)
        rc = option_set_list(o, &f->into->config, &f->into->arena, (const struct slice *)(void *)items.bytes,
                             count, f->ec);
    buf_deinit(&items);
    return rc;
}

static enum sync_err read_hooks(struct file_reading *f, const struct option *o, const struct json_value *v)
{
    struct config_hook_list list;
    enum sync_err rc = config_hooks_read(&f->into->arena, v, &list, &f->last_key, f->ec);
    if (rc == SYNC_OK) option_set_hooks(o, &f->into->config, &list);
    return rc;
}

/* The JSON type must be the one that the option is written with; then its text is the value. */
static enum sync_err read_value(struct file_reading *f, const struct option *o, const struct json_value *v)
{
    bool text_kind = o->kind == OPTION_TEXT || o->kind == OPTION_CHOICE || o->kind == OPTION_BASE_PATH;
    bool fits = false;
    enum json_type type = json_type(v);
    switch (type) {
    case JSON_STRING: fits = text_kind || o->kind == OPTION_ORIGIN; break;
    case JSON_NUMBER: fits = o->kind == OPTION_NUMBER || o->kind == OPTION_DECIMAL; break;
    case JSON_BOOLEAN: fits = o->kind == OPTION_BOOLEAN || o->kind == OPTION_ORIGIN; break;
    case JSON_ARRAY:
        fits = o->kind == OPTION_LIST || o->kind == OPTION_ORIGIN || o->kind == OPTION_HOOKS;
        break;
    case JSON_INVALID: return SYNC_OK; /* not JSON: told at the end */
    default: break;
    }
    if (!fits) return wrong_type(f, o, v);
    if (o->kind == OPTION_HOOKS) return read_hooks(f, o, v);
    if (type == JSON_ARRAY) return read_list(f, o, v);

    struct slice text;
    if (type == JSON_STRING) {
        if (!json_take_string(v, &text)) return SYNC_OK; /* not JSON */
        text = resolve(f, text);
        if (text.bytes == NULL) return no_memory(f);
    } else {
        struct json_raw raw = json_take(v);
        if (raw.type == JSON_INVALID) return SYNC_OK;
        text = raw.text;
    }
    return option_set_text(o, &f->into->config, &f->into->arena, text, f->ec);
}

/* The last part of a path: "tokens" of "auth.tokens". */
static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot == NULL ? path : dot + 1;
}

static enum sync_err refuse_unknown(struct file_reading *f, const char *key)
{
    const char *meant = NULL;
    struct nearest path = nearest_to(slice_str(key)), part = nearest_to(slice_str(last_part(key)));
    for (size_t i = 0; i < config_option_count; i++) nearest_offer(&path, config_options[i].path);
    for (size_t i = 0; i < config_option_count; i++) nearest_offer(&part, last_part(config_options[i].path));
    meant = path.name;
    for (size_t i = 0; i < config_option_count && meant == NULL && part.name != NULL; i++)
        if (strcmp(last_part(config_options[i].path), part.name) == 0) meant = config_options[i].path;
    struct shown_value shown = show_value(slice_str(key));
    if (meant == NULL)
        return err_set(f->ec, SYNC_ECONFIG, "%s:%u: unknown key %s", f->path, line_of(f), shown.text);
    return err_set(f->ec, SYNC_ECONFIG, "%s:%u: unknown key %s; did you mean \"%s\"?", f->path, line_of(f),
                   shown.text, meant);
}

/* Makes "section.key". False when it cannot be one of ours: too long, empty, or with a dot (a dotted path is
 * written as an object in an object). *ret is good for showing either way. */
static bool make_key(const char *section, struct slice name, struct key *ret)
{
    int n =
        snprintf(ret->text, sizeof ret->text, "%s%s%s", section, section[0] == '\0' ? "" : ".", name.bytes);
    return n >= 0 && (size_t)n < sizeof ret->text && name.len > 0 && name.len == strlen(name.bytes) &&
           strchr(name.bytes, '.') == NULL;
}

static enum sync_err read_member(struct file_reading *f, const char *key, const struct json_value *v)
{
    const struct option *o = option_by_path(slice_str(key));
    if (o == NULL) return refuse_unknown(f, key);
    if (f->given[option_index(o)]) return at_key(f, key, err_set(f->ec, SYNC_ECONFIG, "given a second time"));
    f->given[option_index(o)] = true;
    return at_key(f, key, read_value(f, o, v));
}

static enum sync_err read_section(struct file_reading *f, const char *section, const struct json_value *v)
{
    struct json_walk w = json_members(v);
    struct json_value member;
    struct slice inside;
    while (json_next_member(&w, &inside, &member)) {
        struct key key;
        f->last_key = inside.bytes;
        struct slice name = resolve(f, inside);
        if (name.bytes == NULL) return no_memory(f);
        if (!make_key(section, name, &key)) return refuse_unknown(f, key.text);
        enum sync_err rc;
        if (!option_is_section(slice_str(key.text)))
            rc = read_member(f, key.text, &member);
        else if (json_type(&member) == JSON_OBJECT)
            rc = read_section(f, key.text, &member); /* as deep as our own paths */
        else
            rc = at_key(f, key.text, err_set(f->ec, SYNC_ECONFIG, "must be an object"));
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

enum sync_err config_file_apply(struct loaded_config *c, const char *path, struct buf *text,
                                bool given[CONFIG_OPTIONS_MAX], struct err_ctx *ec)
{
    struct json_reader *r = json_reader_new(FILE_DEPTH_MAX);
    if (r == NULL || !buf_reserve(text, JSON_PADDING)) {
        json_reader_free(r);
        return err_set(ec, SYNC_ENOMEM, "no memory to read %s", path);
    }
    memset(text->bytes + text->len, 0, JSON_PADDING);

    struct file_reading f = {
        .into = c, .path = path, .text = text->bytes, .last_key = text->bytes, .given = given, .ec = ec};
    struct err_ctx json_ec;
    struct json_value root = json_open(r, text->bytes, text->len);
    enum json_type type = json_type(&root);
    enum sync_err rc = SYNC_OK;
    if (type == JSON_OBJECT)
        rc = read_section(&f, "", &root);
    else if (type != JSON_INVALID)
        rc = err_set(ec, SYNC_ECONFIG, "%s: the file must hold one JSON object", path);

    /* A value that is wrong because the text is no JSON from there on is told as that. */
    enum sync_err json_rc = rc == SYNC_OK ? json_close(r, &json_ec) : json_check(r, &json_ec);
    if (json_rc == SYNC_ENOMEM)
        rc = err_set(ec, SYNC_ENOMEM, "no memory to read %s", path);
    else if (json_rc != SYNC_OK)
        rc = err_set(ec, SYNC_ECONFIG, "%s: %s (in or after line %u)", path, json_ec.text, line_of(&f));
    json_reader_free(r);
    return rc;
}

enum sync_err config_tokens_append(struct loaded_config *c, struct slice text, struct err_ctx *ec)
{
    struct text_list *tokens = &c->config.auth.tokens;
    size_t lines = 1, count = tokens->count, at = 0;
    for (size_t i = 0; i < text.len; i++) lines += text.bytes[i] == '\n';
    struct slice *all = arena_get(&c->arena, (count + lines) * sizeof *all);
    struct slice own = arena_copy(&c->arena, text);
    if (all == NULL || (own.bytes == NULL && text.len > 0))
        return err_set(ec, SYNC_ENOMEM, "no memory for the tokens");
    if (count > 0) memcpy(all, tokens->items, count * sizeof *all);
    if (slice_starts_with(own, slice_str("\xef\xbb\xbf"))) at = 3; /* a byte order mark */
    while (at < own.len) {
        const char *end = memchr(own.bytes + at, '\n', own.len - at);
        size_t len = end == NULL ? own.len - at : (size_t)(end - own.bytes) - at;
        struct slice line = slice_trim(slice_of(own.bytes + at, len));
        at += len + 1;
        if (line.len > 0 && line.bytes[0] != '#') all[count++] = line;
    }
    *tokens = (struct text_list){.items = all, .count = count};
    return SYNC_OK;
}
