#include "sim_world.h"

#include "sim_internal.h"

#include "../../unit/random.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 400000 };

const char *sim_bug_name(enum sim_bug b)
{
    static const char *const names[SIM_BUGS] = {
        [SIM_NO_BUG] = "none",
        [SIM_BUG_WALL_CLOCK] = "wall-clock",
        [SIM_BUG_NEVER_RENEW] = "never-renew",
        [SIM_BUG_KEEP_LEADING] = "keep-leading",
        [SIM_BUG_NO_MARGIN] = "no-margin",
        [SIM_BUG_TRUST_UNKNOWN] = "trust-unknown",
        [SIM_BUG_NO_FENCE] = "no-fence",
        [SIM_BUG_LEASE_FROM_ANSWER] = "lease-from-answer",
        [SIM_BUG_CLOCK_STOPS] = "clock-stops",
        [SIM_BUG_BLIND_WRITES] = "blind-writes",
    };
    return names[b];
}

uint64_t sim_random(struct sim_world *w, uint64_t bound)
{
    return bound == 0 ? 0 : random_below(&w->seed, bound);
}

bool sim_chance(struct sim_world *w, uint32_t of_1000)
{
    return of_1000 > 0 && random_below(&w->seed, 1000) < of_1000;
}

void sim_say(struct sim_world *w, int instance, const char *fmt, ...)
{
    va_list ap;
    if (w->log == NULL) return;
    fprintf(w->log, "%9.3f ", (double)w->now_us / 1e6);
    if (instance >= 0)
        fprintf(w->log, "[%d %s @%" PRIu64 "] ", instance, w->instances[instance].self.worker_id,
                sim_mono_ms(w, &w->instances[instance]));
    va_start(ap, fmt);
    vfprintf(w->log, fmt, ap);
    va_end(ap);
    fputc('\n', w->log);
}

void sim_fail(struct sim_world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->failure[0] != '\0') return;
    va_start(ap, fmt);
    (void)vsnprintf(w->failure, sizeof w->failure, fmt, ap);
    va_end(ap);
    sim_say(w, -1, "WRONG: %s", w->failure);
}

void sim_fail_unsafe(struct sim_world *w, const char *fmt, ...)
{
    char text[sizeof w->failure];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (w->failure[0] == '\0') w->unsafe = true;
    sim_fail(w, "%s", text);
}

/* --- clocks --- */

uint64_t sim_mono_ms(const struct sim_world *w, const struct sim_instance *n)
{
    if (w->now_us <= n->clock_from_us) return n->clock_base_us / 1000; /* it stands still until then */
    return (n->clock_base_us + (w->now_us - n->clock_from_us) * n->clock_rate_ppm / 1000000) / 1000;
}

uint64_t sim_wall_ms(const struct sim_world *w, const struct sim_instance *n)
{
    int64_t day = 1700000000000; /* some time in 2023 */
    return (uint64_t)(day + (int64_t)(w->now_us / 1000) + n->wall_error_ms);
}

/* The first true moment at which the clock shows ms. */
static uint64_t true_us(const struct sim_world *w, const struct sim_instance *n, uint64_t ms)
{
    uint64_t us = ms * 1000;
    if (us <= n->clock_base_us) return w->now_us;
    uint64_t at =
        n->clock_from_us + ((us - n->clock_base_us) * 1000000 + n->clock_rate_ppm - 1) / n->clock_rate_ppm;
    return at > w->now_us ? at : w->now_us;
}

static void rebase_clock(const struct sim_world *w, struct sim_instance *n)
{
    if (w->now_us <= n->clock_from_us) return;
    n->clock_base_us += (w->now_us - n->clock_from_us) * n->clock_rate_ppm / 1000000;
    n->clock_from_us = w->now_us;
}

void sim_set_rate(struct sim_world *w, uint32_t i, uint32_t rate_ppm)
{
    rebase_clock(w, &w->instances[i]);
    w->instances[i].clock_rate_ppm = rate_ppm;
}

/* --- what is checked --- */

bool sim_may_lead(const struct sim_world *w, uint32_t i)
{
    const struct sim_instance *n = &w->instances[i];
    return n->election != NULL && n->lead.epoch > 0 && election_may_lead(&n->lead, sim_mono_ms(w, n));
}

int sim_leader(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->instance_count; i++)
        if (sim_may_lead(w, i)) return (int)i;
    return -1;
}

