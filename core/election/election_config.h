/* election_config.h -- what an operator may set about an election, and the times that follow from it.
 *
 * The lease is the one time that safety rests on. A record in the store says "I hold the lease"; everyone
 * else waits until that record has not changed for a whole lease on their own monotonic clock. The leader
 * must have stopped before anyone's wait can be over, so it uses less than a lease of its own clock:
 *
 *   lead_ms = lease * (100 - E) / (100 + E) - lease * M / 100,  E = ELECTION_CLOCK_ERROR_PERCENT,
 *                                                               M = ELECTION_MARGIN_PERCENT
 *
 * With the leader's clock E percent slow and the observer's E percent fast, lease * (100 - E) / (100 + E) of
 * the former take exactly as long as a lease of the latter. M is on top, for clocks read in whole
 * milliseconds and for the step from "may I" to the first byte of what is then done.
 *
 * The leader renews when ELECTION_RENEW_PERCENT_LEFT of lead_ms are left: 9.6 s after the last renewal with
 * the default lease of 15 s, which leaves it 2.4 s for a slow write, a failed one, and another try.
 *
 * Pure. */
#ifndef CORE_ELECTION_ELECTION_CONFIG_H
#define CORE_ELECTION_ELECTION_CONFIG_H

#include "core/base/breaker.h"
#include "core/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ELECTION_CLOCK_ERROR_PERCENT =
        10, /* a monotonic clock may run this much fast or slow against true time */
    ELECTION_MARGIN_PERCENT = 2,
    ELECTION_RENEW_PERCENT_LEFT = 20,

    ELECTION_HEARTBEAT_MS_MIN = 20,
    ELECTION_LEASE_MS_MIN = 500, /* below it the time left for a renewal is that of a single slow write */
    ELECTION_TIME_MS_MAX = 24 * 3600 * 1000,
    ELECTION_START_JITTER_MS_MAX = 250,
};

/* coordinator{...} of the configuration file; the comment gives the option's name where it differs. */
struct election_config {
    uint32_t heartbeat_interval_ms; /* also the pace of requests: at most one an interval, over time */
    uint32_t heartbeat_jitter_ms;   /* a heartbeat comes up to this much off its time, at random */
    uint32_t lease_timeout_ms;
    uint32_t worker_timeout_ms; /* a worker whose record has not changed for so long is gone */
    uint32_t epoch_min_ms;      /* minEpochDurationMs: no forced election before; 0: any time */
    uint32_t epoch_max_ms; /* maxEpochDurationMs: then the epoch ends and an election is held; 0: never */
    struct {
        uint32_t observation_window_ms;
        uint32_t preparation_delay_ms;
        bool skip;
    } cold_start;
    struct breaker_config breaker; /* circuitBreaker{failureThreshold, resetTimeoutMs} */
    struct {
        uint32_t threshold_percent; /* threshold, times 100: 200 is "twice the heartbeat interval" */
        uint32_t rate_limit_ms;
    } contention;
};

#define ELECTION_CONFIG_DEFAULT                                                                              \
    {                                                                                                        \
        .heartbeat_interval_ms = 5000, .heartbeat_jitter_ms = 1000, .lease_timeout_ms = 15000,               \
        .worker_timeout_ms = 20000,                                                                          \
        .cold_start = {.observation_window_ms = 15000, .preparation_delay_ms = 5000},                        \
        .breaker = BREAKER_CONFIG_DEFAULT, .contention = {                                                   \
            .threshold_percent = 200,                                                                        \
            .rate_limit_ms = 30000                                                                           \
        }                                                                                                    \
    }

/* One election per task (coordinationMode: per-task). It has no lease option of its own: the lease is as long
 * as a worker may be silent. */
#define ELECTION_CONFIG_PER_TASK_DEFAULT                                                                     \
    {                                                                                                        \
        .heartbeat_interval_ms = 30000, .heartbeat_jitter_ms = 1000, .lease_timeout_ms = 90000,              \
        .worker_timeout_ms = 90000, .epoch_min_ms = 60000, .epoch_max_ms = 300000,                           \
        .cold_start = {.observation_window_ms = 15000, .preparation_delay_ms = 5000},                        \
        .breaker = BREAKER_CONFIG_DEFAULT, .contention = {                                                   \
            .threshold_percent = 200,                                                                        \
            .rate_limit_ms = 30000                                                                           \
        }                                                                                                    \
    }

/* Checks every value and every value against the others.
 * Errors: SYNC_ECONFIG, naming the option and saying why. */
enum sync_err election_config_check(const struct election_config *cfg, struct err_ctx *ec);

/* What follows from a configuration that passed the check. All of the instance's own monotonic clock. */
struct election_timing {
    uint32_t lead_ms;         /* from before a renewal was sent: may lead for so long */
    uint32_t renew_ms;        /* from before a renewal was sent: send the next */
    uint32_t renew_wait_ms;   /* no answer to a renewal for so long: the outcome is unknown, look */
    uint32_t request_wait_ms; /* the same for every other request */
    uint32_t retry_ms;        /* between tries of a renewal */
    uint32_t put_worker_ms;   /* at most so long between two heartbeats of a worker */
    uint32_t list_ms;         /* the leader lists the workers */
    uint32_t step_ms;         /* between candidates: the second one waits so long for the first */
    uint32_t grain_ms;        /* how exactly a follower tries to know when the leader renews */
};

struct election_timing election_timing_of(const struct election_config *cfg);

#endif
