#include "server/coordinator/io_pool.h"

#include <assert.h>

static void *work(void *arg)
{
    struct job_queue *q = arg;
    struct job *j;
    while ((j = job_queue_take(q, false)) != NULL) j->run(j);
    return NULL;
}

enum sync_err io_pool_start(struct io_pool *p, uint32_t threads, struct err_ctx *ec)
{
    static const char *const names[IO_LANES] = {"lease", "coordinator-io"};
    *p = (struct io_pool){0};
    assert(threads > 0 && threads <= IO_LANE_THREADS_MAX);
    for (int lane = 0; lane < IO_LANES; lane++) {
        job_queue_init(&p->lanes[lane].queue);
        p->lanes[lane].open = true;
        for (uint32_t i = 0; i < threads; i++) {
            enum sync_err rc =
                thread_start(&p->lanes[lane].threads[i], names[lane], work, &p->lanes[lane].queue, ec);
            if (rc != SYNC_OK) return rc;
            p->lanes[lane].thread_count++;
        }
    }
    return SYNC_OK;
}

void io_pool_stop(struct io_pool *p)
{
    for (int lane = 0; lane < IO_LANES; lane++) {
        if (!p->lanes[lane].open) continue;
        job_queue_close(&p->lanes[lane].queue);
        for (uint32_t i = 0; i < p->lanes[lane].thread_count; i++)
            pthread_join(p->lanes[lane].threads[i], NULL);
        job_queue_deinit(&p->lanes[lane].queue);
        p->lanes[lane].open = false;
    }
}

void io_pool_put(struct io_pool *p, enum io_lane lane, struct job *j)
{
    job_queue_put(&p->lanes[lane].queue, j);
}
