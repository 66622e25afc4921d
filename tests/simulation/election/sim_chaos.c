#include "sim_chaos.h"

#include "../../unit/random.h"

#include <inttypes.h>
#include <stdio.h>

static const struct election_config default_cfg = ELECTION_CONFIG_DEFAULT;

/* --- drawing --- */

static struct election_config draw_config(struct sim_world *w)
{
    struct election_config cfg = default_cfg;
    switch (sim_random(w, 8)) {
    case 0: /* for development */
        cfg.heartbeat_interval_ms = 1000;
        cfg.heartbeat_jitter_ms = 200;
        cfg.lease_timeout_ms = 3000;
        cfg.worker_timeout_ms = 4000;
        break;
    case 1: /* for high traffic */
        cfg.heartbeat_interval_ms = 3000;
        cfg.lease_timeout_ms = 10000;
        cfg.worker_timeout_ms = 15000;
        break;
    case 2: /* the shortest lease there may be */
        cfg.heartbeat_interval_ms = 1000;
        cfg.lease_timeout_ms = cfg.worker_timeout_ms = 2000;
        break;
    case 3: /* epochs that end */
        cfg.epoch_min_ms = cfg.lease_timeout_ms;
        cfg.epoch_max_ms = 2 * cfg.lease_timeout_ms;
        break;
    default: break;
    }
    cfg.cold_start.skip = sim_chance(w, 600);
    cfg.cold_start.observation_window_ms = cfg.lease_timeout_ms;
    cfg.cold_start.preparation_delay_ms = cfg.heartbeat_interval_ms;
    return cfg;
}

/* Nothing, or a chance of 1000 up to max: half of all schedules are free of any one fault. */
static uint32_t draw_chance(struct sim_world *w, uint32_t max)
{
    return sim_chance(w, 500) ? 0 : 1 + (uint32_t)sim_random(w, max);
}

static struct sim_network draw_network(struct sim_world *w, const struct election_config *cfg)
{
    static const uint32_t latencies_us[] = {1000, 20000, 100000, 400000};
    uint32_t lease_us = cfg->lease_timeout_ms * 1000;
    struct sim_network net = {
        .latency_us = latencies_us[sim_random(w, 4)],
        .slow = draw_chance(w, 200),
        .slow_us = lease_us / 3,
        .lost = draw_chance(w, 200),
        .answer_lost = draw_chance(w, 200),
        .refused = draw_chance(w, 200),
        .late = draw_chance(w, 100),
        .late_us = 2 * lease_us,
        .twice = draw_chance(w, 200),
        .stale_read = draw_chance(w, 100),
        .stale_list = draw_chance(w, 300),
        .never_answered = draw_chance(w, 500),
        .pause_before_send = draw_chance(w, 50),
        .pause_us = 2 * lease_us,
    };
    return net;
}

/* Everything works, but the answers take their time. */
static struct sim_network duel_network(struct sim_world *w, const struct election_config *cfg)
{
    return (struct sim_network){.latency_us = 5000,
                                .slow_back = 500,
                                .slow_back_us = 1000 * (cfg->lease_timeout_ms / 12),
                                .lost = draw_chance(w, 20)};
}

static struct sim_schedule draw_schedule(struct sim_world *w)
{
    struct sim_schedule s = {.instances = 1 + (uint32_t)sim_random(w, 4), .cfg = draw_config(w)};
    uint64_t lease_us = (uint64_t)s.cfg.lease_timeout_ms * 1000;
    if (sim_chance(w, 200)) s.instances = 1 + (uint32_t)sim_random(w, SIM_INSTANCES_MAX);
    s.chaos_us = 2 * lease_us + sim_random(w, 6 * lease_us);
    s.fault_every_us = lease_us / (sim_chance(w, 300) ? 32 : 4) + sim_random(w, lease_us);
    switch (sim_random(w, 20)) {
    case 0: s.by_hand = true; break;
    case 1: s.frozen = true; break;
    case 2: s.mixed_leases = true; break;
    case 3:
    case 4:
    case 5: s.duel = true; break;
    default: break;
    }
    return s;
}

