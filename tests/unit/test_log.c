#include "core/log/log.h"

#include "core/json/json.h"
#include "core/json/json_text.h"
#include "random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CAPTURED_MAX = 1 << 16 };

/* What the sink was given, line after line. */
struct captured {
    char text[CAPTURED_MAX];
    size_t len;
    int calls;
    uint64_t now_ms;
};

static void capture(void *arg, const char *line, size_t len)
{
    struct captured *c = arg;
    cr_assert_lt(len, sizeof c->text - c->len);
    cr_assert_leq(len, LOG_LINE_BYTES_MAX);
    cr_assert_eq(line[len - 1], '\n');
    cr_assert_eq(memchr(line, '\n', len), line + len - 1, "one call is one line");
    memcpy(c->text + c->len, line, len);
    c->len += len;
    c->text[c->len] = '\0';
    c->calls++;
}

static uint64_t fixed_now(void *arg)
{
    return ((const struct captured *)arg)->now_ms;
}

static struct captured captured;
static struct log_output output;
static struct logger lg;

static void start(enum log_format format)
{
    captured = (struct captured){.now_ms = 1714979289123};
    log_output_init(&output, (struct log_sink){.write = capture, .now_ms = fixed_now, .arg = &captured});
    log_configure(&output, LOG_LEVEL_INFO, format, slice_of(NULL, 0));
    lg = logger_of(&output);
}

static void assert_line(const char *expected)
{
    cr_assert_str_eq(captured.text, expected);
    captured.len = 0;
    captured.text[0] = '\0';
}

Test(log, a_text_line_is_time_level_namespace_event_and_fields)
{
    start(LOG_FORMAT_TEXT);
    log_info(&lg, LOG_SERVER, "server.started");
    assert_line("2024-05-06T07:08:09.123Z info  sync-coordinator:server server.started\n");
    struct logger conn = logger_for_conn(&lg, slice_str("k3x"));
    struct err_ctx ec = {"open data: no such file"};
    log_warn(&conn, LOG_WS, "session.lagging", LOG_STR("db", "shop"), LOG_U64("dropped_bytes", UINT64_MAX),
             LOG_I64("delta", INT64_MIN), LOG_BOOL("closing", true), LOG_BOOL("draining", false));
    assert_line("2024-05-06T07:08:09.123Z warn  sync-coordinator:ws session.lagging conn=k3x db=shop "
                "dropped_bytes=18446744073709551615 delta=-9223372036854775808 closing=true "
                "draining=false\n");
    log_error(&lg, LOG_STORAGE, "store.failed", LOG_FAILURE(&ec), LOG_STR("empty", ""),
              LOG_STR("null", NULL));
    assert_line("2024-05-06T07:08:09.123Z error sync-coordinator:storage store.failed "
                "error=\"open data: no such file\" empty=\"\" null=\"\"\n");
    cr_assert_eq(captured.calls, 3);
}

Test(log, a_json_line_holds_the_same)
{
    start(LOG_FORMAT_JSON);
    struct logger conn = logger_for_conn(&lg, slice_str("k3x"));
    log_warn(&conn, LOG_WS, "session.lagging", LOG_STR("db", "shop"), LOG_U64("dropped_bytes", 812),
             LOG_I64("delta", -5), LOG_BOOL("closing", true));
    assert_line("{\"time\":\"2024-05-06T07:08:09.123Z\",\"level\":\"warn\","
                "\"namespace\":\"sync-coordinator:ws\",\"event\":\"session.lagging\",\"conn\":\"k3x\","
                "\"db\":\"shop\",\"dropped_bytes\":812,\"delta\":-5,\"closing\":true}\n");
}

