/* hook_event.h -- tells the hooks what happened in the cluster. */
#ifndef SERVER_HOOKS_HOOK_EVENT_H
#define SERVER_HOOKS_HOOK_EVENT_H

#include "hooks/hook_call.h"
#include "server/hooks/hook_gate.h"

/* Tells the hooks that have coordinator_event, on threads of their own, one event after the other in the
 * order of these calls. Never blocks, and copies the texts. An event that cannot be told (short memory, a
 * hook that takes them too slowly) is left out and counted.
 *
 * Threads: any, until hook_gate_close(). */
void hook_gate_coordinator_event(struct hook_gate *g, const struct hook_event *event);

#endif
