/* seldom.h -- what may happen often and is told now and then, with how often it happened untold.
 *
 * Pure; times are nanoseconds on a clock that only goes forward. Threads: any. */
#ifndef CORE_BASE_SELDOM_H
#define CORE_BASE_SELDOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All-zero: never told. */
struct seldom {
    _Atomic uint64_t next_ns;
    _Atomic uint64_t untold;
};

/* It happened. True when it is to be told, which is once in `interval_ns` at most; *ret_untold is then how
 * many were not told since the last that was. Of several threads that ask together one is told so. */
bool seldom_tells(struct seldom *s, uint64_t interval_ns, uint64_t now_ns, uint64_t *ret_untold);

#endif
