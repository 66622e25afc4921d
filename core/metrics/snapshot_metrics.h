/* snapshot_metrics.h -- what is counted of snapshots, restores and evictions.
 *
 * A part of struct sync_metrics. Threads: see metrics.h. */
#ifndef CORE_METRICS_SNAPSHOT_METRICS_H
#define CORE_METRICS_SNAPSHOT_METRICS_H

#include "core/metrics/metrics.h"

/* X(kind, field, name, decimals, help) */
#define SNAPSHOT_METRICS_MAP(COUNTER, GAUGE, HISTOGRAM)                                                      \
    COUNTER(taken, "snapshots_total", "Snapshots written to the object store and verified.")                 \
    COUNTER(bytes, "snapshot_bytes_total", "Their bytes.")                                                   \
    COUNTER(facts, "snapshot_facts_total", "Facts in them.")                                                 \
    COUNTER(failures, "snapshot_failures_total", "Snapshots that failed; they are tried again.")             \
    COUNTER(damaged, "snapshots_damaged_total", "Snapshots that could not be read and were set aside.")      \
    COUNTER(missing, "snapshots_missing_total",                                                              \
            "Snapshots that had been verified and were not there, or not whole, when they were relied on.")  \
    HISTOGRAM(taken_ns, "snapshot_duration_seconds", "Time to write and verify one.")                        \
    COUNTER(restores, "restores_total", "Databases brought back from the object store.")                     \
    COUNTER(restored_facts, "restored_facts_total", "Facts in them.")                                        \
    COUNTER(restore_failures, "restore_failures_total",                                                      \
            "Restores that failed; the next who asks tries again.")                                          \
    GAUGE(restoring, "restores_running", "Databases that are being looked for in the object store.")         \
    HISTOGRAM(restore_ns, "restore_duration_seconds", "Time to bring one back.")                             \
    COUNTER(evictions, "evictions_total", "Idle databases that left the local disk.")                        \
    COUNTER(eviction_failures, "eviction_failures_total",                                                    \
            "Idle databases that could not be proved to be in the object store, or not be removed.")

struct snapshot_metrics {
#define COUNTER(field, name, help)   struct counter field;
#define GAUGE(field, name, help)     struct gauge field;
#define HISTOGRAM(field, name, help) struct histogram field;
    SNAPSHOT_METRICS_MAP(COUNTER, GAUGE, HISTOGRAM)
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
};

/* Registers them; all are zero before. */
void snapshot_metrics_init(struct snapshot_metrics *m, struct metrics_registry *r);

#endif
