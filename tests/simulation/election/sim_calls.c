#include "sim_internal.h"

#include "core/election/fence.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* A call's life: DEPART (the instance sends it), LAND (the store carries it out, perhaps again later), ANSWER
 * (the outcome arrives) and TIMEOUT (the sender's patience ends). Any of them may be missing. */

void sim_calls_reset(struct sim_world *w)
{
    for (size_t i = 0; i < SIM_CALLS_MAX; i++) w->calls[i].events = 0;
}

static struct sim_call *new_call(struct sim_world *w, uint32_t i, enum sim_call_kind kind)
{
    for (size_t k = 0; k < SIM_CALLS_MAX; k++) {
        struct sim_call *c = &w->calls[k];
        if (c->events > 0) continue;
        c->stamp++;
        c->kind = kind;
        c->instance = i;
        c->life = w->instances[i].life;
        c->cut = c->deaf = c->refused = c->again = c->landed = c->answered = false;
        return c;
    }
    assert(!"too many calls at once");
    return NULL;
}

static void put(struct sim_world *w, struct sim_call *c, enum sim_event_kind kind, uint64_t in_us)
{
    c->events++;
    sim_queue_put(&w->queue, (struct sim_event){.at_us = w->now_us + in_us,
                                                .kind = kind,
                                                .subject = (uint32_t)(c - w->calls),
                                                .stamp = c->stamp});
}

/* How much later something happens: at most when the faults are over. */
static uint64_t delay_us(struct sim_world *w, uint64_t max_us)
{
    uint64_t us = sim_random(w, max_us),
             left = w->late_until_us > w->now_us ? w->late_until_us - w->now_us : 0;
    return us < left ? us : left;
}

static uint64_t latency_us(struct sim_world *w)
{
    uint64_t us = 200 + sim_random(w, w->net.latency_us);
    if (sim_chance(w, w->net.slow)) us += delay_us(w, w->net.slow_us);
    return us;
}

static void depart_soon(struct sim_world *w, struct sim_call *c)
{
    const struct sim_instance *n = &w->instances[c->instance];
    uint64_t in_us = sim_random(w, 200);
    if (sim_chance(w, w->net.pause_before_send)) {
        sim_pause(w, c->instance, delay_us(w, w->net.pause_us));
        if (n->paused_until_us > w->now_us) in_us += n->paused_until_us - w->now_us;
    }
    put(w, c, SIM_DEPART, in_us);
}

static bool is_renewal(const struct sim_world *w, uint32_t i, const struct election_op *op)
{
    return op->kind == ELECTION_WRITE_STATE && op->state.hold == ELECTION_HELD &&
           op->state.epoch == w->instances[i].lead.epoch;
}

void sim_send(struct sim_world *w, uint32_t i, const struct election_op *op)
{
    struct sim_call *c = new_call(w, i, SIM_CALL_ELECTION);
    uint64_t wait_us = (uint64_t)op->wait_ms * 1000;
    c->op = *op;
    c->sent_ms = sim_mono_ms(w, &w->instances[i]);
    sim_say(w, (int)i, "asks %s #%u", election_op_name(op->kind), op->id);
    if (w->bug == SIM_BUG_NEVER_RENEW && is_renewal(w, i, op)) {
        c->result = (struct election_result){
            .kind = op->kind, .op_id = op->id, .outcome = ELECTION_OK, .etag = sim_etag(op->state.token)};
        put(w, c, SIM_ANSWER, latency_us(w));
        return;
    }
    if (w->bug == SIM_BUG_TRUST_UNKNOWN && op->kind == ELECTION_WRITE_STATE)
        put(w, c, SIM_TIMEOUT, wait_us - wait_us / 5);
    else if (!sim_chance(w, w->net.never_answered))
        put(w, c, SIM_TIMEOUT, wait_us / 4 + sim_random(w, wait_us * 5 / 4));
    depart_soon(w, c);
}

/* --- tasks: check "may I lead", read the guard object, write it --- */

void sim_work(struct sim_world *w, uint32_t i)
{
    if (!sim_may_lead(w, i)) return;
    struct sim_call *c = new_call(w, i, SIM_CALL_GUARD_READ);
    c->guard_epoch = w->instances[i].lead.epoch;
    depart_soon(w, c);
}

static void guard_was_read(struct sim_world *w, const struct sim_call *read)
{
    bool admits = fence_admits(read->result.state.epoch, read->guard_epoch);
    if (!admits && w->bug != SIM_BUG_NO_FENCE) return;
    struct sim_call *c = new_call(w, read->instance, SIM_CALL_GUARD_WRITE);
    c->guard_epoch = read->guard_epoch;
    c->guard_version = read->guard_version;
    depart_soon(w, c);
}

static void write_guard(struct sim_world *w, const struct sim_call *c)
{
    bool meets = c->guard_version == w->store.guard_version || w->bug == SIM_BUG_NO_FENCE;
    if (!meets) return;
    w->store.guard_epoch = c->guard_epoch;
    w->store.guard_version++;
    w->guard_writes++;
    if (c->guard_epoch < w->guard_last)
        sim_fail_unsafe(w, "a write of epoch %" PRIu64 " landed behind one of epoch %" PRIu64, c->guard_epoch,
                        w->guard_last);
    w->guard_last = c->guard_epoch;
}

/* --- the four events --- */

static void depart(struct sim_world *w, struct sim_call *c)
{
    const struct sim_instance *n = &w->instances[c->instance];
    uint64_t go_us = latency_us(w), back_us = latency_us(w);
    if (!sim_is_alive(w, c)) return; /* it died before it could send */
    if (n->paused_until_us > w->now_us) {
        put(w, c, SIM_DEPART, n->paused_until_us - w->now_us);
        return;
    }
    bool cut = n->cut_until_us > w->now_us;
    if (cut || sim_chance(w, w->net.lost)) return;
    if (sim_chance(w, w->net.slow_back)) back_us += delay_us(w, w->net.slow_back_us);
    c->deaf = sim_chance(w, w->net.answer_lost);
    c->refused = sim_chance(w, w->net.refused);
    c->again = sim_chance(w, w->net.twice);
    if (sim_chance(w, w->net.late)) go_us += delay_us(w, w->net.late_us);
    if (w->late_until_us > w->now_us && go_us > w->late_until_us - w->now_us)
        go_us = w->late_until_us - w->now_us; /* what is under way is there when the faults are over */
    put(w, c, SIM_LAND, go_us);
    if (!c->deaf) put(w, c, SIM_ANSWER, go_us + back_us);
}

static void land(struct sim_world *w, struct sim_call *c)
{
    const struct sim_instance *n = &w->instances[c->instance];
    struct election_result again;
    bool first = !c->landed;
    c->landed = true;
    if (c->refused) {
        c->result =
            (struct election_result){.kind = c->op.kind, .op_id = c->op.id, .outcome = ELECTION_UNKNOWN};
        return;
    }
    switch (c->kind) {
    case SIM_CALL_ELECTION: {
        bool list = c->op.kind == ELECTION_LIST;
        uint32_t chance = list ? w->net.stale_list : w->net.stale_read;
        unsigned stale = sim_chance(w, chance) ? 1 + (unsigned)sim_random(w, SIM_STATES_KEPT - 1) : 0;
        sim_store_apply(&w->store, &c->op, n->self.worker_id, stale, first ? &c->result : &again, &c->page);
        if (first && c->op.kind != ELECTION_LIST && c->op.kind != ELECTION_READ_STATE)
            sim_say(w, (int)c->instance, "  lands %s #%u: %d", election_op_name(c->op.kind), c->op.id,
                    (int)c->result.outcome);
        break;
    }
    case SIM_CALL_GUARD_READ:
        c->result.state.epoch = w->store.guard_epoch;
        c->guard_version = w->store.guard_version;
        break;
    case SIM_CALL_GUARD_WRITE: write_guard(w, c); break;
    }
    if (c->again) {
        c->again = false;
        put(w, c, SIM_LAND, latency_us(w) + delay_us(w, w->net.late_us));
    }
}

/* What the planted errors make of an answer. */
static void bend(struct sim_world *w, const struct sim_call *c, struct election_result *r)
{
    const struct sim_instance *n = &w->instances[c->instance];
    bool write = r->kind == ELECTION_WRITE_STATE;
    if (w->bug == SIM_BUG_TRUST_UNKNOWN && write && r->outcome == ELECTION_UNKNOWN) {
        r->outcome = ELECTION_OK;
        r->etag = sim_etag(c->op.state.token);
    }
    bool other = r->kind == ELECTION_READ_STATE && r->outcome == ELECTION_OK && r->readable &&
                 r->state.token.incarnation != n->self.incarnation;
    if (w->bug == SIM_BUG_WALL_CLOCK && other) {
        uint64_t end = r->state.renewed_wall_ms + r->state.lease_ms, now = sim_wall_ms(w, n);
        if (end <= now)
            r->state.hold = ELECTION_RELEASED;
        else
            r->state.lease_ms = end - now < UINT32_MAX ? (uint32_t)(end - now) : UINT32_MAX;
    }
}

static void answer(struct sim_world *w, struct sim_call *c, bool timeout)
{
    struct sim_instance *n = &w->instances[c->instance];
    if (!sim_is_alive(w, c)) return;
    if (timeout && c->answered) return;
    if (!timeout && n->cut_until_us > w->now_us && w->bug != SIM_BUG_NEVER_RENEW) return;
    if (n->paused_until_us > w->now_us) {
        put(w, c, timeout ? SIM_TIMEOUT : SIM_ANSWER, n->paused_until_us - w->now_us);
        return;
    }
    c->answered = true;
    if (c->kind == SIM_CALL_GUARD_READ) {
        if (!c->refused) guard_was_read(w, c);
        return;
    }
    if (c->kind == SIM_CALL_GUARD_WRITE) return;
    struct election_result r = c->result;
    if (timeout)
        r = (struct election_result){.kind = c->op.kind, .op_id = c->op.id, .outcome = ELECTION_UNKNOWN};
    if (r.kind == ELECTION_LIST && r.outcome == ELECTION_OK) {
        for (size_t i = 0; i < c->page.count; i++)
            w->listed[i] =
                (struct election_listed){slice_str(c->page.entries[i].key.text), c->page.entries[i].etag};
        r.listed = w->listed;
        r.listed_count = c->page.count;
        r.complete = c->page.complete;
    }
    bend(w, c, &r);
    if (r.kind == ELECTION_WRITE_STATE && r.outcome == ELECTION_OK)
        n->answer_lag_ms = sim_mono_ms(w, n) - c->sent_ms;
    sim_say(w, (int)c->instance, "hears %s #%u: %s", election_op_name(r.kind), r.op_id,
            r.outcome == ELECTION_OK       ? "ok"
            : r.outcome == ELECTION_LOST   ? "lost"
            : r.outcome == ELECTION_ABSENT ? "absent"
                                           : "unknown");
    sim_input(w, c->instance, ELECTION_RESULT, &r);
}

void sim_call_event(struct sim_world *w, const struct sim_event *ev)
{
    struct sim_call *c = &w->calls[ev->subject];
    assert(c->stamp == ev->stamp && c->events > 0);
    switch (ev->kind) {
    case SIM_DEPART: depart(w, c); break;
    case SIM_LAND: land(w, c); break;
    case SIM_ANSWER: answer(w, c, false); break;
    case SIM_TIMEOUT: answer(w, c, true); break;
    default: assert(!"no event of a call");
    }
    c->events--;
}
