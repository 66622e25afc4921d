#include "sim.h"

#include "tests/unit/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *sim_bug_name(enum sim_bug bug)
{
    static const char *const names[] = {
#define X(c, name) name,
        SIM_BUG_MAP(X)
#undef X
    };
    return names[bug];
}

uint64_t sim_below(struct sim *s, uint64_t bound)
{
    return random_below(&s->random, bound);
}

uint64_t sim_between(struct sim *s, uint64_t low, uint64_t high)
{
    return low + random_below(&s->random, high - low + 1);
}

bool sim_chance(struct sim *s, uint32_t percent)
{
    return random_below(&s->random, 100) < percent;
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
    va_list args;
    if (s->failure[0] != '\0') return; /* the first one tells most */
    va_start(args, fmt);
    (void)vsnprintf(s->failure, sizeof s->failure, fmt, args);
    va_end(args);
}

/* ---- events: a binary heap, the earliest on top; those of one time in the order of their making */

static bool comes_before(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
    struct event t = *a;
    *a = *b;
    *b = t;
}

struct event *sim_schedule(struct sim *s, uint64_t after_ms, sim_event_fn *run, uint32_t client,
                           uint64_t epoch)
{
    if (s->event_count == s->event_capacity) {
        s->event_capacity = s->event_capacity == 0 ? 256 : s->event_capacity * 2;
        s->events = realloc(s->events, s->event_capacity * sizeof *s->events);
        if (s->events == NULL) abort();
    }
    size_t at = s->event_count++;
    s->events[at] = (struct event){
        .at_ms = s->now_ms + after_ms, .order = s->order++, .run = run, .client = client, .epoch = epoch};
    while (at > 0 && comes_before(&s->events[at], &s->events[(at - 1) / 2])) {
        swap(&s->events[at], &s->events[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    return &s->events[at];
}

void sim_text(struct event *e, struct slice text)
{
    e->text = malloc(text.len + 1);
    if (e->text == NULL) abort();
    if (text.len > 0) memcpy(e->text, text.bytes, text.len);
    e->len = text.len;
}

static struct event take_first(struct sim *s)
{
    struct event first = s->events[0];
    s->events[0] = s->events[--s->event_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < s->event_count; child++)
            if (comes_before(&s->events[child], &s->events[least])) least = child;
        if (least == at) return first;
        swap(&s->events[at], &s->events[least]);
        at = least;
    }
}

void sim_run_until(struct sim *s, uint64_t end_ms)
{
    while (s->event_count > 0 && s->events[0].at_ms <= end_ms && s->failure[0] == '\0') {
        struct event e = take_first(s);
        s->now_ms = e.at_ms;
        e.run(s, &e);
        free(e.text);
    }
    s->now_ms = end_ms;
}

void sim_free_events(struct sim *s)
{
    for (size_t i = 0; i < s->event_count; i++) free(s->events[i].text);
    free(s->events);
    s->events = NULL;
    s->event_count = s->event_capacity = 0;
}

/* ---- telling */

enum { TOLD_BYTES_MAX = 110 };

void sim_tell(const struct sim *s, uint32_t client, const char *what, struct slice text)
{
    if (!s->tells) return;
    printf("%6llu client %u %s %.*s\n", (unsigned long long)s->now_ms, client, what,
           (int)(text.len < TOLD_BYTES_MAX ? text.len : TOLD_BYTES_MAX), text.len == 0 ? "" : text.bytes);
}

static void tell_hlc(const char *name, const struct hlc *h)
{
    uint8_t site = h->site.bytes[0];
    printf(" %s %llu.%u.%c.%u", name, (unsigned long long)h->wall_ms, h->counter,
           site >= 'A' && site < 'A' + CLIENTS_MAX ? site : '*', h->op_seq);
}

void sim_tell_facts(const struct sim *s, const struct client *c, const struct wire_message *m)
{
    if (!s->tells) return;
    printf("%6llu client %u took %zu facts of %zu sets", (unsigned long long)s->now_ms, c->index,
           m->fact_count, m->set_count);
    for (size_t i = 0; i < m->fact_count; i++)
        printf(" t%u/%u/%u", m->facts[i].table, m->facts[i].row, m->facts[i].column);
    if (m->set_count > 0) tell_hlc("up to", &m->highest);
    if (c->has_watermark) tell_hlc("watermark", &c->watermark);
    printf("\n");
}
