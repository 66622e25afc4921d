#include "storage/views/snapshot_reader.h"

#include "snapshot_fixture.h"
#include "store_fixture.h"

#include "core/protocol/snapshot_writer.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct store_fixture x;
static struct arena arena;
static uint64_t clock_ms;

static void setup(void)
{
    fixture_init(&x);
    clock_ms = 10;
}

static void teardown(void)
{
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(snapshot_reader, .init = setup, .fini = teardown, .timeout = 60);

/* ---- filling: one fact a batch, each a millisecond after the one before */

static void put(const char *schema, const char *table, const char *pk, const char *value)
{
    struct batch b = facts_batch();
    facts_cell_in(&b, facts_hlc(clock_ms++, 0, 'a', 0), schema, table, pk, "c", value);
    (void)fixture_apply(&x, "db", &b);
}

static void delete_row(const char *schema, const char *table, const char *pk)
{
    struct batch b = facts_batch();
    facts_delete_in(&b, facts_hlc(clock_ms++, 0, 'a', 0), schema, table, pk, NULL);
    (void)fixture_apply(&x, "db", &b);
}

static void migrate(enum migration_type type, const char *from, const char *table)
{
    static char versions[100][4];
    char *version = versions[clock_ms % 100];
    snprintf(version, sizeof versions[0], "%u", (unsigned)(clock_ms % 100));
    struct batch b = facts_batch();
    struct fact *f = facts_migration(&b, facts_hlc(clock_ms++, 0, 'a', 0), table, type, version, "\"ddl\"");
    f->migration.has_from_table = from != NULL;
    if (from != NULL) f->migration.from_table = slice_str(from);
    (void)fixture_apply(&x, "db", &b);
}

/* ---- reading */

static struct snapshot_seen seen;

static const char *lines(void)
{
    buf_put_char(&seen.lines, '\0');
    const char *text = arena_copy(&arena, buf_slice(&seen.lines)).bytes;
    buf_deinit(&seen.lines);
    return text;
}

/* The lines but for HLCs and times: those of a cell or tombstone are cut off behind its value or pk. */
static const char *read_short(const struct checkpoint *resume)
{
    struct buf out = buf_make(1 << 20);
    snapshot_read(store_shard(x.store, 0), "db", resume, NULL, NULL, &seen);
    for (const char *at = lines(), *end; *at != '\0'; at = end + 1) {
        int words = strncmp(at, "cell ", 5) == 0 ? 6 : strncmp(at, "tombstone ", 10) == 0 ? 4 : 0;
        const char *cut = at;
        end = strchr(at, '\n');
        for (int i = 0; i < words; i++) cut = strchr(cut + (i > 0), ' ');
        if (words == 0) cut = end;
        buf_put(&out, at, (size_t)(cut - at));
        buf_put_char(&out, '\n');
    }
    buf_put_char(&out, '\0');
    const char *text = arena_copy(&arena, buf_slice(&out)).bytes;
    buf_deinit(&out);
    return text;
}

static struct hlc last(void)
{
    struct view *v = fixture_view(&x, "db");
    struct hlc h = stamp_to_hlc(&view_database(v)->last, &view_database(v)->server_site);
    view_close(v);
    return h;
}

static struct checkpoint checkpoint_at(struct hlc hlc, struct slice *completed, size_t count)
{
    struct checkpoint c = {.snapshot_id = slice_str("first"), .hlc = hlc, .entries_processed = 100};
    c.site.bytes[0] = 'k'; /* the client's own */
    c.completed = completed;
    c.completed_count = count;
    return c;
}

/* ---- the stream */

Test(snapshot_reader, of_nothing_is_a_header_and_a_footer)
{
    snapshot_read(store_shard(x.store, 0), "db", NULL, NULL, NULL, &seen);
    cr_assert_str_eq(lines(), "");
    cr_assert_eq(seen.chunks, 2);
    cr_assert_str_eq(seen.id, "fresh");
    struct hlc h = last();
    cr_assert(hlc_eq(&seen.hlc, &h));
}

Test(snapshot_reader, holds_migrations_then_tables_then_tombstones)
{
    put("main", "t", "[1]", "1");
    migrate(MIGRATION_ADD_COLUMN, NULL, "t");
    put("main", "t", "[2]", "\"two\"");
    delete_row("main", "u", "[7]");
    put("main", "u", "[8]", "8");
    migrate(MIGRATION_CREATE_TABLE, NULL, "u");
    delete_row("main", "t", "[1]");
    delete_row("other", "only_deleted", "[9]");
    struct hlc h = last();
    const char *found = read_short(NULL);
    /* Tables come in the order of their stored keys: shorter ones first. */
    cr_assert_str_eq(
        found, "migration {\"type\":\"add_column\",\"schema\":\"main\",\"table\":\"t\",\"ddl\":\"ddl\","
               "\"hlc\":\"AAAAAAAAAAsAAGEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"schemaVersion\":11}\n"
               "migration {\"type\":\"create_table\",\"schema\":\"main\",\"table\":\"u\",\"ddl\":\"ddl\","
               "\"hlc\":\"AAAAAAAAAA8AAGEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"schemaVersion\":15}\n"
               "table main t 1\n"
               "cell main t [2] c \"two\"\n"
               "table main u 1\n"
               "cell main u [8] c 8\n"
               "tombstone main t [1]\n"
               "tombstone main u [7]\n"
               "tombstone other only_deleted [9]\n");
    cr_assert(hlc_eq(&seen.hlc, &h) && site_id_eq(&seen.site, &h.site));
    cr_assert(seen.table_count == 2 && seen.migration_count == 2 && seen.total_entries == 2);
}

Test(snapshot_reader, cuts_a_table_into_chunks_of_a_thousand_entries)
{
    static char pks[3000][8];
    struct batch b = facts_batch();
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(pks[i], sizeof pks[i], "[%u]", i);
        /* 2500 cells in one table, exactly 1000 in another; 2500 tombstones in the first, 500 in the other */
        if (i < 2500) facts_cell(&b, facts_hlc(1, 0, 'a', i), "t", pks[i], "c", "1");
        if (i < 1000) facts_cell(&b, facts_hlc(2, 0, 'a', i), "u", pks[i], "c", "1");
        facts_delete(&b, facts_hlc(3, 0, 'a', i), i < 2500 ? "v" : "w", pks[i], NULL);
    }
    (void)fixture_apply(&x, "db", &b);
    snapshot_read(store_shard(x.store, 0), "db", NULL, NULL, NULL, &seen);
    buf_deinit(&seen.lines);
    cr_assert(seen.cells == 3500 && seen.tables == 2 && seen.tombstones == 3000);
    cr_assert_eq(seen.chunk_entries_max, SNAPSHOT_CHUNK_ENTRIES_MAX);
    cr_assert_eq(seen.chunks, 1 + (1 + 3 + 1) + (1 + 1 + 1) + (3 + 1) + 1, "%lu", (unsigned long)seen.chunks);
    cr_assert_eq(seen.total_entries, 3500);
}

