#include "core/election/election_internal.h"

#include <assert.h>
#include <stdio.h>

/* Giving the lease back: state.json says "released", so the next one need not wait. This instance has stopped
 * leading before. Whatever the answer is, it tries for no longer than a heartbeat; if it does not get
 * through, the others wait for the lease. When the instance leaves, its own record is deleted after that. */

void election_release_start(struct election *e, bool look_first)
{
    e->role = ELECTION_RELEASING;
    e->release_ms = e->now + e->cfg.heartbeat_interval_ms;
    e->write.open = false;
    e->write.look = look_first;
    e->write.retry_ms = e->now;
    e->write.tries = 0;
}

static void finish(struct election *e)
{
    e->write.open = false;
    if (e->leaving) {
        e->release_ms = e->now; /* on to deleting the own record */
        return;
    }
    election_become_follower(e);
}

/* The others, first by rank, are told to look: one of them can lead within a second. */
static void hint_others(struct election *e)
{
    for (size_t i = 0; i < e->workers.count && e->u->hint_count < ELECTION_HINTS_MAX; i++) {
        const struct election_worker *w = &e->workers.all[i];
        if (!w->live || strcmp(w->id, e->self.worker_id) == 0) continue;
        (void)snprintf(e->u->hints[e->u->hint_count], sizeof e->u->hints[0], "%s", w->id);
        e->u->hint_count++;
    }
}

static void release_state(struct election *e)
{
    if (election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_READ_STATE) ||
        e->now < e->write.retry_ms)
        return;
    if (e->write.look) {
        (void)election_look(e, e->timing.request_wait_ms);
        return;
    }
    if (!election_lease_is_mine(e)) {
        finish(e);
        return;
    }
    if (!e->write.open) {
        struct election_state s = e->sight.state;
        s.hold = ELECTION_RELEASED;
        s.renewed_wall_ms = e->wall;
        election_write_prepare(e, &s, &e->sight.etag);
    }
    (void)election_write_send(e, e->timing.request_wait_ms);
}

/* Leaving: the own record goes, then this instance is out. */
static void leave(struct election *e)
{
    if (election_busy(e, ELECTION_DELETE)) return;
    if (!e->deleted_self) {
        if (election_busy(e, ELECTION_PUT_WORKER)) return; /* else it could land behind the deletion */
        struct election_op *op = election_send(e, ELECTION_DELETE, e->timing.request_wait_ms, REQUEST_MUST);
        op->key = election_worker_key(e->self.worker_id);
        e->deleted_self = true;
        return;
    }
    e->role = ELECTION_OUT;
    (void)election_tell(e, ELECTION_EVENT_GONE);
}

void election_release(struct election *e)
{
    if (e->now < e->release_ms) release_state(e);
    if (e->role == ELECTION_RELEASING && e->now >= e->release_ms) {
        if (e->leaving)
            leave(e);
        else
            finish(e);
    }
}

void election_release_written(struct election *e, enum election_outcome outcome)
{
    if (outcome == ELECTION_OK && e->sight.state.hold == ELECTION_RELEASED) {
        hint_others(e);
        finish(e);
        return;
    }
    /* A renewal from before may have landed, so that the ETag is another: look. */
    e->write.open = false;
    e->write.look = outcome != ELECTION_OK;
    e->write.retry_ms = e->now;
}

void election_release_read(struct election *e, const struct election_result *r)
{
    if (r->outcome == ELECTION_UNKNOWN) {
        e->write.retry_ms = e->now + e->timing.retry_ms;
        return;
    }
    if (!election_lease_is_mine(e)) {
        if (election_sight_is_mine(e) && e->sight.state.hold == ELECTION_RELEASED) hint_others(e);
        finish(e);
        return;
    }
    if (e->write.look) e->write.retry_ms = e->now + (e->write.tries > 0 ? e->timing.retry_ms : 0);
    e->write.look = false;
}

void election_release_deleted(struct election *e)
{
    if (e->leaving && e->deleted_self) leave(e);
}

uint64_t election_release_wake(const struct election *e)
{
    if (e->role == ELECTION_OUT) return ELECTION_NEVER;
    if (e->now >= e->release_ms) return ELECTION_NEVER; /* the answer of the deletion, or its time-out */
    bool busy = election_busy(e, ELECTION_WRITE_STATE) || election_busy(e, ELECTION_READ_STATE);
    return busy ? e->release_ms : earlier(e->release_ms, e->write.retry_ms);
}