static void start_instances(struct sim_world *w, const struct sim_schedule *s)
{
    for (uint32_t i = 0; i < s->instances; i++) {
        struct election_config cfg = s->cfg;
        char id[WORKER_ID_MAX + 1];
        uint32_t off_ppm = ELECTION_CLOCK_ERROR_PERCENT * 10000;
        uint32_t rate = 1000000 - off_ppm + (uint32_t)sim_random(w, 2 * off_ppm + 1);
        if (s->duel || sim_chance(w, 500)) rate = sim_chance(w, 500) ? 1000000 - off_ppm : 1000000 + off_ppm;
        int64_t wall = (int64_t)sim_random(w, 1200000) - 600000; /* up to ten minutes off */
        if (s->mixed_leases) {
            cfg.lease_timeout_ms += (uint32_t)sim_random(w, cfg.lease_timeout_ms);
            cfg.worker_timeout_ms += cfg.lease_timeout_ms;
            if (cfg.epoch_max_ms > 0) cfg.epoch_max_ms = 2 * cfg.lease_timeout_ms;
        }
        (void)snprintf(id, sizeof id, "w%03u-%u", (unsigned)sim_random(w, 1000), i);
        sim_start(w, i, &cfg, id, rate, wall);
    }
}

/* --- faults --- */

static uint32_t draw_victim(struct sim_world *w)
{
    int leader = sim_leader(w);
    if (leader >= 0 && sim_chance(w, 500)) return (uint32_t)leader;
    return (uint32_t)sim_random(w, w->instance_count);
}

/* From a thousandth of a lease to three leases, each size as likely. */
static uint64_t draw_span(struct sim_world *w, uint64_t lease_us)
{
    uint64_t us = 3 * lease_us;
    for (uint64_t halvings = sim_random(w, 11); halvings > 0; halvings--) us /= 2;
    return us / 2 + sim_random(w, us / 2);
}

/* No fault outlives the chaos. */
static uint64_t until_quiet(const struct sim_world *w, uint64_t us, uint64_t quiet_us)
{
    uint64_t left = quiet_us > w->now_us ? quiet_us - w->now_us : 0;
    return us < left ? us : left;
}

static void cut_off(struct sim_world *w, uint32_t i, uint64_t us)
{
    sim_say(w, (int)i, "is cut off for %.3f s", (double)us / 1e6);
    w->instances[i].cut_until_us = w->now_us + us;
}

static void change_clock(struct sim_world *w, uint32_t i)
{
    uint32_t off_ppm = ELECTION_CLOCK_ERROR_PERCENT * 10000;
    sim_set_rate(w, i, 1000000 - off_ppm + (uint32_t)sim_random(w, 2 * off_ppm + 1));
    if (sim_chance(w, 300)) w->instances[i].wall_error_ms += (int64_t)sim_random(w, 240000) - 120000;
}

static void ask_something(struct sim_world *w, uint32_t i)
{
    static const enum election_input_kind kinds[] = {ELECTION_FORCE, ELECTION_STEP_DOWN, ELECTION_LEAVE,
                                                     ELECTION_HINT, ELECTION_TASKS};
    enum election_input_kind kind = kinds[sim_random(w, 5)];
    sim_say(w, (int)i, "is asked for %d", (int)kind);
    sim_ask(w, i, kind);
}

static void touch_state(struct sim_world *w)
{
    if (sim_chance(w, 500)) {
        sim_say(w, -1, "somebody removes state.json");
        sim_store_remove_state(&w->store);
    } else {
        sim_say(w, -1, "somebody damages state.json");
        sim_store_damage_state(&w->store, random_u64(&w->seed));
    }
}

static void fault(struct sim_world *w, const struct sim_schedule *s, uint64_t quiet_us)
{
    uint64_t lease_us = (uint64_t)s->cfg.lease_timeout_ms * 1000;
    uint64_t span = until_quiet(w, draw_span(w, lease_us), quiet_us);
    uint32_t victim = draw_victim(w);
    if (s->duel) {
        int leader = sim_leader(w);
        if (leader >= 0) cut_off(w, (uint32_t)leader, until_quiet(w, 2 * lease_us, quiet_us));
        return;
    }
    switch (sim_random(w, s->by_hand ? 12 : 11)) {
    case 0:
    case 1:
        sim_crash(w, victim);
        sim_schedule(w, SIM_START, victim, span);
        break;
    case 2:
    case 3:
    case 4: sim_pause(w, victim, span); break;
    case 5:
    case 6:
    case 7: cut_off(w, victim, span); break;
    case 8:
        for (uint32_t i = 0; i < w->instance_count; i++) cut_off(w, i, span);
        break;
    case 9: change_clock(w, victim); break;
    case 10: ask_something(w, victim); break;
    default: touch_state(w); break;
    }
}

/* An instance that left is as good as dead, but only a new one can take its place. */
static bool is_out(const struct sim_world *w, uint32_t i)
{
    struct election_status st;
    if (w->instances[i].election == NULL) return true;
    election_status(w->instances[i].election, 0, &st);
    return st.role == ELECTION_OUT || st.role == ELECTION_RELEASING;
}

