/* hook_order.h -- keeps the calls of one key in order: the next one starts when the one before was answered.
 *
 * A table of the calls that are under way, by key; those behind wait in a list at the one in front. Pure. */
#ifndef HOOKS_HOOK_ORDER_H
#define HOOKS_HOOK_ORDER_H

#include "hooks/hook_call.h"

enum { HOOK_ORDER_BUCKETS = 1024 };

struct hook_order {
    struct hook_call *buckets[HOOK_ORDER_BUCKETS];
};

/* True: the call may start now. False: it waits behind another of its key. */
bool hook_order_enter(struct hook_order *o, struct hook_call *c);

/* The call was answered. Returns the one that may start now, or NULL. */
struct hook_call *hook_order_leave(struct hook_order *o, struct hook_call *c);

#endif
