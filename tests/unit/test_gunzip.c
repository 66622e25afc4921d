/* Gzip in members of known length, and any other gzip, unpacked in pieces of any length. */
#include "storage/snapshots/gunzip.h"
#include "storage/snapshots/gzip_member.h"

#include "core/base/buf.h"
#include "random.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <zlib.h>

enum { CEILING = 64 << 20 };

/* Half words, half noise: both kinds of blocks. */
static struct buf some_text(uint64_t *seed, size_t len)
{
    struct buf b = buf_make(CEILING);
    while (b.len < len) {
        if (random_below(seed, 2) == 0)
            buf_put_str(&b, "{\"type\":\"column\",\"table\":\"t\"}");
        else
            buf_put_char(&b, (char)random_below(seed, 256));
    }
    b.len = len;
    return b;
}

static void put_member(struct buf *out, struct slice text)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(3);
    uint8_t *member = malloc(MEMBER_BYTES_MAX);
    size_t bytes = gzip_member_put(c, text, member);
    cr_assert_eq(gzip_member_bytes(member), bytes);
    buf_put(out, member, bytes);
    free(member);
    libdeflate_free_compressor(c);
}

/* As other programs write it. */
static void put_plain(struct buf *out, struct slice text)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)text.bytes, .avail_in = (uInt)text.len};
    cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert(buf_reserve(out, deflateBound(&z, text.len)));
    z.next_out = (unsigned char *)out->bytes + out->len;
    z.avail_out = (uInt)(out->capacity - out->len);
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len = out->capacity - z.avail_out;
    cr_assert_eq(deflateEnd(&z), Z_OK);
}

struct taken {
    struct buf text;
    enum sync_err refuse; /* with every piece */
};

static enum sync_err take(void *arg, struct slice text, struct err_ctx *ec)
{
    struct taken *t = arg;
    cr_assert_gt(text.len, 0);
    if (t->refuse != SYNC_OK) return err_set(ec, t->refuse, "no");
    buf_put_slice(&t->text, text);
    return SYNC_OK;
}

/* In pieces of at most so many bytes. */
static enum sync_err unpack(struct slice bytes, size_t piece, struct taken *t, struct err_ctx *ec)
{
    struct gunzip *g;
    t->text = buf_make(CEILING);
    cr_assert_eq(gunzip_new((struct gunzip_sink){.put = take, .arg = t}, &g, ec), SYNC_OK);
    enum sync_err rc = SYNC_OK;
    while (bytes.len > 0 && rc == SYNC_OK) {
        size_t n = bytes.len < piece ? bytes.len : piece;
        char *copy = malloc(n); /* of just its length: reading beyond it is seen */
        memcpy(copy, bytes.bytes, n);
        rc = gunzip_put(g, slice_of(copy, n), ec);
        free(copy);
        bytes = slice_of(bytes.bytes + n, bytes.len - n);
    }
    if (rc == SYNC_OK) rc = gunzip_end(g, ec);
    gunzip_free(g);
    return rc;
}

static void expect_text(struct slice packed, struct slice text)
{
    static const size_t pieces[] = {1, 19, 20, 21, 1000, 64 << 10, SIZE_MAX};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct taken t = {0};
        struct err_ctx ec = {""};
        cr_assert_eq(unpack(packed, pieces[i], &t, &ec), SYNC_OK, "pieces of %zu: %s", pieces[i], ec.text);
        cr_assert(slice_eq(buf_slice(&t.text), text), "pieces of %zu", pieces[i]);
        buf_deinit(&t.text);
    }
}

Test(gunzip, members_of_any_length_come_back)
{
    static const size_t lengths[] = {0, 1, 100, 65535, 65536, MEMBER_TEXT_MAX - 1, MEMBER_TEXT_MAX};
    uint64_t seed = 1;
    struct buf all = buf_make(CEILING), packed = buf_make(CEILING);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buf text = some_text(&seed, lengths[i]), one = buf_make(CEILING);
        put_member(&one, buf_slice(&text));
        expect_text(buf_slice(&one), buf_slice(&text));
        put_member(&packed, buf_slice(&text));
        buf_put_slice(&all, buf_slice(&text));
        buf_deinit(&text);
        buf_deinit(&one);
    }
    expect_text(buf_slice(&packed), buf_slice(&all));
    buf_deinit(&all);
    buf_deinit(&packed);
}

Test(gunzip, what_cannot_be_compressed_fits_its_member)
{
    uint64_t seed = 2;
    struct buf noise = buf_make(CEILING), packed = buf_make(CEILING);
    for (size_t i = 0; i < MEMBER_TEXT_MAX; i++) buf_put_char(&noise, (char)random_below(&seed, 256));
    put_member(&packed, buf_slice(&noise));
    cr_assert_gt(packed.len, noise.len);
    expect_text(buf_slice(&packed), buf_slice(&noise));
    buf_deinit(&noise);
    buf_deinit(&packed);
}

Test(gunzip, every_gzip_is_read_also_between_members_of_ours)
{
    uint64_t seed = 3;
    struct buf all = buf_make(CEILING), packed = buf_make(CEILING);
    for (size_t i = 0; i < 6; i++) {
        struct buf text = some_text(&seed, i % 3 == 0 ? 0 : i * 100000);
        if (i % 2 == 0 || text.len > MEMBER_TEXT_MAX)
            put_plain(&packed, buf_slice(&text));
        else
            put_member(&packed, buf_slice(&text));
        buf_put_slice(&all, buf_slice(&text));
        buf_deinit(&text);
    }
    expect_text(buf_slice(&packed), buf_slice(&all));
    buf_deinit(&all);
    buf_deinit(&packed);
}

