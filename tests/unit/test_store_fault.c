/* What a failed write leaves behind: a script of groups is run again and again, each time another call fails.
 * A group that failed is sent again, as a client would. What is stored must at each step be what a run
 * without failures stored. */
#include "storage/shard/shard.h"

#include "faults.h"
#include "rounds.h"
#include "store_fixture.h"

#include "core/base/buf.h"
#include "storage/views/delta_reader.h"
#include "storage/views/snapshot_reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 7, WIDE = 120, FAULTS_MAX = 5000 };

static struct store_fixture x;
static struct arena arena; /* for what is looked at once */
static struct arena kept;
static const char *expected[STEPS]; /* what is stored after each step */
static char large[20001], wide_pks[WIDE][8], wide_value[1001];

static void setup(void)
{
    memset(large, '1', sizeof large - 1);
    memset(wide_value, '2', sizeof wide_value - 1);
    for (int i = 0; i < WIDE; i++) snprintf(wide_pks[i], sizeof wide_pks[i], "[%d]", i);
    faults_skip_syncs();
    fixture_init(&x);
    x.config.write_buffer_bytes = 64 << 10; /* so that LevelDB writes tables on the way, too */
    fixture_reopen(&x);
}

static void teardown(void)
{
    (void)faults_disarm();
    fixture_free(&x);
    arena_deinit(&arena);
    arena_deinit(&kept);
}

TestSuite(store_fault, .init = setup, .fini = teardown, .timeout = 300);

/* ---- the script */

static const char *const databases[] = {"one", "two", "three"};

/* Applies batches, given with the index of their database, as one group. Frees them. True when all were OK;
 * otherwise all failed. */
struct sent {
    int database;
    struct batch batch;
};

static bool send_group(struct sent *sent, size_t count)
{
    struct apply_request r[4];
    bool ok = true;
    cr_assert_leq(count, 4);
    for (size_t i = 0; i < count; i++)
        r[i] = (struct apply_request){.next = i + 1 < count ? &r[i + 1] : NULL,
                                      .database = slice_str(databases[sent[i].database]),
                                      .batch = &sent[i].batch,
                                      .now_ms = 1000};
    shard_apply(store_shard(x.store, 0), r);
    for (size_t i = 0; i < count; i++) {
        cr_assert(r[i].rc == SYNC_OK || r[i].rc == SYNC_ESTORE, "%s", r[i].ec.text);
        cr_assert_eq(r[i].rc, r[0].rc, "a group has one fate");
        if (r[i].rc != SYNC_OK) {
            ok = false;
            cr_assert_gt(strlen(r[i].ec.text), 0);
            cr_assert_eq(r[i].result.applied, 0);
        }
        batch_deinit(&sent[i].batch);
    }
    return ok;
}

static bool prune_all(const char *database)
{
    static const struct stamp no_floor = {.wall_ms = UINT64_MAX};
    struct prune_candidate *candidates;
    struct slice after;
    size_t count, gone;
    struct err_ctx ec;
    struct view *v = NULL;
    struct shard *sh = store_shard(x.store, 0);
    if (shard_recover(sh, &ec) != SYNC_OK) return false;
    cr_assert_eq(view_open(sh, slice_str(database), &v, &ec), SYNC_OK, "%s", ec.text);
    enum sync_err rc =
        prune_scan(v, slice_of(NULL, 0), 9999, &no_floor, 100, &arena, &candidates, &count, &after, &ec);
    view_close(v);
    if (rc == SYNC_OK) rc = shard_prune(sh, slice_str(database), candidates, count, &gone, &ec);
    cr_assert(rc == SYNC_OK || rc == SYNC_ESTORE, "%s", ec.text);
    return rc == SYNC_OK;
}

