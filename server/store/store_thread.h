/* store_thread.h -- the one thread that writes to a shard.
 *
 * It forms groups of what waits, and commits each with one LevelDB write: while one group is being synced the
 * next gathers, so the sync's cost is shared by all who wait (group commit). Where more waits than one group
 * takes, databases have their turn one after the other (rota.h), so that the backlog of one does not hold up
 * the rest. What is put in for one database is done in that order, so batches of one connection are committed
 * in the order in which it sent them.
 *
 * Threads: store_thread_put from any; jobs are answered on their home loops. */
#ifndef SERVER_STORE_STORE_THREAD_H
#define SERVER_STORE_STORE_THREAD_H

#include "server/net/job.h"
#include "server/store/ack_wait.h"
#include "server/store/rota.h"
#include "storage/shard/shard.h"

#include <pthread.h>
#include <stdbool.h>

struct server;

enum { GROUP_FACTS_MAX = 5000 }; /* a group ends with the batch that reaches it */

/* A batch to apply (run is NULL, and it is a struct apply_job: the thread forms groups), or any other work on
 * the shard. */
struct store_job {
    struct job job;
    struct slice database; /* in whose line it stands; empty: of work for the whole shard */
    struct rota_entry turn;
    struct apply_request *request; /* of a batch */
    struct shard *shard;           /* set by the thread before run */
};

struct store_thread {
    struct server *server;
    struct shard *shard;
    struct job_queue queue;
    struct rota rota; /* the thread's own, as the next: what it has taken from the queue */
    struct ack_wait acks;
    pthread_t thread;
    bool started;
};

enum sync_err store_thread_start(struct store_thread *t, struct server *server, struct shard *shard,
                                 struct err_ctx *ec);
void store_thread_stop(struct store_thread *t); /* does what is queued, then ends; all-zero threads too */

/* Takes the job. `database` stays the caller's, and good until the job has run; it is empty for work for the
 * whole shard, which stands in a line of its own. */
static inline void store_thread_put(struct store_thread *t, struct slice database, struct store_job *j)
{
    j->database = database;
    job_queue_put(&t->queue, &j->job);
}

#endif
