#include "server/hooks/hook_event.h"

#include <stdlib.h>

/* All events of a server are told under one key, which keeps them in order. Connections have the numbers from
 * 1 on (hook_gate_number) and never come as far. */
#define EVENT_KEY UINT64_MAX

struct event_notice {
    struct hook_call call; /* first */
    char texts[];
};

static void destroy(struct hook_call *c)
{
    hook_result_deinit(&c->result);
    free(c);
}

static struct slice keep(char **at, struct slice text)
{
    char *copy = *at;
    if (text.len > 0) memcpy(copy, text.bytes, text.len);
    *at += text.len;
    return slice_of(copy, text.len);
}

void hook_gate_coordinator_event(struct hook_gate *g, const struct hook_event *event)
{
    if (!hook_gate_has(g, HOOK_COORDINATOR_EVENT)) return;
    struct event_notice *n = calloc(1, sizeof *n + event->name.len + event->namespace_name.len +
                                           event->election.len + event->leader_id.len);
    if (n == NULL) {
        atomic_fetch_add(&g->notices_left_out, 1);
        return;
    }
    char *at = n->texts;
    n->call.key = EVENT_KEY;
    n->call.destroy = destroy;
    n->call.input.op = HOOK_COORDINATOR_EVENT;
    n->call.input.event = (struct hook_event){.name = keep(&at, event->name),
                                              .namespace_name = keep(&at, event->namespace_name),
                                              .election = keep(&at, event->election),
                                              .leader_id = keep(&at, event->leader_id),
                                              .epoch = event->epoch};
    hook_runner_submit(hook_gate_runner(g), &n->call);
}
