#include "core/config/coordinator_config.h"

#include "core/config/config.h"
#include "core/config/options.h"

#include <criterion/criterion.h>

static struct config config;
static struct arena arena;

static void begin(void)
{
    struct err_ctx ec;
    for (size_t i = 0; i < config_option_count; i++)
        if (config_options[i].initial != NULL)
            cr_assert_eq(option_set_text(&config_options[i], &config, &arena,
                                         slice_str(config_options[i].initial), &ec),
                         SYNC_OK);
    config.coordinator.enabled = true;
}

static void end(void)
{
    arena_deinit(&arena);
}

TestSuite(coordinator_config, .init = begin, .fini = end);

static void refused(const char *text)
{
    struct err_ctx ec = {""};
    cr_assert_eq(coordinator_config_check(&config.coordinator, &ec), SYNC_ECONFIG, "%s", text);
    cr_assert_not_null(strstr(ec.text, text), "\"%s\" is not in \"%s\"", text, ec.text);
}

static void check_same(const struct election_config *a, const struct election_config *b)
{
    cr_expect_eq(a->heartbeat_interval_ms, b->heartbeat_interval_ms);
    cr_expect_eq(a->heartbeat_jitter_ms, b->heartbeat_jitter_ms);
    cr_expect_eq(a->lease_timeout_ms, b->lease_timeout_ms);
    cr_expect_eq(a->worker_timeout_ms, b->worker_timeout_ms);
    cr_expect_eq(a->epoch_min_ms, b->epoch_min_ms);
    cr_expect_eq(a->epoch_max_ms, b->epoch_max_ms);
    cr_expect_eq(a->cold_start.observation_window_ms, b->cold_start.observation_window_ms);
    cr_expect_eq(a->cold_start.preparation_delay_ms, b->cold_start.preparation_delay_ms);
    cr_expect_eq(a->cold_start.skip, b->cold_start.skip);
    cr_expect_eq(a->breaker.failures_max, b->breaker.failures_max);
    cr_expect_eq(a->breaker.reset_ms, b->breaker.reset_ms);
    cr_expect_eq(a->contention.threshold_percent, b->contention.threshold_percent);
    cr_expect_eq(a->contention.rate_limit_ms, b->contention.rate_limit_ms);
}

Test(coordinator_config, the_defaults_are_the_elections_own)
{
    struct err_ctx ec;
    const struct election_config shared = ELECTION_CONFIG_DEFAULT, task = ELECTION_CONFIG_PER_TASK_DEFAULT;
    struct election_config a = coordinator_shared_election(&config.coordinator);
    struct election_config b = coordinator_task_election(&config.coordinator);
    cr_assert_eq(coordinator_config_check(&config.coordinator, &ec), SYNC_OK);
    check_same(&a, &shared);
    check_same(&b, &task);
}

Test(coordinator_config, a_lease_shorter_than_two_heartbeats_is_refused_and_says_why)
{
    config.coordinator.lease_timeout_ms = 9999;
    refused("coordinator: leaseTimeoutMs is 9999, less than two heartbeats of 5000: one late answer");
}

Test(coordinator_config, a_worker_timeout_shorter_than_the_lease_is_refused)
{
    config.coordinator.worker_timeout_ms = 14000;
    refused("coordinator: workerTimeoutMs is 14000, less than leaseTimeoutMs (15000)");
}

Test(coordinator_config, a_tasks_election_is_checked_as_well)
{
    config.coordinator.per_task.worker_timeout_ms = 50000;
    refused("coordinator.perTask.workerTimeoutMs is 50000, less than two heartbeats of 30000");
    config.coordinator.per_task.worker_timeout_ms = 90000;
    config.coordinator.per_task.epoch_max_ms = 30000;
    refused("maxEpochDurationMs is 30000, less than minEpochDurationMs (60000)");
}

Test(coordinator_config, names_are_checked)
{
    config.coordinator.namespace_name = "a/b";
    refused("coordinator.namespace");
    config.coordinator.namespace_name = "default";
    config.coordinator.worker_id = ".hidden";
    refused("coordinator.workerId");
    config.coordinator.worker_id = "";
    config.coordinator.url = "ftp://x";
    refused("coordinator.url begins with http:// or https://");
}

Test(coordinator_config, a_long_jitter_does_not_spoil_short_heartbeats_of_tasks)
{
    struct err_ctx ec;
    config.coordinator.heartbeat_jitter_ms = 4000;
    config.coordinator.per_task.heartbeat_interval_ms = 2000;
    cr_assert_eq(coordinator_config_check(&config.coordinator, &ec), SYNC_OK, "%s", ec.text);
}

Test(coordinator_config, one_that_is_not_enabled_may_be_set_as_it_likes)
{
    struct err_ctx ec;
    config.coordinator.enabled = false;
    config.coordinator.lease_timeout_ms = 1;
    cr_assert_eq(coordinator_config_check(&config.coordinator, &ec), SYNC_OK);
}
