/* A text through the packer's thread into an object directory, and back. */
#include "storage/snapshots/packer.h"

#include "storage/objects/object_dir.h"
#include "storage/snapshots/gunzip.h"

#include "random.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>

enum { CEILING = 256 << 20 };

struct rig {
    struct temp_dir dir;
    struct object_store *objects;
    struct object_writer *writer;
    struct packer *packer;
};

static void rig_init(struct rig *r)
{
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    struct err_ctx ec;
    temp_dir_make(&r->dir);
    cfg.part_bytes = OBJECT_PART_BYTES_MIN;
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = r->dir.path}, &r->objects, &ec), SYNC_OK,
                 "%s", ec.text);
    cr_assert_eq(object_writer_open(r->objects, slice_str("text"), &cfg, &r->writer, &ec), SYNC_OK);
    cr_assert_eq(packer_open(r->writer, &r->packer, &ec), SYNC_OK, "%s", ec.text);
}

static void rig_free(struct rig *r)
{
    packer_close(r->packer);
    object_writer_close(r->writer);
    object_store_close(r->objects);
    temp_dir_remove(&r->dir);
}

static void sha256_text(struct slice s, char ret[PACKER_SHA256_TEXT + 1])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    cr_assert_eq(EVP_Digest(s.bytes, s.len, hash, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < PACKER_SHA256_TEXT / 2; i++) (void)sprintf(ret + 2 * i, "%02x", hash[i]);
}

/* Lines of very different lengths: some are many members long. */
static void put_line(struct packer *p, uint64_t *seed, size_t number, struct buf *copy)
{
    size_t len = number % 50 == 7 ? 700000 : random_below(seed, number % 10 == 3 ? 60000 : 300);
    struct buf *text = packer_text(p);
    size_t from = text->len;
    for (size_t i = 0; i < len; i++) buf_put_char(text, (char)('a' + random_below(seed, 4)));
    buf_put_char(text, '\n');
    buf_put(copy, text->bytes + from, text->len - from);
}

static enum sync_err append(void *arg, struct slice text, struct err_ctx *ec)
{
    (void)ec;
    buf_put_slice(arg, text);
    return SYNC_OK;
}

static struct buf stored_text(struct rig *r, const struct packed *packed)
{
    struct buf bytes = buf_make(CEILING), text = buf_make(CEILING);
    struct gunzip *g;
    struct err_ctx ec;
    cr_assert_eq(object_get_buf(r->objects, NULL, slice_str("text"), NULL, &bytes, NULL, &ec), SYNC_OK);
    cr_assert_eq(bytes.len, packed->bytes);
    cr_assert_arr_eq(bytes.bytes + bytes.len - MEMBER_TAIL_BYTES, packed->tail, MEMBER_TAIL_BYTES);
    cr_assert_eq(gunzip_new((struct gunzip_sink){.put = append, .arg = &text}, &g, &ec), SYNC_OK);
    cr_assert_eq(gunzip_put(g, buf_slice(&bytes), &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(gunzip_end(g, &ec), SYNC_OK, "%s", ec.text);
    gunzip_free(g);
    buf_deinit(&bytes);
    return text;
}

Test(packer, the_text_comes_back_with_its_hash, .timeout = 120)
{
    static const size_t lines[] = {0, 1, 40, 1500};
    for (size_t k = 0; k < sizeof lines / sizeof lines[0]; k++) {
        struct rig r;
        struct err_ctx ec = {""};
        struct packed packed;
        struct buf copy = buf_make(CEILING);
        char hash[PACKER_SHA256_TEXT + 1], wanted[PACKER_SHA256_TEXT + 1];
        uint64_t seed = k + 1;
        rig_init(&r);
        for (size_t i = 0; i < lines[k]; i++) {
            put_line(r.packer, &seed, i, &copy);
            cr_assert_eq(packer_step(r.packer, &ec), SYNC_OK, "%s", ec.text);
        }
        cr_assert_eq(packer_hash(r.packer, hash, &ec), SYNC_OK, "%s", ec.text);
        sha256_text(buf_slice(&copy), wanted);
        cr_assert_str_eq(hash, wanted);
        buf_put_str(packer_text(r.packer), hash);
        buf_put_str(&copy, hash);
        cr_assert_eq(packer_finish(r.packer, &packed, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(packed.raw_bytes, copy.len);
        cr_assert_eq(object_writer_finish(r.writer, NULL, &ec), SYNC_OK, "%s", ec.text);
        struct buf back = stored_text(&r, &packed);
        cr_assert(slice_eq(buf_slice(&back), buf_slice(&copy)), "%zu lines", lines[k]);
        buf_deinit(&back);
        buf_deinit(&copy);
        rig_free(&r);
    }
}

/* The store fails while the text is made: every call from then on says so, and none waits for ever. */
Test(packer, a_store_that_fails_ends_it, .timeout = 120)
{
    struct rig r;
    struct err_ctx ec = {""}, again = {""};
    struct buf copy = buf_make(CEILING);
    char hash[PACKER_SHA256_TEXT + 1];
    struct packed packed;
    uint64_t seed = 9;
    enum sync_err rc = SYNC_OK;
    rig_init(&r);
    temp_dir_remove(&r.dir);
    for (size_t i = 0; rc == SYNC_OK && i < 100000; i++) {
        put_line(r.packer, &seed, i, &copy);
        buf_clear(&copy);
        rc = packer_step(r.packer, &ec);
    }
    cr_assert_eq(rc, SYNC_EIO, "%s", ec.text);
    cr_assert_eq(packer_hash(r.packer, hash, &again), rc);
    cr_assert_str_eq(again.text, ec.text);
    cr_assert_eq(packer_finish(r.packer, &packed, &again), rc);
    buf_deinit(&copy);
    rig_free(&r);
}

Test(packer, it_is_closed_at_any_moment, .timeout = 120)
{
    for (size_t lines = 0; lines < 100; lines += 9) {
        struct rig r;
        struct err_ctx ec;
        struct buf copy = buf_make(CEILING);
        uint64_t seed = lines;
        rig_init(&r);
        for (size_t i = 0; i < lines; i++) {
            put_line(r.packer, &seed, i, &copy);
            cr_assert_eq(packer_step(r.packer, &ec), SYNC_OK);
        }
        buf_deinit(&copy);
        rig_free(&r);
    }
}
