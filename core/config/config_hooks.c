#include "core/config/config_hooks.h"

#include "core/config/config_file.h"
#include "core/config/options.h"
#include "core/json/json_text.h"

static const char *const isolations[] = {"none", "process"};

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for the configuration");
}

static enum sync_err check(const struct config_hook *h, struct err_ctx *ec)
{
    if (h->path == NULL || h->path[0] == '\0') return err_set(ec, SYNC_ECONFIG, "the path is missing");
    if (strlen(h->config) > HOOK_CONFIG_BYTES_MAX)
        return err_set(ec, SYNC_ECONFIG, "the configuration string is over %d bytes", HOOK_CONFIG_BYTES_MAX);
    return SYNC_OK;
}

/* A zero terminated copy, NULL when memory is short. */
static const char *copy(struct arena *a, struct slice text)
{
    char *ret = arena_get(a, text.len + 1);
    if (ret == NULL) return NULL;
    if (text.len > 0) memcpy(ret, text.bytes, text.len);
    ret[text.len] = '\0';
    return ret;
}

static enum sync_err parse_one(struct arena *a, struct slice item, struct config_hook *ret,
                               struct err_ctx *ec)
{
    const char *colon = memchr(item.bytes, ':', item.len);
    size_t len = colon == NULL ? item.len : (size_t)(colon - item.bytes);
    struct slice config = colon == NULL ? slice_of(NULL, 0) : slice_of(colon + 1, item.len - len - 1);
    *ret = (struct config_hook){.path = copy(a, slice_of(item.bytes, len)),
                                .config = copy(a, config),
                                .timeout_ms = HOOK_TIMEOUT_MS_INITIAL};
    if (ret->path == NULL || ret->config == NULL) return no_memory(ec);
    return check(ret, ec);
}

static enum sync_err too_many(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ECONFIG, "over %d hooks", CONFIG_HOOKS_MAX);
}

enum sync_err config_hooks_parse(struct arena *a, const struct slice *items, size_t count,
                                 struct config_hook_list *ret, struct err_ctx *ec)
{
    struct config_hook *hooks = arena_get(a, CONFIG_HOOKS_MAX * sizeof *hooks);
    size_t kept = 0;
    if (hooks == NULL) return no_memory(ec);
    for (size_t i = 0; i < count; i++) {
        struct slice item = slice_trim(items[i]);
        if (item.len == 0) continue;
        if (kept == CONFIG_HOOKS_MAX) return too_many(ec);
        enum sync_err rc = parse_one(a, item, &hooks[kept++], ec);
        if (rc != SYNC_OK) return rc;
    }
    *ret = (struct config_hook_list){.items = hooks, .count = kept};
    return SYNC_OK;
}

/* ---- from the file */

static enum sync_err take_text(struct arena *a, const struct json_value *v, const char **ret,
                               struct err_ctx *ec)
{
    struct slice inside;
    if (!json_take_string(v, &inside))
        return json_type(v) == JSON_INVALID ? SYNC_OK : err_set(ec, SYNC_ECONFIG, "must be a text");
    struct slice text = config_text_resolve(a, inside);
    if (text.bytes == NULL) return no_memory(ec);
    if (memchr(text.bytes, '\0', text.len) != NULL)
        return err_set(ec, SYNC_ECONFIG, "a text with a zero character");
    *ret = text.bytes;
    return SYNC_OK;
}

static enum sync_err take_timeout(const struct json_value *v, uint32_t *ret, struct err_ctx *ec)
{
    uint32_t ms = 0;
    struct json_raw raw = json_take(v);
    if (raw.type == JSON_INVALID) return SYNC_OK;
    bool good = raw.type == JSON_NUMBER && raw.text.len <= 6;
    for (size_t i = 0; i < raw.text.len && good; i++) {
        good = raw.text.bytes[i] >= '0' && raw.text.bytes[i] <= '9';
        ms = ms * 10 + (uint32_t)(raw.text.bytes[i] - '0');
    }
    if (!good || ms < HOOK_TIMEOUT_MS_MIN || ms > HOOK_TIMEOUT_MS_MAX)
        return err_set(ec, SYNC_ECONFIG, "%s is not a whole number from %d to %d", show_value(raw.text).text,
                       HOOK_TIMEOUT_MS_MIN, HOOK_TIMEOUT_MS_MAX);
    *ret = ms;
    return SYNC_OK;
}

