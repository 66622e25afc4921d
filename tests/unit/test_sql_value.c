#include "core/facts/sql_value.h"

#include "tests/unit/json_fixture.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { KEY_MAX = 4000 };

struct identity {
    char bytes[KEY_MAX];
    size_t len;
};

/* Takes the values of `text` as a pk (identity wanted) or as a priorRow; the error's text in ec. */
static enum sync_err take_values(const char *text, struct identity *ret, struct err_ctx *ec)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    size_t len = strlen(text);
    char *bytes = json_padded(text, len);
    struct arena arena = {0};
    struct buf key = buf_make(KEY_MAX);
    struct slice taken = {0};
    struct json_value root = json_open(r, bytes, len);
    enum sync_err rc = sql_values_take(&root, &arena, ret == NULL ? NULL : &key, &taken, ec);
    if (rc == SYNC_OK) {
        cr_assert(slice_is(taken, text), "%s: taken as %.*s", text, SLICE_ARG(taken));
        cr_assert_eq(json_close(r, ec), SYNC_OK, "%s", ec->text);
        cr_assert_eq(key.failed, SYNC_OK);
    }
    if (ret != NULL && rc == SYNC_OK) {
        memcpy(ret->bytes, key.bytes, key.len);
        ret->len = key.len;
    }
    buf_deinit(&key);
    arena_deinit(&arena);
    json_reader_free(r);
    free(bytes);
    return rc;
}