/* Values as a hostile client would choose them; as text, and as JSON. */
Test(log, a_client_cannot_forge_a_line_or_a_field)
{
    static const struct {
        const char *given, *text;
    } cases[] = {
        {"plain-1.2:3/x", "plain-1.2:3/x"},
        {"two words", "\"two words\""},
        {"x level=error event=forged", "\"x level=error event=forged\""},
        {"a=b", "\"a=b\""},
        {"x\n2024-05-06T07:08:09.123Z error sync-coordinator:auth forged",
         "\"x\\n2024-05-06T07:08:09.123Z error sync-coordinator:auth forged\""},
        {"x\r\ny\tz", "\"x\\r\\ny\\tz\""},
        {"x\" admin=true y=\"", "\"x\\\" admin=true y=\\\"\""},
        {"x\",\"admin\":true,\"y\":\"", "\"x\\\",\\\"admin\\\":true,\\\"y\\\":\\\"\""},
        {"end\\", "\"end\\\\\""},
        {"\x1b[2J\x1b]0;title\x07", "\"\\u001b[2J\\u001b]0;title\\u0007\""},
        {"\x7f\b\v\f", "\"\\u007f\\u0008\\u000b\\u000c\""},
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\""}, /* CSI in one character */
        {"a\xe2\x80\xa8\xe2\x80\xa9"
         "b",
         "\"a\\u2028\\u2029b\""}, /* line separators */
        {"\xe2\x80\xae"
         "evil",
         "\"\\u202eevil\""},                                /* reorders what follows */
        {"a\xf3\xa0\x81\x81", "\"a\\udb40\\udc41\""},       /* an invisible tag */
        {"\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},       /* not UTF-8 */
        {"\xc0\x8a", "\"\xef\xbf\xbd\xef\xbf\xbd\""},       /* an overlong line feed */
        {"cut\xe2\x82", "\"cut\xef\xbf\xbd\xef\xbf\xbd\""}, /* half a character */
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x99\x82", "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x99\x82\""}, /* as it is */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[400];
        start(LOG_FORMAT_TEXT);
        log_info(&lg, LOG_WS, "e", LOG_STR("v", cases[i].given), LOG_U64("n", 1));
        snprintf(expected, sizeof expected, "2024-05-06T07:08:09.123Z info  sync-coordinator:ws e v=%s n=1\n",
                 cases[i].text);
        assert_line(expected);

        start(LOG_FORMAT_JSON);
        log_info(&lg, LOG_WS, "e", LOG_STR("v", cases[i].given), LOG_U64("n", 1));
        bool bare = cases[i].text[0] != '"';
        snprintf(expected, sizeof expected,
                 "{\"time\":\"2024-05-06T07:08:09.123Z\",\"level\":\"info\","
                 "\"namespace\":\"sync-coordinator:ws\",\"event\":\"e\",\"v\":%s%s%s,\"n\":1}\n",
                 bare ? "\"" : "", cases[i].text, bare ? "\"" : "");
        assert_line(expected);
    }
}

Test(log, a_zero_byte_in_a_value_is_escaped_too)
{
    start(LOG_FORMAT_TEXT);
    log_info(&lg, LOG_WS, "e", LOG_SLICE("v", slice_of("a\0b", 3)));
    assert_line("2024-05-06T07:08:09.123Z info  sync-coordinator:ws e v=\"a\\u0000b\"\n");
}

Test(log, a_connection_id_is_escaped_and_bounded_like_any_text)
{
    start(LOG_FORMAT_TEXT);
    struct logger a = logger_for_conn(&lg, slice_str("x\nforged"));
    log_info(&a, LOG_WS, "e");
    assert_line("2024-05-06T07:08:09.123Z info  sync-coordinator:ws e conn=\"x\\nforged\"\n");
    struct logger b = logger_for_conn(&a, slice_str("0123456789012345678901234567890123456789-too-long"));
    log_info(&b, LOG_WS, "e");
    assert_line("2024-05-06T07:08:09.123Z info  sync-coordinator:ws e "
                "conn=0123456789012345678901234567890123456789\n");
}

