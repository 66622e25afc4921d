/* entry_batch.h -- facts on their way into a shard: a bounded number, with all their bytes.
 *
 * Threads: one at a time. */
#ifndef STORAGE_SNAPSHOTS_ENTRY_BATCH_H
#define STORAGE_SNAPSHOTS_ENTRY_BATCH_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/json/json.h"
#include "storage/records/moved.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    ENTRY_BATCH_MAX = 2000,
    ENTRY_BATCH_BYTES_MAX = 1 << 20, /* it is full with the entry that passes this */
};

/* An all-zero batch is an empty one. */
struct entry_batch {
    struct moved_entry *entries;
    size_t count;
    struct arena arena; /* what the entries borrow */
};

bool entry_batch_is_full(const struct entry_batch *b);

/* The entry's bytes are in the arena already. Errors: SYNC_ENOMEM. */
enum sync_err entry_batch_add(struct entry_batch *b, const struct moved_entry *e, struct err_ctx *ec);

/* Copies the entry, and gives its fact its key. Errors: SYNC_ENOMEM, SYNC_EBADMSG (no key can be made). */
enum sync_err entry_batch_copy(struct entry_batch *b, struct json_reader *reader, const struct moved_entry *e,
                               struct err_ctx *ec);

void entry_batch_clear(struct entry_batch *b); /* keeps the room for entries */
void entry_batch_deinit(struct entry_batch *b);

#endif
