#include "core/base/seldom.h"

#include <criterion/criterion.h>

Test(seldom, tells_the_first_and_then_once_in_an_interval)
{
    struct seldom s = {0};
    uint64_t untold = 7;
    cr_assert(seldom_tells(&s, 100, 5, &untold));
    cr_assert_eq(untold, 0);
    cr_assert_not(seldom_tells(&s, 100, 5, &untold));
    cr_assert_not(seldom_tells(&s, 100, 104, &untold));
    cr_assert(seldom_tells(&s, 100, 105, &untold));
    cr_assert_eq(untold, 2, "what was not told is counted");
    cr_assert(seldom_tells(&s, 100, 1000, &untold));
    cr_assert_eq(untold, 0, "once");
}
