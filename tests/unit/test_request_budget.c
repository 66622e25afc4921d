#include "core/base/request_budget.h"

#include "random.h"

#include <criterion/criterion.h>

Test(request_budget, allows_one_an_interval_over_time)
{
    struct request_budget b = request_budget_make(5000, 0);
    uint64_t spent = 0;
    for (uint64_t now = 0; now < 3600000; now += 100) {
        if (!request_budget_has(&b, now)) continue;
        request_budget_spend(&b, now);
        spent++;
    }
    cr_assert_leq(spent, 720 + REQUEST_BUDGET_SAVED_MAX);
    cr_assert_geq(spent, 719);
}

Test(request_budget, what_must_be_asked_takes_from_what_can_wait)
{
    struct request_budget b = request_budget_make(5000, 0);
    uint64_t musts = 0, spares = 0;
    for (uint64_t now = 0; now < 3600000; now += 100) {
        if (now % 9500 == 0) {
            request_budget_spend(&b, now);
            musts++;
        }
        if (!request_budget_has(&b, now)) continue;
        request_budget_spend(&b, now);
        spares++;
    }
    cr_assert_leq(musts + spares, 720 + REQUEST_BUDGET_SAVED_MAX);
    cr_assert_gt(spares, 300);
}

Test(request_budget, says_when_there_will_be_something_left)
{
    uint64_t seed = 5, now = 1000;
    struct request_budget b = request_budget_make(5000, now);
    for (int i = 0; i < 2000; i++) {
        now += random_below(&seed, 4000);
        if (random_below(&seed, 2) == 0) request_budget_spend(&b, now);
        uint64_t when = request_budget_when(&b, now);
        if (when > now) cr_assert_not(request_budget_has(&b, when - 1), "step %d", i);
        cr_assert(request_budget_has(&b, when), "step %d", i);
        now = when;
    }
}

Test(request_budget, a_burst_is_owed_only_up_to_its_limit)
{
    struct request_budget b = request_budget_make(5000, 0);
    for (int i = 0; i < 1000; i++) request_budget_spend(&b, 0);
    cr_assert_eq(request_budget_when(&b, 0), 5000 * (REQUEST_BUDGET_OWED_MAX + 1));
}

Test(request_budget, a_clock_that_steps_back_gives_nothing)
{
    struct request_budget b = request_budget_make(5000, 100000);
    while (request_budget_has(&b, 100000)) request_budget_spend(&b, 100000);
    cr_assert_not(request_budget_has(&b, 50000));
    cr_assert_not(request_budget_has(&b, 100001));
}

/* A leader's renewals, its lists as it finds budget for them, and what the tasks of a cluster ask in one
 * burst an hour. */
static uint64_t requests_of_hours(uint32_t hours, uint32_t burst, uint64_t *ret_spares)
{
    struct request_budget b = request_budget_make(5000, 0);
    uint64_t sum = 0;
    *ret_spares = 0;
    for (uint64_t now = 0; now < hours * (uint64_t)3600000; now += 100) {
        if (now % 9500 == 0) {
            request_budget_spend(&b, now);
            sum++;
        }
        if (now % 3600000 == 600000) {
            request_budget_lend(&b, burst, now);
            sum += burst;
        }
        if (!request_budget_has(&b, now)) continue;
        request_budget_spend(&b, now);
        sum++;
        ++*ret_spares;
    }
    return sum;
}

Test(request_budget, what_others_ask_is_made_up_for_by_what_can_wait)
{
    for (uint32_t burst = 0; burst <= 170; burst += 10) {
        uint64_t spares, sum = requests_of_hours(10, burst, &spares);
        cr_assert_leq(sum, 10 * 720 + REQUEST_BUDGET_SAVED_MAX + burst, "%u an hour: %lu", burst, sum);
        cr_assert_geq(sum, 10 * 719, "%u an hour: nothing is left unused", burst);
        cr_assert_geq(spares, 10 * 165, "%u an hour: what can wait goes on", burst);
    }
}

/* However much it is, what can wait is asked three quarters as often at least. */
Test(request_budget, others_never_starve_what_can_wait)
{
    struct request_budget b = request_budget_make(5000, 0);
    uint64_t spares = 0;
    for (uint64_t now = 0; now < 3600000; now += 100) {
        request_budget_lend(&b, 10, now);
        if (!request_budget_has(&b, now)) continue;
        request_budget_spend(&b, now);
        spares++;
    }
    cr_assert_geq(spares, 720 * 3 / 4 - 1);
}

Test(request_budget, what_was_lent_is_forgiven_beyond_a_bound)
{
    struct request_budget b = request_budget_make(5000, 0);
    request_budget_lend(&b, UINT32_MAX, 0);
    uint64_t made_up_ms = (uint64_t)REQUEST_BUDGET_LENT_MAX * 5000 * REQUEST_BUDGET_REPAY;
    while (request_budget_has(&b, 0)) request_budget_spend(&b, 0);
    for (uint64_t now = 0; now <= made_up_ms; now += 5000)
        if (request_budget_has(&b, now)) request_budget_spend(&b, now);
    cr_assert_eq(b.lent_ms, 0);
}
