#include "core/election/election_internal.h"

#include <assert.h>

static void put_lead(struct election *e)
{
    e->u->lead = e->lead;
}

/* Was the machine stopped without its monotonic clock knowing? Then the wall clock is ahead of it, as soon as
 * something sets it right. A wall clock set ahead by hand looks the same and costs one election. */
static bool clock_jumped(const struct election *e)
{
    uint64_t mono_ms = e->now - e->base_ms;
    uint64_t wall_ms = e->wall > e->base_wall_ms ? e->wall - e->base_wall_ms : 0;
    return wall_ms > mono_ms + mono_ms / 4 + e->cfg.lease_timeout_ms / 8;
}

/* The lease is confirmed by e->write. */
static void set_base(struct election *e)
{
    e->base_ms = e->write.first_sent_ms;
    e->base_wall_ms = e->write.first_sent_wall_ms;
}

/* state.json carries this instance and its new epoch; the writing was sent at base_ms. */
void election_become_leader(struct election *e, uint64_t base_ms)
{
    uint64_t until = base_ms + e->timing.lead_ms;
    e->epoch_held = 0;
    set_base(e);
    bool late = until <= e->now || clock_jumped(e) ||
                (e->from_vacant && !election_asked_recently(e, e->write.state.epoch));
    if (late) { /* won too late to be of use: this record's lease runs like any other's */
        e->counters.elections_failed++;
        election_become_follower(e);
        return;
    }
    bool cold = e->phase == ELECTION_ELECTING;
    e->role = ELECTION_LEADER;
    e->epoch_led = e->write.state.epoch;
    e->lead = (struct election_lead){.epoch = e->epoch_led, .from_ms = e->now, .until_ms = until};
    if (cold) e->lead.from_ms += e->cfg.cold_start.preparation_delay_ms;
    e->acquired_ms = e->now;
    e->renew_ms = base_ms + e->timing.renew_ms;
    e->list_ms = e->now + e->timing.list_ms / 4; /* who started at the same time is there by then */
    e->list_now = true;
    e->told_elected = false;
    e->superseded = false;
    e->epoch_burnt = e->epoch_highest;
    e->force = false;
    e->metadata_due = true;
    e->counters.elections_won++;
    e->election_took_ms = e->now - e->campaign.started_ms;
    for (size_t i = 0; i < e->workers.count; i++) e->workers.all[i].told = true;
    election_announce_leader(e, e->lead.epoch, e->self.worker_id);
    if (cold) election_move_phase(e, ELECTION_PREPARATION);
    put_lead(e);
}

/* Stops leading, with this update. */
void election_demote(struct election *e, enum election_reason reason)
{
    uint64_t epoch = e->lead.epoch;
    assert(e->role == ELECTION_LEADER);
    e->lead = (struct election_lead){0};
    put_lead(e);
    e->counters.demotions++;
    if (e->told_elected) {
        struct election_event *ev = election_tell(e, ELECTION_EVENT_DEMOTED);
        ev->epoch = epoch;
        ev->reason = reason;
    }
    e->told_elected = false;
    if (e->phase == ELECTION_PREPARATION) election_move_phase(e, ELECTION_READY);
    e->put_ms = e->put_due_ms = e->now; /* its own record has grown old while it renewed the lease instead */
    e->campaign_ms = e->now;
    election_become_follower(e);
    e->look_ms = e->now;
}

/* Ends the epoch while the lease is still good, so that an election can be held: this instance runs again if
 * it is the first of the live ones, else it gives the lease back. */
static void end_epoch(struct election *e, enum election_reason reason)
{
    bool first = workers_rank(&e->workers, e->self.worker_id, NULL) == 0;
    election_demote(e, reason);
    if (reason == ELECTION_STEPPED_DOWN && workers_live_others(&e->workers, e->self.worker_id) > 0) {
        e->yield_ms = e->now + e->cfg.lease_timeout_ms;
    } else if (first) {
        return; /* the record is mine, so a campaign starts at once */
    } else {
        e->yield_ms = e->now + (ELECTION_RANK_MAX + 1) * (uint64_t)e->timing.step_ms;
    }
    election_release_start(e, false);
}

/* Before anything else happens: is the time up? */
void election_check_lead(struct election *e)
{
    if (e->role != ELECTION_LEADER) return;
    if (e->now >= e->lead.until_ms)
        election_demote(e, ELECTION_LEASE_RAN_OUT);
    else if (clock_jumped(e))
        election_demote(e, ELECTION_CLOCK_JUMPED);
}

static void renew_step(struct election *e)
{
    if (election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_READ_STATE)) return;
    if (!e->write.open) {
        if (e->now < e->renew_ms) return;
        struct election_state s = e->sight.state;
        s.hold = ELECTION_HELD;
        s.workers = (uint32_t)workers_live_others(&e->workers, e->self.worker_id) + 1;
        s.renewed_wall_ms = e->wall;
        election_write_prepare(e, &s, &e->sight.etag);
    }
    if (e->now < e->write.retry_ms) return;
    if (e->write.look)
        (void)election_look(e, e->timing.renew_wait_ms);
    else
        (void)election_write_send(e, e->timing.renew_wait_ms);
}

static void renewed(struct election *e, uint64_t base_ms)
{
    uint64_t due_ms = e->renew_ms;
    e->write.open = false;
    set_base(e);
    e->lead.until_ms = base_ms + e->timing.lead_ms;
    e->renew_ms = base_ms + e->timing.renew_ms;
    e->counters.renewals++;
    put_lead(e);
    struct election_event *ev = election_tell(e, ELECTION_EVENT_RENEWED);
    ev->epoch = e->lead.epoch;
    election_heartbeat_done(e, due_ms);
}