Test(snapshot_reader, ends_a_chunk_that_holds_many_bytes)
{
    enum { LARGE = 100000, COUNT = 20 };
    static char large[LARGE + 1], pks[COUNT][8];
    memset(large, '1', LARGE);
    struct batch b = facts_batch();
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(pks[i], sizeof pks[i], "[%u]", i);
        facts_cell(&b, facts_hlc(1, 0, 'a', i), "t", pks[i], "c", large);
        facts_delete(&b, facts_hlc(1, 1, 'a', i), "u", pks[i], large);
    }
    (void)fixture_apply(&x, "db", &b);
    snapshot_read(store_shard(x.store, 0), "db", NULL, NULL, NULL, &seen);
    buf_deinit(&seen.lines);
    cr_assert(seen.cells == COUNT && seen.tombstones == COUNT);
    cr_assert_lt(seen.chunk_bytes_max, SNAPSHOT_CHUNK_BYTES + LARGE + 500);
    cr_assert_eq(seen.chunk_entries_max, 3);
}

static void write_more(void *arg)
{
    (void)arg;
    put("main", "t", "[1]", "9");
    put("main", "new", "[1]", "9");
    delete_row("main", "u", "[2]");
    delete_row("main", "t", "[3]");
    migrate(MIGRATION_DROP_TABLE, NULL, "u");
}

Test(snapshot_reader, is_of_one_point_in_time_whatever_is_written_meanwhile)
{
    put("main", "t", "[1]", "1");
    put("main", "t", "[2]", "2");
    put("main", "u", "[1]", "1");
    put("main", "u", "[2]", "2");
    put("main", "v", "[1]", "1");
    delete_row("main", "v", "[3]");
    migrate(MIGRATION_CREATE_TABLE, NULL, "t");
    snapshot_read(store_shard(x.store, 0), "db", NULL, NULL, NULL, &seen);
    struct hlc h = last();
    const char *before = lines();
    snapshot_read(store_shard(x.store, 0), "db", NULL, write_more, NULL, &seen);
    cr_assert(hlc_eq(&seen.hlc, &h));
    cr_assert_str_eq(lines(), before);
    snapshot_read(store_shard(x.store, 0), "db", NULL, NULL, NULL, &seen);
    cr_assert_str_neq(lines(), before);
}

/* ---- tables that are gone */

