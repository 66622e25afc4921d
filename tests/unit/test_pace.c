#include "storage/objects/pace.h"

#include "random.h"

#include <criterion/criterion.h>

Test(pace, without_a_ceiling_everything_goes)
{
    struct pace p;
    pace_init(&p, 0, 0);
    cr_assert_eq(pace_take(&p, SIZE_MAX, 0), SIZE_MAX);
    cr_assert_eq(pace_wait_ms(&p, 0), 0);
}

Test(pace, the_rate_holds_over_time_whatever_is_asked_when)
{
    static const uint64_t rates[] = {1024, 1500, 1000000, 12345678, 10000000000u};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        uint64_t seed = r, now_ms = 1000, sent = 0;
        struct pace p;
        pace_init(&p, rates[r], now_ms);
        while (now_ms < 61000) {
            uint64_t wait = pace_wait_ms(&p, now_ms);
            cr_assert_leq(wait, 11, "never long to wait: %lu", wait);
            now_ms += wait > 0 ? wait : random_below(&seed, 3);
            sent += pace_take(&p, 1 + random_below(&seed, rates[r]), now_ms);
        }
        uint64_t due = rates[r] * 60;
        cr_assert_leq(sent, due + rates[r] / 10 + rates[r] / 20, "rate %lu: %lu of %lu", rates[r], sent, due);
        cr_assert_geq(sent, due - due / 50, "rate %lu: %lu of %lu", rates[r], sent, due);
    }
}

Test(pace, idle_time_is_saved_up_for_a_tenth_of_a_second_at_most)
{
    struct pace p;
    pace_init(&p, 10000, 0);
    cr_assert_eq(pace_take(&p, 100000, 3600000), 1000);
    cr_assert_eq(pace_take(&p, 1, 3600000), 0);
    cr_assert_eq(pace_wait_ms(&p, 3600000), 10);
    cr_assert_eq(pace_take(&p, 100000, 3600050), 500);
    cr_assert_eq(pace_take(&p, 100000, 10), 0, "a clock that went back gives nothing");
}
