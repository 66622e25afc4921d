#include "server/store/rota.h"

#include "random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ENTRIES_MAX = 4000, NAMES = 40 };

/* One piece of work; the number tells the order in which it was put in. */
struct piece {
    struct rota_entry entry; /* first */
    int name, number;
};

static struct rota rota;
static struct piece pieces[ENTRIES_MAX];
static int piece_count;
static char names[NAMES][8];

static void init(void)
{
    rota_init(&rota, 42);
    piece_count = 0;
    for (int i = 0; i < NAMES; i++) (void)snprintf(names[i], sizeof names[i], "db%d", i);
    rota_begin_round(&rota);
}

TestSuite(rota, .init = init);

static void put(int name, uint32_t cost)
{
    struct piece *p = &pieces[piece_count];
    cr_assert_lt(piece_count, ENTRIES_MAX);
    p->name = name;
    p->number = piece_count++;
    rota_put(&rota, &p->entry, slice_str(names[name]), cost);
}

static void put_many(int name, int count, uint32_t cost)
{
    for (int i = 0; i < count; i++) put(name, cost);
}

/* Of the round, or of the next where it is over. */
static struct piece *take(void)
{
    struct rota_entry *e = rota_take(&rota);
    if (e == NULL) {
        rota_begin_round(&rota);
        e = rota_take(&rota);
    }
    return (struct piece *)e;
}

static void expect(int name, int count)
{
    for (int i = 0; i < count; i++) {
        struct piece *p = take();
        cr_assert_neq(p, NULL);
        cr_assert_eq(p->name, name, "the %dth is of %d", i, p->name);
    }
}

Test(rota, nothing_waits_at_first)
{
    cr_assert_null(rota_take(&rota));
    cr_assert_eq(rota.count, 0);
}

Test(rota, what_waits_for_one_database_comes_out_in_its_order)
{
    put_many(0, 100, 7);
    for (int i = 0; i < 100; i++) cr_assert_eq(((struct piece *)rota_take(&rota))->number, i);
    cr_assert_null(rota_take(&rota));
}

Test(rota, whoever_comes_waits_for_one_turn_of_the_backlog_before_it)
{
    put_many(0, 1000, 100);
    put(1, 1);
    expect(0, ROTA_TURN_COST / 100);
    expect(1, 1);
    expect(0, 1000 - ROTA_TURN_COST / 100);
    cr_assert_eq(rota.count, 0);
}

Test(rota, a_turn_takes_all_the_small_work_of_a_database)
{
    put_many(0, 3, ROTA_TURN_COST);
    put_many(1, 200, 1);
    expect(0, 1);
    expect(1, 200);
    expect(0, 2);
}

Test(rota, work_that_costs_more_than_a_turn_is_owed)
{
    put_many(0, 2, 10 * ROTA_TURN_COST);
    put_many(1, 20, ROTA_TURN_COST);
    expect(0, 1);
    expect(1, 10);
    expect(0, 1);
    expect(1, 10);
}

Test(rota, who_waits_alone_owes_nobody)
{
    put_many(0, 5, 10 * ROTA_TURN_COST);
    for (int i = 0; i < 5; i++) cr_assert_neq(rota_take(&rota), NULL, "no round ends");
}

Test(rota, what_was_spent_is_forgotten_when_nothing_waits)
{
    put(0, 10 * ROTA_TURN_COST);
    put(1, ROTA_TURN_COST);
    put(1, ROTA_TURN_COST);
    expect(0, 1);
    put(0, 1); /* behind the other, with a turn like anybody's */
    expect(1, 1);
    expect(0, 1);
    expect(1, 1);
}

Test(rota, a_round_gives_each_of_several_one_turn)
{
    put_many(0, 100, 100);
    put_many(1, 100, 250);
    put_many(2, 3, 1);
    int taken[3] = {0};
    for (struct rota_entry *e; (e = rota_take(&rota)) != NULL;) taken[((struct piece *)e)->name]++;
    cr_assert_eq(taken[0], ROTA_TURN_COST / 100);
    cr_assert_eq(taken[1], ROTA_TURN_COST / 250);
    cr_assert_eq(taken[2], 3);
    cr_assert_gt(rota.count, 0);
    rota_begin_round(&rota);
    expect(0, ROTA_TURN_COST / 100);
}

/* Where several took part, the last of them does not go on alone. */
Test(rota, a_round_ends_with_the_last_turn)
{
    put_many(0, 100, 100);
    put(1, 1);
    int taken = 0;
    while (rota_take(&rota) != NULL) taken++;
    cr_assert_eq(taken, ROTA_TURN_COST / 100 + 1);
    rota_begin_round(&rota); /* now it is alone */
    while (rota_take(&rota) != NULL) taken++;
    cr_assert_eq(taken, 101);
}

Test(rota, work_without_a_database_stands_in_a_line_of_its_own)
{
    static struct rota_entry whole[2];
    put_many(0, 10, ROTA_TURN_COST);
    rota_put(&rota, &whole[0], slice_of(NULL, 0), ROTA_TURN_COST);
    rota_put(&rota, &whole[1], slice_of(NULL, 0), ROTA_TURN_COST);
    expect(0, 1);
    cr_assert_eq((void *)take(), (void *)&whole[0]);
    expect(0, 1);
    cr_assert_eq((void *)take(), (void *)&whole[1]);
    expect(0, 8);
}

/* Two that always have something waiting get the same, whatever their work is cut into. */
Test(rota, those_who_always_wait_get_the_same_share)
{
    enum { LARGE = 3000, SMALL = 10 };
    uint64_t served[2] = {0};
    put_many(0, 60, LARGE);
    put_many(1, 2000, SMALL);
    while (served[1] < 2000 * SMALL) {
        struct piece *p = take();
        served[p->name] += p->entry.cost;
        uint64_t apart = served[0] > served[1] ? served[0] - served[1] : served[1] - served[0];
        cr_assert_leq(apart, LARGE + 2 * ROTA_TURN_COST);
    }
}

/* Names that share buckets, work that comes and goes: nothing is lost, nothing overtakes its own kind, and
 * there is always something right after a round began. */
Test(rota, nothing_is_lost_while_others_come_and_go)
{
    uint64_t seed = 42;
    int last[NAMES], taken = 0;
    memset(last, -1, sizeof last);
    while (taken < ENTRIES_MAX) {
        bool puts = piece_count < ENTRIES_MAX && random_below(&seed, 100) < 52;
        if (puts) {
            int heavy = random_below(&seed, 2) == 0;
            put(heavy ? 0 : (int)random_below(&seed, NAMES),
                1 + (uint32_t)random_below(&seed, heavy ? 2000 : 50));
            continue;
        }
        if (rota.count == 0) continue;
        struct piece *p = take();
        cr_assert_neq(p, NULL);
        cr_assert_gt(p->number, last[p->name]);
        last[p->name] = p->number;
        taken++;
        cr_assert_eq(rota.count, (size_t)(piece_count - taken));
    }
    cr_assert_null(rota_take(&rota));
}
