#include "core/election/election_internal.h"

#include <assert.h>
#include <stdio.h>

bool election_busy(const struct election *e, enum election_op_kind kind)
{
    return e->flights[kind].active;
}

struct election_op *election_send(struct election *e, enum election_op_kind kind, uint32_t wait_ms,
                                  enum request_need need)
{
    struct election_flight *f = &e->flights[kind];
    assert(!f->active);
    if (need == REQUEST_SPARE && !request_budget_has(&e->budget, e->now)) return NULL;
    uint32_t ticket = 0;
    bool ticketed = breaker_begin(&e->breaker, e->now, &ticket);
    if (!ticketed && need != REQUEST_MUST) return NULL;
    assert(e->u->op_count < ELECTION_OPS_MAX); /* a step sends each kind once */
    request_budget_spend(&e->budget, e->now);
    e->counters.requests[kind]++;
    *f = (struct election_flight){.active = true,
                                  .ticketed = ticketed,
                                  .id = ++e->last_op_id,
                                  .ticket = ticket,
                                  .sent_ms = e->now,
                                  .until_ms = e->now + wait_ms};
    struct election_op *op = &e->u->ops[e->u->op_count++];
    op->kind = kind;
    op->id = f->id;
    op->wait_ms = wait_ms;
    op->if_match.text[0] = '\0';
    return op;
}

uint64_t election_land(struct election *e, enum election_op_kind kind, uint32_t op_id, bool answered)
{
    struct election_flight *f = &e->flights[kind];
    if (!f->active || f->id != op_id) return ELECTION_NEVER; /* given up before */
    f->active = false;
    uint64_t took_ms = e->now - f->sent_ms;
    percentile_add(&e->latency, took_ms < UINT32_MAX ? (uint32_t)took_ms : UINT32_MAX);
    if (!answered) e->counters.unknowns[kind]++;
    if (f->ticketed)
        breaker_end(&e->breaker, f->ticket, answered ? BREAKER_SUCCESS : BREAKER_FAILURE, e->now);
    if (answered && breaker_state(&e->breaker, e->now) != BREAKER_CLOSED)
        breaker_init(&e->breaker, &e->cfg.breaker); /* the store answers: no need to wait for a probe */
    return f->sent_ms;
}

void election_lend(struct election *e, uint32_t requests, uint64_t now_ms)
{
    if (e->started) request_budget_lend(&e->budget, requests, now_ms);
}

void election_tell_breaker(struct election *e)
{
    enum breaker_state s = breaker_state(&e->breaker, e->now);
    if (s == e->breaker_told) return;
    if (s == BREAKER_OPEN) e->counters.breaker_opened++;
    e->breaker_told = s;
    struct election_event *ev = election_tell(e, ELECTION_EVENT_BREAKER);
    ev->breaker = s;
}

void election_write_prepare(struct election *e, const struct election_state *state,
                            const struct election_etag *if_match)
{
    e->write = (struct election_write){.state = *state, .if_match = *if_match, .open = true};
    e->write.state.token = (struct election_token){e->self.incarnation, ++e->last_write};
    e->write.retry_ms = e->now;
}

bool election_write_send(struct election *e, uint32_t wait_ms)
{
    assert(e->write.open);
    struct election_op *op = election_send(e, ELECTION_WRITE_STATE, wait_ms, REQUEST_MUST);
    if (op == NULL) return false;
    op->state = e->write.state;
    op->if_match = e->write.if_match;
    if (e->write.tries++ > 0) return true;
    e->write.first_sent_ms = e->now;
    e->write.first_sent_wall_ms = e->wall;
    return true;
}

bool election_look(struct election *e, uint32_t wait_ms)
{
    return election_send(e, ELECTION_READ_STATE, wait_ms, REQUEST_MUST) != NULL;
}

struct election_op *election_create_epoch(struct election *e, uint64_t epoch, enum request_need need)
{
    struct election_op *op = election_send(e, ELECTION_CREATE_EPOCH, e->timing.request_wait_ms, need);
    if (op == NULL) return NULL;
    op->epoch = (struct election_epoch){.epoch = epoch,
                                        .token = {e->self.incarnation, 0},
                                        .lease_ms = e->cfg.lease_timeout_ms,
                                        .created_wall_ms = e->wall};
    (void)snprintf(op->epoch.worker_id, sizeof op->epoch.worker_id, "%s", e->self.worker_id);
    e->epoch_creating = epoch;
    if (epoch != e->epoch_asked) e->epoch_asked_ms = e->now;
    e->epoch_asked = epoch;
    e->creating_to_force = false;
    return op;
}
