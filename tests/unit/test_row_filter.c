#include "storage/shard/row_filter.h"

#include "storage/records/keys.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* The key of a row's tombstone, or of its cell in column "x". */
static struct key key_for(uint32_t database, enum key_kind kind, uint64_t row)
{
    struct key k;
    key_kind_prefix(database, kind, &k);
    uint8_t *at = k.bytes + k.len;
    *at++ = 2;
    memcpy(at, "ta", 2);
    at += 2;
    *at++ = 8;
    at = key_put_be(at, row, 8);
    if (kind == KEY_CELL) {
        *at++ = 1;
        *at++ = 'x';
    }
    k.len = (uint32_t)(at - k.bytes);
    return k;
}

static void add(struct row_filter *f, uint32_t database, enum key_kind kind, uint64_t row)
{
    struct key k = key_for(database, kind, row);
    row_filter_add(f, key_slice(&k));
}

static bool may_have(const struct row_filter *f, uint32_t database, enum key_kind kind, uint64_t row)
{
    struct key k = key_for(database, kind, row);
    return row_filter_may_have(f, key_slice(&k));
}

Test(row_filter, has_every_row_that_was_added_and_few_others)
{
    enum { ROWS = 100000 };
    struct row_filter f;
    size_t wrong = 0;
    row_filter_init(&f, 42);
    cr_assert(!may_have(&f, 1, KEY_CELL, 0));
    for (uint64_t i = 0; i < ROWS; i++) add(&f, 1, KEY_CELL, i);
    for (uint64_t i = 0; i < ROWS; i++) cr_assert(may_have(&f, 1, KEY_CELL, i), "row %lu", (unsigned long)i);
    for (uint64_t i = 0; i < ROWS; i++) wrong += may_have(&f, 1, KEY_CELL, ROWS + i);
    cr_assert_lt(wrong, ROWS / 20, "%zu rows look as if they were there", wrong);
    row_filter_deinit(&f);
}

Test(row_filter, a_rows_cells_and_its_tombstone_are_one_row_but_not_that_of_another_database)
{
    struct row_filter f;
    row_filter_init(&f, 42);
    add(&f, 1, KEY_CELL, 1);
    add(&f, 1, KEY_TOMBSTONE, 2);
    cr_assert(may_have(&f, 1, KEY_TOMBSTONE, 1));
    cr_assert(may_have(&f, 1, KEY_CELL, 2));
    cr_assert(!may_have(&f, 2, KEY_CELL, 1));
    row_filter_deinit(&f);
}

Test(row_filter, passes_over_keys_that_have_no_row)
{
    struct row_filter f;
    struct key k;
    struct stamp s = {.wall_ms = 1};
    row_filter_init(&f, 42);
    key_log(1, &s, &k);
    row_filter_add(&f, key_slice(&k));
    key_database(slice_str("name"), &k);
    row_filter_add(&f, key_slice(&k));
    key_counter(&k);
    row_filter_add(&f, key_slice(&k));
    cr_assert_eq(f.stage_count, 0);
    row_filter_deinit(&f);
}

Test(row_filter, a_row_that_is_added_again_takes_no_room)
{
    struct row_filter f;
    row_filter_init(&f, 42);
    for (int i = 0; i < 100000; i++) add(&f, 1, KEY_CELL, 7);
    cr_assert_eq(f.stage_count, 1);
    cr_assert_eq(f.row_count, 1);
    row_filter_deinit(&f);
}

Test(row_filter, one_that_is_full_is_emptied_and_gets_another_generation)
{
    struct row_filter f;
    uint64_t row = 0;
    row_filter_init(&f, 42);
    uint32_t first = f.generation;
    while (f.generation == first && row < ROW_FILTER_BYTES_MAX) add(&f, 1, KEY_CELL, row++);
    cr_assert_neq(f.generation, first);
    cr_assert_gt(row, ROW_FILTER_BYTES_MAX / 2);
    cr_assert_eq(f.stage_count, 0);
    cr_assert(!may_have(&f, 1, KEY_CELL, 0));
    add(&f, 1, KEY_CELL, row);
    cr_assert(may_have(&f, 1, KEY_CELL, row));
    row_filter_deinit(&f);
}

Test(row_filter, has_no_generation_0_which_stands_for_unknown)
{
    struct row_filter f;
    row_filter_init(&f, 42);
    cr_assert_neq(f.generation, 0);
    f.generation = UINT32_MAX;
    f.stage_count = ROW_FILTER_STAGES; /* full */
    f.row_count = SIZE_MAX;
    for (int i = 0; i < ROW_FILTER_STAGES; i++) {
        f.stages[i] = calloc(1, ROW_FILTER_BYTES_MAX);
        cr_assert_not_null(f.stages[i]);
    }
    add(&f, 1, KEY_CELL, 1);
    cr_assert_eq(f.generation, 1);
    row_filter_deinit(&f);
}
