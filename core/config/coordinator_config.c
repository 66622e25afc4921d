#include "core/config/coordinator_config.h"

#include "core/election/election_keys.h"
#include "core/election/election_record.h"

static struct election_config common(const struct config_coordinator *c)
{
    struct election_config cfg = {
        .cold_start = {.observation_window_ms = c->cold_start.observation_window_ms,
                       .preparation_delay_ms = c->cold_start.preparation_delay_ms,
                       .skip = c->cold_start.skip},
        .breaker = {.failures_max = c->circuit_breaker.failure_threshold,
                    .reset_ms = c->circuit_breaker.reset_timeout_ms},
        .contention = {.threshold_percent = c->contention.threshold_percent,
                       .rate_limit_ms = c->contention.rate_limit_ms},
    };
    return cfg;
}

struct election_config coordinator_shared_election(const struct config_coordinator *c)
{
    struct election_config cfg = common(c);
    cfg.heartbeat_interval_ms = c->heartbeat_interval_ms;
    cfg.heartbeat_jitter_ms = c->heartbeat_jitter_ms;
    cfg.lease_timeout_ms = c->lease_timeout_ms;
    cfg.worker_timeout_ms = c->worker_timeout_ms;
    return cfg;
}

struct election_config coordinator_task_election(const struct config_coordinator *c)
{
    struct election_config cfg = common(c);
    cfg.heartbeat_interval_ms = c->per_task.heartbeat_interval_ms;
    /* The jitter is set for the shared heartbeat; where a task's is shorter, it cannot be more than that. */
    cfg.heartbeat_jitter_ms = c->heartbeat_jitter_ms < cfg.heartbeat_interval_ms ? c->heartbeat_jitter_ms
                                                                                 : cfg.heartbeat_interval_ms;
    cfg.lease_timeout_ms = cfg.worker_timeout_ms = c->per_task.worker_timeout_ms;
    cfg.epoch_min_ms = c->per_task.epoch_min_ms;
    cfg.epoch_max_ms = c->per_task.epoch_max_ms;
    return cfg;
}

static enum sync_err check_task_election(const struct config_coordinator *c, struct err_ctx *ec)
{
    /* Told here, since a task's election has no option of its own for the lease. */
    if (c->per_task.worker_timeout_ms / 2 < c->per_task.heartbeat_interval_ms)
        return err_set(
            ec, SYNC_ECONFIG,
            "coordinator.perTask.workerTimeoutMs is %u, less than two heartbeats of %u "
            "(coordinator.perTask.heartbeatIntervalMs): it is the lease as well, and one late answer "
            "of the object store would end that of a leader that is well",
            c->per_task.worker_timeout_ms, c->per_task.heartbeat_interval_ms);
    struct election_config cfg = coordinator_task_election(c);
    enum sync_err rc = election_config_check(&cfg, ec);
    if (rc != SYNC_OK) err_wrap(ec, "coordinator.perTask");
    return rc;
}

enum sync_err coordinator_config_check(const struct config_coordinator *c, struct err_ctx *ec)
{
    if (!c->enabled) return SYNC_OK;
    if (!election_namespace_ok(slice_str(c->namespace_name)))
        return err_set(ec, SYNC_ECONFIG,
                       "coordinator.namespace: it is 1 to %d of A-Z a-z 0-9 _ . -, not starting with a dot",
                       ELECTION_NAMESPACE_MAX);
    if (c->worker_id[0] != '\0' && !worker_id_ok(slice_str(c->worker_id)))
        return err_set(ec, SYNC_ECONFIG,
                       "coordinator.workerId: it is 1 to %d of A-Z a-z 0-9 _ . -, not starting with a dot",
                       WORKER_ID_MAX);
    if (strlen(c->url) > ELECTION_URL_MAX)
        return err_set(ec, SYNC_ECONFIG, "coordinator.url is longer than %d bytes", ELECTION_URL_MAX);
    if (c->url[0] != '\0' && strncmp(c->url, "http://", 7) != 0 && strncmp(c->url, "https://", 8) != 0)
        return err_set(ec, SYNC_ECONFIG, "coordinator.url begins with http:// or https://");
    struct election_config cfg = coordinator_shared_election(c);
    enum sync_err rc = election_config_check(&cfg, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "coordinator");
        return rc;
    }
    return check_task_election(c, ec);
}

const char *coordination_mode_name(enum coordination_mode m)
{
    return m == COORDINATION_GLOBAL ? "global" : "per-task";
}
