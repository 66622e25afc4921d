// A hook in C++: nobody may connect.
#include "hooks/sync_hooks.h"

#include <cstdio>

static int nobody(void *, const sync_identity *, sync_answer *answer)
{
    std::snprintf(answer->text, sizeof answer->text, "closed");
    return SYNC_HOOK_REFUSED;
}

static constexpr sync_hooks table()
{
    sync_hooks t{};
    t.abi = SYNC_HOOKS_ABI;
    t.bytes = sizeof t;
    t.client_connect = nobody;
    return t;
}

SYNC_HOOKS_EXPORT const sync_hooks sync_hooks = table();
