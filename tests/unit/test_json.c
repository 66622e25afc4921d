#include "core/json/json.h"

#include "core/base/buf.h"
#include "core/json/json_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* A text with the room behind it that the reader wants, filled with what would do harm if it were read. */
static char *padded(const char *text)
{
    size_t len = strlen(text);
    char *bytes = malloc(len + JSON_PADDING);
    memcpy(bytes, text, len);
    memset(bytes + len, '}', JSON_PADDING);
    return bytes;
}

/* Reads the whole text; the code, and the taken text of the top value. */
static enum sync_err read_all(const char *text, uint32_t depth_max, char *ret, size_t ret_size)
{
    struct json_reader *r = json_reader_new(depth_max);
    char *bytes = padded(text);
    struct err_ctx ec = {""};
    struct json_value root = json_open(r, bytes, strlen(text));
    struct json_raw raw = json_take(&root);
    snprintf(ret, ret_size, "%.*s", SLICE_ARG(raw.text));
    enum sync_err rc = json_close(r, &ec);
    cr_assert_eq(rc == SYNC_OK, ec.text[0] == '\0');
    json_reader_free(r);
    free(bytes);
    return rc;
}

Test(json, takes_every_kind_of_value_as_it_was_given)
{
    static const char *const good[] = {
        "{}",
        "[]",
        "[[],{}]",
        "{\"a\":1}",
        "[-0, 0.10, 1e400, -1E-7, 123456789012345678901234567890]",
        "[true,false,null]",
        "[\"\\ud800 \\u00e9 \\\" \\\\ \\/\"]",
        "{\"a\":{\"b\":[1,{\"c\":\"}]\"}]},\"a\":2}",
        "[ 1 , [ 2 ] , { \"x\" : 3 } ]",
        "[\"\xf0\x9f\x99\x82\"]",
        "[\"a\",\"b\"]",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[200], spaced[200];
        cr_assert_eq(read_all(good[i], 10, text, sizeof text), SYNC_OK, "%s", good[i]);
        cr_assert_str_eq(text, good[i]);
        snprintf(spaced, sizeof spaced, " \n%s\t ", good[i]);
        cr_assert_eq(read_all(spaced, 10, text, sizeof text), SYNC_OK, "%s", spaced);
        cr_assert_str_eq(text, good[i], "without the blanks around it");
    }
}

Test(json, refuses_what_is_not_json)
{
    static const char *const bad[] = {
        "",
        " ",
        "5",
        "\"x\"",
        "null",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[-]",
        "[1e]",
        "[1e+]",
        "[0x10]",
        "[tru]",
        "[truex]",
        "[nul]",
        "[NaN]",
        "[Infinity]",
        "[\"\\x\"]",
        "[\"\\u12g4\"]",
        "[\"\\u123\"]",
        "[\"a\nb\"]",
        "[\"abc]",
        "[\"\xff\"]",
        "[\"\xed\xa0\x80\"]",
        "[1]x",
        "[1][2]",
        "{} {}",
        "[1]]",
        "{\"a\":1}}",
        "{\"a\":\"b\":1}",
        "{\"x\":{\"a\":\"b\":1},\"y\":2}}",
        "[\"a\":1]",
        "{\"a\",1}",
        "{\"a\":[1}",
        "[{\"a\":1]",
        "{\"\\x\":1}",
        "[\"a\"1]",
        "[1\"a\"]",
        "[[]1]",
        "[{}{}]",
        "{\"a\":1 \"b\":2}",
        "[1,2",
        "{\"a\":{\"b\":1}",
        "[\x01]",
        "[\"\x01\"]",
        "/* */[]",
        "[1,/**/2]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        cr_assert_eq(read_all(bad[i], 10, text, sizeof text), SYNC_EBADMSG, "accepted: %s", bad[i]);
    }
}

Test(json, nesting_has_a_limit)
{
    char text[200];
    cr_assert_eq(read_all("[[[{}]]]", 4, text, sizeof text), SYNC_OK);
    cr_assert_eq(read_all("[[[[{}]]]]", 4, text, sizeof text), SYNC_EBADMSG);
    cr_assert_eq(read_all("{\"a\":{\"a\":{\"a\":{\"a\":[]}}}}", 4, text, sizeof text), SYNC_EBADMSG);
}

