#include "core/election/election.h"

#include "core/election/election_internal.h"
#include "core/election/heartbeat.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum sync_err election_new(const struct election_config *cfg, const struct election_self *self,
                           struct election **ret, struct err_ctx *ec)
{
    if (!worker_id_ok(slice_str(self->worker_id)))
        return err_set(ec, SYNC_ECONFIG,
                       "a worker id is 1 to %d of A-Z a-z 0-9 _ . -, not starting with a dot", WORKER_ID_MAX);
    struct election *e = calloc(1, sizeof *e);
    if (e == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for an election");
    e->cfg = *cfg;
    e->timing = election_timing_of(cfg);
    e->self = *self;
    e->workers = workers_make();
    e->heartbeat_ms = e->contention_ms = ELECTION_NEVER;
    breaker_init(&e->breaker, &cfg->breaker);
    *ret = e;
    return SYNC_OK;
}

void election_free(struct election *e)
{
    if (e == NULL) return;
    workers_deinit(&e->workers);
    free(e);
}

struct election_event *election_tell(struct election *e, enum election_event_kind kind)
{
    assert(e->u->event_count <
           ELECTION_EVENTS_MAX); /* a step tells a few; tell_workers() fills up the rest */
    struct election_event *ev = &e->u->events[e->u->event_count++];
    *ev = (struct election_event){.kind = kind};
    return ev;
}

void election_move_phase(struct election *e, enum election_phase phase)
{
    assert(phase > e->phase); /* the cold start goes one way, some may be left out */
    struct election_event *ev = election_tell(e, ELECTION_EVENT_PHASE);
    ev->phase = phase;
    ev->duration_ms = e->now - e->phase_ms;
    e->phase = phase;
    e->phase_ms = e->now;
}

/* splitmix64 over the input's random bits: one input may need several numbers. */
uint64_t election_draw(struct election *e)
{
    uint64_t z = (e->random += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A heartbeat that was due at due_ms has been written: a worker's record, or a leader's renewal. */
void election_heartbeat_done(struct election *e, uint64_t due_ms)
{
    uint64_t took_ms = e->now > due_ms ? e->now - due_ms : 0;
    uint32_t interval_ms = e->cfg.heartbeat_interval_ms;
    e->counters.heartbeats++;
    e->heartbeat_ms = e->now;
    struct election_event *ev = election_tell(e, ELECTION_EVENT_HEARTBEAT);
    ev->duration_ms = took_ms;
    if (took_ms * 100 <= (uint64_t)interval_ms * e->cfg.contention.threshold_percent) return;
    e->counters.contentions++;
    if (e->contention_ms != ELECTION_NEVER && e->now - e->contention_ms < e->cfg.contention.rate_limit_ms)
        return;
    e->contention_ms = e->now;
    ev = election_tell(e, ELECTION_EVENT_CONTENTION);
    ev->duration_ms = took_ms;
    ev->expected_ms = interval_ms;
}

/* --- the first input --- */

static void start(struct election *e)
{
    uint32_t jitter_ms = e->cfg.heartbeat_jitter_ms < ELECTION_START_JITTER_MS_MAX
                             ? e->cfg.heartbeat_jitter_ms
                             : ELECTION_START_JITTER_MS_MAX;
    e->started = true;
    e->start_ms = heartbeat_after(e->now, 0, jitter_ms, election_draw(e));
    e->budget = request_budget_make(e->cfg.heartbeat_interval_ms, e->now);
    e->registered_wall_ms = e->wall;
    e->phase = e->cfg.cold_start.skip ? ELECTION_READY : ELECTION_OBSERVING;
    e->phase_ms = e->now;
    e->observe_ms = e->start_ms + e->cfg.cold_start.observation_window_ms;
    e->role = ELECTION_FOLLOWER;
    e->look_ms = e->put_ms = e->put_due_ms = e->start_ms;
    e->breaker_told = BREAKER_CLOSED;
    (void)election_tell(e, ELECTION_EVENT_STARTED);
}

/* --- answers --- */

static void on_state_read(struct election *e, const struct election_result *r, uint64_t sent_ms)
{
    bool changed = false;
    if (r->outcome == ELECTION_OK)
        changed = election_sight_set(e, r->readable ? SIGHT_STATE : SIGHT_UNREADABLE, &r->etag, &r->state);
    else if (r->outcome == ELECTION_ABSENT)
        changed = election_sight_set(e, SIGHT_ABSENT, &r->etag, NULL);
    switch (e->role) {
    case ELECTION_FOLLOWER: election_follow_read(e, r, sent_ms, changed); return;
    case ELECTION_CANDIDATE: election_campaign_read(e, r, changed); return;
    case ELECTION_LEADER: election_lead_read(e, r); return;
    case ELECTION_RELEASING: election_release_read(e, r); return;
    case ELECTION_OUT: return;
    }
}

static void on_state_written(struct election *e, const struct election_result *r, uint64_t sent_ms)
{
    if (r->outcome == ELECTION_OK) (void)election_sight_set(e, SIGHT_STATE, &r->etag, &e->write.state);
    switch (e->role) {
    case ELECTION_FOLLOWER: e->look_ms = e->now; return; /* from before it was one; see what became of it */
    case ELECTION_CANDIDATE: election_campaign_written(e, r->outcome, sent_ms); return;
    case ELECTION_LEADER: election_lead_written(e, r->outcome, sent_ms); return;
    case ELECTION_RELEASING: election_release_written(e, r->outcome); return;
    case ELECTION_OUT: return;
    }
}

static void take_list(struct election *e, const struct election_result *r)
{
    uint64_t oldest = 0;
    workers_list_start(&e->workers);
    for (size_t i = 0; i < r->listed_count; i++) {
        struct slice id;
        uint64_t epoch;
        if (election_key_worker(r->listed[i].key, &id)) {
            workers_list_see(&e->workers, id, &r->listed[i].etag, e->now);
        } else if (election_key_epoch(r->listed[i].key, &epoch)) {
            election_learn_epoch(e, epoch);
            if (epoch > 1 && (oldest == 0 || epoch < oldest)) oldest = epoch;
        }
    }
    workers_list_end(&e->workers, r->complete);
    workers_expire(&e->workers, e->self.worker_id, e->now, e->cfg.worker_timeout_ms);
    e->listed_ms = e->now;
    bool old = oldest > 0 && e->epoch_highest - oldest >= ELECTION_EPOCHS_KEPT;
    e->epoch_old = old ? oldest : 0;
}

static void on_list(struct election *e, const struct election_result *r)
{
    if (r->outcome == ELECTION_OK) take_list(e, r);
    if (e->role == ELECTION_CANDIDATE) election_campaign_listed(e);
    if (e->role == ELECTION_LEADER && r->outcome == ELECTION_OK) election_lead_listed(e);
    if (e->role == ELECTION_LEADER && r->outcome != ELECTION_OK) e->list_ms = e->now + e->timing.step_ms;
}

static void on_worker_put(struct election *e, enum election_outcome outcome, uint64_t sent_ms)
{
    if (outcome != ELECTION_OK) {
        e->counters.register_failures++;
        e->put_ms = e->now + e->timing.step_ms; /* still due since put_due_ms */
        (void)election_tell(e, ELECTION_EVENT_REGISTER_FAILED);
        return;
    }
    e->counters.registrations++;
    if (!e->put_ok) (void)election_tell(e, ELECTION_EVENT_REGISTERED);
    e->put_ok = true;
    uint64_t due_ms = e->put_due_ms;
    e->put_ms = e->put_due_ms =
        heartbeat_within(sent_ms, e->timing.put_worker_ms, e->cfg.heartbeat_jitter_ms, election_draw(e));
    election_heartbeat_done(e, due_ms);
}

static void on_result(struct election *e, const struct election_result *r)
{
    assert(r->kind < ELECTION_OP_KINDS);
    uint64_t sent_ms = election_land(e, r->kind, r->op_id, r->outcome != ELECTION_UNKNOWN);
    if (sent_ms == ELECTION_NEVER || e->role == ELECTION_OUT) return;
    switch (r->kind) {
    case ELECTION_READ_STATE: on_state_read(e, r, sent_ms); return;
    case ELECTION_WRITE_STATE: on_state_written(e, r, sent_ms); return;
    case ELECTION_CREATE_EPOCH:
        if (r->outcome == ELECTION_OK) e->epoch_asked_ms = sent_ms; /* no try before this one got there */
        if (e->creating_to_force)
            election_force_created(e, r->outcome, e->epoch_creating);
        else
            election_campaign_created(e, r->outcome, e->epoch_creating);
        return;
    case ELECTION_READ_EPOCH:
        if (e->role == ELECTION_CANDIDATE) election_campaign_epoch_read(e, r);
        return;
    case ELECTION_LIST: on_list(e, r); return;
    case ELECTION_PUT_WORKER: on_worker_put(e, r->outcome, sent_ms); return;
    case ELECTION_PUT_METADATA:
        if (r->outcome == ELECTION_UNKNOWN) e->metadata_due = true;
        return;
    case ELECTION_DELETE: election_release_deleted(e); return;
    case ELECTION_OP_KINDS: return;
    }
}

/* Requests that nobody answered in time. */
static void give_up_waiting(struct election *e)
{
    for (enum election_op_kind k = 0; k < ELECTION_OP_KINDS; k++) {
        const struct election_flight *f = &e->flights[k];
        if (!f->active || e->now < f->until_ms) continue;
        struct election_result r = {.kind = k, .op_id = f->id, .outcome = ELECTION_UNKNOWN};
        on_result(e, &r);
    }
}

/* --- what is asked for --- */

static void leave(struct election *e)
{
    if (e->leaving) return;
    e->leaving = true;
    bool wrote = e->role == ELECTION_CANDIDATE && e->campaign.step == CAMPAIGN_WRITE;
    bool held = election_lease_is_mine(e);
    if (e->role == ELECTION_LEADER) election_demote(e, ELECTION_LEFT);
    if (e->role == ELECTION_RELEASING || e->role == ELECTION_OUT) return;
    election_release_start(e, wrote);
    if (!wrote && !held) e->release_ms = e->now; /* there is nothing to give back */
}

static void on_hint(struct election *e)
{
    if (e->now < e->hint_ms) return; /* hints come from outside: no faster than this */
    e->hint_ms = e->now + e->timing.step_ms;
    if (e->role == ELECTION_LEADER) {
        e->list_ms = e->now;
        e->list_now = true;
    } else if (e->role == ELECTION_FOLLOWER && e->look_ms != ELECTION_NEVER) {
        e->look_ms = e->now;
    }
}

static void on_input(struct election *e, const struct election_input *in)
{
    if (in->kind == ELECTION_RESULT) on_result(e, in->result);
    if (e->role == ELECTION_OUT || e->leaving) return;
    switch (in->kind) {
    case ELECTION_TICK:
    case ELECTION_RESULT: return;
    case ELECTION_FORCE:
        e->force = true;
        e->force_tries = 0;
        e->force_ms = e->now;
        return;
    case ELECTION_STEP_DOWN: election_step_down(e); return;
    case ELECTION_LEAVE: leave(e); return;
    case ELECTION_HINT: on_hint(e); return;
    case ELECTION_TASKS: e->metadata_due = true; return;
    }
}

/* --- time --- */

/* A worker's heartbeat. A leader's is the renewal of its lease. */
static void put_worker(struct election *e)
{
    if (e->role == ELECTION_LEADER || e->role == ELECTION_OUT || e->leaving) return;
    if (e->now < e->put_ms || election_busy(e, ELECTION_PUT_WORKER)) return;
    struct election_op *op = election_send(e, ELECTION_PUT_WORKER, e->timing.request_wait_ms, REQUEST_USUAL);
    if (op == NULL) {
        e->put_ms = e->now + e->timing.step_ms;
        return;
    }
    op->worker.token =
        (struct election_token){e->self.incarnation, e->counters.requests[ELECTION_PUT_WORKER]};
    op->worker.registered_wall_ms = e->registered_wall_ms;
    op->worker.heartbeat_wall_ms = e->wall;
}

static void act(struct election *e)
{
    enum election_role role;
    if (e->now < e->start_ms && e->role != ELECTION_RELEASING) return;
    for (int i = 0; i < 4; i++) { /* one role may lead to the next at once */
        role = e->role;
        switch (role) {
        case ELECTION_FOLLOWER: election_follow(e); break;
        case ELECTION_CANDIDATE: election_campaign(e); break;
        case ELECTION_LEADER: election_lead(e); break;
        case ELECTION_RELEASING: election_release(e); break;
        case ELECTION_OUT: break;
        }
        if (e->role == role) break;
    }
    put_worker(e);
}

/* Joined and timed out, as far as the update has room; true when some are left for the next step. */
static bool tell_workers(struct election *e)
{
    if (e->role != ELECTION_LEADER) return false;
    for (size_t i = 0; i < e->workers.count; i++) {
        struct election_worker *w = &e->workers.all[i];
        if (w->told || strcmp(w->id, e->self.worker_id) == 0) continue;
        if (e->u->event_count == ELECTION_EVENTS_MAX) return true;
        struct election_event *ev =
            election_tell(e, w->live ? ELECTION_EVENT_WORKER_JOINED : ELECTION_EVENT_WORKER_TIMED_OUT);
        (void)snprintf(ev->to, sizeof ev->to, "%s", w->id);
        w->told = true;
        if (w->live)
            e->counters.worker_joins++;
        else
            e->counters.worker_timeouts++;
    }
    return false;
}

static uint64_t wake_ms(struct election *e)
{
    uint64_t wake = ELECTION_NEVER;
    if (e->role == ELECTION_OUT) return wake;
    for (int k = 0; k < ELECTION_OP_KINDS; k++)
        if (e->flights[k].active) wake = earlier(wake, e->flights[k].until_ms);
    switch (e->role) {
    case ELECTION_FOLLOWER:
        if (!election_busy(e, ELECTION_READ_STATE)) wake = earlier(wake, e->look_ms);
        wake = earlier(wake, election_may_run_ms(e));
        wake = earlier(wake, earlier(election_force_wake(e), election_mark_wake(e)));
        if (e->phase == ELECTION_OBSERVING) wake = earlier(wake, e->observe_ms);
        break;
    case ELECTION_CANDIDATE: wake = earlier(wake, election_campaign_wake(e)); break;
    case ELECTION_LEADER: wake = earlier(wake, election_lead_wake(e)); break;
    case ELECTION_RELEASING: wake = earlier(wake, election_release_wake(e)); break;
    case ELECTION_OUT: break;
    }
    if (e->role != ELECTION_LEADER && !e->leaving && !election_busy(e, ELECTION_PUT_WORKER))
        wake = earlier(wake, e->put_ms);
    return wake;
}

void election_step(struct election *e, const struct election_input *in, struct election_update *ret)
{
    e->now = in->mono_ms > e->now ? in->mono_ms : e->now;
    e->wall = in->wall_ms;
    e->random = in->random;
    e->u = ret;
    ret->op_count = ret->event_count = ret->hint_count = 0;
    ret->lead = e->lead;

    if (!e->started) start(e);
    election_check_lead(e);
    on_input(e, in);
    give_up_waiting(e);
    act(e);
    election_tell_breaker(e);
    bool more = tell_workers(e);

    uint64_t wake = wake_ms(e);
    if (e->role != ELECTION_OUT && e->now < e->start_ms) wake = e->start_ms;
    if (more || wake <= e->now) wake = e->now + 1;
    ret->wake_ms = wake;
    assert(ret->lead.epoch == e->lead.epoch && ret->lead.until_ms == e->lead.until_ms);
    e->u = NULL;
}
