/* apply.h -- the way of a batch from a connection to the store, to its answer, to its push.
 *
 * What makes the acknowledgement true: apply_job.finished is called only after shard_apply() returned for the
 * batch's group, and shard_apply() reports SYNC_OK only for what LevelDB has written (and synced, in fsync
 * mode). Whoever answers "applied" does it in `finished`, with the rc given there, and nowhere else. The push
 * follows the answer; if the connection is gone, the batch is pushed all the same.
 *
 * Threads: the connection's loop. */
#ifndef SERVER_APPLY_H
#define SERVER_APPLY_H

#include "core/message.h"
#include "server/store_thread.h"

#include <stddef.h>
#include <stdint.h>

struct loop;

struct apply_job {
    struct store_job store; /* first */
    struct apply_request request;
    struct message *message; /* holds the batch */
    uint64_t asker;          /* id of the session or exchange that waits */
    struct site_id site;     /* of the sender */
    uint64_t began_ns;
    void (*finished)(struct loop *l, const struct apply_job *j); /* store.job.rc and ec tell how it went */
    char database[];
};

/* Checks the drift and queues the batch of m, malloc'ed, which it takes on SYNC_OK only.
 * Errors: SYNC_EDRIFT, SYNC_ENOMEM; `finished` is then not called. */
enum sync_err apply_submit(struct loop *l, struct slice database, const struct site_id *site,
                           struct message *m, uint64_t asker,
                           void (*finished)(struct loop *l, const struct apply_job *j), struct err_ctx *ec);

#endif
