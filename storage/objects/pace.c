#include "storage/objects/pace.h"

#include <assert.h>

enum { MILLI = 1000, BURST_MS = 100, GRAIN_MS = 10 };

static uint64_t filled(const struct pace *p, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > p->filled_ms ? now_ms - p->filled_ms : 0;
    uint64_t full = p->bytes_per_s * BURST_MS;
    uint64_t added = passed_ms < BURST_MS ? p->bytes_per_s * passed_ms : full;
    return added < full - p->tokens ? p->tokens + added : full;
}

void pace_init(struct pace *p, uint64_t bytes_per_s, uint64_t now_ms)
{
    assert(bytes_per_s == 0 || bytes_per_s >= PACE_BYTES_PER_S_MIN);
    *p = (struct pace){.bytes_per_s = bytes_per_s, .filled_ms = now_ms};
    p->tokens = bytes_per_s * BURST_MS;
}

size_t pace_take(struct pace *p, size_t wanted, uint64_t now_ms)
{
    if (p->bytes_per_s == 0) return wanted;
    p->tokens = filled(p, now_ms);
    p->filled_ms = now_ms;
    uint64_t have = p->tokens / MILLI;
    size_t granted = have < wanted ? (size_t)have : wanted;
    p->tokens -= (uint64_t)granted * MILLI;
    return granted;
}

/* Until a grain's worth is there, so that a slow rate is not asked for single bytes. */
uint64_t pace_wait_ms(const struct pace *p, uint64_t now_ms)
{
    if (p->bytes_per_s == 0) return 0;
    uint64_t have = filled(p, now_ms), grain = p->bytes_per_s * GRAIN_MS;
    if (have >= grain) return 0;
    return (grain - have + p->bytes_per_s - 1) / p->bytes_per_s;
}
