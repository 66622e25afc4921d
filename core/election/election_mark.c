#include "core/election/election_internal.h"

#include <assert.h>

/* Where there is no state.json, "it was not there a lease ago and is not there now" proves nothing: it may
 * have been written, led from and removed in between. So nobody leads by creating it. Where it is missing, a
 * vacant record is created, and only that exact record is replaced by a leader's, a lease after it was first
 * seen: whoever led from what was there before has been refused its renewals since the vacant record landed.
 *
 * Creating it has a weakness that replacing has not: after another removal by hand, a copy of the request
 * that was still under way creates the same record again. Therefore a vacant record of epoch n is replaced
 * only with epoch n + 1, which has one holder, and only within the lead time after that holder asked for the
 * epoch: nobody else can have led in the meantime, since everyone else has to replace the vacant record by
 * another vacant one first, and wait a lease.
 *
 * A new namespace need not wait at all. Who created epoch-1, which is never removed, knows that nobody led
 * before; and everyone else cannot lead before a lease is over. So when the answer to its vacant record comes
 * within its lead time of having asked for epoch-1, nobody has led yet, and it goes on at once. */

/* Was this epoch, which is held, created less than a lead time ago? */
bool election_asked_recently(const struct election *e, uint64_t epoch)
{
    return e->epoch_asked == epoch && e->now - e->epoch_asked_ms < e->timing.lead_ms;
}

bool election_is_new(const struct election *e)
{
    if (e->epoch_highest == 0) return true; /* as far as is known; else creating epoch-1 will fail */
    return e->epoch_highest == 1 && e->epoch_held == 1 && election_asked_recently(e, 1);
}

void election_mark_prepare(struct election *e)
{
    struct election_state s = {.epoch = election_is_new(e) ? 0 : e->epoch_highest,
                               .hold = ELECTION_VACANT,
                               .lease_ms = election_longest_lease(e),
                               .renew_ms = e->timing.renew_ms,
                               .acquired_wall_ms = e->wall,
                               .renewed_wall_ms = e->wall};
    election_write_prepare(e, &s, &e->sight.etag);
}

/* The vacant record of mine is there. */
void election_mark_written(struct election *e)
{
    if (e->write.state.epoch == 0 && election_is_new(e)) e->mark_free = e->write.state.token;
}

/* A vacant record is replaced by the very next epoch or not at all. */
bool election_fits_vacant(const struct election *e)
{
    uint64_t vacant = e->sight.state.epoch;
    if (e->epoch_highest == vacant) return true;
    bool held = e->epoch_highest == vacant + 1 && e->epoch_held == e->epoch_highest;
    return held && election_asked_recently(e, e->epoch_held) && election_lease_free_ms(e) <= e->now;
}

/* While nobody can lead yet (a cold start observes, a vacant record's lease runs), another epoch may be
 * taken: a list from before it would cost a lease more at the end. */
static bool is_list_old(const struct election *e)
{
    bool observing = e->sight.kind == SIGHT_ABSENT && e->phase == ELECTION_OBSERVING;
    bool waiting = e->sight.kind == SIGHT_STATE;
    return (observing || waiting) && e->now - e->listed_ms >= e->cfg.heartbeat_interval_ms;
}

/* Is there something that a vacant record has to take the place of? If the list does not say otherwise. */
static bool is_due(const struct election *e)
{
    const struct election_sight *s = &e->sight;
    bool listed = e->listed_ms >= s->first_ms && !is_list_old(e);
    if (e->role != ELECTION_FOLLOWER || e->leaving) return false;
    switch (s->kind) {
    case SIGHT_NONE: return false;
    case SIGHT_UNREADABLE: return true;
    case SIGHT_ABSENT: return !listed || !election_is_new(e); /* a new namespace: a campaign begins it */
    case SIGHT_STATE: break;
    }
    if (s->state.hold != ELECTION_VACANT || election_token_eq(s->state.token, e->mark_free)) return false;
    return !listed || !election_fits_vacant(e);
}

/* Not at once: an epoch just learned of may be that of an instance about to write state.json, and what cannot
 * be read may be a newer build's record, whose leader is well: that is left alone for as long as it
 * changes. */
static uint64_t due_ms(const struct election *e)
{
    uint64_t at = e->sight.first_ms;
    bool listed = e->listed_ms >= at;
    if (e->sight.kind == SIGHT_UNREADABLE) at += election_longest_lease(e);
    if (e->sight.kind == SIGHT_STATE) at += e->timing.step_ms;
    if (listed && e->epoch_learned_ms + e->timing.step_ms > at) at = e->epoch_learned_ms + e->timing.step_ms;
    return at > e->mark_ms ? at : e->mark_ms;
}

void election_mark(struct election *e)
{
    if (!is_due(e) || e->now < due_ms(e)) return;
    if (election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_LIST)) return;
    e->mark_ms = e->now + e->timing.step_ms;
    if (e->listed_ms < e->sight.first_ms || is_list_old(e)) { /* which epochs are there? */
        if (election_send(e, ELECTION_LIST, e->timing.request_wait_ms, REQUEST_USUAL) != NULL)
            e->mark_ms = e->now;
        return;
    }
    election_mark_prepare(e);
    (void)election_write_send(e, e->timing.request_wait_ms);
}

uint64_t election_mark_wake(const struct election *e)
{
    if (!is_due(e) || election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_LIST))
        return ELECTION_NEVER;
    return due_ms(e);
}
