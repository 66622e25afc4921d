#include "core/facts/sql_value.h"

#include "core/base/base64.h"
#include "core/json/json_text.h"

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
    if (bytes.len == 0) return; /* where bytes may be NULL */
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

/* ---- canonical JSON of what is deeper than the top level, and of objects and arrays at the top
 *
 *     object    '{' then for each member: 's' key 00 value, then '}'
 *     array     '[' values ']'
 *     string    's' text 00           number 'd' 8 bytes          true, false, null: 't', 'f', 'n'
 *
 * Every value says by its first byte where it ends, so no list of them reads in two ways. */

struct member {
    struct slice key;  /* resolved */
    struct slice text; /* of the value, as it came */
    enum json_type type;
    size_t order;
    size_t canonical_first, canonical_len; /* in the buffer of the object's values */
};

struct members {
    struct member *items; /* in the arena; none are kept when no identity is wanted */
    size_t count, capacity;
    struct json_raw bin, bigint; /* the members of these names, the last of each; JSON_INVALID: none */
};

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for a value");
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

static enum sync_err take_canonical(const struct json_value *v, struct arena *arena, struct buf *out,
                                    struct slice *ret_text, struct err_ctx *ec);

static enum sync_err take_member(struct slice inside, const struct json_value *v, struct arena *arena,
                                 struct buf *canonical, struct members *m, struct err_ctx *ec)
{
    struct json_raw raw = {.type = json_type(v)};
    struct slice key;
    if (!json_text_resolve_in(inside, arena, &key)) return no_memory(ec);
    if (canonical == NULL) {
        raw = json_take(v);
    } else {
        struct member item = {
            .key = key, .type = raw.type, .order = m->count, .canonical_first = canonical->len};
        enum sync_err rc = take_canonical(v, arena, canonical, &raw.text, ec);
        if (rc != SYNC_OK) return rc;
        item.text = raw.text;
        item.canonical_len = canonical->len - item.canonical_first;
        if (!add_member(m, arena, &item)) return no_memory(ec);
    }
    if (slice_is(key, "__bin")) m->bin = raw;
    if (slice_is(key, "__bigint")) m->bigint = raw;
    return SYNC_OK;
}

/* Walks an object. With `canonical` all members are kept, sorted, and their values' canonical forms appended
 * there; without, only those that may make it a blob or big integer. */
static enum sync_err take_members(const struct json_value *v, struct arena *arena, struct buf *canonical,
                                  struct members *ret, struct slice *ret_text, struct err_ctx *ec)
{
    struct json_walk w = json_members(v);
    struct json_value value;
    struct slice key;
    *ret = (struct members){0};
    while (json_next_member(&w, &key, &value)) {
        enum sync_err rc = take_member(key, &value, arena, canonical, ret, ec);
        if (rc != SYNC_OK) return rc;
    }
    enum sync_err rc = json_check(v->reader, ec);
    if (rc == SYNC_OK && canonical != NULL) rc = buf_check(canonical, ec);
    if (rc != SYNC_OK) return rc;
    *ret_text = json_walk_text(&w);
    sort_members(ret);
    return SYNC_OK;
}

static void put_members(struct buf *out, const struct members *m, const struct buf *canonical)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < m->count; i++) {
        const struct member *item = &m->items[i];
        buf_put_char(out, 's');
        key_put_text(out, item->key);
        buf_put(out, canonical->bytes + item->canonical_first, item->canonical_len);
    }
    buf_put_char(out, '}');
}

static enum sync_err take_canonical_object(const struct json_value *v, struct arena *arena, struct buf *out,
                                           struct slice *ret_text, struct err_ctx *ec)
{
    struct buf canonical = buf_make(SIZE_MAX / 2);
    struct members m;
    enum sync_err rc = take_members(v, arena, &canonical, &m, ret_text, ec);
    if (rc == SYNC_OK) put_members(out, &m, &canonical);
    buf_deinit(&canonical);
    return rc;
}

static enum sync_err take_canonical_array(const struct json_value *v, struct arena *arena, struct buf *out,
                                          struct slice *ret_text, struct err_ctx *ec)
{
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
    return json_check(v->reader, ec);
}

static enum sync_err take_canonical(const struct json_value *v, struct arena *arena, struct buf *out,
                                    struct slice *ret_text, struct err_ctx *ec)
{
    enum json_type type = json_type(v);
    if (type == JSON_OBJECT) return take_canonical_object(v, arena, out, ret_text, ec);
    if (type == JSON_ARRAY) return take_canonical_array(v, arena, out, ret_text, ec);
    *ret_text = json_take(v).text;
    enum sync_err rc = json_check(v->reader, ec);
    if (rc != SYNC_OK) return rc;
    if (type == JSON_STRING) {
        struct slice text;
        if (!json_text_resolve_in(slice_of(ret_text->bytes + 1, ret_text->len - 2), arena, &text))
            return no_memory(ec);
        buf_put_char(out, 's');
        key_put_text(out, text);
    } else if (type == JSON_NUMBER) {
        double d = strtod(ret_text->bytes, NULL);
        buf_put_char(out, 'd');
        put_double_bits(out, d == 0 ? 0 : d); /* JSON writes -0 as 0 */
    } else {
        buf_put_char(out, ret_text->bytes[0]);
    }
    return SYNC_OK;
}

/* ---- values at the top level */

