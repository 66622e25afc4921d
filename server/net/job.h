/* job.h -- work that may block, and the queues and threads that do it.
 *
 * A job carries its input, its result and its error. It is queued by a loop, runs once on a worker or store
 * thread, and comes back once to the loop that sent it, whatever happened meanwhile: `run` over there, `done`
 * back here. `done` frees it. Whoever a job speaks for is looked up again by id in `done`, never by a kept
 * pointer: it may be gone.
 *
 * Threads: job_queue_* from any. */
#ifndef SERVER_NET_JOB_H
#define SERVER_NET_JOB_H

#include "core/base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct job {
    struct job *next;           /* belongs to whichever queue holds the job */
    struct loop *home;          /* the loop that sent it; NULL: no loop did, `done` runs where `run` did */
    void (*run)(struct job *);  /* on a worker or store thread; may block */
    void (*done)(struct job *); /* on the home loop; frees the job */
    enum sync_err rc;
    struct err_ctx ec; /* in the job: two threads never share a text */
};

/* What follows `run`: sends the job home. Not to be touched afterwards. */
void job_return(struct job *j);

struct job_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first;
    struct job **end;
    bool closed;
};

void job_queue_init(struct job_queue *q);
void job_queue_deinit(struct job_queue *q); /* it is empty */

/* Takes the job. A closed queue still takes: its threads end only when it is empty. */
void job_queue_put(struct job_queue *q, struct job *j);

/* Waits for jobs. Takes the first, or with `all` the whole chain. NULL: closed and empty. */
struct job *job_queue_take(struct job_queue *q, bool all);

/* All that waits now, which may be nothing: NULL. Waits for nothing but the lock. */
struct job *job_queue_take_waiting(struct job_queue *q);

/* The same as job_queue_take() with `all`, but waits no longer than timeout_ms: NULL with *ret_timed_out
 * set. */
struct job *job_queue_take_within(struct job_queue *q, uint32_t timeout_ms, bool *ret_timed_out);

/* Lets the threads that take from it end once it is empty. */
void job_queue_close(struct job_queue *q);

/* A few threads that run jobs of one queue, one by one. */
struct worker_pool {
    struct job_queue queue;
    pthread_t *threads;
    size_t thread_count;
};

enum sync_err worker_pool_start(struct worker_pool *p, size_t thread_count, const char *name,
                                struct err_ctx *ec);
void worker_pool_stop(struct worker_pool *p); /* runs what is queued, then joins; all-zero pools too */

static inline void worker_pool_put(struct worker_pool *p, struct job *j)
{
    job_queue_put(&p->queue, j);
}

/* pthread_create() with signals blocked (they are the main thread's) and a name for debuggers. */
enum sync_err thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg,
                           struct err_ctx *ec);

#endif