void sim_check_leads(struct sim_world *w)
{
    int first = -1;
    for (uint32_t i = 0; i < w->instance_count; i++) {
        if (!sim_may_lead(w, i)) continue;
        if (w->first_lead_us == 0) w->first_lead_us = w->now_us;
        if (first >= 0 && !w->frozen_pauses)
            sim_fail_unsafe(w, "two may lead: %d in epoch %" PRIu64 " and %u in epoch %" PRIu64, first,
                            w->instances[first].lead.epoch, i, w->instances[i].lead.epoch);
        first = (int)i;
    }
}

/* --- instances --- */

void sim_schedule(struct sim_world *w, enum sim_event_kind kind, uint32_t subject, uint64_t in_us)
{
    uint32_t stamp = subject < SIM_INSTANCES_MAX ? w->instances[subject].life : 0;
    sim_queue_put(
        &w->queue,
        (struct sim_event){.at_us = w->now_us + in_us, .kind = kind, .subject = subject, .stamp = stamp});
}

bool sim_is_alive(const struct sim_world *w, const struct sim_call *c)
{
    const struct sim_instance *n = &w->instances[c->instance];
    return n->election != NULL && n->life == c->life;
}

static void boot(struct sim_world *w, uint32_t i)
{
    struct sim_instance *n = &w->instances[i];
    struct err_ctx ec;
    n->life++;
    n->self.incarnation = random_u64(&w->seed);
    n->lead = (struct election_lead){0};
    n->elected = false;
    n->steps = 0;
    n->paused_until_us = n->cut_until_us = 0;
    if (election_new(&n->cfg, &n->self, &n->election, &ec) != SYNC_OK) {
        fprintf(stderr, "%s\n", ec.text);
        abort();
    }
    sim_say(w, (int)i, "starts, clock %+d ppm, wall %+" PRId64 " ms", (int)n->clock_rate_ppm - 1000000,
            n->wall_error_ms);
    sim_schedule(w, SIM_TASK, i, sim_random(w, 1000000));
    sim_input(w, i, ELECTION_TICK, NULL);
}

void sim_start(struct sim_world *w, uint32_t i, const struct election_config *cfg, const char *id,
               uint32_t rate_ppm, int64_t wall_error_ms)
{
    struct sim_instance *n = &w->instances[i];
    assert(n->election == NULL && i < SIM_INSTANCES_MAX);
    if (i >= w->instance_count) w->instance_count = i + 1;
    n->cfg = *cfg;
    (void)snprintf(n->self.worker_id, sizeof n->self.worker_id, "%s", id);
    n->clock_from_us = w->now_us;
    n->clock_base_us = 1000000 + sim_random(w, 1000000000); /* whatever it was when the machine booted */
    n->clock_rate_ppm = rate_ppm;
    n->wall_error_ms = wall_error_ms;
    boot(w, i);
}

void sim_restart(struct sim_world *w, uint32_t i, bool new_name)
{
    struct sim_instance *n = &w->instances[i];
    assert(n->election == NULL && n->life > 0);
    if (new_name)
        (void)snprintf(n->self.worker_id, sizeof n->self.worker_id, "w%03u-%u-%u",
                       (unsigned)sim_random(w, 1000), i, n->life);
    boot(w, i);
}

void sim_crash(struct sim_world *w, uint32_t i)
{
    struct sim_instance *n = &w->instances[i];
    if (n->election == NULL) return;
    sim_say(w, (int)i, "crashes");
    election_free(n->election);
    n->election = NULL;
    n->life++;
}

/* The process stands still; its clocks do not, unless that is the point. */
void sim_pause(struct sim_world *w, uint32_t i, uint64_t us)
{
    struct sim_instance *n = &w->instances[i];
    uint64_t until = w->now_us + us;
    if (n->election == NULL || us == 0 || until <= n->paused_until_us) return;
    sim_say(w, (int)i, "stands still for %.3f s", (double)us / 1e6);
    if (w->bug == SIM_BUG_CLOCK_STOPS || w->frozen_pauses) {
        rebase_clock(w, n);
        n->clock_from_us = until;
    }
    n->paused_until_us = until;
}

void sim_ask(struct sim_world *w, uint32_t i, enum election_input_kind kind)
{
    if (w->instances[i].election == NULL || w->instances[i].paused_until_us > w->now_us) return;
    sim_input(w, i, kind, NULL);
}

