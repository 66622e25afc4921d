/* log_gather.h -- reads what waits for its upload out of the arrival logs, one object's worth at a time.
 *
 * What is read of a database is complete up to a stamp `last`: every fact with a stamp up to it that is
 * current is in the sections up to this one. That is what may be acknowledged as uploaded. A database that
 * has more than one object takes is read to its end in several objects from one point in time, and only the
 * last of them makes it complete: a fact that was overwritten before that point is missing in the earlier
 * ones, and the fact that replaced it may only come in a later one. There is one such database at a time;
 * others go on beside it.
 *
 * Threads: one at a time; any. */
#ifndef STORAGE_SHAREDLOG_LOG_GATHER_H
#define STORAGE_SHAREDLOG_LOG_GATHER_H

#include "storage/shard/shard_upload.h"
#include "storage/sharedlog/log_pack.h"
#include "storage/store.h"

struct log_gather;

/* How far a section brought its database. */
struct log_progress {
    uint32_t shard;
    struct slice database; /* lives in the pack */
    struct stamp position;
    bool complete;
};

struct log_backlog {
    uint64_t databases; /* that wait */
    uint64_t oldest_ms; /* wall clock: since when the longest waiting one waits; 0: none */
};

/* About `bytes` go into one object; a single entry may be longer. Errors: SYNC_ENOMEM. */
enum sync_err log_gather_new(struct store *store, uint32_t partition, uint32_t partitions, size_t bytes,
                             struct log_gather **ret, struct err_ctx *ec);
void log_gather_free(struct log_gather *g); /* takes NULL */

/* What was gathered last will not be written: it is read again from the marks. */
void log_gather_reset(struct log_gather *g);

/* Fills the pack, which is empty before. *ret, one for each section, lives until the next call. *ret_more:
 * more waits than went in. Errors: SYNC_ESTORE, SYNC_EFORMAT, SYNC_ENOMEM; the pack is then to be cleared,
 * and nothing is lost: what was in it is read again. */
enum sync_err log_gather_next(struct log_gather *g, struct log_pack *pack, uint64_t wall_ms,
                              struct log_progress **ret, size_t *ret_count, bool *ret_more,
                              struct log_backlog *ret_backlog, struct err_ctx *ec);

#endif
