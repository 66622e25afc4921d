#include "core/base/breaker.h"

#include "random.h"

#include <criterion/criterion.h>

static const struct breaker_config three_in_a_second = {.failures_max = 3, .reset_ms = 1000};

/* One call from begin to end at one moment; false when it was not let through. */
static bool call(struct breaker *b, enum breaker_outcome outcome, uint64_t now_ms)
{
    uint32_t ticket;
    if (!breaker_begin(b, now_ms, &ticket)) return false;
    breaker_end(b, ticket, outcome, now_ms);
    return true;
}

static struct breaker opened_at(uint64_t now_ms)
{
    struct breaker b;
    breaker_init(&b, &three_in_a_second);
    for (int i = 0; i < 3; i++) cr_assert(call(&b, BREAKER_FAILURE, now_ms));
    cr_assert_eq(breaker_state(&b, now_ms), BREAKER_OPEN);
    return b;
}

Test(breaker, only_failures_in_a_row_open_it)
{
    struct breaker b;
    breaker_init(&b, &three_in_a_second);
    for (int round = 0; round < 10; round++) {
        call(&b, BREAKER_FAILURE, 0);
        call(&b, BREAKER_FAILURE, 0);
        call(&b, BREAKER_UNDECIDED, 0);
        cr_assert(call(&b, BREAKER_SUCCESS, 0), "two failures do not open it, round %d", round);
    }
    call(&b, BREAKER_FAILURE, 0);
    call(&b, BREAKER_FAILURE, 0);
    call(&b, BREAKER_UNDECIDED, 0);
    cr_assert_eq(breaker_state(&b, 0), BREAKER_CLOSED);
    call(&b, BREAKER_FAILURE, 0);
    cr_assert_eq(breaker_state(&b, 0), BREAKER_OPEN, "what says nothing does not interrupt a row");
}

Test(breaker, open_lets_nothing_out_until_its_time_is_over)
{
    struct breaker b = opened_at(5000);
    cr_assert_not(call(&b, BREAKER_SUCCESS, 5000));
    cr_assert_eq(breaker_wait_ms(&b, 5000), 1000);
    cr_assert_not(call(&b, BREAKER_SUCCESS, 5999));
    cr_assert_eq(breaker_wait_ms(&b, 5999), 1);
    cr_assert_eq(breaker_wait_ms(&b, 4000), 1000, "a clock that went back does not shorten or wrap it");
    cr_assert_eq(breaker_state(&b, 6000), BREAKER_HALF_OPEN);
    cr_assert(call(&b, BREAKER_SUCCESS, 6000));
    cr_assert_eq(breaker_state(&b, 6000), BREAKER_CLOSED);
}

Test(breaker, half_open_lets_one_probe_out_at_a_time)
{
    struct breaker b = opened_at(0);
    uint32_t probe, other;
    cr_assert(breaker_begin(&b, 1000, &probe));
    cr_assert_not(breaker_begin(&b, 1000, &other));
    cr_assert_not(breaker_begin(&b, 9000, &other), "however long it takes");
    breaker_end(&b, probe, BREAKER_UNDECIDED, 9000);
    cr_assert(breaker_begin(&b, 9000, &probe), "a probe that taught nothing is followed by another");
    breaker_end(&b, probe, BREAKER_FAILURE, 9000);
    cr_assert_eq(breaker_state(&b, 9000), BREAKER_OPEN, "one failed probe opens it again");
    cr_assert_eq(breaker_wait_ms(&b, 9000), 1000, "for the whole time");
}

Test(breaker, answers_from_before_it_opened_are_ignored)
{
    struct breaker b;
    uint32_t early_good, early_bad, probe;
    breaker_init(&b, &three_in_a_second);
    cr_assert(breaker_begin(&b, 0, &early_good));
    cr_assert(breaker_begin(&b, 0, &early_bad));
    for (int i = 0; i < 3; i++) call(&b, BREAKER_FAILURE, 0);
    breaker_end(&b, early_good, BREAKER_SUCCESS, 500);
    cr_assert_eq(breaker_state(&b, 500), BREAKER_OPEN, "a late success does not close it");
    cr_assert(breaker_begin(&b, 1000, &probe));
    breaker_end(&b, early_bad, BREAKER_FAILURE, 1000);
    cr_assert_eq(breaker_state(&b, 1000), BREAKER_HALF_OPEN, "a late failure is not the probe's");
    breaker_end(&b, probe, BREAKER_SUCCESS, 1000);
    cr_assert_eq(breaker_state(&b, 1000), BREAKER_CLOSED);
}

/* Whatever order calls begin and end in: at most one probe is out while half open, and a service that is
 * well again is found within one reset time of its first probe. */
Test(breaker, random_schedules_keep_the_rules)
{
    enum { OUT_MAX = 8 };
    for (uint64_t round = 0; round < 200; round++) {
        uint64_t seed = round, now_ms = 0;
        struct breaker b;
        uint32_t out[OUT_MAX];
        size_t out_count = 0;
        breaker_init(&b, &three_in_a_second);
        for (int step = 0; step < 300; step++) {
            now_ms += random_below(&seed, 200);
            if (out_count < OUT_MAX && random_below(&seed, 2) == 0) {
                enum breaker_state before = breaker_state(&b, now_ms);
                bool was_probing = b.probing;
                if (breaker_begin(&b, now_ms, &out[out_count])) {
                    cr_assert_neq(before, BREAKER_OPEN, "seed %lu step %d", round, step);
                    cr_assert_not(before == BREAKER_HALF_OPEN && was_probing, "seed %lu step %d", round,
                                  step);
                    out_count++;
                }
            } else if (out_count > 0) {
                size_t i = random_below(&seed, out_count);
                breaker_end(&b, out[i], (enum breaker_outcome)random_below(&seed, 3), now_ms);
                out[i] = out[--out_count];
            }
        }
        while (out_count > 0) breaker_end(&b, out[--out_count], BREAKER_FAILURE, now_ms);
        now_ms += 1000;
        cr_assert(call(&b, BREAKER_SUCCESS, now_ms), "seed %lu", round);
        cr_assert_eq(breaker_state(&b, now_ms), BREAKER_CLOSED, "seed %lu", round);
    }
}
