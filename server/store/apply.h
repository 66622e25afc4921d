/* apply.h -- the way of a batch from a connection to the store, to its answer, to its push.
 *
 * What makes the acknowledgement true: apply_job.finished is called only after shard_apply() returned for the
 * batch's group, and shard_apply() reports SYNC_OK only for what LevelDB has written (and synced, in fsync
 * and object mode). In object mode it is called with SYNC_OK only once the database's upload has reached the
 * stamp that it had with this batch, which the store thread learns from the uploader after the log object was
 * created (ack_wait.h); a batch that applied nothing waits likewise, since what it brought may be no further
 * yet. Whoever answers "applied" does it in `finished`, with the rc given there, and nowhere else.
 *
 * The push goes out at the commit, also when the connection is gone meanwhile or the answer has to wait. It
 * is encoded on the loop, while the store thread may be busy with others, and sent out by the store thread:
 * so every loop gets a database's pushes in the order in which they were committed, and no row arrives before
 * the migration it needs.
 *
 * Threads: the connection's loop, but where a function says otherwise. */
#ifndef SERVER_STORE_APPLY_H
#define SERVER_STORE_APPLY_H

#include "core/protocol/message.h"
#include "server/store/store_thread.h"

#include <stddef.h>
#include <stdint.h>

struct loop;
struct hook_identity;

/* What hooks have made of a batch before it comes here (hooks/hook_apply.h), for its answer and for
 * afterwards. */
struct apply_extra {
    size_t fact_count;              /* of the batch as it came */
    struct hook_identity *identity; /* who sent it: a reference, or NULL where there are no hooks */
    struct buf rejected;            /* JSON array of the ChangeSets that hooks rejected; empty: none */
    uint32_t rejected_count;
};

struct apply_job {
    struct store_job store; /* first */
    struct apply_request request;
    struct message *message; /* holds the batch */
    struct frame *frame;     /* its push; NULL while nobody listens */
    uint64_t asker;          /* id of the session or exchange that waits */
    struct site_id site;     /* of the sender */
    uint64_t began_ns;
    uint64_t ack_until_ns; /* ack_wait.h */
    struct apply_extra extra;
    void (*finished)(struct loop *l, const struct apply_job *j); /* store.job.rc and ec tell how it went */
    char database[];
};

void apply_extra_deinit(struct apply_extra *x);

/* Counts a batch that has arrived; before anything is taken out of it. */
void apply_count_received(struct loop *l, const struct message *m);

/* Checks the drift and queues the batch of m, malloc'ed, which it takes together with `extra` on SYNC_OK
 * only. Errors: SYNC_EDRIFT, SYNC_ENOMEM; `finished` is then not called. */
enum sync_err apply_submit(struct loop *l, struct slice database, const struct site_id *site,
                           struct message *m, uint64_t asker, struct apply_extra *extra,
                           void (*finished)(struct loop *l, const struct apply_job *j), struct err_ctx *ec);

/* The store thread, once the batch's group is committed or has failed: sends the push to whoever listens, and
 * the job home, or holds it where its acknowledgement has to wait. The job is gone afterwards. */
void apply_committed(struct store_thread *t, struct apply_job *j);

/* The store thread: the job goes home. */
void apply_answer(struct apply_job *j);

#endif
