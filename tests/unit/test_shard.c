#include "storage/shard/shard.h"

#include "store_fixture.h"

#include <criterion/criterion.h>

/* Every test: a store `x` and an arena for what is printed of it. */
static struct store_fixture x;
static struct arena arena;

static void setup(void)
{
    fixture_init(&x);
}

static void teardown(void)
{
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(shard, .init = setup, .fini = teardown);

static void put(const char *db, struct hlc hlc, const char *pk, const char *column, const char *value)
{
    struct batch b = facts_batch();
    facts_cell(&b, hlc, "t", pk, column, value);
    fixture_apply(&x, db, &b);
}

static struct merge_result delete_row(const char *db, struct hlc hlc, const char *pk)
{
    struct batch b = facts_batch();
    facts_delete(&b, hlc, "t", pk, NULL);
    return fixture_apply(&x, db, &b);
}

static void expect_log(const char *db, const char *expected)
{
    cr_assert_str_eq(fixture_log(&x, db, &arena), expected);
}

static void expect_cells(const char *db, const char *expected)
{
    cr_assert_str_eq(fixture_facts(&x, db, FACT_CELL, &arena), expected);
}

static struct database_info info_of(const char *db)
{
    struct view *v = fixture_view(&x, db);
    struct database_info info = *view_database(v);
    view_close(v);
    return info;
}

Test(shard, what_was_applied_is_in_the_log_in_hlc_order)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(20, 0, 'a', 1), "t", "[2]", "name", "\"late\"");
    facts_migration(&b, facts_hlc(10, 0, 'a', 0), "t", MIGRATION_CREATE_TABLE, "1", "\"create\"");
    facts_delete(&b, facts_hlc(15, 0, 'b', 0), "t", "[3]", "[]");
    struct merge_result r = fixture_apply(&x, "db", &b);
    cr_assert(r.applied == 3 && r.skipped == 0 && r.conflicts == 0 && r.transactions == 1);
    expect_log("db", "migration t create_table 1\n"
                     "delete t [3] of []\n"
                     "cell t [2] name = \"late\"\n");
}

Test(shard, a_fact_that_is_overwritten_leaves_the_log_and_is_remembered_as_prior)
{
    put("db", facts_hlc(10, 0, 'a', 0), "[1]", "name", "\"one\"");
    put("db", facts_hlc(11, 0, 'a', 0), "[1]", "other", "5");
    put("db", facts_hlc(12, 0, 'b', 0), "[1]", "name", "\"two\"");
    expect_log("db", "cell t [1] other = 5\n"
                     "cell t [1] name = \"two\" (was \"one\")\n");
    expect_cells("db", "cell t [1] name = \"two\" (was \"one\")\n"
                       "cell t [1] other = 5\n");
}

Test(shard, a_first_write_stores_no_prior_whatever_its_sender_claims)
{
    struct batch b = facts_batch();
    struct fact *f = facts_cell(&b, facts_hlc(10, 0, 'a', 0), "t", "[1]", "name", "1");
    f->cell.has_prior = true;
    f->cell.prior_value = slice_str("\"lie\"");
    fixture_apply(&x, "db", &b);
    expect_cells("db", "cell t [1] name = 1\n");
}

Test(shard, an_older_or_equal_cell_is_a_conflict_and_writes_nothing)
{
    put("db", facts_hlc(10, 0, 'b', 0), "[1]", "name", "1");
    struct database_info before = info_of("db");
    for (int i = 0; i < 2; i++) {
        struct batch b = facts_batch();
        facts_cell(&b, facts_hlc(10, 0, i == 0 ? 'a' : 'b', 0), "t", "[1]", "name", "2");
        struct merge_result r = fixture_apply(&x, "db", &b);
        cr_assert(r.applied == 0 && r.conflicts == 1);
    }
    struct database_info after = info_of("db");
    cr_assert_eq(stamp_cmp(&before.last, &after.last), 0, "no stamp is taken");
    expect_log("db", "cell t [1] name = 1\n");
}

Test(shard, a_delete_takes_the_cells_of_its_row_and_their_log_entries)
{
    put("db", facts_hlc(10, 0, 'a', 0), "[1]", "name", "1");
    put("db", facts_hlc(11, 0, 'a', 0), "[1]", "other", "2");
    put("db", facts_hlc(12, 0, 'a', 0), "[10]", "name", "3");
    struct merge_result r = delete_row("db", facts_hlc(5, 0, 'a', 0), "[1]");
    cr_assert_eq(r.applied, 1, "whatever its HLC");
    expect_log("db", "cell t [10] name = 3\n"
                     "delete t [1]\n");
    expect_cells("db", "cell t [10] name = 3\n");
}