static void identity_of(const char *value, struct identity *ret)
{
    char text[KEY_MAX];
    struct err_ctx ec = {""};
    int n = snprintf(text, sizeof text, "[%s]", value);
    cr_assert(n > 0 && (size_t)n < sizeof text);
    cr_assert_eq(take_values(text, ret, &ec), SYNC_OK, "%s: %s", value, ec.text);
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Each line is one identity in several spellings; no two lines are equal. */
enum { SPELLINGS_MAX = 9 };
static const char *const classes[][SPELLINGS_MAX] = {
    {"null"},
    {"0", "-0", "0.0", "-0.0", "0e9", "false", "1e-400", "{\"__bigint\":\"0\"}", "{\"__bigint\":\"-000\"}"},
    {"1", "true", "1.0", "10e-1", "0.1e1", "{\"__bigint\":\"1\"}", "{\"__bigint\":\"0001\"}",
     "{\"\\u005f_bigint\":\"\\u0031\"}"},
    {"5", "5.0", "5e0", "50E-1", "{\"__bigint\":\"5\"}"},
    {"-5", "-5.00", "-5e+0", "{\"__bigint\":\"-5\"}", "{\"__bigint\":\"-05\"}"},
    {"50"},
    {"5.5", "55e-1", "5.50"},
    {"-5.5"},
    {"0.1", "1e-1", "0.10", "0.1000000000000000055511151231257827"},
    {"0.30000000000000004"},
    {"0.3"},
    {"5e-324", "4.9e-324", "3e-324"},
    {"999999999999999", "999999999999999.0", "{\"__bigint\":\"999999999999999\"}"},
    {"1000000000000000", "1e15", "{\"__bigint\":\"1000000000000000\"}"},
    {"9007199254740991", "{\"__bigint\":\"9007199254740991\"}"},
    /* 2^53 and the odd number behind it, which no double holds: a bigint does. */
    {"9007199254740992", "9007199254740993", "9007199254740992.0", "{\"__bigint\":\"9007199254740992\"}"},
    {"{\"__bigint\":\"9007199254740993\"}"},
    {"9007199254740994", "{\"__bigint\":\"9007199254740994\"}"},
    {"-9007199254740992", "-9007199254740993", "{\"__bigint\":\"-9007199254740992\"}"},
    {"{\"__bigint\":\"-9007199254740993\"}"},
    {"9223372036854775807", "9223372036854775808", "9223372036854775808.0", "9.223372036854775807e18",
     "{\"__bigint\":\"9223372036854775808\"}"},
    {"{\"__bigint\":\"9223372036854775807\"}"},
    {"18446744073709551616", "18446744073709551615", "{\"__bigint\":\"18446744073709551616\"}"},
    {"1e21", "1000000000000000000000", "{\"__bigint\":\"1000000000000000000000\"}"},
    {"1e23", "{\"__bigint\":\"99999999999999991611392\"}"},
    {"{\"__bigint\":\"100000000000000000000000\"}"},
    {"1e300", "{\"__bigint\":"
              "\"100000000000000005250476025520442024870446858110815915491585411551180245798890819578637137"
              "508044786404370444383288387817694252323536043057564479218478670698284838720092657580373783"
              "023379478809005936895323497079994508111903896764088007465274278014249457925878882005684283"
              "8115669472196386865459400540160\"}"},
    {"1.7976931348623157e308"},
    {"1e400", "2e308", "123e456"},
    {"-1e400"},
    {"\"\""},
    {"\"5\"", "\"\\u0035\""},
    {"\"5.0\""},
    {"\"true\""},
    {"\"null\""},
    {"\"a\"", "\"\\u0061\""},
    {"\"A\""},
    {"\"a/b\"", "\"a\\/b\"", "\"a\\u002fb\"", "\"a\\u002Fb\""},
    {"\"a\\nb\"", "\"a\\u000ab\"", "\"a\\u000Ab\""},
    {"\"\\u0000\""},
    {"\"\\u0000\\u0000\""},
    {"\"a\\u0000b\""},
    {"\"a\\u0000\""},
    {"\"\xc3\xa9\"", "\"\\u00e9\"", "\"\\u00E9\""},
    {"\"e\xcc\x81\"", "\"e\\u0301\""}, /* text exactly: no normalisation */
    {"\"\xf0\x9f\x99\x82\"", "\"\\ud83d\\ude42\"", "\"\\uD83D\\uDE42\""},
    {"\"\xef\xbf\xbd\"", "\"\\ufffd\"", "\"\\ud800\"", "\"\\udfff\"", "\"\\uDBFF\""},
    {"\"\xef\xbf\xbd\xef\xbf\xbd\"", "\"\\ude42\\ud83d\"", "\"\\ud800\\ud800\"", "\"\\ud800\xef\xbf\xbd\""},
    {"\"\xef\xbf\xbd\xf0\x9f\x99\x82\"", "\"\\ud83d\\ud83d\\ude42\""},
    {"{\"__bin\":\"\"}"},
    {"{\"__bin\":\"AA==\"}", "{\"__bin\":\"AA\"}", "{\"0\":0}", "{\"0\":-0.0}"},
    {"{\"__bin\":\"AQ==\"}", "{\"__bin\":\"AQ\"}", "{\"0\":1}", "{\"0\":1.0}", "{\"0\":10e-1}"},
    {"{\"__bin\":\"AQI=\"}", "{\"__bin\":\"AQI\"}", "{\"0\":1,\"1\":2}", "{\"1\":2,\"0\":1}",
     "{\"0\":9,\"1\":2,\"0\":1}", "{\"\\u0030\":1, \"1\" : 2.0}", "{\"__bin\":\"AAAA\",\"__bin\":\"AQI\"}",
     "{\"__bin\":\"\\u0041QI=\"}", "{\"x\":1,\"__bin\":\"AQI=\"}"},
    {"{\"__bin\":\"AgE=\"}", "{\"0\":2,\"1\":1}"},
    {"{\"__bin\":\"+/+/\"}", "{\"__bin\":\"+\\/+\\/\"}", "{\"0\":251,\"1\":255,\"2\":191}"},
    {"{\"__bin\":\"AP8=\"}", "{\"0\":0,\"1\":255}"},
    {"{\"__bin\":\"AAA=\"}"},
    {"{\"__bin\":\"AAECAwQFBgcICQo=\"}",
     "{\"0\":0,\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,\"8\":8,\"9\":9,\"10\":10}"},
    /* nearly an old blob, so a plain object */
    {"{\"0\":256}"},
    {"{\"0\":-1}"},
    {"{\"0\":1.5}"},
    {"{\"0\":true}"},
    {"{\"0\":\"1\"}"},
    {"{\"1\":1}"},
    {"{\"00\":1}"},
    {"{\"0\":1,\"2\":2}", "{\"2\":2,\"0\":1}"},
    {"{\"0\":1,\"a\":2}"},
    {"{\"0\":1,\"\":2}"},
    {"{\"\":1}"},
    {"{}", "{ }"},
    {"[]", "[ ]"},
    {"[null]"},
    {"[[]]"},
    {"[{}]"},
    {"[[],[]]"},
    {"[1]", "[1.0]", "[10e-1]"},
    {"[true]"}, /* deeper down true and 1 are different JSON */
    {"[\"1\"]", "[\"\\u0031\"]"},
    {"[false]"},
    {"[0]", "[-0]", "[-0.0]"},
    {"[1,2]", "[ 1 , 2 ]"},
    {"[2,1]"},
    {"[12]"},
    {"{\"a\":1}", "{\"a\":1.0}", "{ \"\\u0061\" : 1 }", "{\"a\":2,\"a\":1}", "{\"a\":{\"b\":2},\"a\":1}"},
    {"{\"a\":2}", "{\"a\":1,\"\\u0061\":2}"},
    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "{\"b\":3,\"a\":1,\"b\":2}"},
    {"{\"a\":2,\"b\":1}"},
    {"{\"a\":{\"b\":1,\"c\":[2]}}", "{\"a\":{\"c\":[2],\"b\":1}}"},
    {"{\"a\":{\"b\":1},\"c\":[2]}"},
    {"{\"a\":null}"},
    {"{\"a\":{}}"},
    {"{\"a\":[]}"},
    {"{\"ab\":1}"},
    {"{\"a\\u0000b\":1}"},
    {"{\"a\":{\"__bin\":\"AQ==\"}}"}, /* deeper down these are plain JSON */
    {"{\"a\":{\"__bin\":\"AQ\"}}"},
    {"{\"a\":{\"__bin\":5}}"},
    {"[{\"__bigint\":\"5\"}]"},
    {"[{\"__bigint\":\"x\"}]"},
    {"[5]"},
    {"[{\"0\":1}]"},
    {"[{\"__bin\":\"AQ==\"}, 1]", "[{\"__bin\":\"AQ==\"},1]"},
    /* brackets and tags within keys and texts */
    {"[{},{\"k\":1}]"},
    {"[{\"}{k\":1}]"},
    {"[{\"}\":{}}]"},
    {"[{},{}]"},
    {"[\"][\"]"},
    {"[\"\",\"\"]"},
    {"[\"\\u0000s\"]"},
};
enum { CLASS_COUNT = sizeof classes / sizeof classes[0] };

