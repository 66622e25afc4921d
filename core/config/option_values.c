/* How one option takes, checks and shows a value: the second half of options.h. */
#include "core/config/config_hooks.h"
#include "core/config/options.h"
#include "core/json/json_text.h"
#include "core/log/log_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static_assert(sizeof(enum auth_mode) == sizeof(unsigned), "choices are written as unsigned");

struct shown_value show_value(struct slice value)
{
    enum { SHOWN_BYTES_MAX = 48 };
    struct shown_value shown;
    struct log_line line; /* for its escapes */
    size_t len = value.len < SHOWN_BYTES_MAX ? value.len : SHOWN_BYTES_MAX;
    log_line_start(&line, 0);
    log_line_put_quoted(&line, slice_of(value.bytes, len));
    (void)snprintf(shown.text, sizeof shown.text, "%.*s%s", (int)line.len, line.bytes,
                   len < value.len ? "..." : "");
    return shown;
}

void option_takes(const struct option *o, char ret[OPTION_TAKES_MAX])
{
    const char *text = NULL;
    size_t n = 0;
    switch (o->kind) {
    case OPTION_TEXT: text = o->traits & OPTION_EMPTY_OK ? "a text" : "a text that is not empty"; break;
    case OPTION_BOOLEAN: text = "true or false"; break;
    case OPTION_LIST: text = "a list of texts"; break;
    case OPTION_HOOKS: text = "a list of hooks"; break;
    case OPTION_ORIGIN: text = "true, false or a list of origins"; break;
    case OPTION_BASE_PATH: text = "a path like /sync, or /"; break;
    case OPTION_NUMBER:
        (void)snprintf(ret, OPTION_TAKES_MAX, "a whole number from %" PRIu64 " to %" PRIu64, o->min, o->max);
        return;
    case OPTION_DECIMAL:
        (void)snprintf(ret, OPTION_TAKES_MAX, "a number from %.2f to %.2f, with at most two decimal places",
                       (double)o->min / 100, (double)o->max / 100);
        return;
    case OPTION_CHOICE:
        for (size_t i = 0; o->choices[i] != NULL && n < OPTION_TAKES_MAX; i++) {
            const char *before = i == 0 ? "one of " : o->choices[i + 1] == NULL ? " or " : ", ";
            n += (size_t)snprintf(ret + n, OPTION_TAKES_MAX - n, "%s%s", before, o->choices[i]);
        }
        return;
    }
    (void)snprintf(ret, OPTION_TAKES_MAX, "%s", text);
}

static enum sync_err refuse(const struct option *o, struct slice text, struct err_ctx *ec)
{
    char takes[OPTION_TAKES_MAX];
    option_takes(o, takes);
    if (o->traits & OPTION_SECRET) return err_set(ec, SYNC_ECONFIG, "the value is not %s", takes);
    return err_set(ec, SYNC_ECONFIG, "%s is not %s", show_value(text).text, takes);
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for the configuration");
}

static void *field_of(const struct option *o, struct config *c)
{
    return (char *)c + o->offset;
}

static const void *field_in(const struct option *o, const struct config *c)
{
    return (const char *)c + o->offset;
}

static enum sync_err set_number(const struct option *o, struct config *c, struct slice text,
                                struct err_ctx *ec)
{
    uint64_t value = 0;
    if (text.len == 0) return refuse(o, text, ec);
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') return refuse(o, text, ec);
        uint64_t digit = (uint64_t)(text.bytes[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) return refuse(o, text, ec);
        value = value * 10 + digit;
    }
    if (value < o->min || value > o->max) return refuse(o, text, ec);
    switch (o->size) {
    case sizeof(uint16_t): *(uint16_t *)field_of(o, c) = (uint16_t)value; break;
    case sizeof(uint32_t): *(uint32_t *)field_of(o, c) = (uint32_t)value; break;
    default: *(uint64_t *)field_of(o, c) = value;
    }
    return SYNC_OK;
}

/* DIGITS or DIGITS.D or DIGITS.DD, kept as hundredths, so that what is shown is what was given. */
static enum sync_err set_decimal(const struct option *o, struct config *c, struct slice text,
                                 struct err_ctx *ec)
{
    uint64_t value = 0, unit = 100;
    bool digits = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] == '.' && unit == 100 && digits && i + 1 < text.len) {
            unit = 10;
            continue;
        }
        if (text.bytes[i] < '0' || text.bytes[i] > '9' || unit == 0) return refuse(o, text, ec);
        uint64_t digit = (uint64_t)(text.bytes[i] - '0');
        digits = true;
        if (unit == 100) {
            value = value * 10 + digit * 100;
            if (value > UINT32_MAX) return refuse(o, text, ec);
        } else {
            value += digit * unit;
            unit /= 10;
        }
    }
    if (!digits || value < o->min || value > o->max) return refuse(o, text, ec);
    *(uint32_t *)field_of(o, c) = (uint32_t)value;
    return SYNC_OK;
}

static void put_decimal(struct buf *b, uint32_t hundredths)
{
    buf_printf(b, hundredths % 10 == 0 ? "%u.%u" : "%u.%02u", hundredths / 100,
               hundredths % 10 == 0 ? hundredths % 100 / 10 : hundredths % 100);
}

