/* sim_figures -- what the election costs and how long it takes when nothing is wrong with store and network,
 * at the default settings; each figure is checked against what docs/coordinator.md promises.
 *
 * A request takes up to 20 ms each way, clocks run true. Prints one line per figure; exit status 1 if any is
 * over its limit. */
#include "sim_world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct election_config default_cfg = ELECTION_CONFIG_DEFAULT;
static const struct election_config per_task_cfg = ELECTION_CONFIG_PER_TASK_DEFAULT;
static int failures;

static struct election_config quick_config(void)
{
    struct election_config cfg = default_cfg;
    cfg.cold_start.skip = true;
    return cfg;
}

static void start_world(struct sim_world *w, uint64_t seed, uint32_t instances,
                        const struct election_config *cfg)
{
    char id[WORKER_ID_MAX + 1];
    sim_world_reset(w, seed, SIM_NO_BUG, NULL);
    for (uint32_t i = 0; i < instances; i++) {
        (void)snprintf(id, sizeof id, "w%03u-%u", (unsigned)sim_random(w, 1000), i);
        sim_start(w, i, cfg, id, 1000000, 0);
    }
}

/* Lets the world run for a time; or, if `until_led`, until somebody leads. */
static void run(struct sim_world *w, uint64_t us, bool until_led)
{
    struct sim_event ev;
    sim_schedule(w, SIM_END, UINT32_MAX, us);
    uint64_t end_us = w->now_us + us;
    do {
        if (until_led && sim_leader(w) >= 0) return;
        if (!sim_step(w, &ev)) {
            printf("WRONG: %s\n", w->failure);
            failures++;
            return;
        }
    } while (w->now_us < end_us);
}

static void check(const char *what, double value, double limit, const char *unit)
{
    bool ok = value <= limit;
    printf("%-58s %8.2f %s, at most %.2f%s\n", what, value, unit, limit, ok ? "" : "  TOO MUCH");
    if (!ok) failures++;
}

/* --- requests an hour --- */

static void tell_requests(const struct sim_world *w, uint32_t i, uint32_t instances,
                          const struct election_counters *before, double limit)
{
    struct election_status st;
    char what[80];
    uint64_t sum = 0;
    election_status(w->instances[i].election, 0, &st);
    for (int k = 0; k < ELECTION_OP_KINDS; k++) sum += st.counters.requests[k] - before->requests[k];
    (void)snprintf(what, sizeof what, "requests an hour, %s of %u", election_role_name(st.role), instances);
    check(what, (double)sum, limit, "req");
    (void)snprintf(what, sizeof what, "calls of its machine an hour, %s of %u", election_role_name(st.role),
                   instances);
    check(what, w->instances[i].steps, 4 * limit, "");
    for (enum election_op_kind k = 0; k < ELECTION_OP_KINDS; k++) {
        uint64_t n = st.counters.requests[k] - before->requests[k];
        if (n > 0) printf("    %-14s %6" PRIu64 "\n", election_op_name(k), n);
    }
}

static void measure_requests(struct sim_world *w, uint32_t instances, const struct election_config *cfg,
                             double limit)
{
    struct election_counters before[SIM_INSTANCES_MAX];
    start_world(w, 1 + instances, instances, cfg);
    run(w, 600 * 1000000ULL, false); /* past the cold start */
    for (uint32_t i = 0; i < instances; i++) {
        struct election_status st;
        election_status(w->instances[i].election, 0, &st);
        before[i] = st.counters;
        w->instances[i].steps = 0;
    }
    run(w, 3600 * 1000000ULL, false);
    for (uint32_t i = 0; i < instances; i++) tell_requests(w, i, instances, &before[i], limit);
    check("leaders so far", w->leads, cfg->epoch_max_ms == 0 ? 1 : 2 + 4200000.0 / cfg->epoch_max_ms, "");
}

/* --- how long it takes --- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { TRIALS = 300 };

static void tell_times(const char *what, double *seconds, double limit)
{
    char text[80];
    qsort(seconds, TRIALS, sizeof seconds[0], by_size);
    (void)snprintf(text, sizeof text, "%s, median of %d", what, TRIALS);
    printf("%-58s %8.2f s\n", text, seconds[TRIALS / 2]);
    (void)snprintf(text, sizeof text, "%s, longest", what);
    check(text, seconds[TRIALS - 1], limit, "s");
}

static void measure_start(struct sim_world *w, bool skip, double limit)
{
    double seconds[TRIALS];
    struct election_config cfg = default_cfg;
    cfg.cold_start.skip = skip;
    for (int t = 0; t < TRIALS; t++) {
        start_world(w, 100 + (uint64_t)t, 3, &cfg);
        uint64_t from = w->now_us;
        run(w, 120 * 1000000ULL, true);
        seconds[t] = (double)(w->now_us - from) / 1e6;
    }
    tell_times(skip ? "first leader, cold start skipped" : "first leader, cold start", seconds, limit);
}

/* Three instances have settled; the leader goes, at any moment between two of its renewals. */
static void measure_fail_over(struct sim_world *w, bool clean, double limit)
{
    double seconds[TRIALS];
    struct election_config cfg = quick_config();
    for (int t = 0; t < TRIALS; t++) {
        start_world(w, 1000 + (uint64_t)t, 3, &cfg);
        run(w, 60 * 1000000ULL + sim_random(w, 20 * 1000000ULL), false);
        int leader = sim_leader(w);
        if (leader < 0) {
            printf("WRONG: nobody leads\n");
            failures++;
            return;
        }
        uint64_t from = w->now_us;
        if (clean)
            sim_ask(w, (uint32_t)leader, ELECTION_LEAVE);
        else
            sim_crash(w, (uint32_t)leader);
        run(w, 120 * 1000000ULL, true);
        seconds[t] = (double)(w->now_us - from) / 1e6;
    }
    tell_times(clean ? "next leader after a clean stop" : "next leader after kill -9", seconds, limit);
}

int main(void)
{
    struct sim_world *w = sim_world_new();
    double lease = default_cfg.lease_timeout_ms / 1000.0, beat = default_cfg.heartbeat_interval_ms / 1000.0;
    double cold =
        (default_cfg.cold_start.observation_window_ms + default_cfg.cold_start.preparation_delay_ms) / 1000.0;
    measure_requests(w, 1, &default_cfg, 720);
    measure_requests(w, 3, &default_cfg, 720);
    measure_requests(w, 7, &default_cfg, 720);
    printf("one task of per-task mode:\n");
    measure_requests(w, 3, &per_task_cfg, 180);
    measure_start(w, true, 1.0);
    measure_start(w, false, cold + 1.0);
    measure_fail_over(w, false, lease + beat);
    measure_fail_over(w, true, 1.0);
    sim_world_free(w);
    return failures > 0;
}