/* Reads the captured line as JSON; true when it is one object. */
static bool is_json_object(void)
{
    struct json_reader *r = json_reader_new(4);
    char *padded = calloc(1, captured.len + JSON_PADDING);
    struct err_ctx ec;
    memcpy(padded, captured.text, captured.len);
    struct json_value root = json_open(r, padded, captured.len);
    bool good = json_take(&root).type == JSON_OBJECT;
    good = json_close(r, &ec) == SYNC_OK && good;
    json_reader_free(r);
    free(padded);
    return good;
}

Test(log, a_long_value_is_cut_between_characters)
{
    char value[3 * LOG_VALUE_BYTES_MAX];
    for (size_t i = 0; i + 2 < sizeof value; i += 3) memcpy(value + i, "\xe2\x82\xac", 3); /* euro signs */
    start(LOG_FORMAT_TEXT);
    log_info(&lg, LOG_WS, "e", LOG_SLICE("v", slice_of(value, sizeof value)), LOG_U64("n", 1));
    const char *at = strstr(captured.text, " v=\"");
    cr_assert_not_null(at);
    size_t written = LOG_VALUE_BYTES_MAX / 3 * 3;
    cr_assert_eq(memcmp(at + 4, value, written), 0);
    cr_assert_str_eq(at + 4 + written, "\xe2\x80\xa6\" n=1\n");
}