static bool run_step(int step)
{
    struct sent s[4] = {{0, facts_batch()}, {1, facts_batch()}, {0, facts_batch()}, {2, facts_batch()}};
    size_t count = 1;
    switch (step) {
    case 0:
        count = 2;
        facts_migration(&s[0].batch, facts_hlc(1, 0, 'a', 0), "t", MIGRATION_CREATE_TABLE, "1", "\"ddl\"");
        facts_cell(&s[0].batch, facts_hlc(1, 0, 'a', 1), "t", "[1]", "c", "1");
        facts_cell(&s[0].batch, facts_hlc(1, 0, 'a', 2), "t", "[1]", "d", "1");
        facts_cell(&s[0].batch, facts_hlc(1, 0, 'a', 3), "t", "[2]", "c", "1");
        facts_cell(&s[1].batch, facts_hlc(1, 0, 'a', 0), "t", "[1]", "c", "1");
        break;
    case 1:
        facts_cell(&s[0].batch, facts_hlc(2, 0, 'b', 0), "t", "[1]", "c", "2");
        facts_delete(&s[0].batch, facts_hlc(2, 0, 'b', 1), "t", "[2]", NULL);
        break;
    case 2:
        count = 4; /* a database that is new, and a value so large that the log points to it */
        facts_cell(&s[0].batch, facts_hlc(3, 0, 'b', 0), "t", "[1]", "c", "3");
        facts_cell(&s[1].batch, facts_hlc(3, 0, 'b', 0), "t", "[1]", "c", large);
        facts_cell(&s[2].batch, facts_hlc(2, 9, 'b', 0), "t", "[1]", "c", "too late");
        facts_cell(&s[3].batch, facts_hlc(3, 0, 'b', 0), "t", "[1]", "c", "1");
        break;
    case 3: count = 0; break;
    case 4:
        count = 3;
        facts_migration(&s[0].batch, facts_hlc(4, 0, 'a', 0), "t", MIGRATION_DROP_TABLE, "1", "\"ddl\"");
        facts_cell(&s[1].batch, facts_hlc(4, 0, 'a', 0), "t", "[1]", "c", "4");
        facts_delete(&s[2].batch, facts_hlc(4, 0, 'a', 0), "t", "[1]", "[5]");
        break;
    case 5:
    case 6: /* over many blocks of LevelDB's log, and more than its buffer in memory takes */
        for (uint32_t i = 0; i < WIDE; i++)
            facts_cell(&s[0].batch, facts_hlc((uint64_t)step, 0, 'a', i), "wide", wide_pks[i], "c",
                       wide_value);
        break;
    default: cr_assert_fail("no step %d", step);
    }
    for (size_t i = count; i < 4; i++) batch_deinit(&s[i].batch);
    return count == 0 ? prune_all("one") : send_group(s, count);
}

/* ---- what is stored */

static const char *dump(struct arena *into)
{
    struct buf out = buf_make(1 << 30);
    for (size_t i = 0; i < 3; i++) {
        struct view *v = fixture_view(&x, databases[i]);
        const struct database_info *info = view_database(v);
        buf_printf(&out, "%s %d %lu.%u.%u %lu\n", databases[i], info->exists,
                   (unsigned long)info->last.wall_ms, info->last.counter, info->last.op_seq,
                   (unsigned long)info->pruned.wall_ms);
        view_close(v);
        buf_put_str(&out, fixture_log(&x, databases[i], &arena));
        for (int type = FACT_CELL; type <= FACT_MIGRATION; type++)
            buf_put_str(&out, fixture_facts(&x, databases[i], (enum fact_type)type, &arena));
    }
    buf_printf(&out, "%lu databases\n", (unsigned long)shard_database_count(store_shard(x.store, 0)));
    buf_put_char(&out, '\0');
    const char *text = arena_copy(into, buf_slice(&out)).bytes;
    buf_deinit(&out);
    return text;
}

/* Long texts must not be printed whole: the framework loses messages over a megabyte. */
static void expect_stored(int step, enum fault kind, long nth)
{
    const char *found = dump(&arena);
    cr_assert(strcmp(found, expected[step]) == 0, "fault %d at %ld: after step %d there is\n%.4000s", kind,
              nth, step, found);
}

static void begin_again(void)
{
    store_close(x.store);
    x.store = NULL;
    fixture_remove_dir(x.dir);
    fixture_reopen(&x);
}

static void run_without_faults(void)
{
    for (int step = 0; step < STEPS; step++) {
        cr_assert(run_step(step));
        expected[step] = dump(&kept);
        if (step > 0) cr_assert_neq(strcmp(expected[step], expected[step - 1]), 0);
    }
}

/* Runs the script while the nth call fails, with `times - 1` after it. may_stay: a group that failed may be
 * there all the same, whole. Returns whether anything failed. */