Test(snapshot_reader, leaves_out_tables_that_are_gone_with_their_tombstones)
{
    migrate(MIGRATION_CREATE_TABLE, NULL, "dropped");
    put("main", "dropped", "[1]", "1");
    delete_row("main", "dropped", "[2]");
    put("main", "old_name", "[1]", "1");
    delete_row("main", "old_name", "[2]");
    put("main", "unknown", "[1]", "1");  /* no migration mentions it */
    put("other", "dropped", "[1]", "1"); /* another schema, another table */
    migrate(MIGRATION_DROP_TABLE, NULL, "dropped");
    migrate(MIGRATION_RENAME_TABLE, "old_name", "new_name");
    put("main", "new_name", "[3]", "3");
    const char *found = read_short(NULL);
    const char *tables = strstr(found, "table ");
    cr_assert_str_eq(tables, "table main unknown 1\n"
                             "cell main unknown [1] c 1\n"
                             "table main new_name 1\n"
                             "cell main new_name [3] c 3\n"
                             "table other dropped 1\n"
                             "cell other dropped [1] c 1\n");
    cr_assert(seen.table_count == 3 && seen.migration_count == 3);

    /* Made anew they are there again, with all that is stored of them. */
    migrate(MIGRATION_CREATE_TABLE, NULL, "dropped");
    migrate(MIGRATION_RENAME_TABLE, "new_name", "old_name");
    found = read_short(NULL);
    cr_assert_not_null(strstr(found, "cell main dropped [1] c 1\n"));
    cr_assert_not_null(strstr(found, "tombstone main dropped [2]\n"));
    cr_assert_not_null(strstr(found, "cell main old_name [1]"));
    cr_assert_not_null(strstr(found, "tombstone main old_name"));
    cr_assert_null(strstr(found, "cell main new_name"));
    cr_assert_eq(seen.table_count, 4);
}

Test(snapshot_reader, decides_by_the_migrations_clocks_not_by_their_arrival)
{
    put("main", "t", "[1]", "1");
    struct batch b = facts_batch();
    facts_migration(&b, facts_hlc(500, 0, 'a', 0), "t", MIGRATION_CREATE_TABLE, "7", "\"ddl\"");
    (void)fixture_apply(&x, "db", &b);
    migrate(MIGRATION_DROP_TABLE, NULL, "t"); /* arrives later, happened earlier */
    cr_assert_not_null(strstr(read_short(NULL), "cell main t [1] c 1\n"));
    clock_ms = 600;
    migrate(MIGRATION_DROP_TABLE, NULL, "t");
    cr_assert_null(strstr(read_short(NULL), "cell main t"));
}

Test(snapshot_reader, passes_over_many_gone_tables_at_either_end)
{
    static char names[40][8];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "t%02d", i);
        put("main", names[i], "[1]", "1");
        put("main", names[i], "[2]", "1");
        delete_row("main", names[i], "[3]");
        if (i / 10 % 2 == 0) migrate(MIGRATION_DROP_TABLE, NULL, names[i]);
    }
    (void)read_short(NULL);
    cr_assert(seen.tables == 20 && seen.table_count == 20 && seen.cells == 40 && seen.tombstones == 20);
    for (int i = 0; i < 40; i++)
        if (i / 10 % 2 == 1) migrate(MIGRATION_DROP_TABLE, NULL, names[i]);
    (void)read_short(NULL);
    cr_assert(seen.tables == 0 && seen.table_count == 0 && seen.cells == 0 && seen.tombstones == 0);
}

/* ---- resuming */

Test(snapshot_reader, that_resumes_leaves_out_what_is_complete)
{
    put("main", "t", "[1]", "1");
    put("main", "u", "[1]", "1");
    put("main", "v", "[1]", "1");
    delete_row("main", "t", "[2]");
    struct hlc h = last();
    struct slice completed[] = {slice_str("main.nowhere"), slice_str("main.t"), slice_str("main.v")};
    struct checkpoint c = checkpoint_at(h, completed, 3);
    put("main", "u", "[3]", "3");
    cr_assert_str_eq(read_short(&c), "table main u 2\n"
                                     "cell main u [1] c 1\n"
                                     "cell main u [3] c 3\n"
                                     "tombstone main t [2]\n");
    cr_assert_str_eq(seen.id, "first");
    cr_assert(hlc_eq(&seen.hlc, &h) && site_id_eq(&seen.site, &c.site));
    cr_assert_eq(seen.table_count, 3);
    cr_assert_eq(seen.total_entries, 102, "with those before");
}