Test(sql_value, equal_values_have_one_identity_and_others_another)
{
    static struct identity first[CLASS_COUNT];
    for (size_t c = 0; c < CLASS_COUNT; c++) {
        identity_of(classes[c][0], &first[c]);
        for (size_t s = 1; s < SPELLINGS_MAX && classes[c][s] != NULL; s++) {
            struct identity other;
            identity_of(classes[c][s], &other);
            cr_assert(same_identity(&first[c], &other), "%s and %s differ", classes[c][0], classes[c][s]);
        }
        for (size_t before = 0; before < c; before++)
            cr_assert_not(same_identity(&first[before], &first[c]), "%s and %s meet", classes[before][0],
                          classes[c][0]);
    }
}

Test(sql_value, the_exact_digits_of_a_large_double_are_its_big_integer)
{
    static const char *const numbers[] = {"1e300", "1.7976931348623157e308", "-1e22", "4503599627370497.0",
                                          "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char exact[400];
        struct identity a, b;
        (void)snprintf(exact, sizeof exact, "{\"__bigint\":\"%.0f\"}", strtod(numbers[i], NULL));
        identity_of(numbers[i], &a);
        identity_of(exact, &b);
        cr_assert(same_identity(&a, &b), "%s and %s", numbers[i], exact);
    }
}

