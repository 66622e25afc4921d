#include "storage/snapshots/snapshot_read.h"

#include "storage/snapshots/gunzip.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_KEPT = 256 << 10 };

enum place { PLACE_HEAD, PLACE_FACTS, PLACE_END };

struct snapshot_decoder {
    struct snapshot_handler handler;
    size_t expected_len;
    char expected[DATABASE_ID_MAX];
    struct gunzip *gunzip;
    EVP_MD_CTX *hash;
    struct json_reader *json;
    struct buf line; /* the beginning of one */
    enum place place;
    struct stamp last, stamp; /* of the fact before; of the head */
    struct snapshot_foot count;
    struct snapshot_result result;
};

static enum sync_err damaged(struct err_ctx *ec, const char *what)
{
    return err_set(ec, SYNC_EFORMAT, "damaged snapshot: %s", what);
}

/* ---- lines */

static enum sync_err from_handler(struct snapshot_decoder *d, enum sync_err rc)
{
    if (rc != SYNC_OK) d->result.from_handler = true;
    return rc;
}

static enum sync_err on_head(struct snapshot_decoder *d, const struct snapshot_head *h, struct err_ctx *ec)
{
    if (d->place != PLACE_HEAD) return damaged(ec, "a second head");
    if (d->expected_len > 0 && !slice_eq(h->database, slice_of(d->expected, d->expected_len)))
        return damaged(ec, "it is of another database");
    d->place = PLACE_FACTS;
    d->stamp = h->stamp;
    return from_handler(d, d->handler.head(d->handler.arg, h, ec));
}

static enum sync_err on_fact(struct snapshot_decoder *d, const struct moved_entry *e, struct err_ctx *ec)
{
    if (d->place != PLACE_FACTS) return damaged(ec, "a fact outside of head and foot");
    if (stamp_cmp(&e->stamp, &d->last) <= 0 || stamp_cmp(&e->stamp, &d->stamp) > 0)
        return damaged(ec, "a fact out of order");
    d->last = e->stamp;
    snapshot_foot_count(&d->count, e->fact.type);
    return from_handler(d, d->handler.fact(d->handler.arg, e, ec));
}

static enum sync_err on_foot(struct snapshot_decoder *d, const struct snapshot_foot *f, struct err_ctx *ec)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    char text[SNAPSHOT_SHA256_TEXT + 1];
    if (d->place != PLACE_FACTS) return damaged(ec, "a foot without a head");
    if (EVP_DigestFinal_ex(d->hash, hash, NULL) != 1) return err_set(ec, SYNC_ENOMEM, "no SHA-256");
    for (size_t i = 0; i < SNAPSHOT_SHA256_TEXT / 2; i++) (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
    if (strcmp(text, f->sha256) != 0) return damaged(ec, "the hash does not match");
    if (f->cells != d->count.cells || f->deletes != d->count.deletes || f->migrations != d->count.migrations)
        return damaged(ec, "the counts do not match");
    d->place = PLACE_END;
    d->result.foot = *f;
    return SYNC_OK;
}

