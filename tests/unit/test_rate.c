#include "core/base/rate.h"

#include <criterion/criterion.h>

enum { S = 1000000000 };

Test(rate, nothing_owed_is_no_wait)
{
    cr_assert_eq(rate_wait_ns(0, 5 * (uint64_t)S), 0);
    cr_assert_eq(rate_wait_ns(5 * (uint64_t)S, 5 * (uint64_t)S), 0);
    cr_assert_eq(rate_wait_ns(3 * (uint64_t)S, 5 * (uint64_t)S), 0);
}

Test(rate, a_second_of_work_may_come_at_once_and_then_it_flows_at_the_rate)
{
    uint64_t now = 100 * (uint64_t)S, clear = 0;
    unsigned taken = 0;
    while (rate_wait_ns(clear, now) == 0) {
        clear = rate_charge(clear, 1, 10, now);
        taken++;
    }
    cr_assert_eq(taken, 11); /* ten, and the one that brings the debt over the burst */
    cr_assert_eq(rate_wait_ns(clear, now), S / 10);
    for (unsigned i = 0; i < 50; i++) {
        now += rate_wait_ns(clear, now);
        cr_assert_eq(rate_wait_ns(clear, now), 0);
        clear = rate_charge(clear, 1, 10, now);
    }
    cr_assert_eq(now, 105 * (uint64_t)S, "50 more took 5 s");
}

Test(rate, one_large_thing_passes_and_the_next_waits_until_it_is_worked_off)
{
    uint64_t now = S;
    uint64_t clear = rate_charge(0, 1000, 100, now);
    cr_assert_eq(rate_wait_ns(clear, now), 9 * (uint64_t)S);
    cr_assert_eq(rate_wait_ns(clear, now + 9 * (uint64_t)S), 0);
}

Test(rate, what_is_owed_has_an_end)
{
    uint64_t now = S;
    uint64_t clear = rate_charge(0, UINT64_MAX, 1, now);
    cr_assert_eq(clear, now + RATE_DEBT_NS);
    cr_assert_eq(rate_charge(clear, 1, 1, now), now + RATE_DEBT_NS);
    cr_assert_eq(rate_charge(clear, UINT64_MAX, UINT32_MAX, now), now + RATE_DEBT_NS);
}

Test(rate, the_fastest_rate_still_counts)
{
    uint64_t clear = rate_charge(0, 2 * (uint64_t)S, UINT32_MAX, 1);
    cr_assert_eq(clear, 1 + 2 * (uint64_t)S);
}

Test(rate, idle_time_is_not_saved_up)
{
    uint64_t clear = rate_charge(5, 1, 1, 1000 * (uint64_t)S);
    cr_assert_eq(clear, 1001 * (uint64_t)S);
}
