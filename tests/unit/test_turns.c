#include "server/net/turns.h"

#include "random.h"

#include <criterion/criterion.h>

static struct turns turns;

static void end(void)
{
    turns_deinit(&turns);
}

TestSuite(turns, .fini = end);

Test(turns, nobody_waits_at_first)
{
    cr_assert_eq(turns_due_ms(&turns), UINT64_MAX);
}

Test(turns, come_in_the_order_of_their_times)
{
    cr_assert(turns_add(&turns, 7, 30));
    cr_assert(turns_add(&turns, 8, 10));
    cr_assert(turns_add(&turns, 9, 20));
    cr_assert_eq(turns_due_ms(&turns), 10);
    cr_assert_eq(turns_take(&turns), 8);
    cr_assert_eq(turns_due_ms(&turns), 20);
    cr_assert_eq(turns_take(&turns), 9);
    cr_assert_eq(turns_take(&turns), 7);
    cr_assert_eq(turns_due_ms(&turns), UINT64_MAX);
}

/* The id says when its turn is, so what is taken can be judged. */
Test(turns, stay_in_order_while_others_come_and_go)
{
    enum { COUNT = 5000, TIMES = 50 };
    uint64_t seed = 42, sum = 0, now_ms = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t due_ms = now_ms + random_below(&seed, TIMES);
        cr_assert(turns_add(&turns, i << 32 | due_ms, due_ms));
        sum += i;
        if (random_below(&seed, 3) > 0) continue;
        uint64_t next_ms = turns_due_ms(&turns), id = turns_take(&turns);
        cr_assert_eq(id & UINT32_MAX, next_ms);
        cr_assert_geq(next_ms, now_ms);
        now_ms = next_ms; /* who comes later is due later */
        sum -= id >> 32;
    }
    while (turns.count > 0) {
        uint64_t next_ms = turns_due_ms(&turns), id = turns_take(&turns);
        cr_assert_eq(id & UINT32_MAX, next_ms);
        cr_assert_geq(next_ms, now_ms);
        now_ms = next_ms;
        sum -= id >> 32;
    }
    cr_assert_eq(sum, 0, "each that was added was taken");
}
