#include "server/net/id_table.h"

#include <criterion/criterion.h>

static struct id_table table;

static void end(void)
{
    id_table_deinit(&table);
}

TestSuite(id_table, .fini = end);

Test(id_table, finds_what_was_added_and_nothing_else)
{
    int a, b;
    uint64_t first = id_table_add(&table, &a), second = id_table_add(&table, &b);
    cr_assert_neq(first, 0);
    cr_assert_neq(first, second);
    cr_assert_eq(id_table_get(&table, first), &a);
    cr_assert_eq(id_table_get(&table, second), &b);
    cr_assert_null(id_table_get(&table, 0));
    cr_assert_null(id_table_get(&table, first + 5));
    cr_assert_null(id_table_get(&table, UINT64_MAX));
}

Test(id_table, an_id_is_not_used_again)
{
    int a, b;
    uint64_t old = id_table_add(&table, &a);
    id_table_remove(&table, old);
    cr_assert_null(id_table_get(&table, old));
    uint64_t id = id_table_add(&table, &b);
    cr_assert_eq((uint32_t)id, (uint32_t)old, "the slot is");
    cr_assert_null(id_table_get(&table, old));
    id_table_remove(&table, old);
    cr_assert_eq(id_table_get(&table, id), &b, "removing by an old id does nothing");
    cr_assert_eq(table.count, 1);
}

/* A slot that changed hands four thousand million times: its id must not be 0, which means none. */
Test(id_table, no_id_is_0_after_a_slots_generations_are_used_up)
{
    int a;
    uint64_t id = id_table_add(&table, &a);
    id_table_remove(&table, id);
    table.slots[(uint32_t)id].generation = UINT32_MAX;
    id = id_table_add(&table, &a);
    cr_assert_neq(id, 0);
    id_table_remove(&table, id);
    id = id_table_add(&table, &a);
    cr_assert_neq(id, 0);
    cr_assert_eq(id_table_get(&table, id), &a);
}

Test(id_table, walks_all_items_while_they_are_removed)
{
    enum { COUNT = 300 };
    static int items[COUNT];
    uint64_t ids[COUNT];
    for (int i = 0; i < COUNT; i++) cr_assert_neq(ids[i] = id_table_add(&table, &items[i]), 0);
    for (int i = 0; i < COUNT; i++) cr_assert_eq(id_table_get(&table, ids[i]), &items[i], "after growing");
    for (int i = 0; i < COUNT; i += 3) id_table_remove(&table, ids[i]);
    uint32_t cursor = 0;
    int seen = 0;
    for (int *item; (item = id_table_next(&table, &cursor)) != NULL; seen++) {
        int i = (int)(item - items);
        cr_assert_neq(i % 3, 0, "item %d is gone", i);
        id_table_remove(&table, ids[i]);
    }
    cr_assert_eq(seen, COUNT - COUNT / 3);
    cr_assert_eq(table.count, 0);
    cr_assert_null(id_table_next(&table, &cursor));
}
