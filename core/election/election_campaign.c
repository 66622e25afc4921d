#include "core/election/election_internal.h"

#include <assert.h>
#include <stdio.h>

/* A campaign, from a lease that is free to one that is held:
 *
 *   LOOK         is state.json still as it was, and who else is there? (one GET, one LIST)
 *   WAIT         others come first: give each a step, then look again
 *   CREATE       epochs/epoch-<n>, once
 *   READ_EPOCH   the answer to CREATE got lost: did I create it?
 *   MARK         a new namespace: a vacant state.json, created (election_mark.c)
 *   WRITE        state.json, replacing exactly what was seen; lost or unknown: look, then decide
 *
 * Anything unexpected ends the campaign; the next one starts from what was seen. */

static uint32_t retry_ms(const struct election *e)
{
    return e->timing.step_ms / 2;
}

static bool is_writing(const struct election *e)
{
    return e->campaign.step == CAMPAIGN_MARK || e->campaign.step == CAMPAIGN_WRITE;
}

void election_campaign_start(struct election *e)
{
    e->role = ELECTION_CANDIDATE;
    e->counters.elections++;
    e->campaign = (struct election_campaign){.step = CAMPAIGN_LOOK, .started_ms = e->now, .act_ms = e->now};
    election_campaign(e);
}

/* Back to following. `failed`: it came to nothing, so the next try waits a little, longer for some. */
static void leave_campaign(struct election *e, bool failed)
{
    if (failed) {
        e->counters.elections_failed++;
        e->campaign_ms = e->now + e->timing.step_ms + election_draw(e) % e->timing.step_ms;
        (void)election_tell(e, ELECTION_EVENT_ELECTION_FAILED);
    }
    election_become_follower(e);
}

/* May the step's request be tried once more? */
static bool try_again(struct election *e)
{
    if (++e->campaign.tries >= ELECTION_TRIES_MAX) {
        leave_campaign(e, true);
        return false;
    }
    e->campaign.act_ms = e->now + retry_ms(e);
    return true;
}

static void go_to(struct election *e, enum campaign_step step)
{
    e->campaign.step = step;
    e->campaign.tries = 0;
    e->campaign.act_ms = e->now;
}

/* Others that are live and sort before this instance try first, each with a step's start. The one whose lease
 * is free is not among them, unless it is this one: then it goes on at once, as the leader it was. */
static uint64_t turn_ms(const struct election *e)
{
    const char *holder = e->sight.kind == SIGHT_STATE ? e->sight.state.leader_id : NULL;
    if (election_lease_is_mine(e)) return e->campaign.started_ms;
    size_t rank = workers_rank(&e->workers, e->self.worker_id, holder);
    if (rank > ELECTION_RANK_MAX) rank = ELECTION_RANK_MAX;
    return e->campaign.started_ms + rank * e->timing.step_ms;
}

static void look_step(struct election *e)
{
    struct election_campaign *c = &e->campaign;
    if (!c->listed && !election_busy(e, ELECTION_LIST) &&
        election_send(e, ELECTION_LIST, e->timing.request_wait_ms, REQUEST_USUAL) == NULL)
        c->listed = true;
    if (!c->looked && !election_busy(e, ELECTION_READ_STATE) && e->now >= c->act_ms)
        (void)election_look(e, e->timing.request_wait_ms);
    if (!c->looked || !c->listed) return;
    if (!c->ranked) {
        c->ranked = true;
        uint64_t turn = turn_ms(e);
        if (turn > e->now) {
            go_to(e, CAMPAIGN_WAIT);
            c->act_ms = turn;
            return;
        }
    }
    go_to(e, CAMPAIGN_CREATE);
}

static void start_writing(struct election *e)
{
    assert(e->sight.kind == SIGHT_STATE); /* nobody leads but by replacing a record */
    e->from_vacant = e->sight.state.hold == ELECTION_VACANT;
    struct election_state s = {.epoch = e->campaign.epoch,
                               .hold = ELECTION_HELD,
                               .lease_ms = e->cfg.lease_timeout_ms,
                               .renew_ms = e->timing.renew_ms,
                               .workers = (uint32_t)workers_live_others(&e->workers, e->self.worker_id) + 1,
                               .acquired_wall_ms = e->wall,
                               .renewed_wall_ms = e->wall};
    (void)snprintf(s.leader_id, sizeof s.leader_id, "%s", e->self.worker_id);
    go_to(e, CAMPAIGN_WRITE);
    election_write_prepare(e, &s, &e->sight.etag);
}

