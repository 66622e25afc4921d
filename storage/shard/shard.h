/* shard.h -- the writing side of one LevelDB instance.
 *
 * What makes an acknowledgement true: shard_apply() judges a group of requests one after the other, each
 * against LevelDB plus what the group decided before it, puts all of it into one LevelDB write batch, and
 * returns after leveldb_write() did -- with fsync when the store is configured so. A request's rc is SYNC_OK
 * only then. When the write fails every request of the group fails and nothing of it is remembered in memory.
 *
 * Threads: every function here is called by the one thread that owns the shard, unless it says otherwise. */
#ifndef STORAGE_SHARD_SHARD_H
#define STORAGE_SHARD_SHARD_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/batch.h"
#include "core/facts/merge.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;

/* One batch to apply. The caller owns it and everything in it; `next` chains a group in the order in which it
 * is judged. */
struct apply_request {
    struct apply_request *next;
    struct slice database;
    const struct batch *batch;
    uint64_t now_ms; /* wall clock: a tombstone's createdAt */
    /* Set by shard_apply(): */
    enum sync_err rc;
    struct err_ctx ec;
    struct merge_result result;
    struct stamp last; /* of the database, with this batch: what it brought has stamps up to this one */
    bool waiting;      /* not all of that is uploaded (shard_upload.h) */
};

/* Applies the group with one write. A batch that applies nothing takes no stamp and writes nothing. */
void shard_apply(struct shard *sh, struct apply_request *group);

/* A tombstone that the retention sweep found old enough (views/view.h: prune_scan). */
struct prune_candidate {
    struct slice row_key;
    uint32_t table_key_len; /* of row_key */
    struct stamp stamp;
};

/* Removes those of the tombstones that still stand unchanged, with their log entries, and raises the
 * database's mark of what was pruned, in one write. *ret_count: how many went. */
enum sync_err shard_prune(struct shard *sh, struct slice database, const struct prune_candidate *candidates,
                          size_t count, size_t *ret_count, struct err_ctx *ec);

/* After a write that failed the shard closes its LevelDB and opens it again, once the disk takes writes
 * (instance_probe()). Until then nothing is written, and what was acknowledged can be read, unless the
 * opening itself failed. Each group tries again, and so does this, for times when none comes. Does nothing
 * when the shard is open. Errors: SYNC_ESTORE, SYNC_EFORMAT. */
enum sync_err shard_recover(struct shard *sh, struct err_ctx *ec);

/* Before a clean end: makes the next start quick (leveldb/instance.h). */
void shard_flush(struct shard *sh);

/* Any thread: is it closed to writes, so that shard_recover() would have something to do? */
bool shard_is_closed(const struct shard *sh);

/* Any thread: databases that have been written to, and those whose record is in memory now. */
uint64_t shard_database_count(const struct shard *sh);
uint64_t shard_open_count(const struct shard *sh);

/* Any thread: bytes that a crash, or a write that failed, left at the end of a log without being a whole
 * record, and that were cut off at opening (leveldb/log_check.h). Nothing of them was acknowledged, unless
 * durability was left to the operating system and the machine lost its power. */
uint64_t shard_torn_bytes(const struct shard *sh);

#endif
