#include "hooks/hook_order.h"

#include <assert.h>

static struct hook_call **bucket_of(struct hook_order *o, uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u; /* keys are often consecutive, or differ only in their upper half */
    return &o->buckets[key >> 54];
}

static_assert(HOOK_ORDER_BUCKETS == 1 << 10, "bucket_of() takes the upper 10 bits");

bool hook_order_enter(struct hook_order *o, struct hook_call *c)
{
    c->next = c->order_next = c->followers = NULL;
    c->followers_end = &c->followers;
    if (c->key == 0) return true;
    struct hook_call **bucket = bucket_of(o, c->key);
    for (struct hook_call *x = *bucket; x != NULL; x = x->order_next) {
        if (x->key != c->key) continue;
        *x->followers_end = c;
        x->followers_end = &c->next;
        return false;
    }
    c->order_next = *bucket;
    *bucket = c;
    return true;
}

struct hook_call *hook_order_leave(struct hook_order *o, struct hook_call *c)
{
    if (c->key == 0) return NULL;
    struct hook_call **at = bucket_of(o, c->key);
    while (*at != c) {
        assert(*at != NULL);
        at = &(*at)->order_next;
    }
    struct hook_call *f = c->followers;
    if (f == NULL) {
        *at = c->order_next;
        return NULL;
    }
    f->order_next = c->order_next;
    f->followers = f->next;
    f->followers_end = f->next == NULL ? &f->followers : c->followers_end;
    f->next = NULL;
    *at = f;
    return f;
}