static enum sync_err take_isolation(struct arena *a, const struct json_value *v, enum hook_place *ret,
                                    struct err_ctx *ec)
{
    const char *text = NULL;
    enum sync_err rc = take_text(a, v, &text, ec);
    if (rc != SYNC_OK || text == NULL) return rc;
    if (strcmp(text, isolations[HOOK_PLACE_SERVER]) == 0)
        *ret = HOOK_PLACE_SERVER;
    else if (strcmp(text, isolations[HOOK_PLACE_HELPER]) == 0)
        *ret = HOOK_PLACE_HELPER;
    else
        return err_set(ec, SYNC_ECONFIG, "%s is not one of none, process", show_value(slice_str(text)).text);
    return SYNC_OK;
}

static enum sync_err read_member(struct arena *a, struct slice key, const struct json_value *v,
                                 struct config_hook *h, struct err_ctx *ec)
{
    if (slice_is(key, "path")) return take_text(a, v, &h->path, ec);
    if (slice_is(key, "config")) return take_text(a, v, &h->config, ec);
    if (slice_is(key, "timeoutMs")) return take_timeout(v, &h->timeout_ms, ec);
    if (slice_is(key, "isolation")) return take_isolation(a, v, &h->place, ec);
    return err_set(ec, SYNC_ECONFIG, "not a key of a hook; there are path, config, timeoutMs and isolation");
}

static enum sync_err read_one(struct arena *a, const struct json_value *v, struct config_hook *ret,
                              const char **ret_at, struct err_ctx *ec)
{
    struct slice key;
    struct json_value member;
    *ret = (struct config_hook){.config = "", .timeout_ms = HOOK_TIMEOUT_MS_INITIAL};
    if (json_type(v) != JSON_OBJECT) {
        return json_type(v) == JSON_INVALID
                   ? SYNC_OK /* not JSON: told at the end */
                   : err_set(ec, SYNC_ECONFIG, "must be an object like {\"path\": \"jwt.so\"}");
    }
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &key, &member)) {
        *ret_at = key.bytes;
        enum sync_err rc = read_member(a, key, &member, ret, ec);
        if (rc == SYNC_OK) continue;
        err_place(ec, ".%.*s", (int)(key.len < 32 ? key.len : 32), key.bytes);
        return rc;
    }
    struct err_ctx unfinished;
    return json_check(v->reader, &unfinished) == SYNC_OK ? check(ret, ec) : SYNC_OK;
}

enum sync_err config_hooks_read(struct arena *a, const struct json_value *v, struct config_hook_list *ret,
                                const char **ret_at, struct err_ctx *ec)
{
    struct config_hook *hooks = arena_get(a, CONFIG_HOOKS_MAX * sizeof *hooks);
    struct json_walk w = json_elements(v);
    struct json_value item;
    size_t count = 0;
    if (hooks == NULL) return no_memory(ec);
    while (json_next_element(&w, &item)) {
        if (count == CONFIG_HOOKS_MAX) return too_many(ec);
        enum sync_err rc = read_one(a, &item, &hooks[count], ret_at, ec);
        if (rc != SYNC_OK) {
            err_place(ec, "[%zu]", count);
            return rc;
        }
        count++;
    }
    *ret = (struct config_hook_list){.items = hooks, .count = count};
    return SYNC_OK;
}

void config_hooks_put(struct buf *out, const struct config_hook_list *list, bool secrets)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        const struct config_hook *h = &list->items[i];
        buf_put_str(out, i > 0 ? ", {\"path\": " : "{\"path\": ");
        json_put_text(out, slice_str(h->path));
        if (h->config[0] != '\0') {
            BUF_PUT_LIT(out, ", \"config\": ");
            json_put_text(out, slice_str(secrets ? h->config : "(secret)"));
        }
        BUF_PUT_LIT(out, ", \"timeoutMs\": ");
        buf_put_u64(out, h->timeout_ms);
        BUF_PUT_LIT(out, ", \"isolation\": ");
        json_put_text(out, slice_str(isolations[h->place]));
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}