Test(snapshot_reader, that_resumes_sends_no_tombstone_from_above_its_stamp)
{
    put("main", "t", "[1]", "1");
    put("main", "t", "[2]", "1");
    delete_row("main", "t", "[1]");
    struct checkpoint c = checkpoint_at(last(), NULL, 0);
    delete_row("main", "t", "[2]");
    cr_assert_str_eq(read_short(&c), "tombstone main t [1]\n", "the other one comes by the delta");
    cr_assert_eq(seen.table_count, 0);
    (void)read_short(NULL);
    cr_assert_eq(seen.tombstones, 2);
}

Test(snapshot_reader, tells_tables_of_one_name_in_a_checkpoint_apart_by_sending_both)
{
    put("a", "b.c", "[1]", "1");
    put("a.b", "c", "[2]", "2");
    put("x", "y.z", "[3]", "3"); /* its namesake x.y + z never was */
    put("p", "q.r", "[4]", "4");
    put("p.q", "r", "[5]", "5");
    struct slice completed[] = {slice_str("a.b.c"), slice_str("p.q.r"), slice_str("x.y.z")};
    struct checkpoint c = checkpoint_at(last(), completed, 3);
    /* A namesake whose rows all went since may be the one that was complete. */
    delete_row("p.q", "r", "[5]");
    cr_assert_str_eq(read_short(&c), "table a b.c 1\n"
                                     "cell a b.c [1] c 1\n"
                                     "table a.b c 1\n"
                                     "cell a.b c [2] c 2\n"
                                     "table p q.r 1\n"
                                     "cell p q.r [4] c 4\n");
}

Test(snapshot_reader, sends_a_table_with_very_many_dots_again)
{
    put("main", "a.b.c.d.e.f.g.h.i.j.k", "[1]", "1");
    put("main", "a.b.c", "[1]", "1");
    struct slice completed[] = {slice_str("main.a.b.c"), slice_str("main.a.b.c.d.e.f.g.h.i.j.k")};
    struct checkpoint c = checkpoint_at(last(), completed, 2);
    cr_assert_str_eq(read_short(&c), "table main a.b.c.d.e.f.g.h.i.j.k 1\n"
                                     "cell main a.b.c.d.e.f.g.h.i.j.k [1] c 1\n");
}

static void prune_all(void)
{
    static const struct stamp no_floor = {.wall_ms = UINT64_MAX};
    struct prune_candidate *candidates;
    struct slice after;
    struct err_ctx ec;
    size_t count, gone;
    struct view *v = fixture_view(&x, "db");
    cr_assert_eq(prune_scan(v, slice_of(NULL, 0), UINT64_MAX, &no_floor, 100, &arena, &candidates, &count,
                            &after, &ec),
                 SYNC_OK);
    view_close(v);
    cr_assert_eq(shard_prune(store_shard(x.store, 0), slice_str("db"), candidates, count, &gone, &ec),
                 SYNC_OK);
    cr_assert_gt(gone, 0);
}

Test(snapshot_reader, begins_anew_where_a_checkpoint_cannot_be_honoured)
{
    static char long_id[SNAPSHOT_ID_TEXT_MAX + 1];
    struct slice completed[] = {slice_str("main.t")};
    memset(long_id, 'i', sizeof long_id);
    put("main", "t", "[1]", "1");
    struct hlc early = last();
    delete_row("main", "t", "[2]");
    struct hlc late = last();
    for (int i = 0; i < 7; i++) {
        struct checkpoint c = checkpoint_at(late, completed, 1);
        bool honoured = i == 0 || i == 5;
        switch (i) {
        case 1:
            c.hlc.site.bytes[3] ^= 1;
            break;                     /* of another server, or of this one before it was restored */
        case 2: c.hlc.op_seq++; break; /* of the future */
        case 3: c.hlc.wall_ms++; break;
        case 4: c.snapshot_id = slice_of(long_id, sizeof long_id); break;
        case 5: c.snapshot_id = slice_of(long_id, SNAPSHOT_ID_TEXT_MAX); break;
        case 6:
            prune_all(); /* with a stamp above this checkpoint's */
            c.hlc = early;
            break;
        default: break;
        }
        snapshot_read(store_shard(x.store, 0), "db", &c, NULL, NULL, &seen);
        bool resumed = strcmp(seen.id, "fresh") != 0;
        cr_assert_eq(resumed, honoured, "case %d", i);
        cr_assert_eq(seen.tables, honoured ? 0 : 1, "case %d", i);
        cr_assert(hlc_eq(&seen.hlc, honoured ? &c.hlc : &late), "case %d", i);
        cr_assert_eq(seen.total_entries, honoured ? 100 : 1);
        buf_deinit(&seen.lines);
    }
    struct checkpoint c = checkpoint_at(late, completed, 1);
    snapshot_read(store_shard(x.store, 0), "db", &c, NULL, NULL, &seen);
    buf_deinit(&seen.lines);
    cr_assert_str_eq(seen.id, "first", "at what was pruned, not below it");
}
