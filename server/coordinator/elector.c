#include "server/coordinator/elector.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/coordinator/alarm.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct request {
    struct job job; /* first */
    struct elector *elector;
    struct election_op op;
    struct election_answer answer;
    struct request *next; /* of the answered ones */
};

struct elector {
    struct elector_config cfg;
    struct wake_alarm alarm;
    pthread_t thread;
    bool thread_started;
    struct election_update update; /* the thread's own */
    atomic_bool cancel;            /* calls under way end at once */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct election *election;
    struct election_lead lead;
    struct request *answered, **answered_end;
    unsigned asked; /* a bit for each input kind */
    bool gone;      /* the election has left */
    bool abandoned; /* nobody waits for that any more */
};

/* ---- requests */

static void request_run(struct job *job)
{
    struct request *r = (struct request *)job;
    struct elector *el = r->elector;
    election_io_run(&el->cfg.site, &r->op, &el->cancel, &r->answer);
    pthread_mutex_lock(&el->lock);
    r->next = NULL;
    *el->answered_end = r;
    el->answered_end = &r->next;
    pthread_mutex_unlock(&el->lock);
    alarm_ring(&el->alarm);
}

static void send(struct elector *el, const struct election_op *op)
{
    bool lease = op->kind == ELECTION_READ_STATE || op->kind == ELECTION_WRITE_STATE;
    struct request *r = calloc(1, sizeof *r);
    if (r == NULL) return; /* never answered: to the election the outcome is unknown */
    r->job.run = request_run;
    r->elector = el;
    r->op = *op;
    io_pool_put(el->cfg.pool, lease ? IO_LEASE : IO_OTHER, &r->job);
}

static void request_free(struct request *r)
{
    election_answer_deinit(&r->answer);
    free(r);
}

/* ---- the thread */

static void step(struct elector *el, enum election_input_kind kind, const struct election_result *result)
{
    struct election_update *u = &el->update;
    struct election_input in = {
        .kind = kind, .wall_ms = system_wall_ms(), .random = system_random_u64(), .result = result};
    bool gone = false;
    pthread_mutex_lock(&el->lock);
    in.mono_ms = system_boot_ms();
    election_step(el->election, &in, u);
    el->lead = u->lead;
    pthread_mutex_unlock(&el->lock);

    for (size_t i = 0; i < u->op_count; i++) send(el, &u->ops[i]);
    for (size_t i = 0; i < u->event_count; i++) {
        gone |= u->events[i].kind == ELECTION_EVENT_GONE;
        el->cfg.listener.happened(el->cfg.listener.arg, &u->events[i]);
    }
    for (size_t i = 0; i < u->hint_count; i++) el->cfg.listener.hint(el->cfg.listener.arg, u->hints[i]);
    if (!gone) return;
    pthread_mutex_lock(&el->lock);
    el->gone = true;
    pthread_cond_broadcast(&el->changed);
    pthread_mutex_unlock(&el->lock);
}

/* Is the command that a listing found for the epoch led here? */
static void obey_step_down(struct elector *el, uint64_t epoch)
{
    uint64_t led;
    if (epoch > 0 && elector_may_lead(el, &led) && led == epoch) step(el, ELECTION_STEP_DOWN, NULL);
}

static void take_answers(struct elector *el, struct request *r)
{
    while (r != NULL) {
        struct request *next = r->next;
        step(el, ELECTION_RESULT, &r->answer.result);
        obey_step_down(el, r->answer.step_down_epoch);
        request_free(r);
        r = next;
    }
}

static void *run(void *arg)
{
    struct elector *el = arg;
    bool on = true;
    step(el, ELECTION_TICK, NULL);
    while (on) {
        alarm_wait(&el->alarm, el->update.wake_ms);
        pthread_mutex_lock(&el->lock);
        struct request *answered = el->answered;
        unsigned asked = el->asked;
        el->answered = NULL;
        el->answered_end = &el->answered;
        el->asked = 0;
        pthread_mutex_unlock(&el->lock);

        take_answers(el, answered);
        for (unsigned kind = 0; asked >> kind != 0; kind++)
            if (asked >> kind & 1) step(el, (enum election_input_kind)kind, NULL);
        if (answered == NULL && asked == 0) step(el, ELECTION_TICK, NULL);

        pthread_mutex_lock(&el->lock);
        on = !el->gone && !el->abandoned;
        pthread_mutex_unlock(&el->lock);
    }
    return NULL;
}

