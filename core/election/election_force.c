#include "core/election/election_internal.h"

#include <stdio.h>

/* An election forced on a leader that is well: the next epoch's key is created at once. Its leader lists the
 * keys, finds an epoch above its own, stops, and the lease is free for whoever comes first by the rules. */

static void hint_leader(struct election *e)
{
    if (e->u->hint_count == ELECTION_HINTS_MAX) return;
    (void)snprintf(e->u->hints[e->u->hint_count], sizeof e->u->hints[0], "%s", e->sight.state.leader_id);
    e->u->hint_count++;
}

static bool is_led(const struct election *e)
{
    return e->sight.kind == SIGHT_STATE && e->sight.state.hold == ELECTION_HELD && !election_sight_is_mine(e);
}

/* The epoch in force has had its minimum. */
static uint64_t allowed_ms(const struct election *e)
{
    uint64_t old_enough = e->epoch_seen_ms + e->cfg.epoch_min_ms;
    return old_enough > e->force_ms ? old_enough : e->force_ms;
}

void election_force(struct election *e)
{
    if (!e->force || e->role != ELECTION_FOLLOWER) return;
    if (!is_led(e)) { /* an election is held anyway, as soon as the lease is free */
        e->force = e->sight.kind == SIGHT_NONE;
        return;
    }
    if (e->epoch_highest > e->sight.state.epoch) { /* the key is there, the leader needs to see it */
        hint_leader(e);
        e->force = false;
        return;
    }
    if (e->now < allowed_ms(e) || election_busy(e, ELECTION_CREATE_EPOCH)) return;
    (void)election_create_epoch(e, e->sight.state.epoch + 1, REQUEST_MUST);
    e->creating_to_force = true;
}

void election_force_created(struct election *e, enum election_outcome outcome, uint64_t epoch)
{
    if (outcome == ELECTION_UNKNOWN) {
        e->force = ++e->force_tries < ELECTION_TRIES_MAX;
        e->force_ms = e->now + e->timing.step_ms;
        return;
    }
    if (outcome == ELECTION_OK) e->epoch_held = epoch;
    election_learn_epoch(e, epoch);
    e->force = false;
    if (is_led(e)) hint_leader(e);
}

uint64_t election_force_wake(const struct election *e)
{
    if (!e->force || !is_led(e) || election_busy(e, ELECTION_CREATE_EPOCH)) return ELECTION_NEVER;
    return allowed_ms(e);
}
