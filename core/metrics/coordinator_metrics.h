/* coordinator_metrics.h -- what the coordinator shows of itself, with the names that docs/coordinator.md
 * gives.
 *
 * Counters of elections are kept by the elections; coordinator_metrics_elections() carries them over when
 * somebody asks. In per-task mode they are the sums over all elections of this instance.
 *
 * Threads: counters of tasks and tickets from any; elections' from one at a time. */
#ifndef CORE_METRICS_COORDINATOR_METRICS_H
#define CORE_METRICS_COORDINATOR_METRICS_H

#include "core/election/election.h"
#include "core/metrics/metrics.h"

enum { COORDINATOR_QUANTILE_COUNT = 3 };

/* COUNTER(field, name, help), COUNTER_BY(field, name, labels, help), GAUGE(field, name, decimals, help),
 * GAUGE_BY(field, name, labels, decimals, help) */
#define COORDINATOR_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, GAUGE_BY)                                        \
    COUNTER(heartbeats, "sync_coordinator_heartbeats_total",                                                 \
            "Heartbeats written: worker records and renewals of the lease.")                                 \
    COUNTER(elections, "sync_coordinator_elections_total", "Elections that this instance ran in.")           \
    COUNTER(elections_failed, "sync_coordinator_elections_failed_total",                                     \
            "Elections that it ran in and that came to nothing.")                                            \
    GAUGE(election_ms, "sync_coordinator_election_duration_seconds", 3,                                      \
          "How long the last election took that this instance won.")                                         \
    COUNTER(leader_changes, "sync_coordinator_leader_changes_total",                                         \
            "Changes of leader that this instance saw, its own included.")                                   \
    COUNTER(demotions, "sync_coordinator_demotions_total", "Times this instance stopped leading.")           \
    COUNTER(renewals, "sync_coordinator_lease_renewals_total", "Times it renewed its lease.")                \
    GAUGE(leader, "sync_coordinator_leader", 0,                                                              \
          "1 while this instance may lead; in per-task mode the tasks that it leads.")                       \
    GAUGE(epoch, "sync_coordinator_epoch", 0, "Epoch of state.json as last seen; the highest of all tasks.") \
    GAUGE(lease_left_ms, "sync_coordinator_lease_remaining_seconds", 3,                                      \
          "What is left of the leader's lease by this instance's own clock.")                                \
    GAUGE(workers, "sync_coordinator_workers", 0, "Live workers, as this instance last counted them.")       \
    COUNTER(registrations, "sync_coordinator_worker_registrations_total", "Own worker records written.")     \
    COUNTER(register_failures, "sync_coordinator_worker_registration_failures_total",                        \
            "Own worker records that were not written, or nobody knows.")                                    \
    COUNTER(worker_joins, "sync_coordinator_worker_joins_total", "Workers that came, as its leader saw it.") \
    COUNTER(worker_timeouts, "sync_coordinator_worker_timeouts_total",                                       \
            "Workers that fell silent, as its leader saw it.")                                               \
    GAUGE(heartbeat_age_ms, "sync_coordinator_last_heartbeat_age_seconds", 3,                                \
          "Time since the last heartbeat was written; of the oldest election in per-task mode.")             \
    GAUGE(breaker_state, "sync_coordinator_circuit_breaker_state", 0, "0 closed, 1 open, 2 half-open.")      \
    COUNTER(breaker_opened, "sync_coordinator_circuit_breaker_opened_total",                                 \
            "Times the circuit breaker opened.")                                                             \
    COUNTER(contentions, "sync_coordinator_contention_total", "Heartbeats that took too long.")              \
    COUNTER_BY(requests, "sync_coordinator_requests_total", ELECTION_OP_KINDS,                               \
               "Requests of elections to the object store, by kind.")                                        \
    COUNTER_BY(requests_unknown, "sync_coordinator_requests_unknown_total", ELECTION_OP_KINDS,               \
               "Of those, the ones without an answer to trust.")                                             \
    GAUGE_BY(latency_ms, "sync_coordinator_request_latency_seconds", COORDINATOR_QUANTILE_COUNT, 3,          \
             "Time of the last 128 requests.")                                                               \
    COUNTER(hints_sent, "sync_coordinator_hints_sent_total", "Other instances told to look at once.")        \
    COUNTER(hints_failed, "sync_coordinator_hints_failed_total", "Of those, the ones that did not arrive.")  \
    COUNTER(hints_received, "sync_coordinator_hints_received_total", "Hints of other instances.")            \
    COUNTER(task_runs, "sync_coordinator_task_runs_total", "Runs of cluster tasks on this instance.")        \
    COUNTER(task_failures, "sync_coordinator_task_failures_total", "Of those, the ones that failed.")        \
    COUNTER(fenced_writes, "sync_coordinator_fenced_writes_total",                                           \
            "Writes of cluster tasks turned away because a higher epoch had written.")                       \
    COUNTER(tickets_published, "sync_coordinator_tickets_published_total",                                   \
            "Tickets that this instance published as leader.")                                               \
    COUNTER(tickets_claimed, "sync_coordinator_tickets_claimed_total", "Tickets that it claimed.")           \
    COUNTER(tickets_done, "sync_coordinator_tickets_done_total",                                             \
            "Tickets whose result it wrote, first of all.")                                                  \
    COUNTER(tickets_redundant, "sync_coordinator_tickets_redundant_total",                                   \
            "Tickets it did while another instance's result came first.")

struct coordinator_metrics {
#define COUNTER(field, name, help)                   struct counter field;
#define COUNTER_BY(field, name, count, help)         struct counter field[count];
#define GAUGE(field, name, decimals, help)           struct gauge field;
#define GAUGE_BY(field, name, count, decimals, help) struct gauge field[count];
    COORDINATOR_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, GAUGE_BY)
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef GAUGE_BY
};

void coordinator_metrics_register(struct coordinator_metrics *m, struct metrics_registry *r);

/* Sets what elections tell from the statuses of this instance's elections, of which there is at least one. */
void coordinator_metrics_elections(struct coordinator_metrics *m, const struct election_status *statuses,
                                   size_t count, uint64_t now_ms);

#endif
