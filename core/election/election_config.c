#include "core/election/election_config.h"

#include <assert.h>
#include <stddef.h>

static enum sync_err check_range(const char *name, uint32_t value, uint32_t min, uint32_t max,
                                 struct err_ctx *ec)
{
    if (value >= min && value <= max) return SYNC_OK;
    return err_set(ec, SYNC_ECONFIG, "%s is %u, it must be %u to %u", name, value, min, max);
}

static enum sync_err check_lease(const struct election_config *cfg, struct err_ctx *ec)
{
    if (cfg->lease_timeout_ms / 2 < cfg->heartbeat_interval_ms)
        return err_set(ec, SYNC_ECONFIG,
                       "leaseTimeoutMs is %u, less than two heartbeats of %u: one late answer of the object "
                       "store would end the lease of a leader that is well",
                       cfg->lease_timeout_ms, cfg->heartbeat_interval_ms);
    if (cfg->worker_timeout_ms < cfg->lease_timeout_ms)
        return err_set(ec, SYNC_ECONFIG,
                       "workerTimeoutMs is %u, less than leaseTimeoutMs (%u): a leader could be counted as "
                       "gone while its lease still runs",
                       cfg->worker_timeout_ms, cfg->lease_timeout_ms);
    return SYNC_OK;
}

static enum sync_err check_epoch(const struct election_config *cfg, struct err_ctx *ec)
{
    if (cfg->epoch_max_ms == 0) return SYNC_OK;
    if (cfg->epoch_max_ms < cfg->epoch_min_ms)
        return err_set(ec, SYNC_ECONFIG, "maxEpochDurationMs is %u, less than minEpochDurationMs (%u)",
                       cfg->epoch_max_ms, cfg->epoch_min_ms);
    if (cfg->epoch_max_ms / 2 < cfg->lease_timeout_ms)
        return err_set(ec, SYNC_ECONFIG,
                       "maxEpochDurationMs is %u, less than two leases of %u: the instances would do little "
                       "but hold elections",
                       cfg->epoch_max_ms, cfg->lease_timeout_ms);
    return SYNC_OK;
}

enum sync_err election_config_check(const struct election_config *cfg, struct err_ctx *ec)
{
    const struct {
        const char *name;
        uint32_t value, min, max;
    } ranges[] = {
        {"heartbeatIntervalMs", cfg->heartbeat_interval_ms, ELECTION_HEARTBEAT_MS_MIN, ELECTION_TIME_MS_MAX},
        {"leaseTimeoutMs", cfg->lease_timeout_ms, ELECTION_LEASE_MS_MIN, ELECTION_TIME_MS_MAX},
        {"workerTimeoutMs", cfg->worker_timeout_ms, 1, ELECTION_TIME_MS_MAX},
        {"minEpochDurationMs", cfg->epoch_min_ms, 0, ELECTION_TIME_MS_MAX},
        {"maxEpochDurationMs", cfg->epoch_max_ms, 0, ELECTION_TIME_MS_MAX},
        {"coldStart.observationWindowMs", cfg->cold_start.observation_window_ms, 0, ELECTION_TIME_MS_MAX},
        {"coldStart.preparationDelayMs", cfg->cold_start.preparation_delay_ms, 0, ELECTION_TIME_MS_MAX},
        {"circuitBreaker.failureThreshold", cfg->breaker.failures_max, 1, 1000000},
        {"circuitBreaker.resetTimeoutMs", cfg->breaker.reset_ms, 1, ELECTION_TIME_MS_MAX},
        {"contention.rateLimitMs", cfg->contention.rate_limit_ms, 0, ELECTION_TIME_MS_MAX},
    };
    enum sync_err rc;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        rc = check_range(ranges[i].name, ranges[i].value, ranges[i].min, ranges[i].max, ec);
        if (rc != SYNC_OK) return rc;
    }
    if (cfg->heartbeat_jitter_ms > cfg->heartbeat_interval_ms)
        return err_set(ec, SYNC_ECONFIG, "heartbeatJitterMs is %u, more than heartbeatIntervalMs (%u)",
                       cfg->heartbeat_jitter_ms, cfg->heartbeat_interval_ms);
    if (cfg->contention.threshold_percent < 100)
        return err_set(ec, SYNC_ECONFIG, "contention.threshold is %u.%02u, it must be at least 1",
                       cfg->contention.threshold_percent / 100, cfg->contention.threshold_percent % 100);
    if ((rc = check_lease(cfg, ec)) != SYNC_OK) return rc;
    return check_epoch(cfg, ec);
}

/* x * parts / of without overflow: times are at most a day. */
static uint32_t share(uint32_t x, uint32_t parts, uint32_t of)
{
    return (uint32_t)((uint64_t)x * parts / of);
}

struct election_timing election_timing_of(const struct election_config *cfg)
{
    struct election_timing t;
    uint32_t lease = cfg->lease_timeout_ms, beat = cfg->heartbeat_interval_ms;
    t.lead_ms = share(lease, 100 - ELECTION_CLOCK_ERROR_PERCENT, 100 + ELECTION_CLOCK_ERROR_PERCENT) -
                share(lease, ELECTION_MARGIN_PERCENT, 100);
    t.renew_ms = share(t.lead_ms, 100 - ELECTION_RENEW_PERCENT_LEFT, 100);

    /* Half of what is left, so that a renewal whose answer is lost can be looked at and tried again. */
    t.renew_wait_ms = (t.lead_ms - t.renew_ms) / 2;
    t.retry_ms = 1 + t.renew_wait_ms / 8;
    t.request_wait_ms = 1 + beat / 2;

    /* A worker is gone when its record has not changed between two looks that are worker_timeout_ms apart, so
     * what matters is how often it changes, not how often it is looked at. Three quarters leave room for two
     * wrong clocks; fewer heartbeats leave more of the request budget to followers' looks at the lease. */
    t.put_worker_ms = share(cfg->worker_timeout_ms, 3, 4);
    t.list_ms = share(cfg->worker_timeout_ms, 3, 5);
    if (t.list_ms < 2 * beat) t.list_ms = 2 * beat;
    t.step_ms = 1 + beat / 4;
    t.grain_ms = 1 + beat / 8;
    assert(t.renew_ms < t.lead_ms && t.lead_ms < lease);
    return t;
}
