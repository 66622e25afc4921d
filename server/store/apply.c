#include "server/store/apply.h"

#include "server/base/system.h"
#include "server/hooks/hook_apply.h"
#include "server/net/admission.h"
#include "server/net/loop.h"
#include "server/server.h"

#include <stdlib.h>

#define FAILURE_LOG_INTERVAL_NS UINT64_C(10000000000)

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

static void push_to(struct loop *l, struct frame *f)
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

static bool anyone_listens(const struct server *s, struct slice database)
{
    for (uint32_t i = 0; i < s->loop_count; i++)
        if (interest_has(&s->loops[i].hub.interest, database)) return true;
    return false;
}

/* On this loop the sender itself need not count; what other loops have is known only roughly. */
static bool others_listen(const struct loop *l, struct slice database)
{
    const struct server *s = l->server;
    for (uint32_t i = 0; i < s->loop_count; i++)
        if (&s->loops[i] != l && interest_has(&s->loops[i].hub.interest, database)) return true;
    return false;
}

static struct frame *make_frame(struct server *s, const struct apply_job *j)
{
    struct frame *f = frame_new(j->request.database, &j->site, &j->message->batch);
    if (f == NULL) counter_add(&s->metrics.broadcast_errors, 1);
    return f;
}

void apply_answer(struct apply_job *j)
{
    loop_post(j->store.job.home, &j->store.job);
}

/* Must the answer wait for the shared log? */
static bool is_held(struct server *s, const struct apply_job *j)
{
    return s->config->storage.durability == DURABILITY_OBJECT && j->store.job.rc == SYNC_OK &&
           j->request.waiting;
}

void apply_committed(struct store_thread *t, struct apply_job *j)
{
    struct server *s = t->server;
    struct frame *f = j->frame;
    j->frame = NULL;
    bool pushed = j->store.job.rc == SYNC_OK && j->request.result.applied > 0;
    /* Asked again after the commit: whoever subscribed meanwhile may have missed it in its first delta. */
    if (pushed && f == NULL && anyone_listens(s, j->request.database)) f = make_frame(s, j);
    if (pushed) shared_log_accepted(&s->shared_log, j->request.database, j->message->batch.text_len);
    if (is_held(s, j)) {
        uint64_t wait_ns = (uint64_t)s->config->object.ack_timeout_ms * 1000000u;
        ack_wait_hold(&t->acks, j, system_monotonic_ns() + wait_ns);
    } else {
        apply_answer(j); /* the answer first; from here on the job is not ours */
    }
    for (uint32_t i = 0; pushed && f != NULL && i < s->loop_count; i++)
        if (interest_has(&s->loops[i].hub.interest, f->database)) push_to(&s->loops[i], f);
    frame_unref(f);
}

/* On a disk that fails every batch does. */
static void log_failure(struct loop *l, const struct apply_job *j)
{
    uint64_t untold;
    if (!seldom_tells(&l->server->apply_failures, FAILURE_LOG_INTERVAL_NS, system_monotonic_ns(), &untold))
        return;
    log_error(&l->server->logger, LOG_STORAGE, "apply.failed", LOG_SLICE("db", j->request.database),
              LOG_FAILURE(&j->store.job.ec), LOG_U64("untold", untold),
              LOG_STR("next", "further ones are counted, and told in 10 s at the earliest"));
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
        log_failure(l, j);
    }
    admission_ends(l->server->admission);
    j->finished(l, j);
    presence_leave(&l->server->presence, j->request.database);
    receiving_batch_ends(l, j->message->batch.text_len);
    if (job->rc == SYNC_OK) hook_applied(l, j);
    if (j->message != NULL) message_deinit(j->message);
    free(j->message);
    apply_extra_deinit(&j->extra);
    free(j);
}

void apply_extra_deinit(struct apply_extra *x)
{
    buf_deinit(&x->rejected);
    hook_identity_unref(x->identity);
    x->identity = NULL;
}

void apply_count_received(struct loop *l, const struct message *m)
{
    counter_add(&l->server->metrics.changes_received, m->batch.fact_count);
    histogram_observe(&l->server->metrics.change_batch_size, m->batch.fact_count);
}

enum sync_err apply_submit(struct loop *l, struct slice database, const struct site_id *site,
                           struct message *m, uint64_t asker, struct apply_extra *extra,
                           void (*finished)(struct loop *l, const struct apply_job *j), struct err_ctx *ec)
{
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
    j->extra = *extra;
    j->site = *site;
    j->finished = finished;
    j->began_ns = system_monotonic_ns();
    presence_hold(&l->server->presence, j->request.database);
    receiving_batch_begins(l, m->batch.text_len);
    admission_begins(l->server->admission);
    admission_batch_taken(l->server->admission, &l->config->limits, database, site, m->batch.fact_count,
                          j->began_ns);
    if (hub_has_receiver(&l->hub, database, site) || others_listen(l, database))
        j->frame = make_frame(l->server, j);
    store_thread_put(server_store_thread(l->server, database), j->request.database, &j->store);
    return SYNC_OK;
}
