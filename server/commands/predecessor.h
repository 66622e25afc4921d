/* predecessor.h -- brings a database over from what the predecessor left in the object store.
 *
 *     PATH/batches/TIMESTAMP_ID.json      {batchId, databaseId, timestamp, clientId, changes, metadata}
 *     PATH/snapshots/TIMESTAMP_ID.json    gzip of {snapshotId, databaseId, timestamp, chunks}
 *
 * PATH is the database's id with "/" in place of ":". `changes` are ChangeSets as clients send them, `chunks`
 * those of a snapshot (protocol sections 2 and 7).
 *
 * Everything is merged as if clients sent it: first the newest snapshot that can be read to its end, then all
 * batches. So it may be done again, and into a database that has been used meanwhile: nothing comes twice. A
 * delete counts as made now for retention.
 *
 * What is damaged, too large or not understood is told by name and left out; the rest is brought over.
 * Memory: one batch, or one chunk of a snapshot, up to PREDECESSOR_BYTES_MAX.
 *
 * Threads: one; blocks. */
#ifndef SERVER_COMMANDS_PREDECESSOR_H
#define SERVER_COMMANDS_PREDECESSOR_H

#include "storage/objects/object_store.h"
#include "storage/shard/shard.h"

enum { PREDECESSOR_BYTES_MAX = 120 << 20 };

struct predecessor_import {
    struct object_store *objects;
    const struct object_call *call; /* for each request; may be NULL */
    struct shard *shard;            /* of the database; the caller's thread is its own */
    struct slice database;
    /* Something could not be brought over. */
    void (*complain)(void *arg, struct slice key, const struct err_ctx *why);
    void *arg;
};

struct predecessor_result {
    uint64_t batches, snapshots; /* that were read */
    uint64_t applied, skipped;   /* facts: brought over; known already, or beaten by others */
    uint64_t complaints;
};

/* Errors: those of the object store and of the shard, after which the rest was not tried; SYNC_ENOTFOUND when
 * there is nothing of the database. Complaints are no error. */
enum sync_err predecessor_run(const struct predecessor_import *p, struct predecessor_result *ret,
                              struct err_ctx *ec);

#endif