static uint64_t get_number(const struct option *o, const struct config *c)
{
    switch (o->size) {
    case sizeof(uint16_t): return *(const uint16_t *)field_in(o, c);
    case sizeof(uint32_t): return *(const uint32_t *)field_in(o, c);
    default: return *(const uint64_t *)field_in(o, c);
    }
}

static enum sync_err set_choice(const struct option *o, struct config *c, struct slice text,
                                struct err_ctx *ec)
{
    for (unsigned i = 0; o->choices[i] != NULL; i++) {
        if (!slice_is(text, o->choices[i])) continue;
        memcpy(field_of(o, c), &i, sizeof i);
        return SYNC_OK;
    }
    return refuse(o, text, ec);
}

static unsigned get_choice(const struct option *o, const struct config *c)
{
    unsigned i;
    memcpy(&i, field_in(o, c), sizeof i);
    return i;
}

static enum sync_err store_text(const struct option *o, struct config *c, struct arena *a, struct slice text,
                                struct err_ctx *ec)
{
    char *copy = arena_get(a, text.len + 1);
    if (copy == NULL) return no_memory(ec);
    if (text.len > 0) memcpy(copy, text.bytes, text.len);
    copy[text.len] = '\0';
    *(const char **)field_of(o, c) = copy;
    return SYNC_OK;
}

static bool is_path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=:@", c) != NULL);
}

/* Parts between slashes: none empty, none "." or "..", and no character that a URL would have to escape. */
static bool is_base_path(struct slice path)
{
    for (size_t at = 0; at < path.len;) {
        if (path.bytes[at++] != '/') return false;
        size_t first = at;
        while (at < path.len && is_path_char(path.bytes[at])) at++;
        struct slice part = slice_of(path.bytes + first, at - first);
        if (part.len == 0 || slice_is(part, ".") || slice_is(part, "..")) return false;
    }
    return true;
}

static enum sync_err set_base_path(const struct option *o, struct config *c, struct arena *a,
                                   struct slice text, struct err_ctx *ec)
{
    struct slice path = text;
    if (path.len > 0 && path.bytes[path.len - 1] == '/') path.len--;
    if (text.len == 0 || !is_base_path(path)) return refuse(o, text, ec);
    return store_text(o, c, a, path, ec);
}

/* Copies the items that are not empty. */
static enum sync_err copy_list(struct arena *a, const struct slice *items, size_t count,
                               struct text_list *ret, struct err_ctx *ec)
{
    struct slice *copies = arena_get(a, (count + 1) * sizeof *copies); /* + 1: never 0 bytes */
    size_t kept = 0;
    if (copies == NULL) return no_memory(ec);
    for (size_t i = 0; i < count; i++) {
        struct slice item = slice_trim(items[i]);
        if (item.len == 0) continue;
        copies[kept] = arena_copy(a, item);
        if (copies[kept++].bytes == NULL) return no_memory(ec);
    }
    *ret = (struct text_list){.items = copies, .count = kept};
    return SYNC_OK;
}

enum sync_err option_set_list(const struct option *o, struct config *c, struct arena *a,
                              const struct slice *items, size_t count, struct err_ctx *ec)
{
    struct text_list list;
    if (o->kind == OPTION_HOOKS)
        return config_hooks_parse(a, items, count, (struct config_hook_list *)field_of(o, c), ec);
    assert(o->kind == OPTION_LIST || o->kind == OPTION_ORIGIN);
    enum sync_err rc = copy_list(a, items, count, &list, ec);
    if (rc != SYNC_OK) return rc;
    if (o->kind == OPTION_LIST) {
        *(struct text_list *)field_of(o, c) = list;
        return SYNC_OK;
    }
    struct cors_origin origin = {.allow = CORS_ALLOW_LIST, .list = list};
    for (size_t i = 0; i < list.count; i++)
        if (slice_is(list.items[i], "*")) origin = (struct cors_origin){.allow = CORS_ALLOW_ANY};
    *(struct cors_origin *)field_of(o, c) = origin;
    return SYNC_OK;
}

void option_set_hooks(const struct option *o, struct config *c, const struct config_hook_list *list)
{
    assert(o->kind == OPTION_HOOKS);
    *(struct config_hook_list *)field_of(o, c) = *list;
}

/* Is it between two items? Configuration strings of hooks are full of commas. */
static bool is_separator(const struct option *o, char c)
{
    return o->kind == OPTION_HOOKS ? c == ';' || c == '\n' : c == ',';
}

/* What stands between the commas; there must be something. */
static enum sync_err set_split(const struct option *o, struct config *c, struct arena *a, struct slice text,
                               struct err_ctx *ec)
{
    size_t count = 1, at = 0;
    bool something = false;
    for (size_t i = 0; i < text.len; i++) count += is_separator(o, text.bytes[i]);
    struct slice *items = arena_get(a, count * sizeof *items);
    if (items == NULL) return no_memory(ec);
    for (size_t i = 0; i < count; i++) {
        size_t first = at;
        while (at < text.len && !is_separator(o, text.bytes[at])) at++;
        items[i] = slice_trim(slice_of(text.bytes + first, at - first));
        something |= items[i].len > 0;
        at++;
    }
    if (!something) return refuse(o, text, ec);
    return option_set_list(o, c, a, items, count, ec);
}

