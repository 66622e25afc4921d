/* Rows of a database that was there when the store was opened: learned while it is written to, and judged the
 * same before, during and after. */
#include "storage/shard/row_learner.h"

#include "storage/shard/shard_internal.h"
#include "store_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { OLD_ROWS = 3500, DELETED_ROWS = 50 }; /* several steps */

static struct store_fixture x;
static uint64_t wall_ms = 1000;

static void setup(void)
{
    fixture_init(&x);
}

static void teardown(void)
{
    fixture_free(&x);
}

TestSuite(row_learner, .init = setup, .fini = teardown);

static struct shard *shard(void)
{
    return fixture_shard(&x, "db");
}

static bool is_known(void)
{
    const struct database *d = database_cache_find(&shard()->cache, slice_str("db"));
    return d != NULL && d->rows_generation == shard()->rows.generation;
}

static struct merge_result write_row(const char *kind, int row, uint64_t at_ms)
{
    struct batch b = facts_batch();
    char pk[32];
    (void)snprintf(pk, sizeof pk, "[\"%s%d\"]", kind, row);
    facts_cell(&b, facts_hlc(at_ms, 0, 'a', 0), "t", pk, "name", "1");
    return fixture_apply(&x, "db", &b);
}

static struct merge_result delete_row(const char *kind, int row, uint64_t at_ms)
{
    struct batch b = facts_batch();
    char pk[32];
    (void)snprintf(pk, sizeof pk, "[\"%s%d\"]", kind, row);
    facts_delete(&b, facts_hlc(at_ms, 0, 'a', 0), "t", pk, NULL);
    return fixture_apply(&x, "db", &b);
}

static void fill(void)
{
    for (int i = 0; i < OLD_ROWS; i++) cr_assert_eq(write_row("old", i, ++wall_ms).applied, 1);
    for (int i = 0; i < DELETED_ROWS; i++) cr_assert_eq(delete_row("old", i, ++wall_ms).applied, 1);
}

static void expect_old_rows(void)
{
    for (int i = 0; i < OLD_ROWS; i++) {
        struct merge_result r = write_row("old", i, 1);
        cr_assert_eq(r.applied, 0, "row %d was taken for a new one", i);
        cr_assert_eq(r.conflicts, i < DELETED_ROWS ? 0 : 1, "row %d", i);
    }
}

Test(row_learner, a_new_database_is_known_from_its_first_write)
{
    cr_assert_eq(write_row("new", 1, ++wall_ms).applied, 1);
    cr_assert(is_known());
    cr_assert_eq(write_row("new", 1, wall_ms).conflicts, 1);
}

Test(row_learner, learns_a_database_that_was_there_and_judges_as_before)
{
    fill();
    cr_assert(is_known());
    expect_old_rows();
    fixture_reopen(&x);
    cr_assert_eq(write_row("new", 0, ++wall_ms).applied, 1);
    cr_assert(!is_known());
    int row = 1;
    for (; !is_known() && row < OLD_ROWS; row++) {
        cr_assert_eq(write_row("new", row, ++wall_ms).applied, 1);
        /* What is written while it learns counts too, on both sides of where it is. */
        cr_assert_eq(write_row("new", row, wall_ms).conflicts, 1);
        cr_assert_eq(write_row("a", row, ++wall_ms).applied, 1);
        if (row % 10 == 0) cr_assert_eq(delete_row("a", row, ++wall_ms).applied, 1);
    }
    cr_assert(is_known(), "not after %d rows", row);
    expect_old_rows();
    for (int i = 1; i < row; i++) {
        cr_assert_eq(write_row("new", i, 1).conflicts, 1);
        cr_assert_eq(write_row("a", i, 1).applied, 0);
    }
}

Test(row_learner, begins_only_when_much_was_looked_up_in_vain)
{
    fill();
    fixture_reopen(&x);
    for (int i = 0; i < 20; i++) cr_assert_eq(write_row("new", i, ++wall_ms).applied, 1);
    cr_assert_eq(shard()->learner.number, 0);
    for (int i = 20; i < 40; i++) cr_assert_eq(write_row("new", i, ++wall_ms).applied, 1);
    cr_assert(shard()->learner.number != 0 || is_known());
}

Test(row_learner, gives_up_a_database_that_does_not_fit)
{
    fill();
    fixture_reopen(&x);
    for (int i = 0; shard()->learner.number == 0 && i < OLD_ROWS; i++) write_row("new", i, ++wall_ms);
    cr_assert_neq(shard()->learner.number, 0);
    shard()->rows.generation++; /* as if it had been full */
    write_row("more", 0, ++wall_ms);
    cr_assert_eq(shard()->learner.number, 0);
    for (int i = 1; i < 500; i++) write_row("more", i, ++wall_ms);
    cr_assert_eq(shard()->learner.number, 0, "it began again");
    cr_assert(!is_known());
    expect_old_rows();
}
