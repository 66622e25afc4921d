/* backoff.h -- how long to wait before trying again: exponential, with full jitter.
 *
 * The wait before repeat n (1, 2, ...) is a random time from 0 to min(cap_ms, base_ms * 2^(n-1)). Taking all
 * of the range at random, and not a bit around its end, spreads clients that failed together best.
 *
 * Pure: the caller passes a random number. */
#ifndef CORE_BASE_BACKOFF_H
#define CORE_BASE_BACKOFF_H

#include <stdint.h>

struct backoff_config {
    uint32_t base_ms;
    uint32_t cap_ms;
};

/* `repeat` counts from 1; `random` is 64 even random bits. */
uint64_t backoff_ms(const struct backoff_config *cfg, uint32_t repeat, uint64_t random);

#endif
