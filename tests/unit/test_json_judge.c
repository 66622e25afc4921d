/* Compares what json.h accepts, and the texts it hands out, with a second reader that knows nothing of it: a
 * strict recursive-descent one over the grammar of RFC 8259, too slow for the server and short enough to be
 * believed. Texts are made from seeds: well-formed ones, mutated ones, and heaps of tokens. */
#include "core/json/json.h"

#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 600, DEPTH_MAX = 8 };

/* ---- the judge: each function moves *at past what it names, or returns false */

struct judge {
    const char *at, *end;
    int depth;
};

static void blanks(struct judge *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

static bool literal(struct judge *j, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(j->end - j->at) < len || memcmp(j->at, text, len) != 0) return false;
    j->at += len;
    return true;
}

static bool one_digit(struct judge *j)
{
    if (j->at == j->end || *j->at < '0' || *j->at > '9') return false;
    j->at++;
    return true;
}

static bool number(struct judge *j)
{
    (void)literal(j, "-");
    if (!literal(j, "0")) {
        if (!one_digit(j)) return false;
        while (one_digit(j)) {
        }
    }
    if (literal(j, ".")) {
        if (!one_digit(j)) return false;
        while (one_digit(j)) {
        }
    }
    if (literal(j, "e") || literal(j, "E")) {
        if (!literal(j, "+")) (void)literal(j, "-");
        if (!one_digit(j)) return false;
        while (one_digit(j)) {
        }
    }
    return true;
}

static bool hex_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* One code point of UTF-8 past ASCII, decoded and judged by its value. */
static bool multi_byte(struct judge *j)
{
    uint8_t first = (uint8_t)*j->at;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    if (more == 0 || first >= 0xf8 || j->end - j->at <= more) return false;
    uint32_t code = first & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        uint8_t b = (uint8_t)j->at[i];
        if ((b & 0xc0) != 0x80) return false;
        code = code << 6 | (b & 0x3fu);
    }
    if (code < smallest[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    j->at += more + 1;
    return true;
}

static bool string(struct judge *j)
{
    if (!literal(j, "\"")) return false;
    while (j->at < j->end) {
        uint8_t c = (uint8_t)*j->at;
        if (c == '"') {
            j->at++;
            return true;
        }
        if (c < 0x20) return false;
        if (c >= 0x80) {
            if (!multi_byte(j)) return false;
            continue;
        }
        j->at++;
        if (c != '\\') continue;
        if (j->at == j->end) return false;
        c = (uint8_t)*j->at++;
        if (c == 'u') {
            for (int i = 0; i < 4; i++, j->at++)
                if (j->at == j->end || !hex_digit(*j->at)) return false;
        } else if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
            return false;
        }
    }
    return false;
}

static bool value(struct judge *j);

static bool members(struct judge *j)
{
    blanks(j);
    if (literal(j, "}")) return true;
    for (;;) {
        blanks(j);
        if (!string(j)) return false;
        blanks(j);
        if (!literal(j, ":") || !value(j)) return false;
        blanks(j);
        if (literal(j, "}")) return true;
        if (!literal(j, ",")) return false;
    }
}

static bool elements(struct judge *j)
{
    blanks(j);
    if (literal(j, "]")) return true;
    for (;;) {
        if (!value(j)) return false;
        blanks(j);
        if (literal(j, "]")) return true;
        if (!literal(j, ",")) return false;
    }
}

static bool value(struct judge *j)
{
    blanks(j);
    if (j->at == j->end) return false;
    if (*j->at == '{' || *j->at == '[') {
        if (j->depth == DEPTH_MAX) return false;
        j->depth++;
        bool good = *j->at++ == '{' ? members(j) : elements(j);
        j->depth--;
        return good;
    }
    if (*j->at == '"') return string(j);
    return literal(j, "true") || literal(j, "false") || literal(j, "null") || number(j);
}

static bool judge_text(const char *text, size_t len)
{
    struct judge j = {.at = text, .end = text + len};
    blanks(&j);
    if (j.at == j.end || (*j.at != '{' && *j.at != '[')) return false;
    if (!value(&j)) return false;
    blanks(&j);
    return j.at == j.end;
}