static bool holds_unused_epoch(const struct election *e)
{
    uint64_t used = e->sight.kind == SIGHT_STATE ? e->sight.state.epoch : 0;
    return e->epoch_held > used && e->epoch_held == e->epoch_highest;
}

static void start_marking(struct election *e)
{
    go_to(e, CAMPAIGN_MARK);
    election_mark_prepare(e);
}

static void create_step(struct election *e)
{
    struct election_campaign *c = &e->campaign;
    if (election_busy(e, ELECTION_CREATE_EPOCH) || election_busy(e, ELECTION_WRITE_STATE) ||
        e->now < c->act_ms)
        return;
    if (election_lease_free_ms(e) > e->now) { /* the list, or a lost try, told of epochs */
        leave_campaign(e, false);
        return;
    }
    if (e->sight.kind == SIGHT_STATE && e->sight.state.hold == ELECTION_VACANT && !election_fits_vacant(e)) {
        uint64_t end = e->epoch_learned_ms + e->timing.step_ms; /* time for the next epoch's holder */
        if (e->now >= end) {
            start_marking(e);
            return;
        }
        go_to(e, CAMPAIGN_WAIT);
        c->act_ms = end;
        return;
    }
    if (holds_unused_epoch(e)) { /* taken in a campaign before this one, or to force this election */
        c->epoch = e->epoch_held;
        if (e->sight.kind == SIGHT_ABSENT)
            start_marking(e);
        else
            start_writing(e);
        return;
    }
    if (e->epoch_highest >= ELECTION_EPOCH_MAX) { /* somebody wrote nonsense; a person has to look at it */
        leave_campaign(e, true);
        return;
    }
    if (!c->doubtful) c->epoch = e->epoch_highest + 1;
    if (election_create_epoch(e, c->epoch, REQUEST_USUAL) == NULL) leave_campaign(e, true);
}

static void read_epoch_step(struct election *e)
{
    if (election_busy(e, ELECTION_READ_EPOCH) || e->now < e->campaign.act_ms) return;
    struct election_op *op = election_send(e, ELECTION_READ_EPOCH, e->timing.request_wait_ms, REQUEST_MUST);
    op->epoch.epoch = e->campaign.epoch;
}

static void write_step(struct election *e)
{
    if (election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_READ_STATE) ||
        e->now < e->write.retry_ms)
        return;
    if (e->write.look) {
        (void)election_look(e, e->timing.request_wait_ms);
        return;
    }
    if (e->write.tries >= ELECTION_TRIES_MAX) {
        leave_campaign(e, true);
        return;
    }
    (void)election_write_send(e, e->timing.request_wait_ms);
}

void election_campaign(struct election *e)
{
    struct election_campaign *c = &e->campaign;
    if (c->step == CAMPAIGN_WAIT && e->now >= c->act_ms) {
        go_to(e, CAMPAIGN_LOOK);
        c->looked = false;
    }
    if (c->step == CAMPAIGN_LOOK) look_step(e);
    if (c->step == CAMPAIGN_CREATE && e->role == ELECTION_CANDIDATE) create_step(e);
    if (e->role != ELECTION_CANDIDATE) return;
    if (c->step == CAMPAIGN_READ_EPOCH) read_epoch_step(e);
    if (is_writing(e)) write_step(e);
}

/* --- answers --- */

void election_campaign_listed(struct election *e)
{
    e->campaign.listed = true;
}

/* state.json is not what this campaign set out to replace. */
static void sight_changed(struct election *e)
{
    if (election_lease_is_mine(e)) { /* an older renewal of mine landed late: replace that one instead */
        if (is_writing(e)) go_to(e, CAMPAIGN_CREATE);
        e->campaign.looked = true;
        return;
    }
    const struct election_sight *s = &e->sight;
    bool led = s->kind == SIGHT_STATE && s->state.hold == ELECTION_HELD;
    if (led) {
        election_announce_leader(e, s->state.epoch, s->state.leader_id);
        if (e->phase == ELECTION_ELECTING) election_move_phase(e, ELECTION_READY);
    }
    leave_campaign(e, !led);
}

/* The step's writing is there, and was sent at base_ms. */
static void written(struct election *e, uint64_t base_ms)
{
    e->write.open = false;
    if (e->campaign.step == CAMPAIGN_WRITE) {
        election_become_leader(e, base_ms);
        return;
    }
    election_mark_written(e);
    go_to(e, CAMPAIGN_CREATE); /* goes on with epoch-1, or waits for the lease like everyone else */
}

