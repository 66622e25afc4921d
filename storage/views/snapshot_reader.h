/* snapshot_reader.h -- a database as a stream of chunks, of one point in time (protocol section 7).
 *
 * The reader holds a view for as long as it lives and nothing else of the store between two chunks, so a slow
 * receiver costs the memory of the chunk it has not taken yet. Chunks of entries end at
 * SNAPSHOT_CHUNK_ENTRIES_MAX entries or SNAPSHOT_CHUNK_BYTES, whichever comes first.
 *
 * Threads: one at a time. */
#ifndef STORAGE_VIEWS_SNAPSHOT_READER_H
#define STORAGE_VIEWS_SNAPSHOT_READER_H

#include "core/base/buf.h"
#include "core/protocol/message.h"
#include "storage/views/view.h"

#include <stdbool.h>
#include <stddef.h>

enum { SNAPSHOT_CHUNK_BYTES = 256 << 10, SNAPSHOT_ID_TEXT_MAX = 128 };

struct snapshot_reader;

struct snapshot_request {
    struct slice database;
    const struct checkpoint *resume; /* NULL: from the start. Not kept. */
    struct slice fresh_id;           /* snapshot id for a stream that does not resume: JSON string inside */
};

/* Takes the view of now. A checkpoint that cannot be honoured gives a fresh full stream. */
enum sync_err snapshot_reader_open(struct shard *sh, const struct snapshot_request *request,
                                   struct snapshot_reader **ret, struct err_ctx *ec);

/* Appends the next chunk, one JSON object. *ret_done: it was the last, the footer. */
enum sync_err snapshot_reader_step(struct snapshot_reader *r, struct buf *out, bool *ret_done,
                                   struct err_ctx *ec);

void snapshot_reader_close(struct snapshot_reader *r); /* takes NULL */

#endif