/* `bytes` with its line break. */
static enum sync_err on_line(struct snapshot_decoder *d, struct slice bytes, struct err_ctx *ec)
{
    struct snapshot_line line;
    struct arena *arena = d->handler.room(d->handler.arg);
    char *copy = arena_get(arena, bytes.len + JSON_PADDING);
    if (copy == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a snapshot's line");
    memcpy(copy, bytes.bytes, bytes.len);
    memset(copy + bytes.len - 1, 0, JSON_PADDING + 1);
    if (d->place == PLACE_END) return damaged(ec, "it goes on behind its foot");
    enum sync_err rc = snapshot_get_line(d->json, arena, slice_of(copy, bytes.len - 1), &line, ec);
    if (rc != SYNC_OK) {
        d->result.of_later_build = line.of_later_build && d->place == PLACE_HEAD;
        return rc;
    }
    if (line.type != SNAPSHOT_LINE_FOOT && EVP_DigestUpdate(d->hash, bytes.bytes, bytes.len) != 1)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256");
    switch (line.type) {
    case SNAPSHOT_LINE_HEAD: return on_head(d, &line.head, ec);
    case SNAPSHOT_LINE_FACT: return on_fact(d, &line.entry, ec);
    case SNAPSHOT_LINE_FOOT: break;
    }
    return on_foot(d, &line.foot, ec);
}

static enum sync_err take_text(void *arg, struct slice text, struct err_ctx *ec)
{
    struct snapshot_decoder *d = arg;
    while (text.len > 0) {
        const char *end = memchr(text.bytes, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.bytes) + 1;
        struct slice line = slice_of(text.bytes, len);
        if (end == NULL || d->line.len > 0) {
            buf_put(&d->line, text.bytes, len);
            if (d->line.failed == SYNC_ELIMIT) return damaged(ec, "a line without end");
            enum sync_err rc = buf_check(&d->line, ec);
            if (rc != SYNC_OK || end == NULL) return rc;
            line = buf_slice(&d->line);
        }
        enum sync_err rc = on_line(d, line, ec);
        if (d->line.capacity > LINE_BYTES_KEPT) buf_deinit(&d->line); /* one long line must not stay */
        buf_clear(&d->line);
        if (rc != SYNC_OK) return rc;
        text = slice_of(text.bytes + len, text.len - len);
    }
    return SYNC_OK;
}

/* ---- the whole */

enum sync_err snapshot_decoder_new(const struct snapshot_handler *h, struct slice expected,
                                   struct snapshot_decoder **ret, struct err_ctx *ec)
{
    struct snapshot_decoder *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to read a snapshot");
    d->handler = *h;
    d->expected_len = expected.len <= sizeof d->expected ? expected.len : 0;
    if (d->expected_len > 0) memcpy(d->expected, expected.bytes, d->expected_len);
    d->line = buf_make(SNAPSHOT_LINE_BYTES_MAX);
    d->json = json_reader_new(JSON_DEPTH_DEFAULT);
    d->hash = EVP_MD_CTX_new();
    enum sync_err rc = gunzip_new((struct gunzip_sink){.put = take_text, .arg = d}, &d->gunzip, ec);
    if (rc == SYNC_OK &&
        (d->json == NULL || d->hash == NULL || EVP_DigestInit_ex(d->hash, EVP_sha256(), NULL) != 1))
        rc = err_set(ec, SYNC_ENOMEM, "no memory to read a snapshot");
    if (rc == SYNC_OK)
        *ret = d;
    else
        snapshot_decoder_free(d);
    return rc;
}

void snapshot_decoder_free(struct snapshot_decoder *d)
{
    if (d == NULL) return;
    gunzip_free(d->gunzip);
    EVP_MD_CTX_free(d->hash);
    json_reader_free(d->json);
    buf_deinit(&d->line);
    free(d);
}

const struct snapshot_result *snapshot_decoder_result(const struct snapshot_decoder *d)
{
    return &d->result;
}

enum sync_err snapshot_decoder_put(struct snapshot_decoder *d, struct slice bytes, struct err_ctx *ec)
{
    return gunzip_put(d->gunzip, bytes, ec);
}

enum sync_err snapshot_decoder_end(struct snapshot_decoder *d, struct err_ctx *ec)
{
    if (gunzip_end(d->gunzip, ec) != SYNC_OK || d->place != PLACE_END || d->line.len > 0)
        return damaged(ec, "it is cut short");
    return SYNC_OK;
}

enum sync_err snapshot_read(struct object_store *s, const struct object_reader_config *cfg, struct slice key,
                            struct slice expected, const struct snapshot_handler *h,
                            struct snapshot_result *ret, struct err_ctx *ec)
{
    struct object_reader *r = NULL;
    struct snapshot_decoder *d = NULL;
    struct slice bytes;
    *ret = (struct snapshot_result){0};
    enum sync_err rc = snapshot_decoder_new(h, expected, &d, ec);
    if (rc == SYNC_OK) rc = object_reader_open(s, key, cfg, &r, ec);
    if (rc == SYNC_EBADMSG) rc = damaged(ec, "it is empty"); /* no byte to begin a range at */
    while (rc == SYNC_OK) {
        rc = object_reader_next(r, &bytes, ec);
        if (rc != SYNC_OK || bytes.len == 0) break;
        rc = snapshot_decoder_put(d, bytes, ec);
    }
    if (rc == SYNC_OK) rc = snapshot_decoder_end(d, ec);
    if (d != NULL) *ret = *snapshot_decoder_result(d);
    object_reader_close(r);
    snapshot_decoder_free(d);
    if (rc != SYNC_OK) err_wrap(ec, "%.*s", SLICE_ARG(key));
    return rc;
}
