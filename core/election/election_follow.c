#include "core/election/election_internal.h"

#include <assert.h>
#include <stdio.h>

void election_learn_epoch(struct election *e, uint64_t epoch)
{
    if (epoch <= e->epoch_highest) return;
    e->epoch_highest = epoch;
    e->epoch_learned_ms = e->now;
}

/* What was seen is what state.json is from now on. True when that is news. */
bool election_sight_set(struct election *e, enum sight_kind kind, const struct election_etag *etag,
                        const struct election_state *state)
{
    struct election_sight *s = &e->sight;
    bool same = s->kind == kind && (kind == SIGHT_ABSENT || election_etag_eq(&s->etag, etag));
    if (same) return false;
    s->next_in_row = kind == SIGHT_STATE && s->kind == SIGHT_STATE &&
                     state->token.incarnation == s->state.token.incarnation &&
                     state->token.write == s->state.token.write + 1;
    if (kind == SIGHT_STATE) {
        if (s->kind != SIGHT_STATE || s->state.epoch != state->epoch) e->epoch_seen_ms = e->now;
        election_learn_epoch(e, state->epoch);
        if (state->hold != ELECTION_VACANT) e->lease_seen_ms = state->lease_ms;
        s->state = *state;
    }
    if (kind == SIGHT_ABSENT)
        s->etag.text[0] = '\0';
    else
        s->etag = *etag;
    s->kind = kind;
    s->first_ms = e->now;
    return true;
}

bool election_sight_is_mine(const struct election *e)
{
    return e->sight.kind == SIGHT_STATE && e->sight.state.token.incarnation == e->self.incarnation;
}

/* The record says that this instance leads, and so it did. One that landed too late to be led from is like
 * any other's: everyone waits for its lease. */
bool election_lease_is_mine(const struct election *e)
{
    const struct election_state *s = &e->sight.state;
    return election_sight_is_mine(e) && s->hold == ELECTION_HELD && s->epoch == e->epoch_led;
}

/* From when on the lease may be taken. Only for instances that do not lead. */
uint64_t election_lease_free_ms(const struct election *e)
{
    const struct election_sight *s = &e->sight;
    const struct election_state *state = &s->state;
    uint32_t longest_ms = election_longest_lease(e);
    assert(e->role != ELECTION_LEADER);
    switch (s->kind) {
    case SIGHT_ABSENT: return election_is_new(e) ? s->first_ms : ELECTION_NEVER;
    case SIGHT_NONE:
    case SIGHT_UNREADABLE: return ELECTION_NEVER; /* election_mark.c sees to it */
    case SIGHT_STATE: break;
    }
    switch (state->hold) {
    case ELECTION_RELEASED: return s->first_ms;
    case ELECTION_VACANT:
        if (election_token_eq(state->token, e->mark_free)) return s->first_ms;
        return s->first_ms + (state->lease_ms > longest_ms ? state->lease_ms : longest_ms);
    case ELECTION_HELD: break;
    }
    if (election_lease_is_mine(e)) return s->first_ms; /* mine, and I have stopped */
    return s->first_ms + state->lease_ms;
}

/* For how long somebody may still lead from a record that is gone or cannot be read. */
uint32_t election_longest_lease(const struct election *e)
{
    return e->cfg.lease_timeout_ms > e->lease_seen_ms ? e->cfg.lease_timeout_ms : e->lease_seen_ms;
}

uint64_t election_may_run_ms(const struct election *e)
{
    if (e->leaving || e->phase == ELECTION_OBSERVING) return ELECTION_NEVER;
    uint64_t at = election_lease_free_ms(e);
    if (at < e->yield_ms) at = e->yield_ms;
    if (at < e->campaign_ms) at = e->campaign_ms;
    /* While the breaker is open the looks go on, and the first that is answered closes it. */
    uint64_t closed = e->now + breaker_wait_ms(&e->breaker, e->now);
    return at < closed ? closed : at;
}

bool election_may_run(const struct election *e)
{
    return election_may_run_ms(e) <= e->now;
}

