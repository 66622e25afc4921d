#include "server/http/chunked.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { BODY_MAX = 64 };

/* Decodes the text in pieces of at most `step` bytes. */
static enum sync_err decode(struct chunked *c, struct slice text, size_t step, struct buf *out)
{
    struct err_ctx ec;
    *c = (struct chunked){0};
    for (size_t at = 0; at < text.len; at += step) {
        size_t n = text.len - at < step ? text.len - at : step;
        enum sync_err rc = chunked_decode(c, text.bytes + at, n, BODY_MAX, out, &ec);
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

static void assert_decodes(const char *text, const char *body, bool done)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        struct chunked c;
        struct buf out = buf_make(1 << 10);
        cr_assert_eq(decode(&c, slice_str(text), step, &out), SYNC_OK, "%s by %zu", text, step);
        cr_assert(slice_is(buf_slice(&out), body), "%s by %zu", text, step);
        cr_assert_eq(chunked_is_done(&c), done, "%s by %zu", text, step);
        buf_deinit(&out);
    }
}

Test(chunked, bodies_are_decoded_however_they_are_split)
{
    assert_decodes("0\r\n\r\n", "", true);
    assert_decodes("5\r\nhello\r\n0\r\n\r\n", "hello", true);
    assert_decodes("5\r\nhello\r\n1\r\n!\r\n00\r\n\r\n", "hello!", true);
    assert_decodes("a\r\n0123456789\r\nB\r\n0123456789\n\r\n0\r\n\r\n", "01234567890123456789\n", true);
    assert_decodes("2;name=value;x=\"y\"\r\n\r\n\r\n0;last\r\n\r\n", "\r\n", true);
    assert_decodes("1 ;x\r\na\r\n0\r\nTrailer: one\r\nOther: two\r\n\r\n", "a", true);
    assert_decodes("1\na\n0\n\n", "a", true); /* bare line feeds, as lenient readers take them */
    assert_decodes("000000000000001\r\na\r\n0\r\n\r\n", "a", true);
}

Test(chunked, what_follows_the_end_is_passed_over)
{
    assert_decodes("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "a", true);
}

Test(chunked, a_body_cut_short_is_not_done)
{
    static const char whole[] = "3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: x\r\n\r\n";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        struct chunked c;
        struct buf out = buf_make(1 << 10);
        cr_assert_eq(decode(&c, slice_of(whole, len), 100, &out), SYNC_OK, "%zu", len);
        cr_assert_not(chunked_is_done(&c), "%zu", len);
        buf_deinit(&out);
    }
    assert_decodes(whole, "abcde", true);
}

Test(chunked, every_split_in_two_gives_the_same)
{
    static const char whole[] = "4;q\r\n\r\n\r\n\r\n3\r\n0\r\n\r\n0\r\nA: b\r\n\r\n";
    for (size_t cut = 0; cut <= sizeof whole - 1; cut++) {
        struct chunked c = {0};
        struct err_ctx ec;
        struct buf out = buf_make(1 << 10);
        cr_assert_eq(chunked_decode(&c, whole, cut, BODY_MAX, &out, &ec), SYNC_OK);
        cr_assert_eq(chunked_decode(&c, whole + cut, sizeof whole - 1 - cut, BODY_MAX, &out, &ec), SYNC_OK);
        cr_assert(slice_is(buf_slice(&out), "\r\n\r\n0\r\n"), "cut at %zu", cut);
        cr_assert(chunked_is_done(&c), "cut at %zu", cut);
        buf_deinit(&out);
    }
}

static void assert_refused(struct slice text, enum sync_err expected)
{
    for (size_t step = 1; step <= text.len; step++) {
        struct chunked c;
        struct buf out = buf_make(1 << 10);
        cr_assert_eq(decode(&c, text, step, &out), expected, "%.*s by %zu", SLICE_ARG(text), step);
        cr_assert_leq(out.len, BODY_MAX);
        buf_deinit(&out);
    }
}

Test(chunked, malformed_bodies_are_refused)
{
    static const char *const texts[] = {
        "\r\n",
        "x\r\n",
        ";x\r\n",
        " 1\r\na\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        "1g\r\na",
        "1\r\nab",
        "1\r\na\rb",
        "1\r\na\r\r\n",
        "1\r\na0\r\n",
        "1\r\na\r\n\r\n",
        "1,\r\n",
        "\n",
        "1000000000000000\r\n",
        "0000000000000000\r\n",
        "ffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(slice_str(texts[i]), SYNC_EBADMSG);
}

/* The only thing behind a size that is no extension is a line end. */
Test(chunked, a_size_is_followed_by_its_line_end_or_an_extension)
{
    static const char *const texts[] = {"1\rx\na", "1 1\r\na", "1\r\r\na", "1\t1\na"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(slice_str(texts[i]), SYNC_EBADMSG);
}

Test(chunked, no_body_gets_longer_than_it_may)
{
    char text[300];
    int n = snprintf(text, sizeof text, "%x\r\n%0*d\r\n", BODY_MAX, BODY_MAX, 0);
    (void)snprintf(text + n, sizeof text - (size_t)n, "0\r\n\r\n");
    struct chunked c;
    struct buf out = buf_make(1 << 10);
    cr_assert_eq(decode(&c, slice_str(text), 7, &out), SYNC_OK);
    cr_assert(chunked_is_done(&c));
    cr_assert_eq(out.len, BODY_MAX);
    buf_deinit(&out);
    (void)snprintf(text + n, sizeof text - (size_t)n, "1\r\n0\r\n0\r\n\r\n");
    assert_refused(slice_str(text), SYNC_ELIMIT);
    assert_refused(slice_str("41\r\n0"), SYNC_ELIMIT);
    assert_refused(slice_str("fffffffffffffff\r\n0"), SYNC_ELIMIT);
}

Test(chunked, lines_have_limits)
{
    char text[CHUNK_TRAILERS_MAX + 100];
    for (size_t len = CHUNK_LINE_MAX - 4; len <= CHUNK_LINE_MAX + 2; len++) {
        struct chunked c;
        struct buf out = buf_make(1 << 10);
        int n = snprintf(text, sizeof text, "1;%0*d\r\na\r\n0\r\n\r\n", (int)len, 0);
        enum sync_err rc = decode(&c, slice_of(text, (size_t)n), 50, &out);
        cr_assert_eq(rc, len + 2 <= CHUNK_LINE_MAX ? SYNC_OK : SYNC_EBADMSG, "extension of %zu", len);
        buf_deinit(&out);
    }
    (void)snprintf(text, sizeof text, "0\r\n%0*d\r\n\r\n", CHUNK_TRAILERS_MAX, 0);
    assert_refused(slice_of(text, 3 + CHUNK_TRAILERS_MAX + 4), SYNC_EBADMSG);
    for (size_t i = 0; i + 3 < sizeof text - 3; i += 3) memcpy(text + 3 + i, "a\r\n", 3);
    assert_refused(slice_of(text, CHUNK_TRAILERS_MAX + 50), SYNC_EBADMSG);
}
