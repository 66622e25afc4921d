#include "core/sql_value.h"

#include "core/base64.h"
#include "core/json_text.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAG_END, TAG_NULL, TAG_WHOLE, TAG_DOUBLE, TAG_TEXT, TAG_BLOB, TAG_JSON };

/* Digits that a double always holds exactly. */
enum { EXACT_DIGITS = 15 };

/* A sign, the 309 digits of the largest double, a terminating zero. */
enum { WHOLE_DIGITS_MAX = 1 + 309 + 1 };

/* ---- pieces of a key */

static void put_escaped(struct buf *key, struct slice bytes)
{
    const char *at = bytes.bytes, *end = at + bytes.len;
    while (at < end) {
        const char *zero = memchr(at, 0, (size_t)(end - at));
        if (zero == NULL) zero = end;
        buf_put(key, at, (size_t)(zero - at));
        if (zero == end) return;
        buf_put(key, "\0\xff", 2);
        at = zero + 1;
    }
}

void key_put_text(struct buf *key, struct slice text)
{
    put_escaped(key, text);
    buf_put_char(key, '\0');
}

static void put_tagged(struct buf *key, char tag, struct slice bytes)
{
    buf_put_char(key, tag);
    key_put_text(key, bytes);
}

static void put_double_bits(struct buf *out, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    for (int shift = 56; shift >= 0; shift -= 8) buf_put_char(out, (char)(bits >> shift));
}

/* Decimal digits without leading zeros, "-" before them; "-0" is "0". */
static void put_whole(struct buf *key, struct slice digits)
{
    bool negative = digits.len > 0 && digits.bytes[0] == '-';
    size_t at = negative ? 1 : 0;
    while (at + 1 < digits.len && digits.bytes[at] == '0') at++;
    bool zero = digits.len - at == 1 && digits.bytes[at] == '0';
    buf_put_char(key, TAG_WHOLE);
    if (negative && !zero) buf_put_char(key, '-');
    buf_put(key, digits.bytes + at, digits.len - at);
    buf_put_char(key, '\0');
}

static bool all_digits(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.bytes[i] < '0' || s.bytes[i] > '9') return false;
    return s.len > 0;
}

static bool is_whole(struct slice text) /* -?[0-9]+ */
{
    if (text.len > 0 && text.bytes[0] == '-') text = slice_of(text.bytes + 1, text.len - 1);
    return all_digits(text);
}

void key_put_number(struct buf *key, struct slice text)
{
    if (text.len <= EXACT_DIGITS && is_whole(text)) {
        put_whole(key, text);
        return;
    }
    double d = strtod(text.bytes, NULL);
    if (isfinite(d) && d == trunc(d)) {
        char digits[WHOLE_DIGITS_MAX];
        int n = snprintf(digits, sizeof digits, "%.0f", d);
        assert(n > 0 && (size_t)n < sizeof digits);
        put_whole(key, slice_of(digits, (size_t)n));
        return;
    }
    buf_put_char(key, TAG_DOUBLE);
    put_double_bits(key, d);
}

/* ---- canonical JSON of what is deeper than the top level, and of objects and arrays at the top */

struct member {
    struct slice key;       /* resolved */
    struct slice text;      /* of the value, as it came */
    struct slice canonical; /* of the value; empty when no identity is wanted */
    enum json_type type;
    size_t order;
};

struct members {
    struct member *items; /* in the arena */
    size_t count, capacity;
};

static struct slice resolved(struct slice inside, struct arena *arena, struct buf *scratch)
{
    if (memchr(inside.bytes, '\\', inside.len) == NULL) return inside;
    buf_clear(scratch);
    json_text_resolve(inside, scratch);
    return arena_copy(arena, buf_slice(scratch));
}