/* ---- every slice that the reader hands out, against the judge's place in the text */

static void same_text(struct slice got, const char *first, const char *end)
{
    cr_assert_eq(got.bytes, first);
    cr_assert_eq(got.len, (size_t)(end - first));
}

/* Reads v as it stands at j, both forward together. With `take` containers are taken in one go. */
static void same_value(const struct json_value *v, struct judge *j, uint64_t *seed)
{
    struct json_value child;
    blanks(j);
    const char *first = j->at;
    enum json_type type = json_type(v);
    if ((type != JSON_OBJECT && type != JSON_ARRAY) || random_below(seed, 3) == 0) {
        struct slice text;
        bool by_name = type == JSON_STRING && random_below(seed, 2) == 0;
        cr_assert(value(j));
        if (by_name) {
            cr_assert(json_take_string(v, &text));
            same_text(text, first + 1, j->at - 1);
        } else {
            struct json_raw raw = json_take(v);
            cr_assert_eq(raw.type, type);
            same_text(raw.text, first, j->at);
        }
        return;
    }
    struct slice key;
    bool left_alone = false;
    struct json_walk w = type == JSON_OBJECT ? json_members(v) : json_elements(v);
    j->at++;
    for (;;) {
        if (type == JSON_OBJECT ? !json_next_member(&w, &key, &child) : !json_next_element(&w, &child)) break;
        blanks(j);
        if (literal(j, ",")) blanks(j);
        if (type == JSON_OBJECT) {
            const char *quote = j->at;
            cr_assert(string(j));
            same_text(key, quote + 1, j->at - 1);
            blanks(j);
            cr_assert(literal(j, ":"));
        }
        left_alone = random_below(seed, 5) == 0; /* a value may also be passed over */
        if (left_alone)
            cr_assert(value(j));
        else
            same_value(&child, j, seed);
    }
    blanks(j);
    cr_assert(literal(j, type == JSON_OBJECT ? "}" : "]"));
    same_text(json_walk_text(&w), first, j->at);
}

/* ---- texts */

struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

