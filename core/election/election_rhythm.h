/* election_rhythm.h -- when to look at a record that somebody else renews at even intervals.
 *
 * A follower's wait for a dead leader begins when it first sees the leader's last renewal, so it should see
 * each renewal soon after it was made; but looking often costs requests. The leader renews at even intervals
 * (renew_ms in its record), so two looks bound when the last renewal happened, the next one is expected in
 * the same bounds plus the interval, and one look in the middle of them halves the uncertainty. Once it is
 * small, one look a renewal, just behind the expected moment, is enough.
 *
 *         look, old        look, new              expected
 *     ------|--------#--------|------- ... -------[####]--|--->
 *          low    renewal    high             low+p  high+p  next look
 *
 * This decides nothing but when to look: a wrong guess costs a look or some seconds, never safety.
 *
 * Pure; all times are the caller's monotonic milliseconds. */
#ifndef CORE_ELECTION_ELECTION_RHYTHM_H
#define CORE_ELECTION_ELECTION_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

struct election_rhythm {
    uint64_t low_ms, high_ms; /* the last change happened between these */
    uint64_t asked_ms;        /* when the last look was sent */
    uint32_t period_ms;
    uint32_t misses; /* looks in a row that came after the expected moment and saw nothing new */
    bool known;      /* low_ms and high_ms mean something */
};

/* A look sent at asked_ms and answered at now_ms showed a record that was not known. `next_in_row`: it is
 * exactly one renewal after the one known, so the bounds move along by a period. */
void rhythm_changed(struct election_rhythm *r, uint64_t asked_ms, uint64_t now_ms, uint32_t period_ms,
                    bool next_in_row);

/* A look sent at asked_ms showed the record already known. */
void rhythm_unchanged(struct election_rhythm *r, uint64_t asked_ms);

/* When to look next. grain_ms: how small the uncertainty should become; gap_ms: the longest time between two
 * looks; refine: may a look be spent on a better guess? Always later than now_ms. */
uint64_t rhythm_next(const struct election_rhythm *r, uint64_t now_ms, uint32_t grain_ms, uint32_t gap_ms,
                     bool refine);

#endif