static bool add_member(struct members *m, struct arena *arena, const struct member *item)
{
    if (m->count == m->capacity) {
        size_t capacity = m->capacity == 0 ? 8 : m->capacity * 2;
        struct member *items = arena_get(arena, capacity * sizeof *items);
        if (items == NULL) return false;
        if (m->count > 0) memcpy(items, m->items, m->count * sizeof *items);
        m->items = items;
        m->capacity = capacity;
    }
    m->items[m->count++] = *item;
    return true;
}

static int compare_members(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    int c = slice_cmp(a->key, b->key);
    return c != 0 ? c : (a->order > b->order) - (a->order < b->order);
}

/* Sorts by key; of equal keys the last one given stays. */
static void sort_members(struct members *m)
{
    size_t kept = 0;
    if (m->count == 0) return;
    qsort(m->items, m->count, sizeof *m->items, compare_members);
    for (size_t i = 0; i < m->count; i++) {
        if (i + 1 < m->count && slice_eq(m->items[i].key, m->items[i + 1].key)) continue;
        m->items[kept++] = m->items[i];
    }
    m->count = kept;
}

static const struct member *find_member(const struct members *m, const char *key)
{
    for (size_t i = 0; i < m->count; i++)
        if (slice_is(m->items[i].key, key)) return &m->items[i];
    return NULL;
}

static enum sync_err take_canonical(const struct json_value *v, struct arena *arena, struct buf *out,
                                    struct slice *ret_text, struct err_ctx *ec);

/* All members of an object, sorted, with their canonical forms when they are wanted. */
static enum sync_err take_members(const struct json_value *v, struct arena *arena, bool want_canonical,
                                  struct members *ret, struct slice *ret_text, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    struct buf scratch = buf_make(SIZE_MAX / 2);
    struct json_walk w = json_members(v);
    struct json_value value;
    struct slice key;
    *ret = (struct members){0};
    while (rc == SYNC_OK && json_next_member(&w, &key, &value)) {
        struct member m = {.order = ret->count, .type = json_type(&value)};
        m.key = resolved(key, arena, &scratch);
        if (want_canonical) {
            struct buf canonical = buf_make(SIZE_MAX / 2);
            rc = take_canonical(&value, arena, &canonical, &m.text, ec);
            m.canonical = arena_copy(arena, buf_slice(&canonical));
            if (rc == SYNC_OK && m.canonical.bytes == NULL)
                rc = err_set(ec, SYNC_ENOMEM, "no memory for a key");
            buf_deinit(&canonical);
        } else {
            m.text = json_take(&value).text;
        }
        if (rc == SYNC_OK && !add_member(ret, arena, &m))
            rc = err_set(ec, SYNC_ENOMEM, "no memory for a value");
    }
    buf_deinit(&scratch);
    if (rc == SYNC_OK) rc = json_check(v->reader, ec);
    if (rc != SYNC_OK) return rc;
    *ret_text = json_walk_text(&w);
    sort_members(ret);
    return SYNC_OK;
}

static void put_members(struct buf *out, const struct members *m)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < m->count; i++) {
        key_put_text(out, m->items[i].key);
        buf_put_slice(out, m->items[i].canonical);
    }
    buf_put_char(out, '}');
}

static enum sync_err take_canonical(const struct json_value *v, struct arena *arena, struct buf *out,
                                    struct slice *ret_text, struct err_ctx *ec)
{
    switch (json_type(v)) {
    case JSON_OBJECT: {
        struct members m;
        enum sync_err rc = take_members(v, arena, true, &m, ret_text, ec);
        if (rc == SYNC_OK) put_members(out, &m);
        return rc;
    }
    case JSON_ARRAY: {
        struct json_walk w = json_elements(v);
        struct json_value element;
        struct slice text;
        buf_put_char(out, '[');
        while (json_next_element(&w, &element)) {
            enum sync_err rc = take_canonical(&element, arena, out, &text, ec);
            if (rc != SYNC_OK) return rc;
        }
        buf_put_char(out, ']');
        *ret_text = json_walk_text(&w);
        break;
    }
    case JSON_STRING: {
        struct slice inside;
        struct buf scratch = buf_make(SIZE_MAX / 2);
        if (json_take_string(v, &inside)) {
            *ret_text = slice_of(inside.bytes - 1, inside.len + 2);
            buf_put_char(out, 's');
            key_put_text(out, resolved(inside, arena, &scratch));
        }
        buf_deinit(&scratch);
        break;
    }
    case JSON_NUMBER: {
        *ret_text = json_take(v).text;
        double d = ret_text->len == 0 ? 0 : strtod(ret_text->bytes, NULL);
        buf_put_char(out, 'd');
        put_double_bits(out, d == 0 ? 0 : d); /* JSON writes -0 as 0 */
        break;
    }
    case JSON_BOOLEAN:
    case JSON_NULL:
        *ret_text = json_take(v).text;
        buf_put(out, ret_text->bytes, ret_text->len == 0 ? 0 : 1); /* t, f, n */
        break;
    case JSON_INVALID: break;
    }
    return json_check(v->reader, ec);
}