static bool run_with_fault(enum fault kind, long nth, long times, bool may_stay, bool look_after_failure)
{
    bool fired = false;
    begin_again();
    faults_arm(kind, nth, times);
    for (int step = 0; step < STEPS; step++) {
        if (!run_step(step)) {
            fired |= faults_disarm();
            cr_assert(fired, "nothing failed, and yet the group did");
            if (look_after_failure) {
                fixture_reopen(&x);
                const char *found = dump(&arena);
                bool nothing = step == 0 ? strstr(found, "\n0 databases\n") != NULL
                                         : strcmp(found, expected[step - 1]) == 0;
                if (!nothing && may_stay) expect_stored(step, kind, nth);
                if (!may_stay) cr_assert(nothing, "fault %d at %ld: something of step %d", kind, nth, step);
            }
            /* LevelDB may have opened again and failed at its work in the background since: it tells so
             * once. */
            cr_assert(run_step(step) || (times > 1 && run_step(step)), "fault %d at %ld, step %d stays away",
                      kind, nth, step);
        }
        if (times > 1 || look_after_failure) continue; /* the last look says the same, in less time */
        expect_stored(step, kind, nth);
    }
    fired |= faults_disarm();
    expect_stored(STEPS - 1, kind, nth);
    fixture_reopen(&x);
    expect_stored(STEPS - 1, kind, nth);
    arena_deinit(&arena);
    return fired;
}

static void fail_each(enum fault kind, long times, bool may_stay, bool look_after_failure, long at_least)
{
    /* A script writes to files some hundred times, and its few steps fail alike in most of them. */
    long nth = 1, stride = kind == FAULT_FILE_WRITE || kind == FAULT_FILE_SYNC ? ROUNDS(1, 3) : 1;
    begin_again();
    run_without_faults();
    for (; run_with_fault(kind, nth, times, may_stay, look_after_failure); nth += stride)
        cr_assert_lt(nth, FAULTS_MAX);
    cr_assert_geq(nth - 1, at_least, "%ld calls failed in turn", nth - 1);
}

Test(store_fault, a_failed_write_fails_its_group_and_leaves_nothing)
{
    fail_each(FAULT_DB_WRITE, 1, false, true, STEPS);
    fail_each(FAULT_DB_WRITE, 1, false, false, STEPS);
}

Test(store_fault, a_write_that_failed_after_it_was_done_is_there_whole_and_harmless_when_sent_again)
{
    fail_each(FAULT_DB_WRITE_LATE, 1, true, true, STEPS);
    fail_each(FAULT_DB_WRITE_LATE, 1, true, false, STEPS);
}

Test(store_fault, half_a_record_in_the_log_costs_only_its_own_group)
{
    fail_each(FAULT_FILE_WRITE, 1, true, true, STEPS);
    fail_each(FAULT_FILE_WRITE, 1, true, false, STEPS);
}

Test(store_fault, a_full_disk_costs_only_the_groups_written_to_it)
{
    fail_each(FAULT_FILE_WRITE, 3, true, false, STEPS);
}

Test(store_fault, a_failed_sync_costs_only_its_own_group)
{
    x.config.sync = true;
    fixture_reopen(&x);
    fail_each(FAULT_FILE_SYNC, 1, true, true, STEPS);
    fail_each(FAULT_FILE_SYNC, 2, true, false, STEPS);
}

/* ---- a store that cannot be opened again at once */

static struct merge_result put_value(const char *value, uint64_t wall_ms, enum sync_err expected_rc)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(wall_ms, 0, 'a', 0), "t", "[1]", "c", value);
    struct apply_request r = {.database = slice_str("one"), .batch = &b, .now_ms = 1000};
    shard_apply(store_shard(x.store, 0), &r);
    cr_assert_eq(r.rc, expected_rc, "%s", r.rc == SYNC_OK ? "applied" : r.ec.text);
    batch_deinit(&b);
    return r.result;
}

