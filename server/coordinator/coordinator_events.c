/* What elections tell: log lines that operators know, tasks that start and stop, hints that go out. */
#include "core/election/election_text.h"
#include "server/coordinator/coordinator_internal.h"
#include "server/hooks/hook_event.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINE_BYTES_MAX = 512 };

/* ---- log lines */

static enum log_level level_of(const struct election_event *ev)
{
    switch (ev->kind) {
    case ELECTION_EVENT_REGISTER_FAILED:
    case ELECTION_EVENT_ELECTION_FAILED:
    case ELECTION_EVENT_CONTENTION:
    case ELECTION_EVENT_WORKER_TIMED_OUT: return LOG_LEVEL_WARN;
    case ELECTION_EVENT_DEMOTED:
        return ev->reason == ELECTION_LEFT || ev->reason == ELECTION_STEPPED_DOWN ||
                       ev->reason == ELECTION_EPOCH_ENDED
                   ? LOG_LEVEL_INFO
                   : LOG_LEVEL_WARN;
    case ELECTION_EVENT_BREAKER: return ev->breaker == BREAKER_OPEN ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
    default: return LOG_LEVEL_INFO;
    }
}

static void log_event(struct coordinator *c, const char *label, const struct election_event *ev)
{
    struct buf line = buf_make(LINE_BYTES_MAX);
    char name[64];
    const struct logger *l = &c->cluster.logger;
    enum log_level level = level_of(ev);
    if (election_event_is_diagnostic(ev->kind) && !c->config->diagnostics) return;
    if (!log_enabled(l, LOG_SERVICE, level)) return;
    election_event_line(&line, label, c->cluster.namespace_name, ev);
    (void)snprintf(name, sizeof name, "coordinator.%s", election_event_name(ev->kind));
    const struct log_field fields[] = {log_field_str("event", name), LOG_SLICE("text", buf_slice(&line))};
    log_write(l, LOG_SERVICE, level, fields, sizeof fields / sizeof fields[0]);
    buf_deinit(&line);
}

void coordinator_log_line(struct coordinator *c, const char *label, const char *text)
{
    char line[LINE_BYTES_MAX];
    (void)snprintf(line, sizeof line, "[coordinator:%s] [%s] %s", label, c->cluster.namespace_name, text);
    log_info(&c->cluster.logger, LOG_SERVICE, "coordinator.service", LOG_STR("text", line));
}

/* ---- requests */

/* Tickets are all tasks': where each has an election, the first one stands for them. */
void coordinator_spent(void *arg, const struct task_run *run, uint32_t requests)
{
    struct coordinator *c = arg;
    struct elector *elector = run != NULL ? run->elector : NULL;
    pthread_mutex_lock(&c->lock);
    if (elector == NULL && c->election_count > 0) elector = c->elections[0].elector;
    pthread_mutex_unlock(&c->lock);
    if (elector != NULL) elector_lend(elector, requests);
}

/* ---- hints */

struct hint_job {
    struct job job; /* first */
    struct coordinator *coordinator;
    const struct election_site *site;
    char worker_id[WORKER_ID_MAX + 1];
    enum hint_kind kind;
};

static void hint_run(struct job *job)
{
    struct hint_job *j = (struct hint_job *)job;
    struct coordinator_metrics *m = j->coordinator->cluster.metrics;
    counter_add(&m->hints_sent, 1);
    coordinator_spent(j->coordinator, NULL, 1); /* it looks for the address */
    if (hint_send(j->site, j->worker_id, j->kind, &job->ec) != SYNC_OK) {
        counter_add(&m->hints_failed, 1);
        log_debug(&j->coordinator->cluster.logger, LOG_SERVICE, "coordinator.hint_failed",
                  LOG_STR("worker", j->worker_id), LOG_FAILURE(&job->ec),
                  LOG_STR("next", "it sees for itself, some seconds later"));
    }
    free(j);
}

static void send_hint(struct coordinator *c, const struct election_site *site, const char *worker_id,
                      enum hint_kind kind)
{
    struct hint_job *j = calloc(1, sizeof *j);
    if (j == NULL) return; /* a courtesy */
    j->job.run = hint_run;
    j->coordinator = c;
    j->site = site;
    j->kind = kind;
    (void)snprintf(j->worker_id, sizeof j->worker_id, "%s", worker_id);
    io_pool_put(&c->pool, IO_OTHER, &j->job);
}

void coordinator_tell_tickets(void *arg, const struct task_run *run, const char *worker_id)
{
    struct coordinator *c = arg;
    if (strcmp(worker_id, c->cluster.worker_id) == 0)
        ticket_desk_kick(&c->desk);
    else
        send_hint(c, elector_site(run->elector), worker_id, HINT_TICKETS);
}

/* ---- the listener, on the thread of its elector */

/* Hooks hear of everything but the heartbeats and renewals, which are many and say nothing new. */
static void tell_hooks(struct coordinator_election *e, const struct election_event *ev)
{
    struct coordinator *c = e->coordinator;
    const char *leader = ev->kind == ELECTION_EVENT_LEADER_CHANGED ? ev->to
                         : ev->kind == ELECTION_EVENT_ELECTED      ? c->cluster.worker_id
                         : ev->kind == ELECTION_EVENT_DEMOTED      ? ""
                                                                   : NULL;
    if (leader != NULL) (void)snprintf(e->leader_id, sizeof e->leader_id, "%s", leader);
    if (election_event_is_diagnostic(ev->kind)) return;
    const struct hook_event told = {.name = slice_str(election_event_topic(ev)),
                                    .namespace_name = slice_str(c->cluster.namespace_name),
                                    .election = slice_str(e->label),
                                    .leader_id = slice_str(e->leader_id),
                                    .epoch = ev->epoch};
    hook_gate_coordinator_event(&c->server->hooks, &told);
}

static void happened(void *arg, const struct election_event *ev)
{
    struct coordinator_election *e = arg;
    struct coordinator *c = e->coordinator;
    log_event(c, e->label, ev);
    tell_hooks(e, ev);
    if (ev->kind != ELECTION_EVENT_ELECTED && ev->kind != ELECTION_EVENT_DEMOTED) return;
    for (size_t i = e->first; i < e->first + e->count; i++) {
        if (ev->kind == ELECTION_EVENT_ELECTED)
            task_lane_elected(&c->lanes[i], e->elector, ev->epoch);
        else
            task_lane_demoted(&c->lanes[i]);
    }
}

static void hint(void *arg, const char *worker_id)
{
    struct coordinator_election *e = arg;
    send_hint(e->coordinator, elector_site(e->elector), worker_id, HINT_ELECTION);
}

struct elector_listener coordinator_listener(struct coordinator_election *e)
{
    return (struct elector_listener){.happened = happened, .hint = hint, .arg = e};
}