void election_campaign_read(struct election *e, const struct election_result *r, bool changed)
{
    bool writing = is_writing(e) && e->write.look;
    if (r->outcome == ELECTION_UNKNOWN) {
        if (!try_again(e)) return;
        if (writing) e->write.retry_ms = e->campaign.act_ms;
        return;
    }
    if (writing && election_sight_is_mine(e) &&
        election_token_eq(e->sight.state.token, e->write.state.token)) {
        written(e, e->write.first_sent_ms);
        return;
    }
    if (changed) {
        sight_changed(e);
        return;
    }
    if (writing) { /* not written yet: the same bytes again, so that it does not matter which of them lands */
        e->write.look = false;
        e->write.retry_ms = e->now + retry_ms(e);
    } else if (e->campaign.step == CAMPAIGN_LOOK) {
        e->campaign.looked = true;
    }
}

/* The answer may be to a try of a campaign before this one; then only what it says about epochs counts. */
void election_campaign_created(struct election *e, enum election_outcome outcome, uint64_t epoch)
{
    struct election_campaign *c = &e->campaign;
    bool ours = e->role == ELECTION_CANDIDATE && c->step == CAMPAIGN_CREATE && c->epoch == epoch;
    if (outcome == ELECTION_OK) {
        e->epoch_held = epoch; /* CAMPAIGN_CREATE goes on with it */
        c->doubtful = false;
    } else if (outcome == ELECTION_LOST && ours && c->doubtful) {
        go_to(e, CAMPAIGN_READ_EPOCH); /* lost to whom? */
        return;
    } else if (outcome == ELECTION_LOST && ours) {
        /* Whoever has it is about to write state.json: give it a step, look, and only then run again. */
        go_to(e, CAMPAIGN_WAIT);
        c->act_ms = e->now + e->timing.step_ms;
    } else if (outcome != ELECTION_LOST) {
        if (!ours) return;
        c->doubtful = true;
        (void)try_again(e);
        return;
    }
    election_learn_epoch(e, epoch);
}

void election_campaign_epoch_read(struct election *e, const struct election_result *r)
{
    struct election_campaign *c = &e->campaign;
    if (c->step != CAMPAIGN_READ_EPOCH) return;
    if (r->outcome == ELECTION_UNKNOWN) {
        (void)try_again(e);
        return;
    }
    bool mine = r->outcome == ELECTION_OK && r->epoch.epoch == c->epoch &&
                r->epoch.token.incarnation == e->self.incarnation;
    c->doubtful = false;
    election_learn_epoch(e, c->epoch);
    if (mine) e->epoch_held = c->epoch;
    go_to(e, mine ? CAMPAIGN_CREATE : CAMPAIGN_WAIT);
    if (!mine) c->act_ms = e->now + e->timing.step_ms;
}

void election_campaign_written(struct election *e, enum election_outcome outcome, uint64_t sent_ms)
{
    if (!is_writing(e)) { /* an older writing, from before this campaign */
        e->campaign.looked = false;
        if (e->campaign.step != CAMPAIGN_WAIT) go_to(e, CAMPAIGN_LOOK);
        return;
    }
    if (outcome == ELECTION_OK) {
        written(e, sent_ms);
        return;
    }
    e->write.look = true;
    e->write.retry_ms = e->now;
}

uint64_t election_campaign_wake(const struct election *e)
{
    switch (e->campaign.step) {
    case CAMPAIGN_LOOK: /* looked, and not gone on: the list is awaited */
        return e->campaign.looked || election_busy(e, ELECTION_READ_STATE) ? ELECTION_NEVER
                                                                           : e->campaign.act_ms;
    case CAMPAIGN_WAIT: return e->campaign.act_ms;
    case CAMPAIGN_CREATE:
        return election_busy(e, ELECTION_CREATE_EPOCH) || election_busy(e, ELECTION_WRITE_STATE)
                   ? ELECTION_NEVER
                   : e->campaign.act_ms;
    case CAMPAIGN_READ_EPOCH:
        return election_busy(e, ELECTION_READ_EPOCH) ? ELECTION_NEVER : e->campaign.act_ms;
    case CAMPAIGN_MARK:
    case CAMPAIGN_WRITE:
        return election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_READ_STATE)
                   ? ELECTION_NEVER
                   : e->write.retry_ms;
    }
    return ELECTION_NEVER;
}
