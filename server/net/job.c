#include "server/net/job.h"

#include "server/base/waiting.h"
#include "server/net/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void job_queue_init(struct job_queue *q)
{
    *q = (struct job_queue){0};
    wait_init(&q->lock, &q->changed);
    q->end = &q->first;
}

void job_queue_deinit(struct job_queue *q)
{
    assert(q->first == NULL);
    (void)pthread_mutex_destroy(&q->lock);
    (void)pthread_cond_destroy(&q->changed);
}

void job_queue_put(struct job_queue *q, struct job *j)
{
    j->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->end = j;
    q->end = &j->next;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

/* Under the lock. */
static struct job *unhook(struct job_queue *q, bool all)
{
    struct job *j = q->first;
    if (j == NULL) return NULL;
    q->first = all ? NULL : j->next;
    if (q->first == NULL) q->end = &q->first;
    if (!all) j->next = NULL;
    return j;
}

struct job *job_queue_take(struct job_queue *q, bool all)
{
    pthread_mutex_lock(&q->lock);
    while (q->first == NULL && !q->closed) pthread_cond_wait(&q->changed, &q->lock);
    struct job *j = unhook(q, all);
    pthread_mutex_unlock(&q->lock);
    return j;
}

struct job *job_queue_take_waiting(struct job_queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct job *j = unhook(q, true);
    pthread_mutex_unlock(&q->lock);
    return j;
}

struct job *job_queue_take_within(struct job_queue *q, uint32_t timeout_ms, bool *ret_timed_out)
{
    int waited = 0;
    struct timespec until = wait_until_ms(timeout_ms);
    pthread_mutex_lock(&q->lock);
    while (q->first == NULL && !q->closed && waited == 0)
        waited = pthread_cond_timedwait(&q->changed, &q->lock, &until);
    struct job *j = unhook(q, true);
    *ret_timed_out = j == NULL && !q->closed;
    pthread_mutex_unlock(&q->lock);
    return j;
}

void job_queue_close(struct job_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

enum sync_err thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg,
                           struct err_ctx *ec)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(ret, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) return err_set(ec, SYNC_ENOMEM, "start thread %s: %s", name, strerror(failed));
    (void)pthread_setname_np(*ret, name); /* only for debuggers */
    return SYNC_OK;
}

void job_return(struct job *j)
{
    if (j->home == NULL)
        j->done(j);
    else
        loop_post(j->home, j);
}

static void *work(void *arg)
{
    struct worker_pool *p = arg;
    struct job *j;
    while ((j = job_queue_take(&p->queue, false)) != NULL) {
        j->run(j);
        job_return(j);
    }
    return NULL;
}

enum sync_err worker_pool_start(struct worker_pool *p, size_t thread_count, const char *name,
                                struct err_ctx *ec)
{
    *p = (struct worker_pool){0};
    job_queue_init(&p->queue);
    p->threads = calloc(thread_count, sizeof *p->threads);
    if (p->threads == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for %zu threads", thread_count);
    for (; p->thread_count < thread_count; p->thread_count++) {
        enum sync_err rc = thread_start(&p->threads[p->thread_count], name, work, p, ec);
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

void worker_pool_stop(struct worker_pool *p)
{
    if (p->threads == NULL) return;
    job_queue_close(&p->queue);
    for (size_t i = 0; i < p->thread_count; i++) pthread_join(p->threads[i], NULL);
    free(p->threads);
    p->threads = NULL;
    job_queue_deinit(&p->queue);
}
