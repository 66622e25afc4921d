/* percentile.h -- percentiles of the last few durations.
 *
 * A window of the newest PERCENTILE_WINDOW samples; asking sorts a copy of them, which is cheap enough for
 * whoever looks at a status page and costs the measured path nothing.
 *
 * Pure, no allocation. Threads: one at a time. */
#ifndef CORE_BASE_PERCENTILE_H
#define CORE_BASE_PERCENTILE_H

#include <stdint.h>

enum { PERCENTILE_WINDOW = 128 };

struct percentile_window {
    uint32_t samples[PERCENTILE_WINDOW];
    uint32_t next;  /* where the next sample goes */
    uint32_t count; /* samples there are, at most the window's size */
};

struct percentiles {
    uint32_t p50, p95, p99, max;
    uint32_t count; /* 0: no sample yet, all others are 0 */
};

void percentile_add(struct percentile_window *w, uint32_t sample);

/* Nearest rank: the smallest sample that at least p percent of the samples do not exceed. */
struct percentiles percentile_read(const struct percentile_window *w);

#endif