/* The other way round: what this writes, zlib reads. */
Test(gunzip, members_are_gzip_to_other_programs)
{
    uint64_t seed = 4;
    struct buf text = some_text(&seed, 100000), packed = buf_make(CEILING);
    char *back = malloc(text.len + 1);
    put_member(&packed, buf_slice(&text));
    z_stream z = {.next_in = (unsigned char *)packed.bytes,
                  .avail_in = (uInt)packed.len,
                  .next_out = (unsigned char *)back,
                  .avail_out = (uInt)text.len + 1};
    cr_assert_eq(inflateInit2(&z, 31), Z_OK);
    cr_assert_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(z.avail_in, 0);
    cr_assert(slice_eq(slice_of(back, z.total_out), buf_slice(&text)));
    (void)inflateEnd(&z);
    free(back);
    buf_deinit(&text);
    buf_deinit(&packed);
}

static void expect_damaged(struct slice packed, size_t piece)
{
    struct taken t = {0};
    struct err_ctx ec = {""};
    cr_assert_eq(unpack(packed, piece, &t, &ec), SYNC_EFORMAT);
    cr_assert_neq(strstr(ec.text, "damaged"), NULL, "%s", ec.text);
    buf_deinit(&t.text);
}

Test(gunzip, cut_short_anywhere_it_is_damaged)
{
    uint64_t seed = 5;
    struct buf text = some_text(&seed, 300), packed = buf_make(CEILING);
    put_member(&packed, buf_slice(&text));
    size_t first = packed.len;
    put_plain(&packed, buf_slice(&text));
    for (size_t len = 0; len < packed.len; len++)
        if (len != first) expect_damaged(slice_of(packed.bytes, len), 64);
    buf_deinit(&text);
    buf_deinit(&packed);
}

/* A changed byte is found, or says the same: the time in a gzip's head, a match of other equal letters. */
Test(gunzip, no_changed_byte_changes_the_text_unseen)
{
    uint64_t seed = 6;
    struct buf text = some_text(&seed, 2000), packed = buf_make(CEILING);
    size_t found = 0;
    put_member(&packed, buf_slice(&text));
    put_plain(&packed, buf_slice(&text));
    struct buf twice = buf_make(CEILING);
    buf_put_slice(&twice, buf_slice(&text));
    buf_put_slice(&twice, buf_slice(&text));
    for (size_t i = 0; i < packed.len; i++) {
        struct taken t = {0};
        struct err_ctx ec;
        packed.bytes[i] ^= 0x41;
        if (unpack(buf_slice(&packed), SIZE_MAX, &t, &ec) == SYNC_OK)
            cr_assert(slice_eq(buf_slice(&t.text), buf_slice(&twice)), "byte %zu", i);
        else
            found++;
        packed.bytes[i] ^= 0x41;
        buf_deinit(&t.text);
    }
    cr_assert_gt(found, packed.len * 9 / 10);
    buf_deinit(&text);
    buf_deinit(&twice);
    buf_deinit(&packed);
}

Test(gunzip, what_follows_a_member_is_gzip_too)
{
    uint64_t seed = 7;
    struct buf text = some_text(&seed, 1000), packed = buf_make(CEILING);
    put_member(&packed, buf_slice(&text));
    buf_put_str(&packed, "and this is no gzip, whatever it is");
    expect_damaged(buf_slice(&packed), SIZE_MAX);
    expect_damaged(buf_slice(&packed), 1);
    buf_deinit(&text);
    buf_deinit(&packed);
}

/* A head may tell any length: only what a member can have is believed. */
Test(gunzip, a_length_that_no_member_has_is_none)
{
    uint64_t seed = 8;
    struct buf text = some_text(&seed, 1000), packed = buf_make(CEILING);
    put_member(&packed, buf_slice(&text));
    uint8_t *head = (uint8_t *)packed.bytes;
    static const uint32_t lengths[] = {0, 1, MEMBER_HEAD_BYTES + MEMBER_TAIL_BYTES - 1, MEMBER_BYTES_MAX + 1,
                                       UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int k = 0; k < 4; k++) head[16 + k] = (uint8_t)(lengths[i] >> 8 * k);
        cr_assert_eq(gzip_member_bytes(head), 0, "%u", lengths[i]);
        expect_text(buf_slice(&packed), buf_slice(&text)); /* it is gzip all the same */
    }
    /* One that is too long or too short by a byte is seen. */
    for (int by = -1; by <= 1; by += 2) {
        uint32_t len = (uint32_t)((int)packed.len + by);
        for (int k = 0; k < 4; k++) head[16 + k] = (uint8_t)(len >> 8 * k);
        expect_damaged(buf_slice(&packed), SIZE_MAX);
    }
    buf_deinit(&text);
    buf_deinit(&packed);
}

Test(gunzip, what_the_sink_says_ends_it)
{
    uint64_t seed = 9;
    for (int plain = 0; plain < 2; plain++) {
        struct buf text = some_text(&seed, 1000), packed = buf_make(CEILING);
        struct taken t = {.refuse = SYNC_ESTORE};
        struct err_ctx ec;
        if (plain)
            put_plain(&packed, buf_slice(&text));
        else
            put_member(&packed, buf_slice(&text));
        cr_assert_eq(unpack(buf_slice(&packed), 7, &t, &ec), SYNC_ESTORE);
        cr_assert_str_eq(ec.text, "no");
        buf_deinit(&t.text);
        buf_deinit(&text);
        buf_deinit(&packed);
    }
}
