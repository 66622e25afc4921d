#include "core/base/percentile.h"

#include <criterion/criterion.h>

Test(percentile, of_nothing_is_zero)
{
    struct percentile_window w = {0};
    struct percentiles p = percentile_read(&w);
    cr_assert_eq(p.count, 0);
    cr_assert_eq(p.p99, 0);
}

Test(percentile, of_one_is_that_one)
{
    struct percentile_window w = {0};
    percentile_add(&w, 7);
    struct percentiles p = percentile_read(&w);
    cr_assert(p.p50 == 7 && p.p95 == 7 && p.p99 == 7 && p.max == 7 && p.count == 1);
}

Test(percentile, is_the_nearest_rank)
{
    struct percentile_window w = {0};
    for (uint32_t i = 100; i > 0; i--) percentile_add(&w, i);
    struct percentiles p = percentile_read(&w);
    cr_assert_eq(p.p50, 50);
    cr_assert_eq(p.p95, 95);
    cr_assert_eq(p.p99, 99);
    cr_assert_eq(p.max, 100);
}

Test(percentile, forgets_what_is_older_than_the_window)
{
    struct percentile_window w = {0};
    for (uint32_t i = 0; i < 50; i++) percentile_add(&w, 1000000);
    for (uint32_t i = 0; i < PERCENTILE_WINDOW; i++) percentile_add(&w, 3);
    struct percentiles p = percentile_read(&w);
    cr_assert_eq(p.max, 3);
    cr_assert_eq(p.count, PERCENTILE_WINDOW);
}
