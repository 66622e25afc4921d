#include "core/election/election_text.h"

#include <inttypes.h>

static void put_text(struct buf *out, const struct election_event *ev)
{
    switch (ev->kind) {
    case ELECTION_EVENT_STARTED: BUF_PUT_LIT(out, "Service started"); return;
    case ELECTION_EVENT_REGISTERED: BUF_PUT_LIT(out, "Worker registered"); return;
    case ELECTION_EVENT_REGISTER_FAILED: BUF_PUT_LIT(out, "Failed to register worker"); return;
    case ELECTION_EVENT_HEARTBEAT: BUF_PUT_LIT(out, "Heartbeat cycle executed"); return;
    case ELECTION_EVENT_LEADER_CHANGED:
        buf_printf(out, "Leader changed: %s -> %s (epoch: %" PRIu64 ")",
                   ev->from[0] == '\0' ? "none" : ev->from, ev->to, ev->epoch);
        return;
    case ELECTION_EVENT_ELECTED:
        buf_printf(out, "This instance leads (epoch: %" PRIu64 ", active workers: %u)", ev->epoch,
                   ev->workers);
        return;
    case ELECTION_EVENT_DEMOTED:
        buf_printf(out, "This instance leads no more (epoch: %" PRIu64 "): %s", ev->epoch,
                   election_reason_name(ev->reason));
        return;
    case ELECTION_EVENT_RENEWED:
        buf_printf(out, "Coordinator epoch renewed (epoch: %" PRIu64 ")", ev->epoch);
        return;
    case ELECTION_EVENT_PHASE:
        buf_printf(out, "Cold start phase: %s (after %" PRIu64 " ms)", election_phase_name(ev->phase),
                   ev->duration_ms);
        return;
    case ELECTION_EVENT_WORKER_JOINED: buf_printf(out, "Worker joined: %s", ev->to); return;
    case ELECTION_EVENT_WORKER_TIMED_OUT: buf_printf(out, "Worker timeout: %s", ev->to); return;
    case ELECTION_EVENT_CONTENTION:
        buf_printf(out,
                   "Contention detected: a heartbeat took %" PRIu64 " ms, expected at most %" PRIu64 " ms",
                   ev->duration_ms, ev->expected_ms);
        return;
    case ELECTION_EVENT_BREAKER:
        buf_printf(out, "Circuit breaker %s", breaker_state_name(ev->breaker));
        return;
    case ELECTION_EVENT_ELECTION_FAILED: BUF_PUT_LIT(out, "Failed to conduct election"); return;
    case ELECTION_EVENT_REFUSED: BUF_PUT_LIT(out, "Asked to step down, but another instance leads"); return;
    case ELECTION_EVENT_GONE: BUF_PUT_LIT(out, "Service stopped"); return;
    }
}

void election_event_line(struct buf *out, const char *mode, const char *namespace_name,
                         const struct election_event *ev)
{
    buf_printf(out, "[coordinator:%s] [%s] ", mode, namespace_name);
    put_text(out, ev);
}

bool election_event_is_diagnostic(enum election_event_kind k)
{
    return k == ELECTION_EVENT_HEARTBEAT || k == ELECTION_EVENT_RENEWED;
}

const char *election_event_topic(const struct election_event *ev)
{
    switch (ev->kind) {
    case ELECTION_EVENT_STARTED: return "coord:started";
    case ELECTION_EVENT_REGISTERED: return "coord:worker-registered";
    case ELECTION_EVENT_REGISTER_FAILED: return "coord:worker-registration-failed";
    case ELECTION_EVENT_HEARTBEAT: return "coord:worker-heartbeat";
    case ELECTION_EVENT_LEADER_CHANGED: return "leader:changed";
    case ELECTION_EVENT_ELECTED: return "coord:coordinator-promoted";
    case ELECTION_EVENT_DEMOTED: return "coord:coordinator-demoted";
    case ELECTION_EVENT_RENEWED: return "coord:coordinator-epoch-renewed";
    case ELECTION_EVENT_PHASE: return "coord:cold-start-phase-changed";
    case ELECTION_EVENT_WORKER_JOINED:
    case ELECTION_EVENT_WORKER_TIMED_OUT: return "workers:updated";
    case ELECTION_EVENT_CONTENTION: return "contention:detected";
    case ELECTION_EVENT_BREAKER:
        return ev->breaker == BREAKER_OPEN        ? "circuitBreaker:open"
               : ev->breaker == BREAKER_HALF_OPEN ? "circuitBreaker:half-open"
                                                  : "circuitBreaker:closed";
    case ELECTION_EVENT_ELECTION_FAILED: return "coord:election-failed";
    case ELECTION_EVENT_REFUSED: return "coord:step-down-refused";
    case ELECTION_EVENT_GONE: return "coord:stopped";
    }
    return NULL;
}
