#include "core/election/fence.h"

#include <criterion/criterion.h>

Test(fence, admits_the_same_or_a_higher_epoch_and_turns_older_ones_away)
{
    cr_assert(fence_admits(0, 1));
    cr_assert(fence_admits(7, 7));
    cr_assert(fence_admits(7, 8));
    cr_assert_not(fence_admits(8, 7));
    cr_assert_not(fence_admits(0, 0), "who never led writes nothing");
}
