/* Queues and workers under many threads: each job runs once and comes home once, those of one sender in their
 * order, and what is queued is done before the threads end. A plain program: it also runs under
 * ThreadSanitizer. */
#include "server/net/job.h"
#include "server/net/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { SENDERS = 3, TAKERS = 3, JOBS = 4000, ROUNDS = 20 };

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

struct test_job {
    struct job job; /* first */
    int sender, number;
    int again;     /* how often it is posted again when it is done */
    unsigned runs; /* not atomic: whoever has the job is alone with it */
    unsigned dones;
};

/* ---- queues */

static struct job_queue queue;
static struct test_job jobs[SENDERS][JOBS];
static atomic_uint taken;

static void *send_all(void *arg)
{
    struct test_job *mine = arg;
    for (int i = 0; i < JOBS; i++) job_queue_put(&queue, &mine[i].job);
    return NULL;
}

static void take_one(struct job *j, int last[SENDERS])
{
    struct test_job *t = (struct test_job *)j;
    check(t->number > last[t->sender], "jobs of a sender come in their order");
    last[t->sender] = t->number;
    t->runs++;
    atomic_fetch_add(&taken, 1);
}

static void *take_singly(void *arg)
{
    int last[SENDERS];
    (void)arg;
    for (int i = 0; i < SENDERS; i++) last[i] = -1;
    for (struct job *j; (j = job_queue_take(&queue, false)) != NULL;) {
        check(j->next == NULL, "a job that is taken singly has no next");
        take_one(j, last);
    }
    return NULL;
}

static void *take_chains(void *arg)
{
    int last[SENDERS];
    (void)arg;
    for (int i = 0; i < SENDERS; i++) last[i] = -1;
    for (struct job *j; (j = job_queue_take(&queue, true)) != NULL;)
        for (; j != NULL; j = j->next) take_one(j, last);
    return NULL;
}

static void test_queue(void *(*take)(void *))
{
    pthread_t senders[SENDERS], takers[TAKERS];
    job_queue_init(&queue);
    atomic_store(&taken, 0);
    for (int s = 0; s < SENDERS; s++)
        for (int i = 0; i < JOBS; i++) jobs[s][i] = (struct test_job){.sender = s, .number = i};
    for (int i = 0; i < TAKERS; i++)
        check(pthread_create(&takers[i], NULL, take, NULL) == 0, "pthread_create");
    for (int i = 0; i < SENDERS; i++)
        check(pthread_create(&senders[i], NULL, send_all, jobs[i]) == 0, "pthread_create");
    for (int i = 0; i < SENDERS; i++) pthread_join(senders[i], NULL);
    job_queue_close(&queue); /* what is in it is still taken */
    for (int i = 0; i < TAKERS; i++) pthread_join(takers[i], NULL);
    check(atomic_load(&taken) == SENDERS * JOBS, "all jobs are taken");
    for (int s = 0; s < SENDERS; s++)
        for (int i = 0; i < JOBS; i++) check(jobs[s][i].runs == 1, "each job is taken once");
    check(job_queue_take(&queue, true) == NULL, "closed and empty");
    job_queue_deinit(&queue);
}

/* ---- workers, and the way home; a loop without sockets */

static struct loop home;
static struct worker_pool pool;
static pthread_t home_thread;
static unsigned left; /* jobs that are not done for good; the home thread's */

static void come_home(uv_async_t *wake)
{
    pthread_mutex_lock(&home.lock);
    struct job *j = home.inbox;
    home.inbox = NULL;
    home.inbox_end = &home.inbox;
    pthread_mutex_unlock(&home.lock);
    while (j != NULL) {
        struct job *next = j->next;
        j->done(j);
        j = next;
    }
    if (left == 0) uv_close((uv_handle_t *)wake, NULL);
}

static void run_job(struct job *j)
{
    check(!pthread_equal(pthread_self(), home_thread), "work is done elsewhere");
    ((struct test_job *)j)->runs++;
    j->rc = SYNC_EBUSY;
}

static void done_job(struct job *j)
{
    struct test_job *t = (struct test_job *)j;
    check(pthread_equal(pthread_self(), home_thread), "a job comes home to its loop");
    check(j->rc == SYNC_EBUSY, "with its result");
    t->dones++;
    check(t->dones == t->runs, "once for each run");
    j->rc = SYNC_OK;
    if (t->again-- > 0)
        worker_pool_put(&pool, j);
    else
        left--;
}

static void test_workers(void)
{
    struct err_ctx ec;
    home = (struct loop){0};
    home.inbox_end = &home.inbox;
    home_thread = pthread_self();
    check(pthread_mutex_init(&home.lock, NULL) == 0, "pthread_mutex_init");
    check(uv_loop_init(&home.uv) == 0 && uv_async_init(&home.uv, &home.wake, come_home) == 0, "uv");
    check(worker_pool_start(&pool, TAKERS, "test", &ec) == SYNC_OK, "worker_pool_start");
    left = JOBS;
    for (int i = 0; i < JOBS; i++) {
        jobs[0][i] = (struct test_job){.again = i % 3};
        jobs[0][i].job = (struct job){.home = &home, .run = run_job, .done = done_job};
        worker_pool_put(&pool, &jobs[0][i].job);
    }
    check(uv_run(&home.uv, UV_RUN_DEFAULT) == 0, "uv_run"); /* ends when the last job is home */
    worker_pool_stop(&pool);
    for (int i = 0; i < JOBS; i++)
        check(jobs[0][i].dones == 1u + (unsigned)(i % 3), "each job is done as often as sent");
    check(uv_loop_close(&home.uv) == 0, "uv_loop_close");
    pthread_mutex_destroy(&home.lock);
}

/* Stopping runs what is queued; it comes home, to be looked at there. */
static void test_stop(void)
{
    struct err_ctx ec;
    home = (struct loop){0};
    home.inbox_end = &home.inbox;
    check(pthread_mutex_init(&home.lock, NULL) == 0, "pthread_mutex_init");
    check(uv_loop_init(&home.uv) == 0 && uv_async_init(&home.uv, &home.wake, come_home) == 0, "uv");
    check(worker_pool_start(&pool, TAKERS, "test", &ec) == SYNC_OK, "worker_pool_start");
    for (int i = 0; i < JOBS; i++) {
        jobs[0][i] = (struct test_job){.job = {.home = &home, .run = run_job, .done = done_job}};
        worker_pool_put(&pool, &jobs[0][i].job);
    }
    worker_pool_stop(&pool);
    unsigned count = 0;
    for (struct job *j = home.inbox; j != NULL; j = j->next) count++;
    check(count == JOBS, "all that was queued has run");
    left = JOBS;
    check(uv_run(&home.uv, UV_RUN_DEFAULT) == 0, "uv_run");
    check(left == 0, "and is done");
    check(uv_loop_close(&home.uv) == 0, "uv_loop_close");
    pthread_mutex_destroy(&home.lock);

    static struct worker_pool never_started;
    worker_pool_stop(&never_started);
}

int main(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        test_queue(take_singly);
        test_queue(take_chains);
        test_workers();
        test_stop();
    }
    return 0;
}
