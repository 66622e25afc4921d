#include "server/store/store_thread.h"

#include "server/base/system.h"
#include "server/net/loop.h"
#include "server/server.h"
#include "server/store/apply.h"

/* ---- groups */

/* Batches that are committed together, in the order in which they are judged. */
struct batch_group {
    struct job *jobs, **jobs_end;
    struct apply_request *requests, **requests_end;
    size_t facts, count;
};

static struct store_job *take_turn(struct store_thread *t)
{
    struct rota_entry *e = rota_take(&t->rota);
    return e == NULL ? NULL : (struct store_job *)((char *)e - offsetof(struct store_job, turn));
}

static void add(struct batch_group *g, struct store_job *j, uint64_t now_ms)
{
    struct apply_request *r = j->request;
    r->now_ms = now_ms;
    r->next = NULL;
    *g->requests_end = r;
    g->requests_end = &r->next;
    j->job.next = NULL;
    *g->jobs_end = &j->job;
    g->jobs_end = &j->job.next;
    g->facts += r->batch->fact_count;
    g->count++;
}

/* Gathers those whose turn it is. Other work ends the group: it is returned, to be done when the group is
 * committed, since it may stand behind a batch of it. */
static struct store_job *gather(struct batch_group *g, struct store_thread *t)
{
    uint64_t now_ms = system_wall_ms();
    struct store_job *j;
    rota_begin_round(&t->rota);
    while (g->facts < GROUP_FACTS_MAX && (j = take_turn(t)) != NULL) {
        if (j->job.run != NULL) return j;
        add(g, j, now_ms);
    }
    return NULL;
}

static void commit(struct batch_group *g, struct store_thread *t)
{
    struct sync_metrics *m = &t->server->metrics;
    uint64_t began_ns = system_monotonic_ns();
    shard_apply(t->shard, g->requests);
    histogram_observe(&m->store_commit_ns, system_monotonic_ns() - began_ns);
    histogram_observe(&m->store_group_requests, g->count);
    counter_add(&m->store_groups, 1);
}

/* After the commit, and nowhere else: each batch goes home with what became of it. */
static void send_home(struct batch_group *g, struct store_thread *t)
{
    for (struct job *j = g->jobs, *next; j != NULL; j = next) {
        struct apply_request *r = ((struct store_job *)j)->request;
        next = j->next;
        j->rc = r->rc;
        if (r->rc != SYNC_OK) {
            j->ec = r->ec;
            counter_add(&t->server->metrics.store_errors, 1);
        } else if (r->result.applied > 0) {
            snapshots_note(&t->server->snapshots, r->database, r->result.applied);
        }
        apply_committed(t, (struct apply_job *)j);
    }
}

static void do_group(struct store_thread *t)
{
    struct batch_group g = {.jobs_end = &g.jobs, .requests_end = &g.requests};
    struct store_job *other = gather(&g, t);
    if (g.count > 0) {
        commit(&g, t);
        send_home(&g, t);
    }
    if (other == NULL) return;
    other->shard = t->shard;
    other->job.run(&other->job);
    job_return(&other->job);
}

/* ---- what waits */

enum { RECOVER_INTERVAL_MS = 1000 };

static void expire_acks(struct store_thread *t)
{
    size_t expired = ack_wait_expire(&t->acks, system_monotonic_ns());
    if (expired == 0) return;
    counter_add(&t->server->metrics.object.ack_timeouts, expired);
    log_error(&t->server->logger, LOG_STORAGE, "apply.not_uploaded", LOG_U64("batches", expired),
              LOG_STR("next", "refused for now; they are stored, and uploaded when that works again"));
}

/* Waits for the next jobs. A shard that a failed write has closed is opened again as soon as that works, also
 * when nobody writes: its readers wait for it too. */
static struct job *take(struct store_thread *t)
{
    const struct logger *log = &t->server->logger;
    struct err_ctx ec;
    bool timed_out;
    uint32_t wait_ms;
    while (!shard_is_closed(t->shard) && t->acks.count > 0) {
        wait_ms = ack_wait_next_ms(&t->acks, system_monotonic_ns());
        struct job *chain = job_queue_take_within(&t->queue, wait_ms, &timed_out);
        expire_acks(t);
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

/* What a job is worth, of a turn. A batch costs something also where it brings nothing. */
static uint32_t cost_of(const struct store_job *j)
{
    return j->job.run != NULL ? ROTA_TURN_COST : (uint32_t)(1 + j->request->batch->fact_count);
}

/* Puts what has come in line, and waits for it where nothing is. False: the queue is closed, and all is
 * done. */
static bool line_up(struct store_thread *t)
{
    struct job *chain;
    if (t->rota.count == 0) {
        chain = take(t);
    } else {
        chain = job_queue_take_waiting(&t->queue);
        expire_acks(t);
    }
    while (chain != NULL) {
        struct store_job *j = (struct store_job *)chain;
        chain = chain->next;
        rota_put(&t->rota, &j->turn, j->database, cost_of(j));
    }
    return t->rota.count > 0;
}

static void *run(void *arg)
{
    struct store_thread *t = arg;
    while (line_up(t)) do_group(t);
    (void)ack_wait_expire(&t->acks, UINT64_MAX);
    return NULL;
}

enum sync_err store_thread_start(struct store_thread *t, struct server *server, struct shard *shard,
                                 struct err_ctx *ec)
{
    *t = (struct store_thread){.server = server, .shard = shard};
    job_queue_init(&t->queue);
    rota_init(&t->rota, system_random_u64());
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
