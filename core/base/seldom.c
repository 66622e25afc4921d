#include "core/base/seldom.h"

bool seldom_tells(struct seldom *s, uint64_t interval_ns, uint64_t now_ns, uint64_t *ret_untold)
{
    uint64_t next_ns = atomic_load(&s->next_ns);
    if (now_ns < next_ns || !atomic_compare_exchange_strong(&s->next_ns, &next_ns, now_ns + interval_ns)) {
        atomic_fetch_add(&s->untold, 1);
        return false;
    }
    *ret_untold = atomic_exchange(&s->untold, 0);
    return true;
}