Test(shard, delete_wins_for_good_unless_resurrection_is_allowed)
{
    delete_row("db", facts_hlc(10, 0, 'a', 0), "[1]");
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(20, 0, 'a', 0), "t", "[1]", "name", "1");
    struct merge_result r = fixture_apply(&x, "db", &b);
    cr_assert(r.skipped == 1 && r.applied == 0);

    x.config.allow_resurrection = true;
    fixture_reopen(&x);
    b = facts_batch();
    facts_cell(&b, facts_hlc(9, 0, 'a', 0), "t", "[1]", "name", "1");
    facts_cell(&b, facts_hlc(20, 0, 'a', 0), "t", "[1]", "other", "2");
    r = fixture_apply(&x, "db", &b);
    cr_assert(r.skipped == 1 && r.applied == 1);
    expect_log("db", "delete t [1]\n"
                     "cell t [1] other = 2\n");
}

Test(shard, a_newer_delete_replaces_the_tombstone_and_an_older_one_is_skipped)
{
    delete_row("db", facts_hlc(10, 0, 'a', 0), "[1]");
    delete_row("db", facts_hlc(12, 0, 'a', 0), "[1]");
    cr_assert_eq(delete_row("db", facts_hlc(11, 0, 'a', 0), "[1]").skipped, 1);
    cr_assert_eq(delete_row("db", facts_hlc(12, 0, 'a', 0), "[1]").skipped, 1);
    expect_log("db", "delete t [1]\n");
    cr_assert_str_eq(fixture_facts(&x, "db", FACT_DELETE, &arena), "delete t [1]\n");
}

Test(shard, within_a_batch_a_delete_beats_the_cells_of_its_row)
{
    put("db", facts_hlc(1, 0, 'a', 0), "[1]", "name", "0");
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(20, 0, 'a', 0), "t", "[1]", "name", "1");
    facts_delete(&b, facts_hlc(10, 0, 'a', 0), "t", "[1]", NULL);
    struct merge_result r = fixture_apply(&x, "db", &b);
    cr_assert(r.applied == 1 && r.skipped == 1);
    expect_log("db", "delete t [1]\n");
    expect_cells("db", "");
}

Test(shard, a_cell_that_survives_a_delete_of_its_batch_remembers_what_stood_before_both)
{
    x.config.allow_resurrection = true;
    fixture_reopen(&x);
    put("db", facts_hlc(1, 0, 'a', 0), "[1]", "name", "0");
    put("db", facts_hlc(2, 0, 'a', 0), "[1]", "other", "0");
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(20, 0, 'a', 0), "t", "[1]", "name", "1");
    facts_delete(&b, facts_hlc(10, 0, 'a', 0), "t", "[1]", NULL);
    cr_assert_eq(fixture_apply(&x, "db", &b).applied, 2);
    expect_log("db", "delete t [1]\n"
                     "cell t [1] name = 1 (was 0)\n");
    expect_cells("db", "cell t [1] name = 1 (was 0)\n");
}

Test(shard, of_several_facts_for_one_key_the_highest_is_written_and_each_counts)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(12, 0, 'a', 0), "t", "[1]", "name", "2");
    facts_cell(&b, facts_hlc(13, 0, 'a', 0), "t", "[1]", "name", "3");
    facts_cell(&b, facts_hlc(11, 0, 'a', 0), "t", "[1]", "name", "1");
    cr_assert_eq(fixture_apply(&x, "db", &b).applied, 3);
    expect_log("db", "cell t [1] name = 3\n");
}

Test(shard, a_migration_is_replaced_by_a_newer_one_of_its_identity_only)
{
    static const struct {
        uint64_t wall_ms;
        enum migration_type type;
        const char *version;
    } given[] = {{10, MIGRATION_CREATE_TABLE, "1"},
                 {11, MIGRATION_ADD_INDEX, "1"},
                 {12, MIGRATION_ADD_COLUMN, "1"},
                 {9, MIGRATION_DROP_COLUMN, "1"},
                 {9, MIGRATION_CREATE_TABLE, "2"}};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        struct batch b = facts_batch();
        facts_migration(&b, facts_hlc(given[i].wall_ms, 0, 'a', 0), "t", given[i].type, given[i].version,
                        "\"ddl\"");
        fixture_apply(&x, "db", &b);
    }
    expect_log("db", "migration t add_index 1\n"
                     "migration t add_column 1\n"
                     "migration t create_table 2\n");
    cr_assert_str_eq(fixture_facts(&x, "db", FACT_MIGRATION, &arena), "migration t create_table 2\n"
                                                                      "migration t add_index 1\n"
                                                                      "migration t add_column 1\n");
}

