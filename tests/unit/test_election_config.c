#include "core/election/election_config.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct election_config defaults = ELECTION_CONFIG_DEFAULT;

static void refused(const struct election_config *cfg, const char *naming)
{
    struct err_ctx ec;
    cr_assert_eq(election_config_check(cfg, &ec), SYNC_ECONFIG, "%s", naming);
    cr_assert_not_null(strstr(ec.text, naming), "\"%s\" does not name %s", ec.text, naming);
}

static void accepted(const struct election_config *cfg)
{
    struct err_ctx ec;
    cr_assert_eq(election_config_check(cfg, &ec), SYNC_OK, "%s", ec.text);
}

Test(election_config, defaults_are_the_predecessors_and_pass)
{
    struct election_config per_task = ELECTION_CONFIG_PER_TASK_DEFAULT;
    accepted(&defaults);
    accepted(&per_task);
    cr_assert_eq(defaults.heartbeat_interval_ms, 5000);
    cr_assert_eq(defaults.heartbeat_jitter_ms, 1000);
    cr_assert_eq(defaults.lease_timeout_ms, 15000);
    cr_assert_eq(defaults.worker_timeout_ms, 20000);
    cr_assert_eq(defaults.cold_start.observation_window_ms, 15000);
    cr_assert_eq(defaults.cold_start.preparation_delay_ms, 5000);
    cr_assert_eq(defaults.breaker.failures_max, 5);
    cr_assert_eq(defaults.breaker.reset_ms, 30000);
    cr_assert_eq(defaults.contention.threshold_percent, 200);
    cr_assert_eq(defaults.contention.rate_limit_ms, 30000);
    cr_assert_eq(per_task.heartbeat_interval_ms, 30000);
    cr_assert_eq(per_task.worker_timeout_ms, 90000);
    cr_assert_eq(per_task.epoch_min_ms, 60000);
    cr_assert_eq(per_task.epoch_max_ms, 300000);
}

Test(election_config, the_predecessors_recommended_settings_pass)
{
    static const uint32_t rows[][3] = {{1000, 3000, 4000}, {5000, 15000, 25000}, {3000, 10000, 15000}};
    for (size_t i = 0; i < 3; i++) {
        struct election_config cfg = defaults;
        cfg.heartbeat_interval_ms = rows[i][0];
        cfg.lease_timeout_ms = rows[i][1];
        cfg.worker_timeout_ms = rows[i][2];
        accepted(&cfg);
    }
}

Test(election_config, a_lease_shorter_than_two_heartbeats_is_refused_and_says_why)
{
    struct election_config cfg = defaults;
    cfg.lease_timeout_ms = 9999;
    refused(&cfg, "less than two heartbeats");
    cfg.lease_timeout_ms = 10000;
    accepted(&cfg);
}

Test(election_config, values_that_contradict_each_other_are_refused)
{
    struct election_config cfg = defaults;
    cfg.worker_timeout_ms = 14999;
    refused(&cfg, "workerTimeoutMs");
    cfg = defaults;
    cfg.heartbeat_jitter_ms = 5001;
    refused(&cfg, "heartbeatJitterMs");
    cfg = defaults;
    cfg.epoch_min_ms = 60000;
    cfg.epoch_max_ms = 59999;
    refused(&cfg, "maxEpochDurationMs");
    cfg.epoch_min_ms = 0;
    cfg.epoch_max_ms = 29999;
    refused(&cfg, "maxEpochDurationMs");
    cfg = defaults;
    cfg.contention.threshold_percent = 99;
    refused(&cfg, "contention.threshold is 0.99");
}

Test(election_config, values_out_of_range_are_refused)
{
    struct election_config cfg = defaults;
    cfg.heartbeat_interval_ms = 0;
    refused(&cfg, "heartbeatIntervalMs");
    cfg = defaults;
    cfg.heartbeat_interval_ms = 100;
    cfg.heartbeat_jitter_ms = 0;
    cfg.lease_timeout_ms = 499;
    refused(&cfg, "leaseTimeoutMs");
    cfg = defaults;
    cfg.lease_timeout_ms = UINT32_MAX;
    refused(&cfg, "leaseTimeoutMs");
    cfg = defaults;
    cfg.breaker.failures_max = 0;
    refused(&cfg, "circuitBreaker.failureThreshold");
    cfg = defaults;
    cfg.breaker.reset_ms = 0;
    refused(&cfg, "circuitBreaker.resetTimeoutMs");
}

/* The promise that safety rests on, for every lease that is allowed: a leader with the slowest clock stops
 * before an observer with the fastest has waited the lease. Times in percent of milliseconds, so no rounding
 * helps. */
Test(election_config, the_lead_is_over_before_a_lease_whatever_the_clocks_do)
{
    for (uint64_t lease = ELECTION_LEASE_MS_MIN; lease <= ELECTION_TIME_MS_MAX; lease = lease * 11 / 10 + 1) {
        struct election_config cfg = defaults;
        cfg.lease_timeout_ms = (uint32_t)lease;
        cfg.heartbeat_interval_ms = (uint32_t)lease / 3;
        cfg.worker_timeout_ms = (uint32_t)lease;
        struct election_timing t = election_timing_of(&cfg);
        double lead_true = (double)(t.lead_ms + 1) / 0.90, lease_true = (double)(lease - 1) / 1.10;
        cr_assert_lt(lead_true, lease_true, "lease %u", cfg.lease_timeout_ms);
        cr_assert_gt(t.lead_ms, lease * 3 / 4, "the margin is not wasteful");
    }
}

Test(election_config, the_leader_renews_when_a_fifth_of_its_lead_is_left)
{
    struct election_timing t = election_timing_of(&defaults);
    cr_assert_eq(t.lead_ms, 11972);
    cr_assert_eq(t.renew_ms, 9577);
    cr_assert_leq(t.renew_ms + 2 * t.renew_wait_ms, t.lead_ms, "there is time for a second try");
}

Test(election_config, a_worker_with_a_slow_clock_is_not_timed_out_by_one_with_a_fast_one)
{
    struct election_timing t = election_timing_of(&defaults);
    cr_assert_lt((double)t.put_worker_ms / 0.90 + t.request_wait_ms / 3.0,
                 (double)defaults.worker_timeout_ms / 1.10);
}
