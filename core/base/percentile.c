#include "core/base/percentile.h"

#include <stdlib.h>
#include <string.h>

void percentile_add(struct percentile_window *w, uint32_t sample)
{
    w->samples[w->next] = sample;
    w->next = (w->next + 1) % PERCENTILE_WINDOW;
    if (w->count < PERCENTILE_WINDOW) w->count++;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t nearest_rank(const uint32_t *sorted, uint32_t count, uint32_t percent)
{
    uint32_t rank = (count * percent + 99) / 100; /* from 1 */
    return sorted[rank - 1];
}

struct percentiles percentile_read(const struct percentile_window *w)
{
    uint32_t sorted[PERCENTILE_WINDOW];
    if (w->count == 0) return (struct percentiles){0};
    memcpy(sorted, w->samples, w->count * sizeof sorted[0]);
    qsort(sorted, w->count, sizeof sorted[0], ascending);
    return (struct percentiles){.p50 = nearest_rank(sorted, w->count, 50),
                                .p95 = nearest_rank(sorted, w->count, 95),
                                .p99 = nearest_rank(sorted, w->count, 99),
                                .max = sorted[w->count - 1],
                                .count = w->count};
}