/* ---- its life */

enum sync_err elector_start(const struct elector_config *cfg, struct elector **ret, struct err_ctx *ec)
{
    struct elector *el = calloc(1, sizeof *el);
    if (el == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for an election");
    el->cfg = *cfg;
    el->alarm = (struct wake_alarm){-1, -1};
    el->answered_end = &el->answered;
    wait_init(&el->lock, &el->changed);
    enum sync_err rc = alarm_open(&el->alarm, ec);
    if (rc == SYNC_OK) rc = election_new(&el->cfg.election, &el->cfg.site.self, &el->election, ec);
    *ret = el; /* before its thread tells anybody anything */
    if (rc == SYNC_OK) rc = thread_start(&el->thread, "elector", run, el, ec);
    el->thread_started = rc == SYNC_OK;
    if (rc != SYNC_OK) {
        *ret = NULL;
        elector_free(el);
    }
    return rc;
}

void elector_ask(struct elector *el, enum election_input_kind kind)
{
    pthread_mutex_lock(&el->lock);
    el->asked |= 1u << kind;
    pthread_mutex_unlock(&el->lock);
    alarm_ring(&el->alarm);
}

void elector_leave(struct elector *el, uint32_t within_ms)
{
    if (!el->thread_started) return;
    elector_ask(el, ELECTION_LEAVE); /* a second time does nothing */
    struct timespec until = wait_until_ms(within_ms);
    pthread_mutex_lock(&el->lock);
    while (!el->gone && pthread_cond_timedwait(&el->changed, &el->lock, &until) != ETIMEDOUT) continue;
    el->abandoned = true;
    pthread_mutex_unlock(&el->lock);
    atomic_store(&el->cancel, true);
    alarm_ring(&el->alarm);
    pthread_join(el->thread, NULL);
    el->thread_started = false;
}

void elector_free(struct elector *el)
{
    if (el == NULL) return;
    while (el->answered != NULL) {
        struct request *r = el->answered;
        el->answered = r->next;
        request_free(r);
    }
    election_free(el->election);
    alarm_close(&el->alarm);
    (void)pthread_cond_destroy(&el->changed);
    (void)pthread_mutex_destroy(&el->lock);
    free(el);
}

/* ---- looking at it */

bool elector_may_lead(struct elector *el, uint64_t *ret_epoch)
{
    pthread_mutex_lock(&el->lock);
    struct election_lead lead = el->lead;
    pthread_mutex_unlock(&el->lock);
    *ret_epoch = lead.epoch;
    return election_may_lead(&lead, system_boot_ms());
}

void elector_lend(struct elector *el, uint32_t requests)
{
    pthread_mutex_lock(&el->lock);
    election_lend(el->election, requests, system_boot_ms());
    pthread_mutex_unlock(&el->lock);
}

void elector_status(struct elector *el, struct election_status *ret)
{
    pthread_mutex_lock(&el->lock);
    election_status(el->election, system_boot_ms(), ret);
    pthread_mutex_unlock(&el->lock);
}

void elector_each_worker(struct elector *el, void (*each)(void *arg, const struct election_worker *w),
                         void *arg)
{
    pthread_mutex_lock(&el->lock);
    const struct election_workers *workers = election_workers(el->election);
    for (size_t i = 0; i < workers->count; i++) each(arg, &workers->all[i]);
    pthread_mutex_unlock(&el->lock);
}

struct live_ids {
    const char *self;
    char (*ids)[WORKER_ID_MAX + 1];
    size_t count, max;
};

static void add_live(void *arg, const struct election_worker *w)
{
    struct live_ids *l = arg;
    if (!w->live || l->count == l->max || strcmp(w->id, l->self) == 0) return;
    memcpy(l->ids[l->count++], w->id, sizeof w->id);
}

size_t elector_live_workers(struct elector *el, char (*ids)[WORKER_ID_MAX + 1], size_t max)
{
    struct live_ids l = {.self = el->cfg.site.self.worker_id, .ids = ids, .max = max};
    if (max == 0) return 0;
    memcpy(ids[l.count++], l.self, sizeof ids[0]);
    elector_each_worker(el, add_live, &l);
    return l.count;
}

const struct election_site *elector_site(const struct elector *el)
{
    return &el->cfg.site;
}

const struct election_config *elector_election_config(const struct elector *el)
{
    return &el->cfg.election;
}
