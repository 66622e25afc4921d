#include "storage/shard/shard.h"
#include "storage/views/view.h"

#include "store_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct store_fixture x;
static struct arena arena;
static struct err_ctx ec;
static const struct stamp no_floor = {.wall_ms = UINT64_MAX};

static void setup(void)
{
    fixture_init(&x);
}

static void teardown(void)
{
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(prune, .init = setup, .fini = teardown);

static void delete_at(const char *pk, uint64_t wall_ms, uint64_t now_ms)
{
    struct batch b = facts_batch();
    facts_delete(&b, facts_hlc(wall_ms, 0, 'a', 0), "t", pk, NULL);
    struct apply_request r = {.database = slice_str("db"), .batch = &b, .now_ms = now_ms};
    shard_apply(store_shard(x.store, 0), &r);
    cr_assert_eq(r.rc, SYNC_OK);
    batch_deinit(&b);
}

/* Scans in pieces of scan_max and prunes; returns how many went. */
static size_t prune(uint64_t created_before_ms, const struct stamp *floor, size_t scan_max)
{
    struct slice after = slice_of(NULL, 0);
    size_t pruned = 0;
    do {
        struct prune_candidate *candidates;
        size_t count, gone;
        struct view *v = fixture_view(&x, "db");
        cr_assert_eq(prune_scan(v, after, created_before_ms, floor, scan_max, &arena, &candidates, &count,
                                &after, &ec),
                     SYNC_OK);
        view_close(v);
        cr_assert_leq(count, scan_max);
        cr_assert_eq(shard_prune(store_shard(x.store, 0), slice_str("db"), candidates, count, &gone, &ec),
                     SYNC_OK);
        pruned += gone;
    } while (after.len > 0);
    return pruned;
}

static struct stamp pruned_mark(void)
{
    struct view *v = fixture_view(&x, "db");
    struct stamp s = view_database(v)->pruned;
    view_close(v);
    return s;
}

Test(prune, old_tombstones_go_with_their_log_entries_and_leave_a_mark)
{
    delete_at("[1]", 10, 1000);
    delete_at("[2]", 20, 2000);
    delete_at("[3]", 30, 3000);
    for (size_t scan_max = 1; scan_max < 5; scan_max++)
        cr_assert_eq(prune(1000, &no_floor, scan_max), 0, "created before, not at");
    cr_assert_eq(pruned_mark().wall_ms, 0);
    cr_assert_eq(prune(2001, &no_floor, 1), 2);
    cr_assert_str_eq(fixture_log(&x, "db", &arena), "delete t [3]\n");
    cr_assert_str_eq(fixture_facts(&x, "db", FACT_DELETE, &arena), "delete t [3]\n");
    cr_assert_eq(pruned_mark().wall_ms, 20);
    fixture_reopen(&x);
    cr_assert_eq(pruned_mark().wall_ms, 20);
    cr_assert_eq(prune(9999, &no_floor, 100), 1);
    cr_assert_str_eq(fixture_log(&x, "db", &arena), "");
}

Test(prune, stops_at_the_floor)
{
    delete_at("[1]", 10, 1000);
    delete_at("[2]", 20, 1000);
    struct stamp floor = {.wall_ms = 10, .counter = 1, .op_seq = 0};
    cr_assert_eq(prune(9999, &floor, 100), 1);
    cr_assert_str_eq(fixture_log(&x, "db", &arena), "delete t [2]\n");
    cr_assert_eq(stamp_cmp(&floor, &(struct stamp){.wall_ms = 10, .counter = 1}), 0);
}

Test(prune, leaves_a_tombstone_that_was_replaced_after_it_was_seen)
{
    struct prune_candidate *candidates;
    struct slice after;
    size_t count, gone;
    delete_at("[1]", 10, 1000);
    delete_at("[2]", 10, 1000);
    struct view *v = fixture_view(&x, "db");
    cr_assert_eq(
        prune_scan(v, slice_of(NULL, 0), 9999, &no_floor, 100, &arena, &candidates, &count, &after, &ec),
        SYNC_OK);
    view_close(v);
    cr_assert_eq(count, 2);
    cr_assert_eq(after.len, 0);
    delete_at("[1]", 20, 2000);
    cr_assert_eq(shard_prune(store_shard(x.store, 0), slice_str("db"), candidates, count, &gone, &ec),
                 SYNC_OK);
    cr_assert_eq(gone, 1);
    cr_assert_str_eq(fixture_log(&x, "db", &arena), "delete t [1]\n");
}

Test(prune, of_one_named_twice_counts_once)
{
    struct batch keys = facts_batch();
    delete_at("[1]", 10, 1000);
    struct view *v = fixture_view(&x, "db");
    struct stamp stamp = view_database(v)->last;
    view_close(v);
    struct prune_candidate c = {.row_key = facts_row_key(&keys, "t", "[1]"),
                                .table_key_len = (uint32_t)facts_table_key(&keys, "t").len,
                                .stamp = stamp};
    struct prune_candidate twice[2] = {c, c};
    size_t gone;
    cr_assert_eq(shard_prune(store_shard(x.store, 0), slice_str("db"), twice, 2, &gone, &ec), SYNC_OK);
    cr_assert_eq(gone, 1);
    batch_deinit(&keys);
}

Test(prune, of_an_unknown_database_does_nothing)
{
    struct prune_candidate c = {.row_key = slice_str("row"), .table_key_len = 1};
    size_t gone = 9;
    cr_assert_eq(shard_prune(store_shard(x.store, 0), slice_str("nowhere"), &c, 1, &gone, &ec), SYNC_OK);
    cr_assert_eq(gone, 0);
    cr_assert_eq(shard_database_count(store_shard(x.store, 0)), 0);
    cr_assert_eq(shard_open_count(store_shard(x.store, 0)), 0);
}

Test(prune, a_row_can_be_written_again_once_its_tombstone_is_gone)
{
    delete_at("[1]", 10, 1000);
    cr_assert_eq(prune(9999, &no_floor, 100), 1);
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(5, 0, 'a', 0), "t", "[1]", "c", "1");
    cr_assert_eq(fixture_apply(&x, "db", &b).applied, 1);
}