Test(sql_value, refuses_what_clients_would_refuse)
{
    static const char *const bad[][2] = {
        {"[{\"__bin\":5}]", "[0]: __bin is not a string of standard base64"},
        {"[1,{\"__bin\":null}]", "[1]: __bin is not a string of standard base64"},
        {"[{\"__bin\":\"A\"}]", "[0]: __bin is not a string of standard base64"},
        {"[{\"__bin\":\"AQ=\"}]", "[0]: __bin is not a string of standard base64"},
        {"[{\"__bin\":\"A-__\"}]", "[0]: __bin is not a string of standard base64"},
        {"[{\"__bin\":\"AQ==\\u0000\"}]", "[0]: __bin is not a string of standard base64"},
        {"[{\"__bin\":\"AQ==\",\"__bin\":1}]", "[0]: __bin is not a string of standard base64"},
        {"[{\"__bin\":[\"AQ==\"]}]", "[0]: __bin is not a string of standard base64"},
        {"[{\"__bin\":\"AQ==\",\"__bigint\":5}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":5}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\"\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\"-\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\"+5\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\"5.0\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\"0x5\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\" 5\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":\"--5\"}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"__bigint\":{\"__bigint\":\"5\"}}]", "[0]: __bigint is not a string of decimal digits"},
        {"[{\"x\":1,\"\\u005f_bigint\":null}]", "[0]: __bigint is not a string of decimal digits"},
        {"{}", "not an array"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct identity key;
        struct err_ctx ec = {""};
        cr_assert_eq(take_values(bad[i][0], &key, &ec), SYNC_EBADMSG, "%s", bad[i][0]);
        cr_assert_str_eq(ec.text, bad[i][1]);
        cr_assert_eq(take_values(bad[i][0], NULL, &ec), SYNC_EBADMSG, "without identity: %s", bad[i][0]);
        cr_assert_str_eq(ec.text, bad[i][1]);
    }
}

Test(sql_value, a_value_nested_too_deeply_is_refused_and_a_deep_one_is_not)
{
    char text[2000];
    struct err_ctx ec;
    for (int depth = 100; depth <= 140; depth++) {
        size_t at = 0;
        at += (size_t)sprintf(text, "[");
        for (int i = 1; i < depth; i++) at += (size_t)sprintf(text + at, i % 2 == 0 ? "[" : "{\"a\":");
        at += (size_t)sprintf(text + at, "1");
        for (int i = depth - 1; i > 0; i--) at += (size_t)sprintf(text + at, i % 2 == 0 ? "]" : "}");
        at += (size_t)sprintf(text + at, "]");
        struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
        char *bytes = json_padded(text, at);
        struct arena arena = {0};
        struct buf out = buf_make(KEY_MAX);
        struct slice taken;
        struct json_value root = json_open(r, bytes, at);
        enum sync_err rc = sql_values_take(&root, &arena, &out, &taken, &ec);
        cr_assert_eq(rc, depth <= JSON_DEPTH_DEFAULT ? SYNC_OK : SYNC_EBADMSG, "depth %d", depth);
        buf_deinit(&out);
        arena_deinit(&arena);
        json_reader_free(r);
        free(bytes);
    }
}

/* ---- prefix-freeness, by seed */