/* --- one step of a machine --- */

static void tell(struct sim_world *w, uint32_t i, const struct election_event *ev)
{
    struct sim_instance *n = &w->instances[i];
    if (ev->kind != ELECTION_EVENT_HEARTBEAT && w->log != NULL)
        sim_say(w, (int)i, "* %s epoch %" PRIu64 " %s%s%s %s", election_event_name(ev->kind), ev->epoch,
                ev->from, ev->kind == ELECTION_EVENT_LEADER_CHANGED ? " -> " : "", ev->to,
                ev->kind == ELECTION_EVENT_DEMOTED ? election_reason_name(ev->reason)
                : ev->kind == ELECTION_EVENT_PHASE ? election_phase_name(ev->phase)
                                                   : "");
    if (ev->kind == ELECTION_EVENT_ELECTED) {
        if (n->elected) sim_fail(w, "%u was told twice that it is elected", i);
        n->elected = true;
    }
    if (ev->kind == ELECTION_EVENT_DEMOTED) {
        if (!n->elected) sim_fail(w, "%u was demoted without having been elected", i);
        n->elected = false;
        w->demotions++;
    }
}

/* Does the machine's update end the lead for no other reason than that the lease was not renewed in time? */
static bool only_ran_out(const struct sim_instance *n, const struct election_update *u)
{
    for (size_t k = 0; k < u->event_count; k++) {
        const struct election_event *ev = &u->events[k];
        if (ev->kind == ELECTION_EVENT_DEMOTED && ev->reason != ELECTION_LEASE_RAN_OUT) return false;
        if (ev->kind == ELECTION_EVENT_LEADER_CHANGED && strcmp(ev->to, n->self.worker_id) != 0) return false;
    }
    return true;
}

/* What the planted errors make of a lead. */
static struct election_lead bend_lead(const struct sim_world *w, struct sim_instance *n,
                                      const struct election_update *u)
{
    struct election_lead lead = u->lead;
    bool renewed = lead.until_ms != n->machine_until_ms;
    n->machine_until_ms = u->lead.until_ms;
    if (w->bug != SIM_BUG_NO_MARGIN && w->bug != SIM_BUG_LEASE_FROM_ANSWER && w->bug != SIM_BUG_KEEP_LEADING)
        return lead;
    if (lead.epoch == 0) return only_ran_out(n, u) ? n->lead : lead; /* it would not have stopped here */
    if (!renewed) return n->lead;
    if (w->bug == SIM_BUG_NO_MARGIN)
        lead.until_ms += n->cfg.lease_timeout_ms - election_timing_of(&n->cfg).lead_ms;
    if (w->bug == SIM_BUG_LEASE_FROM_ANSWER) lead.until_ms += n->answer_lag_ms;
    if (w->bug == SIM_BUG_KEEP_LEADING) lead.until_ms = UINT64_MAX;
    return lead;
}

static void publish_lead(struct sim_world *w, uint32_t i, struct election_lead lead)
{
    struct sim_instance *n = &w->instances[i];
    bool new_epoch = lead.epoch > 0 && lead.epoch != n->lead.epoch;
    n->lead = lead;
    if (!new_epoch) return;
    w->leads++;
    if (lead.epoch <= w->epoch_last && w->bug == SIM_NO_BUG && !w->frozen_pauses)
        sim_fail(w, "%u leads in epoch %" PRIu64 ", but there was %" PRIu64, i, lead.epoch, w->epoch_last);
    w->epoch_last = lead.epoch;
    uint64_t from_us = true_us(w, n, lead.from_ms);
    if (from_us > w->now_us) sim_schedule(w, SIM_LEAD, i, from_us - w->now_us);
}

static void set_wake(struct sim_world *w, uint32_t i, uint64_t wake_ms)
{
    struct sim_instance *n = &w->instances[i];
    n->wake_stamp++;
    if (wake_ms == UINT64_MAX) return;
    uint64_t at = true_us(w, n, wake_ms) + sim_random(w, 2000);
    sim_queue_put(&w->queue,
                  (struct sim_event){.at_us = at, .kind = SIM_WAKE, .subject = i, .stamp = n->wake_stamp});
}