Test(log, a_line_has_a_ceiling_and_says_that_fields_are_missing)
{
    char value[LOG_VALUE_BYTES_MAX];
    memset(value, 'x', sizeof value);
    struct slice v = slice_of(value, sizeof value);
    for (int json = 0; json < 2; json++) {
        start(json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
        log_info(&lg, LOG_WS, "e", LOG_SLICE("a", v), LOG_SLICE("b", v), LOG_SLICE("c", v), LOG_SLICE("d", v),
                 LOG_U64("n", 7));
        cr_assert_not_null(strstr(captured.text, json ? ",\"c\":\"x" : " c=x"));
        cr_assert_null(strstr(captured.text, json ? ",\"d\":" : " d="));
        const char *end = json ? ",\"n\":7,\"truncated\":true}\n" : " n=7 truncated=true\n";
        cr_assert_str_eq(captured.text + captured.len - strlen(end), end);
        if (json) cr_assert(is_json_object());
    }
}

/* Random bytes, weighted towards what hurts, never make more than one line, nor JSON that is none. */
Test(log, any_bytes_make_one_good_line)
{
    static const char nasty[] = "\"\\\n\r\t =,{}\x1b\x7f\xc2\x9b\xe2\x80\xa8\xff\xf0\x9f\x99\x82";
    uint64_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        char value[3000];
        size_t len = (size_t)random_below(&seed, round % 10 == 0 ? sizeof value : 40);
        for (size_t i = 0; i < len; i++)
            value[i] = random_below(&seed, 2) == 0 ? (char)random_u64(&seed)
                                                   : nasty[random_below(&seed, sizeof nasty)];
        start(round % 2 == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
        struct logger conn = logger_for_conn(&lg, slice_of(value, len));
        log_info(&conn, LOG_WS, "e", LOG_SLICE("a", slice_of(value, len)),
                 LOG_SLICE("b", slice_of(value, len)));
        cr_assert_eq(captured.calls, 1);
        for (size_t i = 0; i + 1 < captured.len; i++)
            cr_assert((unsigned char)captured.text[i] >= 0x20, "seed 7, round %d", round);
        if (round % 2 == 0) cr_assert(is_json_object(), "seed 7, round %d: %s", round, captured.text);
    }
}

static int evaluated;

static uint64_t count_evaluation(void)
{
    evaluated++;
    return 1;
}

Test(log, fields_of_a_line_that_is_not_shown_are_not_evaluated)
{
    start(LOG_FORMAT_TEXT);
    log_debug(&lg, LOG_WS, "e", LOG_U64("n", count_evaluation()));
    cr_assert_eq(evaluated, 0);
    cr_assert_eq(captured.calls, 0);
    log_info(&lg, LOG_WS, "e", LOG_U64("n", count_evaluation()));
    cr_assert_eq(evaluated, 1);
    cr_assert_eq(captured.calls, 1);
}

Test(log, levels_hide_what_is_below_them_and_patterns_choose_debug_lines)
{
    static const struct {
        enum log_level level;
        const char *patterns;
        bool ws[4], auth[4]; /* debug, info, warn, error */
    } cases[] = {
        {LOG_LEVEL_INFO, "", {false, true, true, true}, {false, true, true, true}},
        {LOG_LEVEL_WARN, "", {false, false, true, true}, {false, false, true, true}},
        {LOG_LEVEL_ERROR, "", {false, false, false, true}, {false, false, false, true}},
        {LOG_LEVEL_DEBUG, "", {true, true, true, true}, {true, true, true, true}},
        {LOG_LEVEL_DEBUG, "sync-coordinator:ws", {true, true, true, true}, {false, true, true, true}},
        {LOG_LEVEL_INFO, "sync-coordinator:ws", {true, true, true, true}, {false, true, true, true}},
        {LOG_LEVEL_ERROR, "*,-*:auth", {true, false, false, true}, {false, false, false, true}},
        {LOG_LEVEL_INFO, "sync-coordinator:*", {true, true, true, true}, {true, true, true, true}},
        {LOG_LEVEL_INFO, "other:*", {false, true, true, true}, {false, true, true, true}},
    };
    start(LOG_FORMAT_TEXT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        log_configure(&output, cases[i].level, LOG_FORMAT_TEXT, slice_str(cases[i].patterns));
        for (int level = 0; level < 4; level++) {
            cr_assert_eq(log_enabled(&lg, LOG_WS, (enum log_level)level), cases[i].ws[level],
                         "case %zu, ws, level %d", i, level);
            cr_assert_eq(log_enabled(&lg, LOG_AUTH, (enum log_level)level), cases[i].auth[level],
                         "case %zu, auth, level %d", i, level);
        }
    }
}

Test(log, every_namespace_and_level_has_its_name)
{
    static const char *const names[] = {"server", "http",   "ws",      "service",
                                        "auth",   "config", "storage", "hooks"};
    cr_assert_eq(LOG_NAMESPACE_COUNT, sizeof names / sizeof names[0]);
    for (int i = 0; i < LOG_NAMESPACE_COUNT; i++) {
        char name[40];
        snprintf(name, sizeof name, "sync-coordinator:%s", names[i]);
        cr_assert_str_eq(log_namespace_name((enum log_namespace)i), name);
    }
    cr_assert_str_eq(log_level_name(LOG_LEVEL_DEBUG), "debug");
    cr_assert_str_eq(log_level_name(LOG_LEVEL_ERROR), "error");
}

static void time_text(uint64_t unix_ms, char ret[25])
{
    struct log_line line;
    log_line_start(&line, 0);
    log_line_put_time(&line, unix_ms);
    cr_assert_eq(line.len, 24);
    memcpy(ret, line.bytes, 24);
    ret[24] = '\0';
}

Test(log, times_agree_with_the_c_library)
{
    static const uint64_t edges[] = {
        0, 951782399999, 951782400000, 951868800000, 4107542399999, 4107542400000};
    uint64_t seed = 3;
    for (int i = 0; i < 3000; i++) {
        uint64_t ms = i < 6 ? edges[i] : random_below(&seed, 253402300800000);
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        char expected[40], text[25];
        gmtime_r(&seconds, &tm);
        size_t n = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + n, sizeof expected - n, ".%03uZ", (unsigned)(ms % 1000));
        time_text(ms, text);
        cr_assert_str_eq(text, expected, "%llu", (unsigned long long)ms);
    }
    char text[25];
    time_text(UINT64_MAX, text);
    cr_assert_str_eq(text, "9999-12-31T23:59:59.999Z", "a broken clock costs no line");
}