/* ---- values at the top level */

static enum sync_err take_text(const struct json_value *v, struct arena *arena, struct buf *key,
                               struct slice *ret_text, struct err_ctx *ec)
{
    struct slice inside;
    if (!json_take_string(v, &inside)) return json_check(v->reader, ec);
    *ret_text = slice_of(inside.bytes - 1, inside.len + 2);
    if (key != NULL) {
        struct buf scratch = buf_make(SIZE_MAX / 2);
        put_tagged(key, TAG_TEXT, resolved(inside, arena, &scratch));
        buf_deinit(&scratch);
    }
    return SYNC_OK;
}

/* The string that a member holds, escapes resolved; false when it is not a string. */
static bool member_string(const struct member *m, struct arena *arena, struct slice *ret)
{
    if (m->type != JSON_STRING) return false;
    struct buf scratch = buf_make(SIZE_MAX / 2);
    *ret = resolved(slice_of(m->text.bytes + 1, m->text.len - 2), arena, &scratch);
    buf_deinit(&scratch);
    return true;
}

static enum sync_err take_blob(const struct member *m, struct arena *arena, struct buf *key,
                               struct err_ctx *ec)
{
    struct slice text;
    size_t len;
    if (!member_string(m, arena, &text) || !base64_decode(BASE64_STD, text, NULL, 0, &len))
        return err_set(ec, SYNC_EBADMSG, "__bin is not a string of standard base64");
    if (key == NULL) return SYNC_OK;
    uint8_t *bytes = arena_get(arena, len);
    if (bytes == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a blob");
    bool decoded = base64_decode(BASE64_STD, text, bytes, len, &len);
    assert(decoded);
    (void)decoded;
    put_tagged(key, TAG_BLOB, slice_of(bytes, len));
    return SYNC_OK;
}

static enum sync_err take_bigint(const struct member *m, struct arena *arena, struct buf *key,
                                 struct err_ctx *ec)
{
    struct slice text;
    if (!member_string(m, arena, &text) || !is_whole(text))
        return err_set(ec, SYNC_EBADMSG, "__bigint is not a string of decimal digits");
    if (key != NULL) put_whole(key, text);
    return SYNC_OK;
}

/* Is it {"0":n,"1":n,...}, all of 0 to count-1, with bytes for values? Then ret holds the bytes. */
static bool old_blob(const struct members *m, struct arena *arena, struct slice *ret)
{
    char *bytes = m->count == 0 ? NULL : arena_get(arena, m->count);
    if (bytes == NULL) return false;
    for (size_t i = 0; i < m->count; i++) {
        const struct member *item = &m->items[i];
        if (item->type != JSON_NUMBER || item->key.len > EXACT_DIGITS || !all_digits(item->key)) return false;
        if (item->key.len > 1 && item->key.bytes[0] == '0') return false;
        size_t index = 0;
        for (size_t k = 0; k < item->key.len; k++) index = index * 10 + (size_t)(item->key.bytes[k] - '0');
        double byte = strtod(item->text.bytes, NULL);
        if (index >= m->count || byte != trunc(byte) || byte < 0 || byte > UINT8_MAX) return false;
        bytes[index] = (char)(uint8_t)byte;
    }
    *ret = slice_of(bytes, m->count);
    return true;
}

static enum sync_err take_object(const struct json_value *v, struct arena *arena, struct buf *key,
                                 struct slice *ret_text, struct err_ctx *ec)
{
    struct members m;
    enum sync_err rc = take_members(v, arena, key != NULL, &m, ret_text, ec);
    if (rc != SYNC_OK) return rc;

