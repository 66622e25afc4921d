/* The metrics of hooks: how often each was called and what came of it, and the counters that it made itself.
 * Which hooks there are changes with a reload, so they are no part of the table of
 * core/metrics/sync_metrics.h. */
#include "server/hooks/hook_gate.h"

/* Hooks of one moment. */
struct shown {
    size_t count;
    struct shown_hook {
        char name[2 * HOOK_NAME_MAX + 1]; /* escaped */
        uint64_t calls, refusals, failures, timeouts, rejections;
        struct {
            char name[HOOK_NAME_MAX + 1];
            uint64_t value;
        } counters[SYNC_COUNTERS_MAX];
        size_t counter_count;
    } hooks[HOOKS_MAX];
};

static void escape(const char *name, char *ret)
{
    for (; *name != '\0'; name++) {
        if (*name == '\n') {
            *ret++ = '\\';
            *ret++ = 'n';
            continue;
        }
        if (*name == '"' || *name == '\\') *ret++ = '\\';
        *ret++ = *name;
    }
    *ret = '\0';
}

static uint64_t figure(const atomic_uint_fast64_t *f)
{
    return atomic_load_explicit((atomic_uint_fast64_t *)(uintptr_t)f, memory_order_relaxed);
}

static void note(void *arg, const struct hook *h)
{
    struct shown *s = arg;
    struct shown_hook *to = &s->hooks[s->count++];
    escape(h->name, to->name);
    to->calls = figure(&h->figures.calls);
    to->refusals = figure(&h->figures.refusals);
    to->failures = figure(&h->figures.failures);
    to->timeouts = figure(&h->figures.timeouts);
    to->rejections = figure(&h->figures.rejections);
    to->counter_count =
        atomic_load_explicit((atomic_uint *)(uintptr_t)&h->counter_count, memory_order_acquire);
    for (size_t i = 0; i < to->counter_count; i++) {
        hook_text_copy(to->counters[i].name, sizeof to->counters[i].name, slice_str(h->counters[i].name));
        to->counters[i].value = figure(&h->counters[i].value);
    }
}

static void put_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_value(struct buf *out, uint64_t value)
{
    buf_put_u64(out, value);
    buf_put_char(out, '\n');
}

#define PUT_FAMILY(field, family, help)                                                                      \
    put_head(out, family, "counter", help);                                                                  \
    for (size_t i = 0; i < s.count; i++) {                                                                   \
        buf_printf(out, family "{hook=\"%s\"} ", s.hooks[i].name);                                           \
        put_value(out, s.hooks[i].field);                                                                    \
    }

void hook_gate_put_metrics(struct hook_gate *g, struct buf *out)
{
    static const char own[] = "sync_hook_counter_total";
    struct hook_runner *r = hook_gate_runner(g);
    struct shown s = {0};
    if (r == NULL) return;
    hook_runner_each(r, note, &s);
    PUT_FAMILY(calls, "sync_hook_calls_total", "Calls of a hook's functions.")
    PUT_FAMILY(refusals, "sync_hook_refusals_total", "Calls in which the hook refused the request.")
    PUT_FAMILY(failures, "sync_hook_failures_total", "Calls that failed, which refuses the request as well.")
    PUT_FAMILY(timeouts, "sync_hook_timeouts_total", "Calls that did not return within the deadline.")
    PUT_FAMILY(rejections, "sync_hook_rejected_change_sets_total", "ChangeSets that the hook rejected.")
    put_head(out, own, "counter", "Counters that hooks made themselves.");
    for (size_t i = 0; i < s.count; i++)
        for (size_t k = 0; k < s.hooks[i].counter_count; k++) {
            buf_printf(out, "%s{hook=\"%s\",name=\"%s\"} ", own, s.hooks[i].name,
                       s.hooks[i].counters[k].name);
            put_value(out, s.hooks[i].counters[k].value);
        }
    put_head(
        out, "sync_hook_dropped_notices_total", "counter",
        "Calls that nobody waits for (after_apply_changes, client_disconnect, coordinator_event) left out, "
        "since they came too fast.");
    buf_put_str(out, "sync_hook_dropped_notices_total ");
    put_value(out, hook_runner_dropped_notices(r) +
                       atomic_load_explicit(&g->notices_left_out, memory_order_relaxed));
    put_head(out, "sync_hook_stuck_calls", "gauge", "Calls that have not returned, past their deadline.");
    buf_put_str(out, "sync_hook_stuck_calls ");
    put_value(out, hook_runner_stuck(r));
}
