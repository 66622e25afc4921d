#include "storage/snapshots/facts_digest.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { LINES_BYTES = 64 << 10 };

static enum sync_err update(EVP_MD_CTX *hash, struct buf *lines, struct err_ctx *ec)
{
    enum sync_err rc = buf_check(lines, ec);
    if (rc == SYNC_OK && EVP_DigestUpdate(hash, lines->bytes, lines->len) != 1)
        rc = err_set(ec, SYNC_ENOMEM, "no SHA-256 of facts");
    buf_clear(lines);
    return rc;
}

enum sync_err facts_digest(struct view *v, struct facts_digest *ret, struct err_ctx *ec)
{
    struct facts_digest d = {0};
    struct buf lines = buf_make(SIZE_MAX / 4);
    struct log_cursor *c = NULL;
    struct log_entry e;
    uint8_t bytes[EVP_MAX_MD_SIZE];
    bool found = true;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    enum sync_err rc = SYNC_OK;
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        rc = err_set(ec, SYNC_ENOMEM, "no SHA-256 of facts");
    if (rc == SYNC_OK) rc = log_cursor_open(v, NULL, &c, ec);
    while (rc == SYNC_OK) {
        rc = log_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK || !found) break;
        const struct moved_entry m = {.stamp = e.stamp, .fact = e.fact, .created_ms = e.created_ms};
        snapshot_put_fact(&lines, &m);
        snapshot_foot_count(&d.counts, e.fact.type);
        if (lines.len >= LINES_BYTES) rc = update(hash, &lines, ec);
    }
    if (rc == SYNC_OK) rc = update(hash, &lines, ec);
    if (rc == SYNC_OK && EVP_DigestFinal_ex(hash, bytes, NULL) != 1)
        rc = err_set(ec, SYNC_ENOMEM, "no SHA-256 of facts");
    for (size_t i = 0; i < SNAPSHOT_SHA256_TEXT / 2 && rc == SYNC_OK; i++)
        (void)snprintf(d.counts.sha256 + 2 * i, 3, "%02x", bytes[i]);
    log_cursor_close(c);
    EVP_MD_CTX_free(hash);
    buf_deinit(&lines);
    if (rc == SYNC_OK) *ret = d;
    return rc;
}
