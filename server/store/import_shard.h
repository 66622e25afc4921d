/* import_shard.h -- a shard of the running server as the target of a restore (storage/snapshots/restore.h).
 *
 * Facts go to the shard's thread in batches, one at a time, between the batches of clients: while one is
 * being written the next is being read. So a restore holds nobody up for longer than one such batch takes,
 * and now and then what the shard writes of many together (import_hold.h).
 *
 * Threads: its owner's, which is no loop. */
#ifndef SERVER_STORE_IMPORT_SHARD_H
#define SERVER_STORE_IMPORT_SHARD_H

#include "server/store/store_call.h"
#include "storage/snapshots/restore.h"

#include <stdatomic.h>

struct import_shard {
    struct store_call call; /* first; the one under way, or the last one */
    struct store_thread *thread;
    struct slice database;
    const atomic_bool *cancel; /* raised: nothing more is begun */
    bool busy, finished;
    const struct moved_entry *entries;
    size_t count;
    struct stamp pruned;
    const struct import_record *record;
    bool gone;
};

/* `x` outlives the target, and so do the name and the flag. */
struct import_target import_shard_target(struct import_shard *x, struct store_thread *thread,
                                         struct slice database, const atomic_bool *cancel);

/* Removes what is left of a database that is not LIVE. One that is not there is fine. */
enum sync_err import_shard_remove(struct import_shard *x, struct err_ctx *ec);

#endif