/* Faults are over: requests arrive, clocks run true, what stood still goes on. Some of the dead are back. */
static void become_quiet(struct sim_world *w)
{
    bool any = false;
    sim_say(w, -1, "--- quiet ---");
    w->net = (struct sim_network){.latency_us = 20000};
    for (uint32_t i = 0; i < w->instance_count; i++) {
        w->instances[i].cut_until_us = 0;
        sim_set_rate(w, i, 1000000);
        if (is_out(w, i) && sim_chance(w, 300)) {
            sim_crash(w, i);
            sim_restart(w, i, true);
        }
        any = any || !is_out(w, i);
    }
    if (!any) {
        sim_crash(w, 0);
        sim_restart(w, 0, true);
    }
    w->first_lead_us = 0;
}

/* --- judgement --- */

static uint32_t longest_lease_ms(const struct sim_world *w)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < w->instance_count; i++)
        if (w->instances[i].cfg.lease_timeout_ms > longest) longest = w->instances[i].cfg.lease_timeout_ms;
    return longest;
}

static void judge_liveness(struct sim_world *w, uint64_t quiet_us, uint64_t limit_us)
{
    if (w->first_lead_us == 0)
        sim_fail(w, "no leader %.3f s after the last fault", (double)(w->now_us - quiet_us) / 1e6);
    else if (w->first_lead_us - quiet_us > limit_us)
        sim_fail(w, "the first leader came %.3f s after the last fault, allowed are %.3f",
                 (double)(w->first_lead_us - quiet_us) / 1e6, (double)limit_us / 1e6);
}

bool sim_chaos_run(struct sim_world *w, uint64_t seed, enum sim_bug bug, FILE *log)
{
    struct sim_event ev;
    sim_world_reset(w, seed, bug, log);
    struct sim_schedule s = draw_schedule(w);
    uint64_t quiet_us = w->now_us + s.chaos_us;
    sim_say(w, -1, "seed %" PRIu64 ": %u instances, heartbeat %u ms, lease %u ms, %s%s%s%s", seed,
            s.instances, s.cfg.heartbeat_interval_ms, s.cfg.lease_timeout_ms,
            s.cfg.cold_start.skip ? "no cold start" : "cold start",
            s.by_hand ? ", state.json touched by hand" : "", s.frozen ? ", frozen clocks" : "",
            s.mixed_leases ? ", mixed leases"
            : s.duel       ? ", duel of clocks"
                           : "");
    w->net = s.duel ? duel_network(w, &s.cfg) : draw_network(w, &s.cfg);
    w->frozen_pauses = s.frozen;
    w->late_until_us = quiet_us;
    start_instances(w, &s);
    uint64_t limit_us = ((uint64_t)longest_lease_ms(w) + 3 * s.cfg.heartbeat_interval_ms) * 1000;
    if (!s.cfg.cold_start.skip) limit_us += (uint64_t)s.cfg.cold_start.preparation_delay_ms * 1000;
    if (s.by_hand)
        limit_us += (uint64_t)longest_lease_ms(w) * 1000; /* what cannot be read is left a lease alone */
    sim_schedule(w, SIM_QUIET, UINT32_MAX, s.chaos_us);
    sim_schedule(w, SIM_END, UINT32_MAX, s.chaos_us + limit_us + limit_us / 2);
    sim_schedule(w, SIM_CHAOS, UINT32_MAX, sim_random(w, s.fault_every_us));
    sim_schedule(w, SIM_AGE, UINT32_MAX, sim_random(w, s.fault_every_us));

    bool quiet = false;
    while (sim_step(w, &ev)) {
        switch (ev.kind) {
        case SIM_CHAOS:
            if (quiet) break;
            fault(w, &s, quiet_us);
            sim_schedule(w, SIM_CHAOS, UINT32_MAX, sim_random(w, 2 * s.fault_every_us));
            break;
        case SIM_START:
            if (w->instances[ev.subject].election == NULL && !quiet)
                sim_restart(w, ev.subject, sim_chance(w, 700));
            break;
        case SIM_AGE:
            if (!quiet) sim_schedule(w, SIM_AGE, UINT32_MAX, sim_random(w, 2 * s.fault_every_us));
            break;
        case SIM_QUIET:
            quiet = true;
            become_quiet(w);
            break;
        case SIM_END: judge_liveness(w, quiet_us, limit_us); return w->failure[0] == '\0';
        default: break;
        }
    }
    return false;
}
