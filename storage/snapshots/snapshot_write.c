#include "storage/snapshots/snapshot_write.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LINES_BYTES = 64 << 10, /* collected before they are compressed */
    OUT_BYTES = 64 << 10,
    GZIP_WINDOW = 16 + MAX_WBITS,
    GZIP_MEMORY = 9,
    /* The fastest: the next levels are half as fast for a tenth less, and the sender is what has to wait. */
    GZIP_LEVEL = 1,
};

struct writing_out {
    struct object_writer *writer;
    const atomic_bool *cancel;
    z_stream gzip;
    bool gzip_open;
    EVP_MD_CTX *hash;
    struct buf lines;
    uint8_t *out;
    struct snapshot_made made;
};

static enum sync_err open_gzip(struct writing_out *w, struct err_ctx *ec)
{
    w->out = malloc(OUT_BYTES);
    w->hash = EVP_MD_CTX_new();
    if (w->out == NULL || w->hash == NULL || EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL) != 1 ||
        deflateInit2(&w->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(ec, SYNC_ENOMEM, "no memory to compress a snapshot");
    w->gzip_open = true;
    return SYNC_OK;
}

static void keep_tail(struct snapshot_made *m, const uint8_t *bytes, size_t len)
{
    if (len >= SNAPSHOT_TAIL_BYTES) {
        memcpy(m->tail, bytes + len - SNAPSHOT_TAIL_BYTES, SNAPSHOT_TAIL_BYTES);
        return;
    }
    memmove(m->tail, m->tail + len, SNAPSHOT_TAIL_BYTES - len);
    memcpy(m->tail + SNAPSHOT_TAIL_BYTES - len, bytes, len);
}

/* Sends what has collected; at the `end` everything. */
static enum sync_err compress_lines(struct writing_out *w, bool end, struct err_ctx *ec)
{
    enum sync_err rc = buf_check(&w->lines, ec);
    if (rc != SYNC_OK) return rc;
    if (w->cancel != NULL && atomic_load(w->cancel)) return err_set(ec, SYNC_ECANCELED, "canceled");
    w->made.raw_bytes += w->lines.len;
    w->gzip.next_in = (uint8_t *)w->lines.bytes;
    w->gzip.avail_in = (uInt)w->lines.len;
    do {
        w->gzip.next_out = w->out;
        w->gzip.avail_out = OUT_BYTES;
        (void)deflate(&w->gzip, end ? Z_FINISH : Z_NO_FLUSH); /* cannot fail with these arguments */
        size_t len = OUT_BYTES - w->gzip.avail_out;
        keep_tail(&w->made, w->out, len);
        w->made.bytes += len;
        rc = object_writer_put(w->writer, slice_of(w->out, len), ec);
    } while (rc == SYNC_OK && w->gzip.avail_out == 0);
    buf_clear(&w->lines);
    return rc;
}

static enum sync_err hash_lines(struct writing_out *w, size_t from, struct err_ctx *ec)
{
    if (w->lines.failed != SYNC_OK) return buf_check(&w->lines, ec);
    if (EVP_DigestUpdate(w->hash, w->lines.bytes + from, w->lines.len - from) == 1) return SYNC_OK;
    return err_set(ec, SYNC_ENOMEM, "no SHA-256 of a snapshot");
}

static enum sync_err put_facts(struct writing_out *w, struct view *v, struct err_ctx *ec)
{
    struct log_cursor *c = NULL;
    struct log_entry e;
    bool found = true;
    enum sync_err rc = log_cursor_open(v, NULL, &c, ec);
    while (rc == SYNC_OK) {
        rc = log_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK || !found) break;
        const struct moved_entry m = {.stamp = e.stamp, .fact = e.fact, .created_ms = e.created_ms};
        size_t from = w->lines.len;
        snapshot_put_fact(&w->lines, &m);
        snapshot_foot_count(&w->made.foot, e.fact.type);
        rc = hash_lines(w, from, ec);
        if (rc == SYNC_OK && w->lines.len >= LINES_BYTES) rc = compress_lines(w, false, ec);
    }
    log_cursor_close(c);
    return rc;
}

static enum sync_err put_foot(struct writing_out *w, struct err_ctx *ec)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(w->hash, hash, NULL) != 1)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256 of a snapshot");
    for (size_t i = 0; i < SNAPSHOT_SHA256_TEXT / 2; i++)
        (void)snprintf(w->made.foot.sha256 + 2 * i, 3, "%02x", hash[i]);
    snapshot_put_foot(&w->lines, &w->made.foot);
    return compress_lines(w, true, ec);
}

enum sync_err snapshot_write(struct object_store *s, const struct object_writer_config *cfg, struct view *v,
                             struct snapshot_place at, uint64_t made_ms, const uint8_t *run,
                             struct snapshot_made *ret, struct err_ctx *ec)
{
    const struct database_info *info = view_database(v);
    struct snapshot_head head = {.database = at.database,
                                 .server_site = info->server_site,
                                 .stamp = info->last,
                                 .pruned = info->pruned,
                                 .asks = info->asks,
                                 .made_ms = made_ms,
                                 .has_run = run != NULL};
    struct writing_out w = {.cancel = cfg->call.cancel,
                            .lines =
                                buf_make(SIZE_MAX / 4), /* one fact may be long: what a client once sent */
                            .made = {.id = {.stamp = info->last, .made_ms = made_ms}}};
    struct snapshot_key key;
    if (run != NULL) memcpy(head.run, run, LOG_RUN_BYTES);
    snapshot_key_of(at, &w.made.id, &key);
    enum sync_err rc = object_writer_open(s, snapshot_key_slice(&key), cfg, &w.writer, ec);
    if (rc == SYNC_OK) rc = open_gzip(&w, ec);
    if (rc == SYNC_OK) {
        snapshot_put_head(&w.lines, &head);
        rc = hash_lines(&w, 0, ec);
    }
    if (rc == SYNC_OK) rc = put_facts(&w, v, ec);
    if (rc == SYNC_OK) rc = put_foot(&w, ec);
    if (rc == SYNC_OK) rc = object_writer_finish(w.writer, NULL, ec);
    object_writer_close(w.writer);
    if (w.gzip_open) (void)deflateEnd(&w.gzip);
    EVP_MD_CTX_free(w.hash);
    buf_deinit(&w.lines);
    free(w.out);
    if (rc == SYNC_OK) *ret = w.made;
    return rc;
}
