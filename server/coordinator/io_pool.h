/* io_pool.h -- the threads on which the coordinator's calls to the object store block.
 *
 * Two lanes, so that what a lease depends on (reads and writes of state.json) never waits behind a list or a
 * hint that hangs. Every call that is run here has a time limit of its own.
 *
 * Threads: put from any; start and stop on one. */
#ifndef SERVER_COORDINATOR_IO_POOL_H
#define SERVER_COORDINATOR_IO_POOL_H

#include "server/net/job.h"

enum io_lane { IO_LEASE, IO_OTHER, IO_LANES };
enum { IO_LANE_THREADS_MAX = 4 };

struct io_pool {
    struct {
        struct job_queue queue;
        bool open;
        pthread_t threads[IO_LANE_THREADS_MAX];
        uint32_t thread_count;
    } lanes[IO_LANES];
};

/* threads: of each lane, at most IO_LANE_THREADS_MAX. What failed is stopped by io_pool_stop() as well. */
enum sync_err io_pool_start(struct io_pool *p, uint32_t threads, struct err_ctx *ec);

/* Runs what is queued, then joins. All-zero pools too. */
void io_pool_stop(struct io_pool *p);

/* `run` is called once, on a thread of the lane, and frees the job; `done` is not used. */
void io_pool_put(struct io_pool *p, enum io_lane lane, struct job *j);

#endif