static void random_value(char *out, size_t *at, uint64_t *seed, int depth)
{
    static const char *const leaves[] = {
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "2",
        "10",
        "1.5",
        "-1.5",
        "1e400",
        "1e21",
        "256",
        "\"\"",
        "\"\\u0000\"",
        "\"\\u0000\\u0000\"",
        "\"a\"",
        "\"}\"",
        "\"s\"",
        "\"[\"",
        "\"\\u0001\"",
        "\"\\u00ff\"",
        "\"\\ud800\"",
        "{\"__bin\":\"\"}",
        "{\"__bin\":\"/w==\"}",
        "{\"__bin\":\"AA==\"}",
        "{\"__bin\":\"AP8=\"}",
        "{\"__bin\":\"AAD/\"}",
        "{\"__bigint\":\"10\"}",
        "{\"__bigint\":\"99999999999999999999\"}",
    };
    static const char *const names[] = {"\"\"",    "\"a\"",       "\"}\"", "\"{\"", "\"}s\"",
                                        "\"}{a\"", "\"\\u0000\"", "\"s\"", "\"0\""};
    uint64_t kind = depth == 3 ? 2 : random_below(seed, 5);
    if (kind > 1) {
        *at += (size_t)sprintf(out + *at, "%s", leaves[random_below(seed, sizeof leaves / sizeof *leaves)]);
        return;
    }
    out[(*at)++] = kind == 0 ? '{' : '[';
    uint64_t count = random_below(seed, 3);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0) out[(*at)++] = ',';
        if (kind == 0)
            *at += (size_t)sprintf(out + *at, "%s:", names[random_below(seed, sizeof names / sizeof *names)]);
        random_value(out, at, seed, depth + 1);
    }
    out[(*at)++] = kind == 0 ? '}' : ']';
}

struct made {
    struct identity key;
    char text[KEY_MAX];
};

static int compare_made(const void *x, const void *y)
{
    const struct identity *a = &((const struct made *)x)->key, *b = &((const struct made *)y)->key;
    return slice_cmp(slice_of(a->bytes, a->len), slice_of(b->bytes, b->len));
}

/* A slow, independent reading of when two pks are equal: both rewritten into one spelling. */
static void spell(const struct json_value *v, int depth, struct buf *out);

struct spelled {
    char *key, *value;
};

static int compare_spelled(const void *x, const void *y)
{
    return strcmp(((const struct spelled *)x)->key, ((const struct spelled *)y)->key);
}

static char *text_of(struct buf *b)
{
    size_t len;
    buf_put_char(b, '\0');
    return buf_take(b, &len);
}

static void spell_object(const struct json_value *v, int depth, struct buf *out)
{
    struct spelled items[8];
    size_t count = 0, same;
    struct slice key;
    struct json_value value;
    struct json_walk w = json_members(v);
    while (json_next_member(&w, &key, &value)) {
        struct buf name = buf_make(KEY_MAX), inner = buf_make(KEY_MAX);
        buf_put_slice(&name, key);
        spell(&value, depth + 1, &inner);
        struct spelled item = {text_of(&name), text_of(&inner)};
        for (same = 0; same < count && strcmp(items[same].key, item.key) != 0;) same++;
        if (same < count) {
            free(items[same].key);
            free(items[same].value);
        } else {
            count++;
        }
        items[same] = item;
    }
    qsort(items, count, sizeof *items, compare_spelled);
    if (depth == 0 && count == 1 && strcmp(items[0].key, "__bin") == 0) {
        buf_printf(out, "blob%s", items[0].value);
    } else if (depth == 0 && count == 1 && strcmp(items[0].key, "__bigint") == 0) {
        buf_printf(out, "number%.*s", (int)strlen(items[0].value) - 2, items[0].value + 1);
    } else if (depth == 0 && count == 1 && strcmp(items[0].key, "0") == 0 &&
               strchr("012", items[0].value[1]) && strcmp(items[0].value + 2, ".0") == 0) {
        static const char *const bytes[] = {"AA==", "AQ==", "Ag=="};
        buf_printf(out, "blob\"%s\"", bytes[items[0].value[1] - '0']);
    } else {
        BUF_PUT_LIT(out, "{");
        for (size_t i = 0; i < count; i++) buf_printf(out, "\"%s\":%s,", items[i].key, items[i].value);
        BUF_PUT_LIT(out, "}");
    }
    for (size_t i = 0; i < count; i++) {
        free(items[i].key);
        free(items[i].value);
    }
}