Test(store_fault, what_cannot_be_opened_again_is_tried_with_each_group_until_it_can)
{
    struct err_ctx ec;
    struct view *v = NULL;
    put_value("1", 1, SYNC_OK);
    faults_arm(FAULT_DB_WRITE, 1, 1);
    faults_arm(FAULT_DB_OPEN, 1, 5);
    for (uint64_t i = 0; i < 3; i++) {
        put_value("2", 2 + i, SYNC_ESTORE);
        cr_assert_eq(view_open(store_shard(x.store, 0), slice_str("one"), &v, &ec), SYNC_ESTORE);
        cr_assert_eq(shard_open_count(store_shard(x.store, 0)), 0);
        cr_assert(shard_is_closed(store_shard(x.store, 0)));
    }
    char name[DATABASE_ID_MAX];
    size_t len, gone;
    bool found;
    struct shard *sh = store_shard(x.store, 0);
    cr_assert_eq(shard_next_database(sh, slice_of(NULL, 0), name, &len, &found, &ec), SYNC_ESTORE);
    cr_assert_eq(shard_prune(sh, slice_str("one"), NULL, 0, &gone, &ec), SYNC_ESTORE);
    cr_assert_eq(shard_recover(sh, &ec), SYNC_ESTORE);
    cr_assert_eq(shard_recover(sh, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_not(shard_is_closed(sh));
    cr_assert_str_eq(fixture_log(&x, "one", &arena), "cell t [1] c = 1\n");
    cr_assert_eq(put_value("5", 5, SYNC_OK).applied, 1);
    cr_assert_str_eq(fixture_log(&x, "one", &arena), "cell t [1] c = 5 (was 1)\n");
    cr_assert(faults_disarm());
}

Test(store_fault, a_store_that_was_never_opened_again_closes)
{
    put_value("1", 1, SYNC_OK);
    faults_arm(FAULT_DB_WRITE, 1, 1);
    faults_arm(FAULT_DB_OPEN, 1, 9);
    put_value("2", 2, SYNC_ESTORE);
    store_close(x.store);
    x.store = NULL;
    (void)faults_disarm();
    fixture_reopen(&x);
    cr_assert_str_eq(fixture_log(&x, "one", &arena), "cell t [1] c = 1\n");
}

/* The log stays, and is replayed as after a crash. */
Test(store_fault, a_flush_that_fails_loses_nothing)
{
    static const enum fault kinds[] = {FAULT_FILE_WRITE, FAULT_FILE_SYNC};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (long nth = 1; nth < 6; nth++) {
            char value[8];
            (void)snprintf(value, sizeof value, "%zu%ld", k + 1, nth);
            put_value(value, (unsigned)(10 * k) + (unsigned)nth + 1, SYNC_OK);
            faults_arm(kinds[k], nth, 100);
            store_flush(x.store);
            (void)faults_disarm();
            fixture_reopen(&x);
            cr_assert(strstr(fixture_log(&x, "one", &arena), value) != NULL, "kind %zu, %ld", k, nth);
        }
    }
    faults_arm(FAULT_DB_WRITE, 1, 1);
    faults_arm(FAULT_DB_OPEN, 1, 9);
    put_value("2", 99, SYNC_ESTORE);
    store_flush(x.store); /* there is none to flush */
    (void)faults_disarm();
}

Test(store_fault, opening_a_new_store_fails_cleanly_at_each_write_and_sync)
{
    static const enum fault kinds[] = {FAULT_FILE_WRITE, FAULT_FILE_SYNC, FAULT_DB_OPEN};
    x.config.shards = 3;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        bool fired = true;
        for (long nth = 1; fired; nth++) {
            struct err_ctx ec;
            store_close(x.store);
            x.store = NULL;
            fixture_remove_dir(x.dir);
            faults_arm(kinds[k], nth, 1);
            enum sync_err rc = store_open(&x.config, &x.store, &ec);
            fired = faults_disarm();
            cr_assert(rc == SYNC_OK || (fired && (rc == SYNC_EIO || rc == SYNC_ESTORE)), "%s", ec.text);
            if (rc != SYNC_OK) cr_assert_null(x.store);
            fixture_reopen(&x);
            put_value("1", 1, SYNC_OK);
            cr_assert_lt(nth, FAULTS_MAX);
        }
    }
}

/* ---- readers over a store that is opened again */

static void fail_a_write(uint64_t wall_ms)
{
    struct sent s = {1, facts_batch()};
    facts_cell(&s.batch, facts_hlc(wall_ms, 0, 'a', 0), "t", "[9]", "c", "0");
    faults_arm(FAULT_DB_WRITE, 1, 1);
    cr_assert_not(send_group(&s, 1));
    cr_assert(faults_disarm());
}

