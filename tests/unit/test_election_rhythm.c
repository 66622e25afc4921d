#include "core/election/election_rhythm.h"

#include "random.h"

#include <criterion/criterion.h>
#include <inttypes.h>

enum { PERIOD = 9577, GRAIN = 626, GAP = 10000 };

Test(election_rhythm, looks_at_the_pace_of_the_gap_until_it_knows_something)
{
    struct election_rhythm r = {0};
    cr_assert_eq(rhythm_next(&r, 5000, GRAIN, GAP, true), 5000 + GAP);
}

/* Follows a leader that renews every period, a write taking up to 40 ms. Returns looks per renewal; *ret_late
 * is how long after a renewal it was seen, at worst, after the first ten. */
static double follow(uint64_t phase_ms, bool refine, uint64_t *ret_late)
{
    struct election_rhythm r = {0};
    uint64_t seed = phase_ms, now = 20000, known = 0, looks = 0, late_max = 0;
    enum { RENEWALS = 200 };
    while (known < RENEWALS) {
        uint64_t made = 0, made_ms = 0;
        looks++;
        while (phase_ms + made * PERIOD + 40 < now) made++; /* renewals there have been */
        made_ms = phase_ms + (made - 1) * PERIOD + random_below(&seed, 40);
        if (made > known) {
            rhythm_changed(&r, now, now + 5, PERIOD, known > 0 && made == known + 1);
            if (known > 10 && now - made_ms > late_max) late_max = now - made_ms;
            known = made;
        } else {
            rhythm_unchanged(&r, now);
        }
        uint64_t next = rhythm_next(&r, now + 5, GRAIN, GAP, refine);
        cr_assert_gt(next, now + 5);
        cr_assert_leq(next, now + 5 + GAP);
        now = next;
    }
    *ret_late = late_max;
    return (double)looks / RENEWALS;
}

Test(election_rhythm, sees_each_renewal_soon_with_little_more_than_one_look_each)
{
    for (uint64_t phase = 1; phase < 10000; phase += 377) {
        uint64_t late_ms;
        double looks = follow(phase, true, &late_ms);
        cr_assert_lt(looks, 1.3, "phase %" PRIu64, phase);
        cr_assert_lt(late_ms, 2500, "phase %" PRIu64, phase);
    }
}

Test(election_rhythm, without_looks_to_spare_it_stays_at_one_each)
{
    uint64_t late_ms;
    cr_assert_lt(follow(3000, false, &late_ms), 1.1);
    cr_assert_lt(late_ms, GAP);
}

Test(election_rhythm, a_renewal_that_does_not_come_is_looked_for_ever_more_slowly)
{
    struct election_rhythm r = {0};
    rhythm_changed(&r, 1000, 1010, PERIOD, false);
    uint64_t now = rhythm_next(&r, 1010, GRAIN, GAP, false), before = 0;
    for (int i = 0; i < 8; i++) {
        rhythm_unchanged(&r, now);
        uint64_t next = rhythm_next(&r, now, GRAIN, GAP, true);
        cr_assert_geq(next - now, before);
        cr_assert_leq(next - now, GAP);
        before = next - now;
        now = next;
    }
    cr_assert_eq(before, GAP);
}