static void spell(const struct json_value *v, int depth, struct buf *out)
{
    struct json_value element;
    switch (json_type(v)) {
    case JSON_OBJECT: spell_object(v, depth, out); break;
    case JSON_ARRAY: {
        BUF_PUT_LIT(out, "[");
        struct json_walk w = json_elements(v);
        while (json_next_element(&w, &element)) {
            spell(&element, depth + 1, out);
            BUF_PUT_LIT(out, ",");
        }
        BUF_PUT_LIT(out, "]");
        break;
    }
    case JSON_NUMBER: {
        double d = strtod(json_take(v).text.bytes, NULL);
        if (depth == 0)
            buf_printf(out, "number%.*f", d == (double)(long long)d || d > 1e20 ? 0 : 3, d);
        else
            buf_printf(out, "#%.1f", d);
        break;
    }
    case JSON_BOOLEAN: {
        struct slice text = json_take(v).text;
        if (depth == 0)
            buf_put_str(out, text.bytes[0] == 't' ? "number1" : "number0");
        else
            buf_put_slice(out, text);
        break;
    }
    default: buf_put_slice(out, json_take(v).text);
    }
}

static void spelling_of(const char *text, char ret[KEY_MAX])
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    char *bytes = json_padded(text, strlen(text));
    struct buf out = buf_make(KEY_MAX);
    struct json_value root = json_open(r, bytes, strlen(text)), element;
    struct json_walk w = json_elements(&root);
    while (json_next_element(&w, &element)) {
        spell(&element, 0, &out);
        BUF_PUT_LIT(&out, ";");
    }
    buf_put_char(&out, '\0');
    cr_assert_eq(out.failed, SYNC_OK);
    memcpy(ret, out.bytes, out.len);
    buf_deinit(&out);
    json_reader_free(r);
    free(bytes);
}

Test(sql_value, no_key_is_the_key_or_the_beginning_of_the_key_of_another)
{
    enum { COUNT = 6000 };
    uint64_t seed = 11;
    struct made *made = calloc(COUNT, sizeof *made);
    int equal = 0;
    for (size_t i = 0; i < COUNT; i++) {
        struct err_ctx ec = {""};
        size_t at = 0, count = random_below(&seed, 4);
        made[i].text[at++] = '[';
        for (size_t k = 0; k < count; k++) {
            if (k > 0) made[i].text[at++] = ',';
            random_value(made[i].text, &at, &seed, 0);
        }
        made[i].text[at++] = ']';
        cr_assert_lt(at, (size_t)KEY_MAX);
        cr_assert_eq(take_values(made[i].text, &made[i].key, &ec), SYNC_OK, "%s: %s", made[i].text, ec.text);
    }
    /* Sorted, a key that another begins with stands right before one of those. */
    qsort(made, COUNT, sizeof *made, compare_made);
    for (size_t i = 1; i < COUNT; i++) {
        const struct made *a = &made[i - 1], *b = &made[i];
        char spelled_a[KEY_MAX], spelled_b[KEY_MAX];
        bool begins = b->key.len >= a->key.len && memcmp(a->key.bytes, b->key.bytes, a->key.len) == 0;
        spelling_of(a->text, spelled_a);
        spelling_of(b->text, spelled_b);
        cr_assert_eq(begins, strcmp(spelled_a, spelled_b) == 0, "%s and %s", a->text, b->text);
        if (begins) cr_assert_eq(a->key.len, b->key.len, "%s begins %s", a->text, b->text);
        equal += begins;
    }
    cr_assert(equal > 100 && equal < COUNT - 1000, "%d equal neighbours", equal);
    free(made);
}

Test(sql_value, the_key_of_a_number_keeps_apart_what_follows_it)
{
    struct buf a = buf_make(100), b = buf_make(100);
    key_put_number(&a, slice_str("1"));
    key_put_number(&a, slice_str("2"));
    key_put_number(&b, slice_str("12"));
    cr_assert_not(slice_eq(buf_slice(&a), buf_slice(&b)));
    cr_assert_not(slice_starts_with(buf_slice(&b), buf_slice(&a)));
    buf_clear(&a);
    buf_clear(&b);
    key_put_text(&a, slice_str("a"));
    key_put_text(&a, slice_str("b"));
    key_put_text(&b, slice_of("a\0b", 3));
    cr_assert_not(slice_eq(buf_slice(&a), buf_slice(&b)));
    buf_deinit(&a);
    buf_deinit(&b);
}
