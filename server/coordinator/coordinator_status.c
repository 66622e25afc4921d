/* GET coordinator: what this instance knows of its elections, the workers and the tasks. */
#include "core/json/json_text.h"
#include "server/base/system.h"
#include "server/coordinator/coordinator_internal.h"

#include <inttypes.h>

static void put_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":", key);
    json_put_text(out, slice_str(text));
}

static void put_number(struct buf *out, const char *key, uint64_t n)
{
    buf_printf(out, ",\"%s\":%" PRIu64, key, n);
}

static void put_bool(struct buf *out, const char *key, bool b)
{
    buf_printf(out, ",\"%s\":%s", key, b ? "true" : "false");
}

struct worker_list {
    struct buf *out;
    uint64_t now_ms;
    size_t count;
};

static void put_worker(void *arg, const struct election_worker *w)
{
    struct worker_list *l = arg;
    buf_printf(l->out, "%s{\"workerId\":\"%s\"", l->count++ > 0 ? "," : "", w->id);
    put_bool(l->out, "live", w->live);
    put_number(l->out, "lastHeartbeatAgeMs", l->now_ms > w->changed_ms ? l->now_ms - w->changed_ms : 0);
    buf_put_char(l->out, '}');
}

static void put_leader(struct buf *out, const struct election_status *s)
{
    BUF_PUT_LIT(out, ",\"leader\":");
    if (s->leader_id[0] == '\0' || s->hold != ELECTION_HELD)
        BUF_PUT_LIT(out, "null");
    else
        json_put_text(out, slice_str(s->leader_id));
    put_number(out, "epoch", s->epoch);
    put_text(out, "lease", s->state_known ? election_hold_name(s->hold) : "unknown");
    put_number(out, "leaseRemainingMs", s->lease_left_ms);
}

static void put_counters(struct buf *out, const struct election_status *s)
{
    uint64_t requests = 0;
    for (int k = 0; k < ELECTION_OP_KINDS; k++) requests += s->counters.requests[k];
    BUF_PUT_LIT(out, ",\"metrics\":{\"heartbeatCount\":");
    buf_put_u64(out, s->counters.heartbeats);
    put_number(out, "electionCount", s->counters.elections);
    put_number(out, "leaderChanges", s->counters.leader_changes);
    put_number(out, "workerCount", s->workers);
    put_number(out, "workerTimeouts", s->counters.worker_timeouts);
    put_number(out, "requestCount", requests);
    put_number(out, "latencyP50Ms", s->latency_ms.p50);
    put_number(out, "latencyP95Ms", s->latency_ms.p95);
    put_number(out, "latencyP99Ms", s->latency_ms.p99);
    buf_put_char(out, '}');
}

static void put_task(struct buf *out, struct coordinator *c, size_t i)
{
    struct task_report r = task_lane_report(&c->lanes[i]);
    buf_printf(out, "{\"name\":\"%s\"", c->task_names[i]);
    put_number(out, "runs", r.runs);
    put_number(out, "failures", r.failures);
    put_bool(out, "running", r.running);
    BUF_PUT_LIT(out, ",\"lastRun\":");
    if (r.ever) {
        BUF_PUT_LIT(out, "{\"endedAt\":");
        buf_put_u64(out, r.ended_wall_ms);
        put_number(out, "tookMs", r.took_ms);
        put_text(out, "result", r.rc == SYNC_OK ? "ok" : r.rc == SYNC_ECANCELED ? "stopped" : "failed");
        put_text(out, "text", r.text);
        buf_put_char(out, '}');
    } else {
        BUF_PUT_LIT(out, "null");
    }
    buf_put_char(out, '}');
}

static void put_election(struct buf *out, struct coordinator *c, struct coordinator_election *e)
{
    struct election_status s;
    uint64_t now_ms = system_boot_ms();
    struct worker_list list = {.out = out, .now_ms = now_ms};
    elector_status(e->elector, &s);
    buf_printf(out, "{\"name\":\"%s\"", e->label);
    put_text(out, "role", election_role_name(s.role));
    put_text(out, "phase", election_phase_name(s.phase));
    put_bool(out, "leads", election_may_lead(&s.lead, now_ms));
    put_leader(out, &s);
    BUF_PUT_LIT(out, ",\"lastHeartbeatAgeMs\":");
    if (s.heartbeat_age_ms == UINT64_MAX)
        BUF_PUT_LIT(out, "null");
    else
        buf_put_u64(out, s.heartbeat_age_ms);
    put_text(out, "circuitBreaker", breaker_state_name(s.breaker));
    put_counters(out, &s);
    BUF_PUT_LIT(out, ",\"workers\":[");
    elector_each_worker(e->elector, put_worker, &list);
    BUF_PUT_LIT(out, "],\"tasks\":[");
    for (size_t i = e->first; i < e->first + e->count; i++) {
        if (i > e->first) buf_put_char(out, ',');
        put_task(out, c, i);
    }
    BUF_PUT_LIT(out, "]}");
}

static const char *state_name(enum coordinator_state s)
{
    switch (s) {
    case COORDINATOR_ASKING: return "starting";
    case COORDINATOR_RUNNING: return "running";
    case COORDINATOR_REFUSED: return "refused";
    case COORDINATOR_STOPPED: return "stopped";
    }
    return NULL;
}

void coordinator_status_put(struct coordinator *c, struct buf *out)
{
    if (c == NULL) {
        BUF_PUT_LIT(out, "{\"enabled\":false}");
        return;
    }
    pthread_mutex_lock(&c->lock);
    BUF_PUT_LIT(out, "{\"enabled\":true");
    put_text(out, "state", state_name(c->state));
    if (c->state == COORDINATOR_REFUSED) put_text(out, "reason", c->why.text);
    put_text(out, "mode",
             coordination_mode_name(c->state == COORDINATOR_RUNNING ? c->mode : c->config->mode));
    put_text(out, "namespace", c->cluster.namespace_name);
    put_text(out, "workerId", c->cluster.worker_id);
    put_text(out, "url", c->url);
    BUF_PUT_LIT(out, ",\"elections\":[");
    for (size_t i = 0; i < c->election_count; i++) {
        if (i > 0) buf_put_char(out, ',');
        put_election(out, c, &c->elections[i]);
    }
    BUF_PUT_LIT(out, "]}");
    pthread_mutex_unlock(&c->lock);
}
