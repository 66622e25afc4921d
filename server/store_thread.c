#include "server/store_thread.h"

#include "server/apply.h"
#include "server/loop.h"
#include "server/server.h"
#include "server/system.h"

/* Commits the batches at the head of *chain as one group, sends them home, moves *chain behind them. */
static void commit_group(struct store_thread *t, struct job **chain)
{
    struct sync_metrics *m = &t->server->metrics;
    struct apply_request *first = NULL, **end = &first;
    struct job *jobs = *chain, *after = jobs;
    size_t facts = 0, count = 0;
    uint64_t now_ms = system_wall_ms();
    for (; after != NULL && after->run == NULL && facts < GROUP_FACTS_MAX; after = after->next, count++) {
        struct apply_request *r = ((struct store_job *)after)->request;
        r->now_ms = now_ms;
        r->next = NULL;
        *end = r;
        end = &r->next;
        facts += r->batch->fact_count;
    }
    uint64_t began_ns = system_monotonic_ns();
    shard_apply(t->shard, first);
    histogram_observe(&m->store_commit_ns, system_monotonic_ns() - began_ns);
    histogram_observe(&m->store_group_requests, count);
    counter_add(&m->store_groups, 1);

    *chain = after;
    while (jobs != after) {
        struct job *next = jobs->next;
        struct apply_request *r = ((struct store_job *)jobs)->request;
        jobs->rc = r->rc;
        if (r->rc != SYNC_OK) {
            jobs->ec = r->ec;
            counter_add(&m->store_errors, 1);
        } else if (r->result.applied > 0) {
            snapshots_note(&t->server->snapshots, r->database, r->result.applied);
        }
        apply_committed(t, (struct apply_job *)jobs);
        jobs = next;
    }
}

enum { RECOVER_INTERVAL_MS = 1000 };

/* The next jobs. A shard that a failed write has closed is opened again as soon as that works, also when
 * nobody writes: its readers wait for it too. */
static struct job *take(struct store_thread *t)
{
    const struct logger *log = &t->server->logger;
    struct err_ctx ec;
    bool timed_out;
    uint32_t wait_ms;
    while (!shard_is_closed(t->shard) && t->acks.count > 0) {
        wait_ms = ack_wait_next_ms(&t->acks, system_monotonic_ns());
        struct job *chain = job_queue_take_within(&t->queue, wait_ms, &timed_out);
        size_t expired = ack_wait_expire(&t->acks, system_monotonic_ns());
        if (expired > 0) {
            counter_add(&t->server->metrics.object.ack_timeouts, expired);
            log_error(
                log, LOG_STORAGE, "apply.not_uploaded", LOG_U64("batches", expired),
                LOG_STR("next", "refused for now; they are stored, and uploaded when that works again"));
        }
        if (!timed_out) return chain;
    }
    while (shard_is_closed(t->shard)) {
        struct job *chain = job_queue_take_within(&t->queue, RECOVER_INTERVAL_MS, &timed_out);
        counter_add(&t->server->metrics.object.ack_timeouts,
                    ack_wait_expire(&t->acks, system_monotonic_ns()));
        if (!timed_out) return chain;
        if (shard_recover(t->shard, &ec) == SYNC_OK)
            log_info(log, LOG_STORAGE, "store.recovered");
        else
            log_error(log, LOG_STORAGE, "store.closed", LOG_FAILURE(&ec),
                      LOG_STR("next", "tried again in a second"));
    }
    return job_queue_take(&t->queue, true);
}

static void *run(void *arg)
{
    struct store_thread *t = arg;
    struct job *chain;
    while ((chain = take(t)) != NULL) {
        while (chain != NULL) {
            if (chain->run == NULL) {
                commit_group(t, &chain);
                continue;
            }
            struct job *j = chain;
            chain = j->next;
            ((struct store_job *)j)->shard = t->shard;
            j->run(j);
            job_return(j);
        }
    }
    (void)ack_wait_expire(&t->acks, UINT64_MAX);
    return NULL;
}

enum sync_err store_thread_start(struct store_thread *t, struct server *server, struct shard *shard,
                                 struct err_ctx *ec)
{
    *t = (struct store_thread){.server = server, .shard = shard};
    job_queue_init(&t->queue);
    enum sync_err rc = thread_start(&t->thread, "store", run, t, ec);
    t->started = rc == SYNC_OK;
    return rc;
}

void store_thread_stop(struct store_thread *t)
{
    if (!t->started) return;
    job_queue_close(&t->queue);
    pthread_join(t->thread, NULL);
    job_queue_deinit(&t->queue);
    t->started = false;
}
