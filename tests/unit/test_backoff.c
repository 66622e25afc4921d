#include "core/base/backoff.h"

#include "random.h"

#include <criterion/criterion.h>

Test(backoff, the_range_doubles_up_to_the_cap)
{
    struct backoff_config cfg = {.base_ms = 100, .cap_ms = 5000};
    uint64_t tops[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (uint32_t repeat = 1; repeat <= 8; repeat++) {
        uint64_t top = tops[repeat - 1];
        cr_assert_eq(backoff_ms(&cfg, repeat, top), top, "repeat %u", repeat);
        cr_assert_eq(backoff_ms(&cfg, repeat, top + 1), 0, "repeat %u", repeat);
    }
}

Test(backoff, waits_fill_the_whole_range)
{
    struct backoff_config cfg = {.base_ms = 50, .cap_ms = 1000};
    uint64_t seed = 7, low = 0, high = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t ms = backoff_ms(&cfg, 20, random_u64(&seed));
        cr_assert_leq(ms, 1000);
        low += ms < 250;
        high += ms > 750;
    }
    cr_assert(low > 2200 && low < 2800, "a quarter of the waits in the lowest quarter, not %lu", low);
    cr_assert(high > 2200 && high < 2800, "and in the highest, not %lu", high);
}

Test(backoff, neither_many_repeats_nor_large_bases_overflow)
{
    struct backoff_config large = {.base_ms = UINT32_MAX, .cap_ms = UINT32_MAX};
    struct backoff_config none = {.base_ms = 0, .cap_ms = 1000};
    for (uint32_t repeat = 1; repeat < 200; repeat++) {
        cr_assert_eq(backoff_ms(&large, repeat, UINT32_MAX), UINT32_MAX);
        cr_assert_eq(backoff_ms(&none, repeat, UINT64_MAX), 0, "no base, no wait (repeat %u)", repeat);
    }
}