Test(shard, two_migrations_with_one_hlc_are_both_kept)
{
    struct batch b = facts_batch();
    facts_migration(&b, facts_hlc(10, 0, 'a', 0), "t", MIGRATION_CREATE_TABLE, "1", "\"ddl\"");
    facts_migration(&b, facts_hlc(10, 0, 'a', 0), "u", MIGRATION_CREATE_TABLE, "1", "\"ddl\"");
    fixture_apply(&x, "db", &b);
    cr_assert_str_eq(fixture_facts(&x, "db", FACT_MIGRATION, &arena), "migration t create_table 1\n"
                                                                      "migration u create_table 1\n");
}

Test(shard, facts_of_the_server_itself_are_skipped)
{
    struct database_info info = info_of("db");
    struct hlc hlc = {.wall_ms = 10, .site = info.server_site};
    struct batch b = facts_batch();
    facts_cell(&b, hlc, "t", "[1]", "name", "1");
    cr_assert_eq(fixture_apply(&x, "db", &b).skipped, 1);
    cr_assert_not(info_of("db").exists);
}

Test(shard, a_batch_is_judged_against_what_the_group_decided_before_it)
{
    struct batch b[6];
    struct apply_request r[6];
    for (int i = 0; i < 6; i++) b[i] = facts_batch();
    facts_cell(&b[0], facts_hlc(10, 0, 'a', 0), "t", "[1]", "name", "1");
    facts_cell(&b[0], facts_hlc(10, 0, 'a', 1), "t", "[2]", "name", "1");
    facts_cell(&b[1], facts_hlc(11, 0, 'a', 0), "t", "[1]", "name", "2");
    facts_cell(&b[2], facts_hlc(9, 0, 'a', 0), "t", "[1]", "name", "0");
    facts_delete(&b[3], facts_hlc(5, 0, 'a', 0), "t", "[2]", NULL);
    facts_cell(&b[4], facts_hlc(99, 0, 'a', 0), "t", "[2]", "name", "9");
    facts_cell(&b[5], facts_hlc(10, 0, 'a', 0), "t", "[1]", "name", "elsewhere");
    for (int i = 0; i < 6; i++)
        r[i] = (struct apply_request){.next = i < 5 ? &r[i + 1] : NULL,
                                      .database = slice_str(i < 5 ? "db" : "other"),
                                      .batch = &b[i],
                                      .now_ms = 1};
    shard_apply(fixture_shard(&x, "db"), r);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(r[i].rc, SYNC_OK);
        batch_deinit(&b[i]);
    }
    cr_assert_eq(r[0].result.applied, 2);
    cr_assert_eq(r[1].result.applied, 1);
    cr_assert_eq(r[2].result.conflicts, 1);
    cr_assert_eq(r[3].result.applied, 1);
    cr_assert_eq(r[4].result.skipped, 1);
    expect_log("db", "cell t [1] name = 2 (was 1)\n"
                     "delete t [2]\n");
    expect_cells("db", "cell t [1] name = 2 (was 1)\n");
    expect_log("other", "cell t [1] name = elsewhere\n");
    fixture_reopen(&x);
    expect_log("db", "cell t [1] name = 2 (was 1)\n"
                     "delete t [2]\n");
    cr_assert_eq(shard_database_count(fixture_shard(&x, "db")), 2);
}

Test(shard, a_delete_also_takes_cells_that_the_group_overwrote_before_it)
{
    put("db", facts_hlc(1, 0, 'a', 0), "[1]", "name", "0");
    put("db", facts_hlc(1, 0, 'a', 1), "[1]", "other", "0");
    struct batch b[2] = {facts_batch(), facts_batch()};
    facts_cell(&b[0], facts_hlc(10, 0, 'a', 0), "t", "[1]", "name", "1");
    facts_cell(&b[0], facts_hlc(10, 0, 'a', 1), "t", "[1]", "third", "1");
    facts_delete(&b[1], facts_hlc(5, 0, 'a', 0), "t", "[1]", NULL);
    struct apply_request r[2] = {{.next = &r[1], .database = slice_str("db"), .batch = &b[0]},
                                 {.database = slice_str("db"), .batch = &b[1]}};
    shard_apply(fixture_shard(&x, "db"), r);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(r[i].rc, SYNC_OK);
        batch_deinit(&b[i]);
    }
    expect_log("db", "delete t [1]\n");
    expect_cells("db", "");
}