enum sync_err option_set_text(const struct option *o, struct config *c, struct arena *a, struct slice text,
                              struct err_ctx *ec)
{
    struct slice trimmed = slice_trim(text);
    if (text.len > 0 && memchr(text.bytes, '\0', text.len) != NULL) return refuse(o, text, ec);
    switch (o->kind) {
    case OPTION_NUMBER: return set_number(o, c, trimmed, ec);
    case OPTION_DECIMAL: return set_decimal(o, c, trimmed, ec);
    case OPTION_CHOICE: return set_choice(o, c, trimmed, ec);
    case OPTION_LIST:
    case OPTION_HOOKS: return set_split(o, c, a, text, ec);
    case OPTION_BASE_PATH: return set_base_path(o, c, a, trimmed, ec);
    case OPTION_TEXT:
        if (text.len == 0 && !(o->traits & OPTION_EMPTY_OK)) return refuse(o, text, ec);
        return store_text(o, c, a, text, ec);
    case OPTION_BOOLEAN:
        if (!slice_is(trimmed, "true") && !slice_is(trimmed, "false")) return refuse(o, text, ec);
        *(bool *)field_of(o, c) = slice_is(trimmed, "true");
        return SYNC_OK;
    case OPTION_ORIGIN:
        if (!slice_is(trimmed, "true") && !slice_is(trimmed, "false")) return set_split(o, c, a, text, ec);
        *(struct cors_origin *)field_of(o, c) =
            (struct cors_origin){.allow = slice_is(trimmed, "true") ? CORS_ALLOW_ANY : CORS_ALLOW_NONE};
        return SYNC_OK;
    }
    return refuse(o, text, ec);
}

static size_t size_of(const struct option *o)
{
    switch (o->kind) {
    case OPTION_NUMBER: return o->size;
    case OPTION_DECIMAL: return sizeof(uint32_t);
    case OPTION_BOOLEAN: return sizeof(bool);
    case OPTION_CHOICE: return sizeof(unsigned);
    case OPTION_LIST: return sizeof(struct text_list);
    case OPTION_ORIGIN: return sizeof(struct cors_origin);
    case OPTION_HOOKS: return sizeof(struct config_hook_list);
    case OPTION_TEXT:
    case OPTION_BASE_PATH: break;
    }
    return sizeof(const char *);
}

void option_copy_value(const struct option *o, struct config *c, const struct config *from)
{
    memcpy(field_of(o, c), field_in(o, from), size_of(o));
}

static void put_list(struct buf *b, const struct text_list *list)
{
    buf_put_char(b, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0) BUF_PUT_LIT(b, ", ");
        json_put_text(b, list->items[i]);
    }
    buf_put_char(b, ']');
}

static void put_bool(struct buf *b, bool value)
{
    buf_put_str(b, value ? "true" : "false");
}

void option_put_value_unmasked(const struct option *o, const struct config *c, struct buf *ret)
{
    const void *field = field_in(o, c);
    switch (o->kind) {
    case OPTION_NUMBER: buf_put_u64(ret, get_number(o, c)); break;
    case OPTION_DECIMAL: put_decimal(ret, *(const uint32_t *)field); break;
    case OPTION_BOOLEAN: put_bool(ret, *(const bool *)field); break;
    case OPTION_CHOICE: json_put_text(ret, slice_str(o->choices[get_choice(o, c)])); break;
    case OPTION_TEXT: json_put_text(ret, slice_str(*(const char *const *)field)); break;
    case OPTION_LIST: put_list(ret, field); break;
    case OPTION_HOOKS: config_hooks_put(ret, field, true); break;
    case OPTION_BASE_PATH: {
        const char *path = *(const char *const *)field;
        json_put_text(ret, slice_str(path[0] == '\0' ? "/" : path));
        break;
    }
    case OPTION_ORIGIN: {
        const struct cors_origin *origin = field;
        if (origin->allow == CORS_ALLOW_LIST)
            put_list(ret, &origin->list);
        else
            put_bool(ret, origin->allow == CORS_ALLOW_ANY);
        break;
    }
    }
}

void option_put_value(const struct option *o, const struct config *c, struct buf *ret)
{
    if (!(o->traits & OPTION_SECRET)) {
        option_put_value_unmasked(o, c, ret);
        return;
    }
    if (o->kind == OPTION_HOOKS) {
        config_hooks_put(ret, field_in(o, c), false);
        return;
    }
    assert(o->kind == OPTION_LIST || o->kind == OPTION_TEXT);
    const void *field = field_in(o, c);
    size_t count = o->kind == OPTION_LIST ? ((const struct text_list *)field)->count
                                          : (*(const char *const *)field)[0] != '\0';
    buf_put_char(ret, '(');
    buf_put_u64(ret, count);
    buf_put_str(ret, count == 1 ? " secret)" : " secrets)");
}