static void add_bytes(struct text *t, const char *bytes, size_t len)
{
    if (len > TEXT_MAX - t->len) return;
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static void add(struct text *t, const char *bytes)
{
    add_bytes(t, bytes, strlen(bytes));
}

#define PICK(seed, list) (list)[random_below(seed, sizeof(list) / sizeof((list)[0]))]

static const char *const gaps[] = {
    "",   "",        "",
    "",   "",        " ",
    "\n", "\t \r\n", "                                                                "};
static const char *const scalars[] = {
    "0",
    "-0",
    "1",
    "-12.5e+7",
    "1e400",
    "12345678901234567890123",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"\\ud800\"",
    "\"\\\\\"",
    "\"\\\"\"",
    "\"\\u00e9\xd0\xba\xf0\x9f\x99\x82\"",
    "\"{[:,]}\"",
    "\"0123456789012345678901234567890123456789012345678901234567890123\"",
};
static const char *const keys[] = {"\"a\"", "\"\"", "\"k\\n\"", "\"type\"", "\"\xd0\xba\"", "\"\\\"\""};
static const char *const tokens[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "{",
    "[",
    "]",
    "}",
    ",",
    "\"a\":",
    "\"",
    "\"a\"",
    "1",
    "true",
    "null",
    "-",
    " ",
    "\\",
    "\"\\u12\"",
    "0",
    "e",
    ".",
    "x",
    "\"b\":",
    "\n",
    "false",
    "\"\"",
    "\xd0",
    "\xba",
    "{\"a\":",
    "[[[[",
    "]]]]",
    "}}}",
    "1 2",
    "[]",
    "{}",
    "\t",
    "\x01",
    "tru",
    "/",
    "\xef\xbb\xbf",
};

static void add_value(struct text *t, uint64_t *seed, int depth)
{
    add(t, PICK(seed, gaps));
    uint64_t kind = depth == 0 ? random_below(seed, 2) : random_below(seed, depth > 5 ? 6 : 4);
    if (kind > 1) {
        add(t, PICK(seed, scalars));
    } else {
        uint64_t count = random_below(seed, 4);
        add(t, kind == 0 ? "{" : "[");
        for (uint64_t i = 0; i < count; i++) {
            if (i > 0) add(t, ",");
            if (kind == 0) {
                add(t, PICK(seed, gaps));
                add(t, PICK(seed, keys));
                add(t, PICK(seed, gaps));
                add(t, ":");
            }
            add_value(t, seed, depth + 1);
            add(t, PICK(seed, gaps));
        }
        add(t, kind == 0 ? "}" : "]");
    }
    add(t, PICK(seed, gaps));
}

static void mutate(struct text *t, uint64_t *seed)
{
    struct text from = *t;
    size_t at = (size_t)random_below(seed, from.len + 1), span = (size_t)random_below(seed, 5);
    if (span > from.len - at) span = from.len - at;
    t->len = at;
    switch (random_below(seed, 5)) {
    case 0: break; /* cut out */
    case 1: add(t, PICK(seed, tokens)); break;
    case 2: /* double */
        add_bytes(t, from.bytes + at, span);
        add_bytes(t, from.bytes + at, span);
        break;
    case 3: t->bytes[t->len++] = (char)random_u64(seed); break; /* replace, room for 1: see TEXT_MAX - 1 */
    default:
        if (random_below(seed, 3) == 0) return; /* cut off */
        add(t, PICK(seed, tokens));
        span = 0;
    }
    add_bytes(t, from.bytes + at + span, from.len - at - span);
}

static void make_text(struct text *t, uint64_t *seed)
{
    t->len = 0;
    uint64_t kind = random_below(seed, 4);
    if (kind == 0) {
        uint64_t count = random_below(seed, 14);
        for (uint64_t i = 0; i < count; i++) add(t, PICK(seed, tokens));
        return;
    }
    add_value(t, seed, 0);
    if (t->len == TEXT_MAX) t->len--;
    for (uint64_t i = kind == 1 ? 0 : 1 + random_below(seed, 3); i > 0 && t->len < TEXT_MAX; i--)
        mutate(t, seed);
}

/* The text in memory of exactly its size and padding, so that a sanitizer sees the first byte too far; the
 * padding holds what would do the most harm. */
static char *padded(const struct text *t, uint64_t *seed)
{
    static const char harm[] = "}],:\"{[1 \0\\";
    char *bytes = malloc(t->len + JSON_PADDING);
    memcpy(bytes, t->bytes, t->len);
    bool mixed = random_below(seed, 3) == 0;
    char same = harm[random_below(seed, sizeof harm)];
    for (size_t i = 0; i < JSON_PADDING; i++)
        bytes[t->len + i] = mixed ? harm[random_below(seed, sizeof harm)] : same;
    return bytes;
}

static const char *shown(const struct text *t)
{
    static char hex[TEXT_MAX * 4 + 1];
    size_t at = 0;
    for (size_t i = 0; i < t->len; i++)
        at += (size_t)snprintf(hex + at, sizeof hex - at,
                               t->bytes[i] >= ' ' && t->bytes[i] < 127 ? "%c" : "\\x%02x",
                               (unsigned char)t->bytes[i]);
    hex[at] = '\0';
    return hex;
}

/* Whatever the reader hands out, of a broken text too, is a piece of the text. */
static bool is_within(struct slice s, const char *text, size_t len)
{
    return s.len == 0 ||
           (s.bytes >= text && (size_t)(s.bytes - text) <= len && s.len <= len - (size_t)(s.bytes - text));
}

/* JUDGED_TEXTS=n in the environment: more of them, by hand. */
static int text_count(int usual)
{
    const char *wanted = getenv("JUDGED_TEXTS");
    return wanted == NULL ? usual : atoi(wanted);
}

Test(json_judge, accepts_exactly_what_the_grammar_does)
{
    uint64_t seed = (uint64_t)text_count(1);
    struct json_reader *r = json_reader_new(DEPTH_MAX);
    int good = 0, bad = 0, count = text_count(300000);
    for (int i = 0; i < count; i++) {
        uint64_t replay = seed;
        struct text t;
        make_text(&t, &seed);
        char *bytes = padded(&t, &seed);
        struct err_ctx ec;
        bool want = judge_text(bytes, t.len);
        struct json_value root = json_open(r, bytes, t.len);
        struct json_raw raw = json_take(&root);
        bool got = json_close(r, &ec) == SYNC_OK;
        cr_assert_eq(got, want, "seed %#llx, %s: %s", (unsigned long long)replay, got ? "accepted" : ec.text,
                     shown(&t));
        cr_assert(is_within(raw.text, bytes, t.len), "seed %#llx: %s", (unsigned long long)replay, shown(&t));
        got ? good++ : bad++;
        free(bytes);
    }
    cr_assert(good > count / 5 && bad > count / 5, "%d good, %d bad: a fair mixture", good, bad);
    json_reader_free(r);
}

Test(json_judge, hands_out_the_texts_where_the_grammar_sees_them)
{
    uint64_t seed = 2;
    struct json_reader *r = json_reader_new(DEPTH_MAX);
    for (int i = 0; i < text_count(100000); i++) {
        struct text t = {.len = 0};
        struct err_ctx ec;
        add_value(&t, &seed, 0);
        if (!judge_text(t.bytes, t.len)) continue; /* did not fit */
        char *bytes = padded(&t, &seed);
        struct judge j = {.at = bytes, .end = bytes + t.len};
        struct json_value root = json_open(r, bytes, t.len);
        same_value(&root, &j, &seed);
        cr_assert_eq(json_close(r, &ec), SYNC_OK, "%s: %s", ec.text, shown(&t));
        free(bytes);
    }
    json_reader_free(r);
}

/* A careless reader: gives walks up, leaves values alone, goes on after errors. */
static void read_somehow(const struct json_value *v, const char *bytes, size_t len, uint64_t *seed, int depth)
{
    struct json_value child;
    struct slice text;
    enum json_type type = json_type(v);
    if (depth < DEPTH_MAX + 2 && type == JSON_OBJECT && random_below(seed, 4) > 0) {
        struct json_walk w = json_members(v);
        while (json_next_member(&w, &text, &child)) {
            cr_assert(is_within(text, bytes, len));
            if (random_below(seed, 3) > 0) read_somehow(&child, bytes, len, seed, depth + 1);
            if (random_below(seed, 6) == 0) return;
        }
        cr_assert(is_within(json_walk_text(&w), bytes, len));
    } else if (depth < DEPTH_MAX + 2 && type == JSON_ARRAY && random_below(seed, 4) > 0) {
        struct json_walk w = json_elements(v);
        while (json_next_element(&w, &child)) {
            if (random_below(seed, 3) > 0) read_somehow(&child, bytes, len, seed, depth + 1);
            if (random_below(seed, 6) == 0) return;
        }
        cr_assert(is_within(json_walk_text(&w), bytes, len));
    } else if (random_below(seed, 4) > 0) {
        if (json_take_string(v, &text))
            cr_assert(is_within(text, bytes, len));
        else
            cr_assert(is_within(json_take(v).text, bytes, len));
    }
}

Test(json_judge, a_careless_reader_stays_within_the_text)
{
    uint64_t seed = 3;
    struct json_reader *r = json_reader_new(DEPTH_MAX);
    int good = 0;
    for (int i = 0; i < text_count(200000); i++) {
        struct text t;
        struct err_ctx ec;
        make_text(&t, &seed);
        char *bytes = padded(&t, &seed);
        struct json_value root = json_open(r, bytes, t.len);
        read_somehow(&root, bytes, t.len, &seed, 0);
        if (json_close(r, &ec) == SYNC_OK) good++;
        free(bytes);
    }
    cr_assert_gt(good, 0);
    json_reader_free(r);
}