static enum sync_err take_text(const struct json_value *v, struct arena *arena, struct buf *key,
                               struct slice *ret_text, struct err_ctx *ec)
{
    struct slice inside, text;
    if (!json_take_string(v, &inside)) return json_check(v->reader, ec);
    *ret_text = slice_of(inside.bytes - 1, inside.len + 2);
    if (key == NULL) return SYNC_OK;
    if (!json_text_resolve_in(inside, arena, &text)) return no_memory(ec);
    put_tagged(key, TAG_TEXT, text);
    return SYNC_OK;
}

static enum sync_err take_blob(const struct json_raw *raw, struct arena *arena, struct buf *key,
                               struct err_ctx *ec)
{
    static const char wrong[] = "__bin is not a string of standard base64";
    struct slice text;
    size_t len;
    if (raw->type != JSON_STRING) return err_set(ec, SYNC_EBADMSG, wrong);
    if (!json_text_resolve_in(slice_of(raw->text.bytes + 1, raw->text.len - 2), arena, &text))
        return no_memory(ec);
    if (!base64_decode(BASE64_STD, text, NULL, 0, &len)) return err_set(ec, SYNC_EBADMSG, wrong);
    if (key == NULL) return SYNC_OK;
    uint8_t *bytes = arena_get(arena, len);
    if (bytes == NULL) return no_memory(ec);
    bool decoded = base64_decode(BASE64_STD, text, bytes, len, &len);
    assert(decoded);
    (void)decoded;
    put_tagged(key, TAG_BLOB, slice_of(bytes, len));
    return SYNC_OK;
}

static enum sync_err take_bigint(const struct json_raw *raw, struct arena *arena, struct buf *key,
                                 struct err_ctx *ec)
{
    static const char wrong[] = "__bigint is not a string of decimal digits";
    struct slice text;
    if (raw->type != JSON_STRING) return err_set(ec, SYNC_EBADMSG, wrong);
    if (!json_text_resolve_in(slice_of(raw->text.bytes + 1, raw->text.len - 2), arena, &text))
        return no_memory(ec);
    if (!is_whole(text)) return err_set(ec, SYNC_EBADMSG, wrong);
    if (key != NULL) put_whole(key, text);
    return SYNC_OK;
}

/* Is the key the decimal text of an index below `count`? */
static bool index_of(struct slice key, size_t count, size_t *ret)
{
    size_t index = 0;
    if (key.len > EXACT_DIGITS || !all_digits(key) || (key.len > 1 && key.bytes[0] == '0')) return false;
    for (size_t i = 0; i < key.len; i++) index = index * 10 + (size_t)(key.bytes[i] - '0');
    *ret = index;
    return index < count;
}

static bool byte_of(const struct member *m, uint8_t *ret)
{
    double d = m->type == JSON_NUMBER ? strtod(m->text.bytes, NULL) : -1;
    if (!(d >= 0 && d <= UINT8_MAX) || d != trunc(d)) return false;
    *ret = (uint8_t)d;
    return true;
}

/* Is it {"0":n,"1":n,...}, all of 0 to count-1, with bytes for values? Keys are distinct by now. */
static bool is_old_blob(const struct members *m)
{
    size_t index;
    uint8_t byte;
    for (size_t i = 0; i < m->count; i++)
        if (!index_of(m->items[i].key, m->count, &index) || !byte_of(&m->items[i], &byte)) return false;
    return m->count > 0;
}

static enum sync_err put_old_blob(const struct members *m, struct arena *arena, struct buf *key,
                                  struct err_ctx *ec)
{
    uint8_t *bytes = arena_get(arena, m->count);
    if (bytes == NULL) return no_memory(ec);
    for (size_t i = 0, index = 0; i < m->count; i++) {
        bool is_index = index_of(m->items[i].key, m->count, &index);
        bool is_byte = byte_of(&m->items[i], &bytes[index]);
        assert(is_index && is_byte);
    }
    put_tagged(key, TAG_BLOB, slice_of(bytes, m->count));
    return SYNC_OK;
}

/* The identity of an object that is neither a blob nor a big integer by name. */
static enum sync_err put_object(const struct members *m, const struct buf *canonical, struct arena *arena,
                                struct buf *key, struct err_ctx *ec)
{
    if (is_old_blob(m)) return put_old_blob(m, arena, key, ec);
    struct buf whole = buf_make(SIZE_MAX / 2);
    put_members(&whole, m, canonical);
    enum sync_err rc = buf_check(&whole, ec);
    if (rc == SYNC_OK) put_tagged(key, TAG_JSON, buf_slice(&whole));
    buf_deinit(&whole);
    return rc;
}

static enum sync_err take_object(const struct json_value *v, struct arena *arena, struct buf *key,
                                 struct slice *ret_text, struct err_ctx *ec)
{
    struct buf canonical = buf_make(SIZE_MAX / 2);
    struct members m;
    enum sync_err rc = take_members(v, arena, key == NULL ? NULL : &canonical, &m, ret_text, ec);
    bool is_blob = m.bin.type != JSON_INVALID, is_bigint = m.bigint.type != JSON_INVALID;
    if (rc == SYNC_OK && is_blob) rc = take_blob(&m.bin, arena, key, ec);
    if (rc == SYNC_OK && is_bigint) rc = take_bigint(&m.bigint, arena, is_blob ? NULL : key, ec);
    if (rc == SYNC_OK && !is_blob && !is_bigint && key != NULL)
        rc = put_object(&m, &canonical, arena, key, ec);
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
    enum sync_err rc = take_canonical_array(v, arena, &canonical, ret_text, ec);
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
            err_place(ec, "[%zu]", i);
            return rc;
        }
    }
    if (key != NULL) buf_put_char(key, TAG_END);
    *ret_text = json_walk_text(&w);
    return json_check(v->reader, ec);
}