Test(store_fault, an_open_view_and_its_cursors_fail_and_close)
{
    struct err_ctx ec;
    struct log_cursor *log[2];
    struct fact_cursor *cells[2];
    struct log_entry e;
    struct stored_entry s;
    bool found;
    uint64_t count;
    run_without_faults();
    struct view *v = fixture_view(&x, "one"), *idle = fixture_view(&x, "two");
    for (int i = 0; i < 2; i++) { /* one in the middle, one before its first entry */
        cr_assert_eq(log_cursor_open(v, NULL, &log[i], &ec), SYNC_OK);
        cr_assert_eq(fact_cursor_open(v, FACT_CELL, slice_of(NULL, 0), &cells[i], &ec), SYNC_OK);
    }
    cr_assert_eq(log_cursor_next(log[0], &e, &found, &ec), SYNC_OK);
    cr_assert_eq(fact_cursor_next(cells[0], &s, &found, &ec), SYNC_OK);
    cr_assert(slice_is(s.fact.table, "wide") || slice_is(s.fact.table, "t"));
    struct slice table_key = fact_table_key(&s.fact);
    fail_a_write(100);

    /* What was returned before is still good: it is a copy. */
    cr_assert(slice_is(s.fact.table, "wide") || slice_is(s.fact.table, "t"));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(log_cursor_next(log[i], &e, &found, &ec), SYNC_ESTORE);
        cr_assert_not_null(strstr(ec.text, "opened again after a failed write"), "%s", ec.text);
        cr_assert_eq(fact_cursor_next(cells[i], &s, &found, &ec), SYNC_ESTORE);
    }
    struct log_cursor *late_log;
    struct fact_cursor *late_cells;
    cr_assert_eq(log_cursor_open(v, NULL, &late_log, &ec), SYNC_ESTORE);
    cr_assert_eq(log_cursor_open(v, &e.stamp, &late_log, &ec), SYNC_ESTORE);
    cr_assert_eq(fact_cursor_open(v, FACT_DELETE, slice_of(NULL, 0), &late_cells, &ec), SYNC_ESTORE);
    cr_assert_eq(view_estimate_cells(v, table_key, 10, &count, &ec), SYNC_ESTORE);

    /* And new views see what was there before the failure. */
    expect_stored(STEPS - 1, FAULT_DB_WRITE, 1);
    for (int i = 0; i < 2; i++) {
        log_cursor_close(log[i]);
        fact_cursor_close(cells[i]);
    }
    view_close(v);
    fail_a_write(101); /* with a view that was cut off before */
    view_close(idle);
    expect_stored(STEPS - 1, FAULT_DB_WRITE, 1);
}

Test(store_fault, a_view_that_is_open_while_the_store_stays_closed_fails_and_closes)
{
    struct err_ctx ec;
    struct log_cursor *log;
    struct log_entry e;
    bool found;
    put_value("1", 1, SYNC_OK);
    struct view *v = fixture_view(&x, "one");
    cr_assert_eq(log_cursor_open(v, NULL, &log, &ec), SYNC_OK);
    faults_arm(FAULT_DB_WRITE, 1, 1);
    faults_arm(FAULT_DB_OPEN, 1, 1);
    put_value("2", 2, SYNC_ESTORE);
    cr_assert_eq(log_cursor_next(log, &e, &found, &ec), SYNC_ESTORE);
    log_cursor_close(log);
    view_close(v);
    put_value("2", 2, SYNC_OK);
}

Test(store_fault, a_delta_goes_on_over_a_failed_write_and_a_snapshot_fails)
{
    struct err_ctx ec;
    struct delta_reader *delta;
    struct snapshot_reader *snapshot;
    struct buf out = buf_make(1 << 24), whole = buf_make(1 << 24);
    bool done = false;
    const struct delta_request request = {.database = slice_str("one"), .page_bytes_max = SIZE_MAX};
    const struct snapshot_request snapshot_request = {.database = slice_str("one"),
                                                      .fresh_id = slice_str("id")};
    run_without_faults();
    struct shard *sh = store_shard(x.store, 0);
    for (int pass = 0; pass < 2; pass++) {
        cr_assert_eq(delta_reader_open(sh, &request, &delta, &ec), SYNC_OK);
        cr_assert_eq(snapshot_reader_open(sh, &snapshot_request, &snapshot, &ec), SYNC_OK);
        cr_assert_eq(snapshot_reader_step(snapshot, &out, &done, &ec), SYNC_OK);
        buf_clear(&out);
        for (int i = 0; !delta_reader_status(delta)->done; i++) {
            cr_assert_eq(delta_reader_step(delta, pass == 0 ? &whole : &out, 20000, &ec), SYNC_OK, "%s",
                         ec.text);
            if (pass == 1 && i == 1) fail_a_write(100);
        }
        if (pass == 1) {
            cr_assert_eq(snapshot_reader_step(snapshot, &whole, &done, &ec), SYNC_ESTORE);
            cr_assert_eq(whole.len, out.len);
        }
        delta_reader_close(delta);
        snapshot_reader_close(snapshot);
    }
    cr_assert(slice_eq(buf_slice(&whole), buf_slice(&out)));
    buf_deinit(&out);
    buf_deinit(&whole);
}
