#include "core/election/election_rhythm.h"

#include <assert.h>

/* What a period may differ from the next: the time a write takes, and two clocks. */
static uint64_t wander_ms(const struct election_rhythm *r)
{
    return 1 + r->period_ms / 80;
}

static uint64_t expected_by(const struct election_rhythm *r)
{
    return r->high_ms + r->period_ms + wander_ms(r);
}

void rhythm_changed(struct election_rhythm *r, uint64_t asked_ms, uint64_t now_ms, uint32_t period_ms,
                    bool next_in_row)
{
    assert(asked_ms <= now_ms);
    uint64_t low = r->asked_ms, high = now_ms; /* the look before this one did not show it */
    if (next_in_row && r->known) {
        uint64_t by = expected_by(r), from = r->low_ms + r->period_ms;
        from = from > wander_ms(r) ? from - wander_ms(r) : 0;
        if (from > low) low = from;
        if (by < high) high = by;
        if (low > high) { /* it did not come as expected: only what was seen counts */
            low = r->asked_ms;
            high = now_ms;
        }
    }
    *r = (struct election_rhythm){
        .low_ms = low, .high_ms = high, .asked_ms = asked_ms, .period_ms = period_ms, .known = true};
}

void rhythm_unchanged(struct election_rhythm *r, uint64_t asked_ms)
{
    r->asked_ms = asked_ms;
    if (r->known && asked_ms >= expected_by(r)) r->misses++;
}

uint64_t rhythm_next(const struct election_rhythm *r, uint64_t now_ms, uint32_t grain_ms, uint32_t gap_ms,
                     bool refine)
{
    assert(grain_ms > 0 && gap_ms > 0);
    uint64_t latest = now_ms + gap_ms;
    if (!r->known) return latest;
    if (r->misses > 0) {
        uint64_t wait = grain_ms;
        for (uint32_t i = 1; i < r->misses && wait < gap_ms; i++) wait *= 2;
        return wait < gap_ms ? now_ms + wait : latest;
    }
    uint64_t next = expected_by(r);
    uint64_t middle = r->low_ms + (r->high_ms - r->low_ms) / 2 + r->period_ms;
    if (refine && r->high_ms - r->low_ms > 2 * (uint64_t)grain_ms && middle > now_ms) next = middle;
    if (next <= now_ms) next = now_ms + grain_ms;
    return next < latest ? next : latest;
}
