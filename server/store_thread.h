/* store_thread.h -- the one thread that writes to a shard.
 *
 * It takes all that waits, forms groups of it, and commits each with one LevelDB write: while one group is
 * being synced the next gathers, so the sync's cost is shared by all who wait (group commit). Batches of one
 * connection are committed in the order in which it sent them.
 *
 * Threads: store_thread_put from any; jobs are answered on their home loops. */
#ifndef SERVER_STORE_THREAD_H
#define SERVER_STORE_THREAD_H

#include "server/ack_wait.h"
#include "server/job.h"
#include "storage/shard.h"

#include <pthread.h>
#include <stdbool.h>

struct server;

enum { GROUP_FACTS_MAX = 5000 }; /* a group ends with the batch that reaches it */

/* A batch to apply (run is NULL, and it is a struct apply_job: the thread forms groups), or any other work on
 * the shard. */
struct store_job {
    struct job job;
    struct apply_request *request; /* of a batch */
    struct shard *shard;           /* set by the thread before run */
};

struct store_thread {
    struct server *server;
    struct shard *shard;
    struct job_queue queue;
    struct ack_wait acks; /* the thread's own */
    pthread_t thread;
    bool started;
};

enum sync_err store_thread_start(struct store_thread *t, struct server *server, struct shard *shard,
                                 struct err_ctx *ec);
void store_thread_stop(struct store_thread *t); /* does what is queued, then ends; all-zero threads too */

static inline void store_thread_put(struct store_thread *t, struct store_job *j)
{
    job_queue_put(&t->queue, &j->job);
}

#endif
