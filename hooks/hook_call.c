#include "hooks/hook_call.h"

const char *hook_op_name(enum hook_op op)
{
    static const char *const names[HOOK_OP_COUNT] = {
#define X(c, name) name,
        HOOK_OP_MAP(X)
#undef X
    };
    return names[op];
}

void hook_result_deinit(struct hook_result *r)
{
    hook_identity_unref(r->identity);
    hook_sets_deinit(&r->sets);
    *r = (struct hook_result){0};
}

void hook_call_release(struct hook_call *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) c->destroy(c);
}
