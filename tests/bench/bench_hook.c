/* A hook that looks at everything and approves it: what sync-bench measures the cost of a chain with. */
#include "hooks/sync_hooks.h"

static int let_in(void *state, const struct sync_request *request, struct sync_grant *grant,
                  struct sync_answer *answer)
{
    (void)state, (void)request, (void)answer;
    grant->user_id[0] = 'a';
    return SYNC_HOOK_OK;
}

static int check(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                 struct sync_answer *answer)
{
    struct sync_change c = {.bytes = sizeof c};
    (void)state, (void)who, (void)answer;
    for (uint32_t set = 0; set < sets->count; set++)
        for (uint32_t i = 0; sets->change_at(sets, set, i, &c); i++)
            if (sync_text_is(c.table, "closed")) sync_reject(sets, set, "closed", NULL);
    return SYNC_HOOK_OK;
}

SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks = {
    SYNC_HOOKS_HEAD, .flags = SYNC_HOOKS_THREAD_SAFE, .authenticate = let_in, .before_apply_changes = check};