void election_lead_written(struct election *e, enum election_outcome outcome, uint64_t sent_ms)
{
    if (outcome == ELECTION_OK) {
        renewed(e, sent_ms);
        return;
    }
    e->write.look = true;
    e->write.retry_ms = e->now;
}

void election_lead_read(struct election *e, const struct election_result *r)
{
    const struct election_sight *s = &e->sight;
    if (r->outcome == ELECTION_UNKNOWN) {
        e->write.retry_ms = e->now + e->timing.retry_ms;
        return;
    }
    if (e->write.open && election_sight_is_mine(e) &&
        election_token_eq(s->state.token, e->write.state.token)) {
        /* Written by one of the tries; by which is not known, so the first one's time counts. */
        if (e->write.first_sent_ms + e->timing.lead_ms > e->now) renewed(e, e->write.first_sent_ms);
        return;
    }
    bool older = s->kind == SIGHT_STATE && s->state.epoch < e->lead.epoch;
    if (election_sight_is_mine(e) || older) { /* not written yet, or a stale read: the same bytes once more */
        e->write.look = older;
        e->write.retry_ms = e->now + e->timing.retry_ms;
        return;
    }
    if (s->kind != SIGHT_STATE) {
        election_demote(e, ELECTION_STATE_GONE);
        return;
    }
    election_demote(e, ELECTION_TAKEN_OVER);
    if (s->state.hold == ELECTION_HELD) election_announce_leader(e, s->state.epoch, s->state.leader_id);
}

void election_lead_listed(struct election *e)
{
    if (e->epoch_highest > e->epoch_burnt) e->superseded = true;
    e->list_ms = e->now + e->timing.list_ms;
}

/* One key at a time, when there is a request to spare. */
static void clean_up(struct election *e)
{
    struct election_key key;
    if (election_busy(e, ELECTION_DELETE)) return;
    struct election_worker *gone = NULL;
    for (size_t i = 0; i < e->workers.count && gone == NULL; i++) {
        struct election_worker *w = &e->workers.all[i];
        if (!w->live && w->told && e->now - w->changed_ms >= 2 * (uint64_t)e->cfg.worker_timeout_ms) gone = w;
    }
    if (gone != NULL)
        key = election_worker_key(gone->id);
    else if (e->epoch_old > 0)
        key = election_epoch_key(e->epoch_old);
    else
        return;
    struct election_op *op = election_send(e, ELECTION_DELETE, e->timing.request_wait_ms, REQUEST_SPARE);
    if (op == NULL) return;
    op->key = key;
    if (gone != NULL)
        gone->changed_ms = e->now; /* if it is still there after another two time-outs: again */
    else
        e->epoch_old = 0; /* the next list shows whether it is still there */
}

static void tell_elected(struct election *e)
{
    if (e->told_elected || e->now < e->lead.from_ms) return;
    e->told_elected = true;
    if (e->phase == ELECTION_PREPARATION) election_move_phase(e, ELECTION_READY);
    struct election_event *ev = election_tell(e, ELECTION_EVENT_ELECTED);
    ev->epoch = e->lead.epoch;
    ev->workers = (uint32_t)workers_live_others(&e->workers, e->self.worker_id) + 1;
}

static void list_step(struct election *e)
{
    if (e->now < e->list_ms || election_busy(e, ELECTION_LIST)) return;
    enum request_need need = e->list_now ? REQUEST_USUAL : REQUEST_SPARE;
    e->list_now = false;
    if (election_send(e, ELECTION_LIST, e->timing.request_wait_ms, need) != NULL) return;
    uint64_t spare = request_budget_when(&e->budget, e->now);
    e->list_ms = e->now + e->timing.step_ms;
    if (e->list_ms < spare) e->list_ms = spare;
}

static void metadata_step(struct election *e)
{
    if (!e->metadata_due || election_busy(e, ELECTION_PUT_METADATA)) return;
    struct election_op *op =
        election_send(e, ELECTION_PUT_METADATA, e->timing.request_wait_ms, REQUEST_SPARE);
    if (op == NULL) return;
    op->metadata_epoch = e->lead.epoch;
    e->metadata_due = false;
}

void election_lead(struct election *e)
{
    uint64_t age_ms = e->now - e->acquired_ms;
    tell_elected(e);
    if (e->force && age_ms >= e->cfg.epoch_min_ms) {
        e->force = false;
        end_epoch(e, ELECTION_FORCED);
    } else if (e->superseded) {
        end_epoch(e, ELECTION_SUPERSEDED);
    } else if (e->cfg.epoch_max_ms > 0 && age_ms >= e->cfg.epoch_max_ms) {
        end_epoch(e, ELECTION_EPOCH_ENDED);
    }
    if (e->role != ELECTION_LEADER) return;
    renew_step(e);
    list_step(e);
    metadata_step(e);
    clean_up(e);
}

void election_step_down(struct election *e)
{
    if (e->role == ELECTION_LEADER)
        end_epoch(e, ELECTION_STEPPED_DOWN);
    else
        (void)election_tell(e, ELECTION_EVENT_REFUSED);
}

uint64_t election_lead_wake(struct election *e)
{
    uint64_t wake = e->lead.until_ms;
    bool writing = election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_READ_STATE);
    if (!writing) wake = earlier(wake, e->write.open ? e->write.retry_ms : e->renew_ms);
    if (!e->told_elected) wake = earlier(wake, e->lead.from_ms);
    if (e->cfg.epoch_max_ms > 0) wake = earlier(wake, e->acquired_ms + e->cfg.epoch_max_ms);
    if (e->force) wake = earlier(wake, e->acquired_ms + e->cfg.epoch_min_ms);
    return election_busy(e, ELECTION_LIST) ? wake : earlier(wake, e->list_ms);
}
