#include "core/election/heartbeat.h"

#include "random.h"

#include <criterion/criterion.h>

Test(heartbeat, within_is_never_later_than_the_interval_and_uses_all_of_the_jitter)
{
    uint64_t seed = 1, least = UINT64_MAX, most = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t at = heartbeat_within(1000, 15000, 1000, random_u64(&seed));
        if (at < least) least = at;
        if (at > most) most = at;
    }
    cr_assert_eq(most, 16000);
    cr_assert_eq(least, 15000);
}

Test(heartbeat, after_is_never_earlier_than_the_interval)
{
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t at = heartbeat_after(1000, 15000, 1000, random_u64(&seed));
        cr_assert(at >= 16000 && at <= 17000);
    }
    cr_assert_eq(heartbeat_after(1000, 0, 0, 99), 1000);
}

Test(heartbeat, is_always_in_the_future_however_large_the_jitter)
{
    uint64_t seed = 1;
    for (int i = 0; i < 1000; i++) cr_assert_gt(heartbeat_within(1000, 10, 500, random_u64(&seed)), 1000);
}
