#include "server/apply.h"

#include "server/loop.h"
#include "server/server.h"
#include "server/system.h"

#include <stdlib.h>

/* A frame on its way to one loop. */
struct push_job {
    struct job job;
    struct frame *frame;
};

static void push_done(struct job *j)
{
    struct push_job *p = (struct push_job *)j;
    hub_publish(&j->home->hub, p->frame);
    frame_unref(p->frame);
    free(p);
}

static void push_elsewhere(struct loop *l, struct frame *f)
{
    struct push_job *p = calloc(1, sizeof *p);
    if (p == NULL) { /* the receivers get it with their next delta */
        counter_add(&l->server->metrics.broadcast_errors, 1);
        return;
    }
    p->job.home = l;
    p->job.done = push_done;
    p->frame = frame_ref(f);
    loop_post(l, &p->job);
}

/* Hands the batch's frame, encoded once, to every loop that has receivers. */
static void publish(struct loop *l, const struct apply_job *j)
{
    struct server *s = l->server;
    struct slice database = j->request.database;
    bool here = hub_has_receiver(&l->hub, database, &j->site), anywhere = here;
    for (uint32_t i = 0; i < s->loop_count && !anywhere; i++)
        anywhere = &s->loops[i] != l && interest_has(&s->loops[i].hub.interest, database);
    if (!anywhere) return;
    struct frame *f = frame_new(database, &j->site, &j->message->batch);
    if (f == NULL) {
        counter_add(&s->metrics.broadcast_errors, 1);
        return;
    }
    for (uint32_t i = 0; i < s->loop_count; i++)
        if (&s->loops[i] != l && interest_has(&s->loops[i].hub.interest, database))
            push_elsewhere(&s->loops[i], f);
    if (here) hub_publish(&l->hub, f);
    frame_unref(f);
}

static void apply_done(struct job *job)
{
    struct apply_job *j = (struct apply_job *)job;
    struct loop *l = job->home;
    struct sync_metrics *m = &l->server->metrics;
    histogram_observe(&m->apply_changes_ns, system_monotonic_ns() - j->began_ns);
    if (job->rc == SYNC_OK) {
        counter_add(&m->changes_applied, j->request.result.applied);
    } else {
        log_error(&l->server->logger, LOG_STORAGE, "apply.failed", LOG_SLICE("db", j->request.database),
                  LOG_FAILURE(&job->ec));
    }
    j->finished(l, j);
    if (job->rc == SYNC_OK && j->request.result.applied > 0) publish(l, j);
    message_deinit(j->message);
    free(j->message);
    free(j);
}

enum sync_err apply_submit(struct loop *l, struct slice database, const struct site_id *site,
                           struct message *m, uint64_t asker,
                           void (*finished)(struct loop *l, const struct apply_job *j), struct err_ctx *ec)
{
    struct sync_metrics *metrics = &l->server->metrics;
    counter_add(&metrics->changes_received, m->batch.fact_count);
    histogram_observe(&metrics->change_batch_size, m->batch.fact_count);
    enum sync_err rc = hlc_check_drift(&m->batch.highest, system_wall_ms(), ec);
    if (rc != SYNC_OK) return rc;
    struct apply_job *j = calloc(1, sizeof *j + database.len);
    if (j == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a batch");
    memcpy(j->database, database.bytes, database.len);
    j->request.database = slice_of(j->database, database.len);
    j->request.batch = &m->batch;
    j->store.request = &j->request;
    j->store.job.home = l;
    j->store.job.done = apply_done;
    j->message = m;
    j->asker = asker;
    j->site = *site;
    j->finished = finished;
    j->began_ns = system_monotonic_ns();
    store_thread_put(server_store_thread(l->server, database), &j->store);
    return SYNC_OK;
}
