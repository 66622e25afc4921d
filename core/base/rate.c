#include "core/base/rate.h"

#include <assert.h>

uint64_t rate_charge(uint64_t clear_ns, uint64_t count, uint32_t per_second, uint64_t now_ns)
{
    assert(per_second > 0);
    uint64_t owed_ns = clear_ns > now_ns ? clear_ns - now_ns : 0;
    uint64_t unit_ns = UINT64_C(1000000000) / per_second;
    if (unit_ns == 0) unit_ns = 1;
    /* Compared before they are multiplied: a count comes from a client. */
    if (owed_ns >= RATE_DEBT_NS || count > (RATE_DEBT_NS - owed_ns) / unit_ns) return now_ns + RATE_DEBT_NS;
    return now_ns + owed_ns + count * unit_ns;
}
