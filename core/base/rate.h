/* rate.h -- how often something may happen: so many a second, with a burst, and debts.
 *
 * All that is kept of who is counted is one time: when everything that was charged will have been worked off.
 * A time in the past means "nothing owed", so a table of such times begins as zeros and forgets by itself.
 * What happens is charged afterwards, however large it was: whoever owes more than RATE_BURST_NS waits until
 * that is worked off. So a single thing larger than the burst passes too, only later ones wait.
 *
 * Pure; times are nanoseconds on a clock that only goes forward. Threads: any, it is plain numbers. */
#ifndef CORE_BASE_RATE_H
#define CORE_BASE_RATE_H

#include <stdint.h>

#define RATE_BURST_NS UINT64_C(1000000000) /* of work may come at once */
#define RATE_DEBT_NS                                                                                         \
    UINT64_C(60000000000) /* is owed at most: one huge thing must not lock its sender out                    \
                           */

/* How long whoever owes until `clear_ns` has to wait; 0: it may happen now. */
static inline uint64_t rate_wait_ns(uint64_t clear_ns, uint64_t now_ns)
{
    uint64_t owed_ns = clear_ns > now_ns ? clear_ns - now_ns : 0;
    return owed_ns > RATE_BURST_NS ? owed_ns - RATE_BURST_NS : 0;
}

/* The new `clear_ns` after `count` more, at `per_second` (not 0). */
uint64_t rate_charge(uint64_t clear_ns, uint64_t count, uint32_t per_second, uint64_t now_ns);

#endif
