/* delta_reader.h -- what arrived after a watermark, made in pieces (protocol sections 6, 8.1, 8.2, 8.4).
 *
 * A delta is the arrival log after the watermark, up to the stamp that was the newest when the reading began,
 * without the asker's own facts, whole transactions only; it ends with the set that carries the watermark up
 * to which it is complete. Past page_bytes_max it ends at the next end of a transaction: has_more is set, and
 * the watermark is where the next page begins.
 *
 * Between two pieces nothing of the store is held. A fact that is overwritten meanwhile leaves the log and
 * comes back with a stamp above the end, so it belongs to the next delta; the reply stays complete up to its
 * watermark.
 *
 * Threads: one at a time. */
#ifndef STORAGE_VIEWS_DELTA_READER_H
#define STORAGE_VIEWS_DELTA_READER_H

#include "core/base/buf.h"
#include "storage/views/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delta_reader;

struct delta_request {
    struct slice database;
    struct site_id asker; /* its own facts are left out */
    bool has_since;
    struct hlc since; /* the watermark */
    size_t page_bytes_max;
    bool bare; /* without the set that carries the watermark: for a push */
};

struct delta_status {
    struct site_id server_site;
    bool pruned; /* the watermark is older than what was pruned: the delta is what still exists */
    bool done;
    bool has_more;      /* done at the page's limit; ask again with the watermark */
    bool has_watermark; /* false when there was nothing new at all */
    struct hlc watermark;
    uint64_t fact_count;
};

/* Errors: as view_open(). The database name is copied. */
enum sync_err delta_reader_open(struct shard *sh, const struct delta_request *request,
                                struct delta_reader **ret, struct err_ctx *ec);

/* Appends the next piece, ChangeSets with commas between them, of about piece_bytes (a single fact may be
 * longer). Ends early after many facts that are left out, so that no step takes long; `done` tells the end.
 * Errors: SYNC_ESTORE, SYNC_EFORMAT, SYNC_ENOMEM, and SYNC_EPRUNED when the sweep
 * took something, while it was read, that the reply may now lack. */
enum sync_err delta_reader_step(struct delta_reader *r, struct buf *out, size_t piece_bytes,
                                struct err_ctx *ec);

/* Lets the page end at the next end of a transaction. */
void delta_reader_cut(struct delta_reader *r);

const struct delta_status *delta_reader_status(const struct delta_reader *r);
void delta_reader_close(struct delta_reader *r); /* takes NULL */

#endif