void sim_input(struct sim_world *w, uint32_t i, enum election_input_kind kind,
               const struct election_result *result)
{
    struct sim_instance *n = &w->instances[i];
    struct election_update *u = &w->update;
    struct election_input in = {.kind = kind,
                                .mono_ms = sim_mono_ms(w, n),
                                .wall_ms = sim_wall_ms(w, n),
                                .random = random_u64(&w->seed),
                                .result = result};
    election_step(n->election, &in, u);
    if (++n->steps > STEPS_MAX) sim_fail(w, "%u takes no end of steps", i);
    publish_lead(w, i, bend_lead(w, n, u));
    sim_check_leads(w);
    for (size_t k = 0; k < u->event_count; k++) tell(w, i, &u->events[k]);
    for (size_t k = 0; k < u->hint_count; k++)
        for (uint32_t to = 0; to < w->instance_count; to++)
            if (strcmp(w->instances[to].self.worker_id, u->hints[k]) == 0 && !sim_chance(w, w->net.lost))
                sim_schedule(w, SIM_HINT, to, 500 + sim_random(w, 2000));
    set_wake(w, i, u->wake_ms);
    for (size_t k = 0; k < u->op_count; k++) sim_send(w, i, &u->ops[k]);
}

/* --- the world --- */

struct sim_world *sim_world_new(void)
{
    struct sim_world *w = calloc(1, sizeof *w);
    if (w == NULL) abort();
    return w;
}

static void kill_all(struct sim_world *w)
{
    for (uint32_t i = 0; i < SIM_INSTANCES_MAX; i++) {
        election_free(w->instances[i].election);
        w->instances[i] = (struct sim_instance){0};
    }
    w->instance_count = 0;
}

void sim_world_free(struct sim_world *w)
{
    if (w == NULL) return;
    kill_all(w);
    sim_queue_deinit(&w->queue);
    free(w);
}

void sim_world_reset(struct sim_world *w, uint64_t seed, enum sim_bug bug, FILE *log)
{
    kill_all(w);
    sim_queue_clear(&w->queue);
    sim_store_reset(&w->store);
    sim_calls_reset(w);
    w->seed = seed;
    w->bug = bug;
    w->log = log;
    w->now_us = 1000000;
    w->net = (struct sim_network){.latency_us = 10000};
    w->store.conditions_ignored = bug == SIM_BUG_BLIND_WRITES;
    w->frozen_pauses = false;
    w->late_until_us = 0;
    w->epoch_last = w->guard_last = w->first_lead_us = 0;
    w->leads = w->demotions = 0;
    w->events = w->guard_writes = 0;
    w->failure[0] = '\0';
    w->unsafe = false;
}

/* Events of an instance: void when it died since, put off while it is paused. */
static void instance_event(struct sim_world *w, struct sim_event ev)
{
    struct sim_instance *n = &w->instances[ev.subject];
    uint32_t stamp = ev.kind == SIM_WAKE ? n->wake_stamp : n->life;
    if (n->election == NULL || ev.stamp != stamp) return;
    if (n->paused_until_us > w->now_us) {
        ev.at_us = n->paused_until_us;
        sim_queue_put(&w->queue, ev);
        return;
    }
    switch (ev.kind) {
    case SIM_WAKE: sim_input(w, ev.subject, ELECTION_TICK, NULL); return;
    case SIM_HINT: sim_input(w, ev.subject, ELECTION_HINT, NULL); return;
    case SIM_TASK:
        sim_work(w, ev.subject);
        sim_schedule(w, SIM_TASK, ev.subject, 200000 + sim_random(w, 1800000));
        return;
    default: return;
    }
}

bool sim_step(struct sim_world *w, struct sim_event *ret)
{
    if (!sim_queue_take(&w->queue, ret)) {
        sim_fail(w, "nothing will ever happen again");
        return false;
    }
    assert(ret->at_us >= w->now_us);
    w->now_us = ret->at_us;
    w->events++;
    sim_check_leads(w);
    switch (ret->kind) {
    case SIM_WAKE:
    case SIM_HINT:
    case SIM_TASK: instance_event(w, *ret); break;
    case SIM_DEPART:
    case SIM_LAND:
    case SIM_ANSWER:
    case SIM_TIMEOUT: sim_call_event(w, ret); break;
    case SIM_AGE: sim_store_age(&w->store); break;
    case SIM_LEAD:
    case SIM_RETURN:
    case SIM_START:
    case SIM_CHAOS:
    case SIM_QUIET:
    case SIM_END: break; /* the caller's */
    }
    return w->failure[0] == '\0';
}
