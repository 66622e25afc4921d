/* coordinator_config.h -- coordinator{...} of the configuration file: what an operator may set about the work
 * of a whole cluster and who leads it.
 *
 * Its fields are the options, as they are named; election/election_config.h says what each does to an
 * election. An election is run with one of the two configurations that are made from them here.
 *
 * Pure. */
#ifndef CORE_CONFIG_COORDINATOR_CONFIG_H
#define CORE_CONFIG_COORDINATOR_CONFIG_H

#include "core/base/err.h"
#include "core/election/election_config.h"

#include <stdbool.h>
#include <stdint.h>

enum coordination_mode {
    COORDINATION_GLOBAL,   /* one election for all tasks of a namespace */
    COORDINATION_PER_TASK, /* each task has an election of its own */
};

struct config_coordinator {
    bool enabled;
    enum coordination_mode mode;
    const char *namespace_name;
    const char *worker_id; /* "": made when the server starts */
    const char *url;       /* where the other instances reach this one; "": from host, port and base path */
    uint32_t heartbeat_interval_ms;
    uint32_t heartbeat_jitter_ms;
    uint32_t lease_timeout_ms;
    uint32_t worker_timeout_ms;
    bool diagnostics;
    uint64_t snapshot_round_ms; /* between two rounds in which every instance takes its due snapshots */
    struct {
        uint32_t heartbeat_interval_ms;
        uint32_t worker_timeout_ms; /* the lease as well */
        uint32_t epoch_min_ms;
        uint32_t epoch_max_ms;
    } per_task;
    struct {
        uint32_t observation_window_ms;
        uint32_t preparation_delay_ms;
        bool skip;
    } cold_start;
    struct {
        uint32_t failure_threshold;
        uint32_t reset_timeout_ms;
    } circuit_breaker;
    struct {
        uint32_t threshold_percent;
        uint32_t rate_limit_ms;
    } contention;
};

/* Of the election that all tasks share. */
struct election_config coordinator_shared_election(const struct config_coordinator *c);

/* Of one task's election. */
struct election_config coordinator_task_election(const struct config_coordinator *c);

/* Everything against everything, both modes: an instance may fall back to the other one. A coordinator that
 * is not enabled may be set as it likes. Errors: SYNC_ECONFIG, with the option's name behind "coordinator."
 * and the reason. */
enum sync_err coordinator_config_check(const struct config_coordinator *c, struct err_ctx *ec);

const char *coordination_mode_name(enum coordination_mode m); /* "global", "per-task" */

#endif
