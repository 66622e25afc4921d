#include "storage/views/view.h"

#include "store_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct store_fixture x;
static struct arena arena;
static struct err_ctx ec;

static void setup(void)
{
    fixture_init(&x);
}

static void teardown(void)
{
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(view, .init = setup, .fini = teardown);

/* Three tables with 10 rows of 2 cells, and as many deleted rows. */
static void fill(void)
{
    static const char *const tables[] = {"a", "ab", "b"};
    static char pks[20][8];
    struct batch b = facts_batch();
    for (uint32_t t = 0; t < 3; t++) {
        for (uint32_t i = 0; i < 20; i++) {
            snprintf(pks[i], sizeof pks[i], "[%u]", i);
            if (i >= 10) {
                facts_delete(&b, facts_hlc(1, 0, 'a', t * 100 + i), tables[t], pks[i], NULL);
                continue;
            }
            facts_cell(&b, facts_hlc(2, 0, 'a', t * 100 + i), tables[t], pks[i], "x", "1");
            facts_cell(&b, facts_hlc(3, 0, 'a', t * 100 + i), tables[t], pks[i], "y", "2");
        }
    }
    fixture_apply(&x, "db", &b);
}

Test(view, of_an_unknown_database_is_empty_and_no_error)
{
    struct view *v = fixture_view(&x, "nowhere");
    struct log_cursor *log;
    struct log_entry e;
    bool found = true;
    uint64_t count = 9;
    cr_assert_not(view_database(v)->exists);
    cr_assert_eq(view_database(v)->last.wall_ms, 0);
    cr_assert_eq(log_cursor_open(v, NULL, &log, &ec), SYNC_OK);
    cr_assert_eq(log_cursor_next(log, &e, &found, &ec), SYNC_OK);
    cr_assert_not(found);
    log_cursor_close(log);
    cr_assert_eq(view_estimate_cells(v, slice_str("t"), 10, &count, &ec), SYNC_OK);
    cr_assert_eq(count, 0);
    view_close(v);
}

Test(view, does_not_see_what_is_written_after_it_was_opened)
{
    fill();
    struct view *v = fixture_view(&x, "db");
    struct fact_cursor *c;
    struct stored_entry e;
    bool found;
    size_t count = 0;
    cr_assert_eq(fact_cursor_open(v, FACT_CELL, slice_of(NULL, 0), &c, &ec), SYNC_OK);
    for (;;) {
        cr_assert_eq(fact_cursor_next(c, &e, &found, &ec), SYNC_OK);
        if (!found) break;
        struct batch b = facts_batch();
        char pk[16];
        snprintf(pk, sizeof pk, "[%zu]", count % 10);
        facts_delete(&b, facts_hlc(100 + count, 0, 'a', 0), "ab", pk, NULL);
        facts_cell(&b, facts_hlc(100 + count, 0, 'a', 1), "new", pk, "z", "3");
        fixture_apply(&x, "db", &b);
        cr_assert(slice_is(e.fact.cell.value, "1") || slice_is(e.fact.cell.value, "2"));
        count++;
    }
    cr_assert_eq(count, 60);
    fact_cursor_close(c);
    view_close(v);
    v = fixture_view(&x, "db");
    cr_assert_eq(view_database(v)->last.wall_ms, 159);
    view_close(v);
}

/* Reads with a cursor that is closed and opened again after every `piece` entries. */
static size_t read_in_pieces(struct view *v, enum fact_type type, size_t piece)
{
    char position[1024];
    size_t position_len = 0, count = 0;
    bool found = true;
    char seen[128][64];
    while (found) {
        struct fact_cursor *c;
        struct stored_entry e;
        cr_assert_eq(fact_cursor_open(v, type, slice_of(position, position_len), &c, &ec), SYNC_OK);
        for (size_t i = 0; i < piece; i++) {
            cr_assert_eq(fact_cursor_next(c, &e, &found, &ec), SYNC_OK);
            if (!found) break;
            cr_assert_lt(e.fact.key.len, sizeof seen[0]);
            memset(seen[count], 0, sizeof seen[0]);
            memcpy(seen[count], e.fact.key.bytes, e.fact.key.len);
            for (size_t k = 0; k < count; k++)
                cr_assert_neq(memcmp(seen[k], seen[count], sizeof seen[0]), 0, "twice");
            memcpy(position, e.position.bytes, e.position.len);
            position_len = e.position.len;
            count++;
        }
        fact_cursor_close(c);
    }
    return count;
}

Test(view, a_cursor_goes_on_where_another_ended)
{
    fill();
    struct view *v = fixture_view(&x, "db");
    for (size_t piece = 1; piece < 9; piece++) {
        cr_assert_eq(read_in_pieces(v, FACT_CELL, piece), 60);
        cr_assert_eq(read_in_pieces(v, FACT_DELETE, piece), 30);
        cr_assert_eq(read_in_pieces(v, FACT_MIGRATION, piece), 0);
    }
    view_close(v);
}

Test(view, the_log_is_read_from_behind_any_stamp)
{
    fill();
    struct view *v = fixture_view(&x, "db");
    struct log_cursor *c;
    struct log_entry e;
    struct stamp before = {0};
    bool found;
    for (int i = 0; i < 90; i++) {
        cr_assert_eq(log_cursor_open(v, i == 0 ? NULL : &before, &c, &ec), SYNC_OK);
        cr_assert_eq(log_cursor_next(c, &e, &found, &ec), SYNC_OK);
        cr_assert(found);
        cr_assert_gt(stamp_cmp(&e.stamp, &before), 0);
        cr_assert_eq(e.stamp.op_seq, i);
        before = e.stamp;
        log_cursor_close(c);
    }
    cr_assert_eq(stamp_cmp(&before, &view_database(v)->last), 0);
    cr_assert_eq(log_cursor_open(v, &before, &c, &ec), SYNC_OK);
    cr_assert_eq(log_cursor_next(c, &e, &found, &ec), SYNC_OK);
    cr_assert_not(found);
    log_cursor_close(c);
    view_close(v);
}

Test(view, a_table_can_be_skipped_from_any_entry_of_it)
{
    fill();
    struct view *v = fixture_view(&x, "db");
    for (int at = 0; at < 20; at++) {
        struct fact_cursor *c;
        struct stored_entry e;
        bool found;
        size_t of_ab = 0, others = 0;
        cr_assert_eq(fact_cursor_open(v, FACT_CELL, slice_of(NULL, 0), &c, &ec), SYNC_OK);
        for (;;) {
            cr_assert_eq(fact_cursor_next(c, &e, &found, &ec), SYNC_OK);
            if (!found) break;
            if (slice_is(e.fact.table, "ab")) {
                if (of_ab++ == (size_t)at) fact_cursor_skip_table(c, fact_table_key(&e.fact));
            } else {
                others++;
            }
        }
        cr_assert_eq(of_ab, at + 1);
        cr_assert_eq(others, 40);
        fact_cursor_close(c);
    }
    view_close(v);
}

Test(view, skipping_a_table_that_is_behind_does_not_go_back)
{
    fill();
    struct view *v = fixture_view(&x, "db");
    struct fact_cursor *c;
    struct stored_entry e;
    struct batch keys = facts_batch();
    bool found;
    size_t count = 0;
    cr_assert_eq(fact_cursor_open(v, FACT_CELL, slice_of(NULL, 0), &c, &ec), SYNC_OK);
    for (;;) {
        cr_assert_eq(fact_cursor_next(c, &e, &found, &ec), SYNC_OK);
        if (!found) break;
        if (count > 20) fact_cursor_skip_table(c, facts_table_key(&keys, "a"));
        cr_assert_lt(++count, 100);
    }
    cr_assert_eq(count, 60);
    fact_cursor_close(c);
    batch_deinit(&keys);
    view_close(v);
}

Test(view, an_estimate_is_exact_for_a_small_table_and_near_for_a_large_one)
{
    enum { ROWS = 100000, BATCH = 10000 };
    static char pks[BATCH][16];
    uint64_t count;
    fill();
    for (int done = 0; done < ROWS; done += BATCH) {
        struct batch b = facts_batch();
        for (int i = 0; i < BATCH; i++) {
            snprintf(pks[i], sizeof pks[i], "[%d]", done + i);
            facts_cell(&b, facts_hlc(10, 0, 'a', (uint32_t)(done + i)), "large", pks[i], "x", "\"value\"");
        }
        fixture_apply(&x, "db", &b);
    }
    fixture_reopen(&x); /* on disk now, not in LevelDB's memory */
    struct batch keys = facts_batch();
    struct view *v = fixture_view(&x, "db");
    cr_assert_eq(view_estimate_cells(v, facts_table_key(&keys, "ab"), 1000, &count, &ec), SYNC_OK);
    cr_assert_eq(count, 20);
    cr_assert_eq(view_estimate_cells(v, facts_table_key(&keys, "large"), 1000, &count, &ec), SYNC_OK);
    cr_assert(count > ROWS / 3 && count < ROWS * 3, "%lu", (unsigned long)count);
    view_close(v);
    batch_deinit(&keys);
}

Test(view, databases_are_walked_by_name)
{
    static const char *const names[] = {"b", "a", "c:1", "B"};
    char name[DATABASE_ID_MAX], walked[64] = "";
    size_t len = 0;
    bool found;
    for (size_t i = 0; i < 4; i++) {
        struct batch b = facts_batch();
        facts_cell(&b, facts_hlc(1, 0, 'a', 0), "t", "[1]", "c", "1");
        fixture_apply(&x, names[i], &b);
    }
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(
            shard_next_database(store_shard(x.store, 0), slice_of(name, len), name, &len, &found, &ec),
            SYNC_OK);
        if (!found) break;
        strncat(walked, name, len);
        strcat(walked, " ");
    }
    cr_assert_str_eq(walked, "B a b c:1 ");
}
