#include "server/http/gzip.h"

#include "random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <zlib.h>

enum { CEILING = 128 << 20 };

/* A buffer with the compressed text; window 31 is gzip, 15 zlib, -15 neither. */
static struct buf deflated(struct slice text, int window_bits)
{
    struct buf b = buf_make(CEILING);
    z_stream z = {.next_in = (unsigned char *)text.bytes, .avail_in = (uInt)text.len};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert(buf_reserve(&b, deflateBound(&z, text.len)));
    z.next_out = (unsigned char *)b.bytes;
    z.avail_out = (uInt)b.capacity;
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.len = b.capacity - z.avail_out;
    cr_assert_eq(deflateEnd(&z), Z_OK);
    return b;
}

static struct buf gzipped(struct slice text)
{
    return deflated(text, 31);
}

Test(gzip, texts_of_any_length_come_back)
{
    static const size_t lengths[] = {0, 1, 100, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20};
    uint64_t seed = 42;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct err_ctx ec = {""};
        char *text = malloc(lengths[i] + 1);
        for (size_t k = 0; k < lengths[i]; k++) text[k] = (char)random_below(&seed, k % 1000 < 500 ? 2 : 256);
        struct buf b = gzipped(slice_of(text, lengths[i]));
        cr_assert_eq(gzip_inflate(&b, lengths[i], &ec), SYNC_OK, "%zu: %s", lengths[i], ec.text);
        cr_assert(slice_eq(buf_slice(&b), slice_of(text, lengths[i])), "%zu", lengths[i]);
        cr_assert_eq(b.bytes_max, CEILING);
        buf_deinit(&b);
        free(text);
    }
}

Test(gzip, a_text_longer_than_it_may_be_is_over_the_limit_by_a_single_byte)
{
    static const size_t lengths[] = {1, 100, 64 << 10, (64 << 10) + 1, 1 << 20};
    char *text = calloc(1, 1 << 20);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct err_ctx ec;
        struct buf b = gzipped(slice_of(text, lengths[i]));
        cr_assert_eq(gzip_inflate(&b, lengths[i] - 1, &ec), SYNC_ELIMIT, "%zu", lengths[i]);
        buf_deinit(&b);
    }
    free(text);
}

Test(gzip, a_bomb_stops_at_the_limit)
{
    struct err_ctx ec;
    char *text = calloc(1, 64 << 20);
    struct buf b = gzipped(slice_of(text, 64 << 20));
    cr_assert_lt(b.len, 100000);
    cr_assert_eq(gzip_inflate(&b, 1 << 20, &ec), SYNC_ELIMIT);
    buf_deinit(&b);
    free(text);
}

Test(gzip, what_is_cut_short_is_refused_wherever_it_is_cut)
{
    struct buf whole = gzipped(slice_str("{\"changes\":[]} {\"changes\":[]} {\"changes\":[]}"));
    for (size_t len = 0; len < whole.len; len++) {
        struct err_ctx ec;
        struct buf b = buf_make(CEILING);
        buf_put(&b, whole.bytes, len);
        cr_assert_eq(gzip_inflate(&b, 1000, &ec), SYNC_EBADMSG, "%zu", len);
        buf_deinit(&b);
    }
    buf_deinit(&whole);
}

Test(gzip, what_is_damaged_does_not_pass_for_whole)
{
    static const char text[] = "{\"changes\":[]} {\"changes\":[]} {\"changes\":[]}";
    struct buf whole = gzipped(slice_str(text));
    int passed = 0;
    for (size_t at = 10; at < whole.len; at++) { /* behind the head, whose time and system mean nothing */
        struct err_ctx ec;
        struct buf b = buf_make(CEILING);
        buf_put_slice(&b, buf_slice(&whole));
        b.bytes[at] = (char)(b.bytes[at] ^ 0x10);
        /* A few bits between the data and its checksum mean nothing. */
        if (gzip_inflate(&b, 1000, &ec) == SYNC_OK) cr_assert(slice_is(buf_slice(&b), text), "byte %zu", at);
        passed += b.len == strlen(text);
        buf_deinit(&b);
    }
    cr_assert_leq(passed, 1);
    buf_deinit(&whole);
}

Test(gzip, other_things_are_refused_and_so_is_what_follows_the_end)
{
    struct err_ctx ec;
    struct buf b = deflated(slice_str("text"), 15);
    cr_assert_eq(gzip_inflate(&b, 1000, &ec), SYNC_EBADMSG, "zlib");
    buf_deinit(&b);
    b = deflated(slice_str("text"), -15);
    cr_assert_eq(gzip_inflate(&b, 1000, &ec), SYNC_EBADMSG, "bare");
    buf_deinit(&b);
    b = buf_make(CEILING);
    buf_put_str(&b, "{\"changes\":[]}");
    cr_assert_eq(gzip_inflate(&b, 1000, &ec), SYNC_EBADMSG, "plain");
    buf_deinit(&b);
    b = gzipped(slice_str("text"));
    buf_put_char(&b, 'x');
    cr_assert_eq(gzip_inflate(&b, 1000, &ec), SYNC_EBADMSG, "more behind it");
    buf_deinit(&b);
}