    const struct member *bin = find_member(&m, "__bin"), *bigint = find_member(&m, "__bigint");
    if (bin != NULL) rc = take_blob(bin, arena, key, ec);
    if (rc == SYNC_OK && bigint != NULL) rc = take_bigint(bigint, arena, bin == NULL ? key : NULL, ec);
    if (rc != SYNC_OK || bin != NULL || bigint != NULL || key == NULL) return rc;

    struct slice bytes;
    if (old_blob(&m, arena, &bytes)) {
        put_tagged(key, TAG_BLOB, bytes);
        return SYNC_OK;
    }
    struct buf canonical = buf_make(SIZE_MAX / 2);
    put_members(&canonical, &m);
    put_tagged(key, TAG_JSON, buf_slice(&canonical));
    rc = buf_check(&canonical, ec);
    buf_deinit(&canonical);
    return rc;
}

static enum sync_err take_array(const struct json_value *v, struct arena *arena, struct buf *key,
                                struct slice *ret_text, struct err_ctx *ec)
{
    if (key == NULL) {
        *ret_text = json_take(v).text;
        return json_check(v->reader, ec);
    }
    struct buf canonical = buf_make(SIZE_MAX / 2);
    enum sync_err rc = take_canonical(v, arena, &canonical, ret_text, ec);
    if (rc == SYNC_OK) rc = buf_check(&canonical, ec);
    if (rc == SYNC_OK) put_tagged(key, TAG_JSON, buf_slice(&canonical));
    buf_deinit(&canonical);
    return rc;
}

enum sync_err sql_value_take(const struct json_value *v, struct arena *arena, struct buf *key,
                             struct slice *ret_text, struct err_ctx *ec)
{
    enum json_type type = json_type(v);
    switch (type) {
    case JSON_STRING: return take_text(v, arena, key, ret_text, ec);
    case JSON_OBJECT: return take_object(v, arena, key, ret_text, ec);
    case JSON_ARRAY: return take_array(v, arena, key, ret_text, ec);
    default: break;
    }
    *ret_text = json_take(v).text;
    enum sync_err rc = json_check(v->reader, ec);
    if (rc != SYNC_OK || key == NULL) return rc;
    if (type == JSON_NUMBER)
        key_put_number(key, *ret_text);
    else if (type == JSON_NULL)
        buf_put_char(key, TAG_NULL);
    else
        put_whole(key, slice_str(ret_text->bytes[0] == 't' ? "1" : "0"));
    return SYNC_OK;
}

enum sync_err sql_values_take(const struct json_value *v, struct arena *arena, struct buf *key,
                              struct slice *ret_text, struct err_ctx *ec)
{
    if (json_type(v) != JSON_ARRAY) {
        enum sync_err rc = json_check(v->reader, ec);
        return rc != SYNC_OK ? rc : err_set(ec, SYNC_EBADMSG, "not an array");
    }
    struct json_walk w = json_elements(v);
    struct json_value element;
    struct slice text;
    for (size_t i = 0; json_next_element(&w, &element); i++) {
        enum sync_err rc = sql_value_take(&element, arena, key, &text, ec);
        if (rc != SYNC_OK) {
            err_wrap(ec, "[%zu]", i);
            return rc;
        }
    }
    if (key != NULL) buf_put_char(key, TAG_END);
    *ret_text = json_walk_text(&w);
    return json_check(v->reader, ec);
}
