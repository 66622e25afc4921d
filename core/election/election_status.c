#include "core/election/election_internal.h"

#include <stdio.h>

void election_status(const struct election *e, uint64_t now_ms, struct election_status *ret)
{
    const struct election_sight *s = &e->sight;
    uint64_t now = now_ms > e->now ? now_ms : e->now;
    *ret = (struct election_status){
        .role = e->role,
        .phase = e->phase,
        .state_known = s->kind == SIGHT_STATE,
        .lead = e->lead,
        .heartbeat_age_ms = e->heartbeat_ms == ELECTION_NEVER ? UINT64_MAX : now - e->heartbeat_ms,
        .election_ms = e->election_took_ms,
        .breaker = breaker_state(&e->breaker, now),
        .latency_ms = percentile_read(&e->latency),
        .counters = e->counters,
    };
    if (s->kind == SIGHT_STATE) {
        uint64_t end = s->first_ms + s->state.lease_ms;
        ret->epoch = s->state.epoch;
        ret->hold = s->state.hold;
        ret->workers = s->state.workers;
        if (s->state.hold == ELECTION_HELD && end > now) ret->lease_left_ms = end - now;
        (void)snprintf(ret->leader_id, sizeof ret->leader_id, "%s", s->state.leader_id);
    }
    if (e->role == ELECTION_LEADER)
        ret->workers = (uint32_t)workers_live_others(&e->workers, e->self.worker_id) + 1;
}

const struct election_workers *election_workers(const struct election *e)
{
    return &e->workers;
}

const char *election_op_name(enum election_op_kind k)
{
    switch (k) {
    case ELECTION_READ_STATE: return "read_state";
    case ELECTION_WRITE_STATE: return "write_state";
    case ELECTION_CREATE_EPOCH: return "create_epoch";
    case ELECTION_READ_EPOCH: return "read_epoch";
    case ELECTION_LIST: return "list";
    case ELECTION_PUT_WORKER: return "put_worker";
    case ELECTION_PUT_METADATA: return "put_metadata";
    case ELECTION_DELETE: return "delete";
    case ELECTION_OP_KINDS: break;
    }
    return NULL;
}

const char *election_reason_name(enum election_reason r)
{
    switch (r) {
    case ELECTION_LEASE_RAN_OUT: return "lease ran out";
    case ELECTION_TAKEN_OVER: return "another leader took over";
    case ELECTION_STATE_GONE: return "state.json is gone or unreadable";
    case ELECTION_SUPERSEDED: return "a higher epoch was taken";
    case ELECTION_CLOCK_JUMPED: return "the wall clock jumped ahead";
    case ELECTION_EPOCH_ENDED: return "the epoch ended";
    case ELECTION_FORCED: return "an election was forced";
    case ELECTION_STEPPED_DOWN: return "asked to step down";
    case ELECTION_LEFT: return "leaving";
    }
    return NULL;
}

const char *election_phase_name(enum election_phase p)
{
    switch (p) {
    case ELECTION_OBSERVING: return "observing";
    case ELECTION_ELECTING: return "election";
    case ELECTION_PREPARATION: return "preparation";
    case ELECTION_READY: return "ready";
    }
    return NULL;
}

const char *election_role_name(enum election_role r)
{
    switch (r) {
    case ELECTION_FOLLOWER: return "follower";
    case ELECTION_CANDIDATE: return "candidate";
    case ELECTION_LEADER: return "leader";
    case ELECTION_RELEASING: return "releasing";
    case ELECTION_OUT: return "out";
    }
    return NULL;
}

const char *election_event_name(enum election_event_kind k)
{
    switch (k) {
    case ELECTION_EVENT_STARTED: return "started";
    case ELECTION_EVENT_REGISTERED: return "registered";
    case ELECTION_EVENT_REGISTER_FAILED: return "register_failed";
    case ELECTION_EVENT_HEARTBEAT: return "heartbeat";
    case ELECTION_EVENT_LEADER_CHANGED: return "leader_changed";
    case ELECTION_EVENT_ELECTED: return "elected";
    case ELECTION_EVENT_DEMOTED: return "demoted";
    case ELECTION_EVENT_RENEWED: return "renewed";
    case ELECTION_EVENT_PHASE: return "phase";
    case ELECTION_EVENT_WORKER_JOINED: return "worker_joined";
    case ELECTION_EVENT_WORKER_TIMED_OUT: return "worker_timed_out";
    case ELECTION_EVENT_CONTENTION: return "contention";
    case ELECTION_EVENT_BREAKER: return "breaker";
    case ELECTION_EVENT_ELECTION_FAILED: return "election_failed";
    case ELECTION_EVENT_REFUSED: return "refused";
    case ELECTION_EVENT_GONE: return "gone";
    }
    return NULL;
}