Test(json, a_reader_of_messages_walks_and_takes)
{
    struct json_reader *r = json_reader_new(10);
    const char *text =
        "{\"type\":\"x\\ty\", \"list\":[1,{\"a\":[2,3]} , 4],\"skipped\":{\"deep\":[true]},\"n\":null}";
    char *bytes = padded(text);
    struct err_ctx ec;
    struct json_value root = json_open(r, bytes, strlen(text)), member, element;
    struct slice key, type = {0};
    int elements = 0, members = 0;
    cr_assert_eq(json_type(&root), JSON_OBJECT);
    struct json_walk w = json_members(&root);
    while (json_next_member(&w, &key, &member)) {
        members++;
        if (slice_is(key, "type")) {
            cr_assert(json_take_string(&member, &type));
        } else if (slice_is(key, "list")) {
            struct json_walk list = json_elements(&member);
            while (json_next_element(&list, &element)) {
                struct json_raw raw = json_take(&element);
                if (elements++ == 1) cr_assert(slice_is(raw.text, "{\"a\":[2,3]}"));
            }
            cr_assert(slice_is(json_walk_text(&list), "[1,{\"a\":[2,3]} , 4]"));
        } else if (slice_is(key, "n")) {
            struct slice none;
            cr_assert_not(json_take_string(&member, &none));
            cr_assert_eq(json_take(&member).type, JSON_NULL);
        }
    }
    cr_assert_eq(json_close(r, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(members, 4);
    cr_assert_eq(elements, 3);
    cr_assert(slice_is(type, "x\\ty"));
    json_reader_free(r);
    free(bytes);
}

Test(json, a_reader_is_good_for_many_texts_and_forgets_failures)
{
    struct json_reader *r = json_reader_new(10);
    struct err_ctx ec;
    for (int i = 0; i < 3; i++) {
        char *bad = padded("[1,}"), *good = padded("[1,2]");
        struct json_value root = json_open(r, bad, 4);
        (void)json_take(&root);
        cr_assert_eq(json_close(r, &ec), SYNC_EBADMSG);
        root = json_open(r, good, 5);
        cr_assert(slice_is(json_take(&root).text, "[1,2]"));
        cr_assert_eq(json_close(r, &ec), SYNC_OK);
        free(bad);
        free(good);
    }
    json_reader_free(r);
}

static void resolves(const char *inside, const char *want, bool want_lone)
{
    struct buf b = buf_make(1000);
    bool lone;
    cr_assert(json_text_check(slice_str(inside), &lone), "%s", inside);
    cr_assert_eq(lone, want_lone, "%s", inside);
    json_text_resolve(slice_str(inside), &b);
    cr_assert(slice_is(buf_slice(&b), want), "%s gives %.*s", inside, SLICE_ARG(buf_slice(&b)));
    buf_deinit(&b);
}

Test(json_text, resolves_escapes)
{
    resolves("plain", "plain", false);
    resolves("a\\n\\t\\\"\\\\\\/\\b\\f\\r", "a\n\t\"\\/\b\f\r", false);
    resolves("\\u0041\\u00e9\\u20ac", "A\xc3\xa9\xe2\x82\xac", false);
    resolves("\\ud83d\\ude42", "\xf0\x9f\x99\x82", false);
    resolves("\\ud800", "\xef\xbf\xbd", true);
    resolves("\\ud800\\ud83d\\ude42x", "\xef\xbf\xbd\xf0\x9f\x99\x82x", true);
    resolves("\\ude42\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd", true);
    resolves("\\ud83dn", "\xef\xbf\xbdn", true);
}

static void puts_as(struct slice text, const char *want)
{
    struct buf b = buf_make(1000);
    json_put_text(&b, text);
    cr_assert(slice_is(buf_slice(&b), want), "%.*s", SLICE_ARG(buf_slice(&b)));
    buf_deinit(&b);
}

Test(json_text, writes_any_bytes_as_a_valid_string)
{
    puts_as(slice_str("a\"b\\c\n\x01"), "\"a\\\"b\\\\c\\n\\u0001\"");
    puts_as(slice_of(NULL, 0), "\"\"");
    puts_as(slice_of("a\0b", 3), "\"a\\u0000b\"");
    puts_as(slice_str("\xd0\xba\xf0\x9f\x99\x82"), "\"\xd0\xba\xf0\x9f\x99\x82\"");
    puts_as(slice_str("x\xffy\xc3"), "\"x\xef\xbf\xbdy\xef\xbf\xbd\"");
    puts_as(slice_str("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(json_text, raw_values_go_out_on_one_line)
{
    struct buf b = buf_make(1000);
    BUF_PUT_LIT(&b, "x\n");
    json_put_raw(&b, slice_str("[1,\r\n 2]"));
    cr_assert(slice_is(buf_slice(&b), "x\n[1,   2]"));
    buf_deinit(&b);
}