void election_announce_leader(struct election *e, uint64_t epoch, const char *id)
{
    if (epoch <= e->epoch_announced) return; /* told before, or a stale read */
    e->epoch_announced = epoch;
    e->counters.leader_changes++;
    struct election_event *ev = election_tell(e, ELECTION_EVENT_LEADER_CHANGED);
    ev->epoch = epoch;
    ev->workers = e->sight.state.workers;
    (void)snprintf(ev->from, sizeof ev->from, "%s", e->leader_announced);
    (void)snprintf(ev->to, sizeof ev->to, "%s", id);
    (void)snprintf(e->leader_announced, sizeof e->leader_announced, "%s", id);
}

static uint32_t look_gap(const struct election *e)
{
    return e->cfg.heartbeat_interval_ms;
}

/* May a look be spent on knowing better when the leader renews? A new leader's first ones are free, or it
 * would take minutes to save up for them. */
static bool may_refine(struct election *e)
{
    if (request_budget_has(&e->budget, e->now)) return true;
    if (e->free_looks == 0 || e->rhythm.misses > 0) return false;
    if (e->rhythm.high_ms - e->rhythm.low_ms <= 2 * (uint64_t)e->timing.grain_ms) return false;
    e->free_looks--;
    return true;
}

/* When a follower looks next, after an answered look. */
static uint64_t next_look(struct election *e)
{
    bool held = e->sight.kind == SIGHT_STATE && e->sight.state.hold == ELECTION_HELD;
    if (!held) return e->now + look_gap(e);
    bool refine = may_refine(e);
    uint32_t gap_ms = e->rhythm.misses > 0 ? look_gap(e) : 2 * look_gap(e);
    return rhythm_next(&e->rhythm, e->now, e->timing.grain_ms, gap_ms, refine);
}

void election_become_follower(struct election *e)
{
    e->role = ELECTION_FOLLOWER;
    e->rhythm.known = false;
    e->rhythm.misses = 0;
    e->free_looks = ELECTION_FREE_LOOKS;
    e->look_ms = e->now + e->timing.step_ms;
}

/* Somebody leads: there is no cold start to go through. */
static void see_live_leader(struct election *e)
{
    if (e->phase != ELECTION_READY) election_move_phase(e, ELECTION_READY);
}

void election_follow_read(struct election *e, const struct election_result *r, uint64_t sent_ms, bool changed)
{
    if (r->outcome == ELECTION_UNKNOWN) {
        e->look_ms = e->now + (e->look_failed ? 2 : 1) * (uint64_t)e->timing.step_ms;
        e->look_failed = true;
        return;
    }
    e->look_failed = false;
    const struct election_sight *s = &e->sight;
    bool held = s->kind == SIGHT_STATE && s->state.hold == ELECTION_HELD;
    if (!changed) {
        rhythm_unchanged(&e->rhythm, sent_ms);
    } else if (held) {
        if (!s->next_in_row) e->free_looks = ELECTION_FREE_LOOKS;
        if (!election_sight_is_mine(e)) election_announce_leader(e, s->state.epoch, s->state.leader_id);
        /* A record seen for the first time may be that of a leader long dead; one that changes is not. */
        if (e->rhythm.known || e->phase == ELECTION_ELECTING) see_live_leader(e);
        rhythm_changed(&e->rhythm, sent_ms, e->now, s->state.renew_ms, s->next_in_row);
    } else {
        e->rhythm.known = false;
    }
    e->look_ms = next_look(e);
}

void election_follow(struct election *e)
{
    if (e->phase == ELECTION_OBSERVING && e->now >= e->observe_ms) election_move_phase(e, ELECTION_ELECTING);
    if (election_may_run(e)) {
        election_campaign_start(e);
        return;
    }
    election_force(e);
    election_mark(e);
    if (e->now >= e->look_ms && !election_busy(e, ELECTION_READ_STATE)) {
        (void)election_look(e, e->timing.request_wait_ms);
        e->look_ms = ELECTION_NEVER; /* until it is answered */
    }
}