Test(shard, stamps_rise_above_all_that_arrived_and_number_the_facts_of_a_batch)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(50, 7, 'a', 0), "t", "[1]", "a", "1");
    facts_cell(&b, facts_hlc(50, 7, 'a', 1), "t", "[1]", "b", "1");
    fixture_apply(&x, "db", &b);
    struct database_info info = info_of("db");
    cr_assert(info.exists && info.last.wall_ms == 50 && info.last.counter == 8 && info.last.op_seq == 1);
    put("db", facts_hlc(3, 0, 'z', 0), "[2]", "a", "late");
    info = info_of("db");
    cr_assert(info.last.wall_ms == 50 && info.last.counter == 9 && info.last.op_seq == 0);
    fixture_reopen(&x);
    put("db", facts_hlc(3, 0, 'z', 0), "[3]", "a", "late");
    info = info_of("db");
    cr_assert(info.last.wall_ms == 50 && info.last.counter == 10 && info.last.op_seq == 0);
}

Test(shard, the_server_site_is_known_before_the_first_write_and_stays)
{
    struct database_info before = info_of("db"), other = info_of("db2");
    cr_assert_not(before.exists);
    cr_assert_not(site_id_eq(&before.server_site, &other.server_site));
    put("db", facts_hlc(3, 0, 'z', 0), "[3]", "a", "1");
    fixture_reopen(&x);
    struct database_info after = info_of("db");
    cr_assert(after.exists);
    cr_assert(site_id_eq(&before.server_site, &after.server_site));
}

Test(shard, a_name_of_no_or_too_many_bytes_fails_its_request_alone)
{
    static char name[DATABASE_ID_MAX + 1];
    memset(name, 'x', sizeof name);
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(50, 7, 'a', 0), "t", "[1]", "a", "1");
    struct apply_request r[3] = {{.next = &r[1], .database = slice_of("", 0), .batch = &b},
                                 {.next = &r[2], .database = slice_of(name, sizeof name), .batch = &b},
                                 {.database = slice_of(name, DATABASE_ID_MAX), .batch = &b}};
    shard_apply(store_shard(x.store, 0), r);
    cr_assert_eq(r[0].rc, SYNC_ELIMIT);
    cr_assert_eq(r[1].rc, SYNC_ELIMIT);
    cr_assert_eq(r[2].rc, SYNC_OK);
    batch_deinit(&b);
}

Test(shard, large_facts_and_long_names_come_back_whole)
{
    enum { LONG = 3000, LARGE = 100000 };
    static char name[LONG + 1], value[LARGE + 1];
    memset(name, 'n', LONG);
    memset(value, '7', LARGE);
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(1, 0, 'a', 0), name, name, name, value);
    facts_cell(&b, facts_hlc(1, 0, 'a', 1), name, "[1]", "c", "1");
    facts_migration(&b, facts_hlc(1, 0, 'a', 2), name, MIGRATION_ADD_COLUMN, name, value);
    fixture_apply(&x, "db", &b);
    b = facts_batch();
    facts_cell(&b, facts_hlc(2, 0, 'a', 0), name, name, name, value);
    facts_delete(&b, facts_hlc(2, 0, 'a', 1), name, "[1]", value);
    fixture_apply(&x, "db", &b);

    struct view *v = fixture_view(&x, "db");
    struct err_ctx ec;
    struct log_cursor *log;
    struct log_entry e;
    bool found;
    cr_assert_eq(log_cursor_open(v, NULL, &log, &ec), SYNC_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(log_cursor_next(log, &e, &found, &ec), SYNC_OK, "%s", ec.text);
        cr_assert(found);
        cr_assert(slice_is(e.fact.table, name));
        if (i == 0) cr_assert(slice_is(e.fact.migration.ddl, value));
        if (i == 1) cr_assert(slice_is(e.fact.cell.prior_value, value) && slice_is(e.fact.cell.value, value));
        if (i == 2) cr_assert(slice_is(e.fact.del.prior_row, value));
    }
    cr_assert_eq(log_cursor_next(log, &e, &found, &ec), SYNC_OK);
    cr_assert_not(found);
    log_cursor_close(log);

    struct batch keys = facts_batch();
    struct fact_cursor *cells;
    struct stored_entry s;
    cr_assert_eq(fact_cursor_open(v, FACT_CELL, slice_of(NULL, 0), &cells, &ec), SYNC_OK);
    cr_assert_eq(fact_cursor_next(cells, &s, &found, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(found);
    cr_assert(slice_eq(fact_row_key(&s.fact), facts_row_key(&keys, name, name)));
    cr_assert(slice_eq(fact_table_key(&s.fact), facts_table_key(&keys, name)));
    fact_cursor_close(cells);
    batch_deinit(&keys);
    view_close(v);
}
