/* A database that is brought in from the facts that were current, and those that came after, must be byte for
 * byte the database that they were read from. Histories are random, with deletes, migrations, long values and
 * pruning; what LevelDB holds is compared, keys and values. */
#include "storage/shard/shard_import.h"

#include "core/base/buf.h"
#include "faults.h"
#include "random.h"
#include "random_batch.h"
#include "store_fixture.h"

#include "storage/leveldb/instance.h"
#include "storage/shard/shard_internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS = 150, ENTRIES_MAX = 100000, IMPORT_STEP = 7 };

/* What was carried away, in the order of stamps. */
struct moved {
    struct moved_entry *entries;
    size_t count;
    struct arena arena;
};

static struct slice keep(struct moved *m, struct slice s)
{
    struct slice copy = arena_copy(&m->arena, s);
    cr_assert(copy.bytes != NULL || s.len == 0);
    return copy;
}

static void carry(struct moved *m, const struct fact *f, const struct stamp *s, uint64_t created_ms)
{
    struct fact c = *f;
    cr_assert_lt(m->count, ENTRIES_MAX);
    c.schema = keep(m, f->schema);
    c.table = keep(m, f->table);
    c.key = keep(m, f->key);
    switch (f->type) {
    case FACT_CELL:
        c.cell.column = keep(m, f->cell.column);
        c.cell.pk = keep(m, f->cell.pk);
        c.cell.value = keep(m, f->cell.value);
        if (f->cell.has_prior) c.cell.prior_value = keep(m, f->cell.prior_value);
        break;
    case FACT_DELETE:
        c.del.pk = keep(m, f->del.pk);
        if (f->del.has_prior_row) c.del.prior_row = keep(m, f->del.prior_row);
        break;
    case FACT_MIGRATION:
        c.migration.ddl = keep(m, f->migration.ddl);
        c.migration.schema_version = keep(m, f->migration.schema_version);
        if (f->migration.has_from_table) c.migration.from_table = keep(m, f->migration.from_table);
        break;
    }
    m->entries[m->count++] = (struct moved_entry){.stamp = *s, .fact = c, .created_ms = created_ms};
}

static int by_stamp(const void *x, const void *y)
{
    return stamp_cmp(&((const struct moved_entry *)x)->stamp, &((const struct moved_entry *)y)->stamp);
}

/* Carries away what is current behind `after`, as a snapshot (from nothing) or the shared log does. */
static void carry_current(struct moved *m, struct store_fixture *x, const struct stamp *after)
{
    struct view *v = fixture_view(x, "one");
    size_t first = m->count;
    for (int type = FACT_CELL; type <= FACT_MIGRATION; type++) {
        struct fact_cursor *c;
        struct stored_entry e;
        struct err_ctx ec;
        bool found;
        cr_assert_eq(fact_cursor_open(v, (enum fact_type)type, slice_of(NULL, 0), &c, &ec), SYNC_OK);
        for (;;) {
            cr_assert_eq(fact_cursor_next(c, &e, &found, &ec), SYNC_OK, "%s", ec.text);
            if (!found) break;
            if (stamp_cmp(&e.stamp, after) > 0) carry(m, &e.fact, &e.stamp, e.created_ms);
        }
        fact_cursor_close(c);
    }
    view_close(v);
    qsort(m->entries + first, m->count - first, sizeof *m->entries, by_stamp);
}

/* All keys and values of a database, its number left out. */
static char *dump(struct store_fixture *x, const char *name)
{
    struct shard *sh = store_shard(x->store, 0);
    struct buf out = buf_make(1 << 28);
    struct view *v = fixture_view(x, name);
    const struct database_info *info = view_database(v);
    struct group g;
    struct database *d;
    struct err_ctx ec;
    struct key prefix;
    struct reader *reader;
    struct scan *scan;
    buf_printf(&out, "last %lu %u %u pruned %lu %u %u\n", (unsigned long)info->last.wall_ms,
               info->last.counter, info->last.op_seq, (unsigned long)info->pruned.wall_ms,
               info->pruned.counter, info->pruned.op_seq);
    view_close(v);
    cr_assert_eq(group_begin(&g, sh, &ec), SYNC_OK);
    cr_assert_eq(group_database(&g, slice_str(name), &d, &ec), SYNC_OK);
    key_database_prefix(d->record.number, &prefix);
    group_end(&g);
    cr_assert_eq(reader_open(sh->instance, &reader, &ec), SYNC_OK);
    cr_assert_eq(scan_open(reader, key_slice(&prefix), false, &scan, &ec), SYNC_OK);
    for (;;) {
        struct slice parts[2];
        bool found;
        cr_assert_eq(scan_next(scan, &found, &parts[0], &parts[1], &ec), SYNC_OK, "%s", ec.text);
        if (!found) break;
        parts[0] = slice_of(parts[0].bytes + 4, parts[0].len - 4);
        for (size_t p = 0; p < 2; p++) {
            for (size_t i = 0; i < parts[p].len; i++) buf_printf(&out, "%02x", (uint8_t)parts[p].bytes[i]);
            buf_put_char(&out, p == 0 ? ' ' : '\n');
        }
    }
    scan_close(scan);
    reader_close(reader);
    buf_put_char(&out, '\0');
    size_t len;
    cr_assert_eq(buf_check(&out, &ec), SYNC_OK);
    return buf_take(&out, &len);
}

static void expect_busy(struct store_fixture *x, const char *name)
{
    struct err_ctx ec;
    struct view *v;
    char found_name[DATABASE_ID_MAX];
    size_t len;
    bool found;
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(UINT32_MAX, 0, 'x', 0), "t", "[1]", "c", "1");
    struct apply_request r = {.database = slice_str(name), .batch = &b};
    cr_assert_eq(view_open(store_shard(x->store, 0), slice_str(name), &v, &ec), SYNC_EBUSY);
    shard_apply(store_shard(x->store, 0), &r);
    cr_assert_eq(r.rc, SYNC_EBUSY, "%s", r.ec.text);
    batch_deinit(&b);
    cr_assert_eq(
        shard_next_unfinished(store_shard(x->store, 0), slice_of(NULL, 0), found_name, &len, &found, &ec),
        SYNC_OK);
    cr_assert(found && slice_is(slice_of(found_name, len), name));
}

static void remove_all(struct store_fixture *x, const char *name)
{
    struct err_ctx ec;
    bool gone = false;
    while (!gone) {
        cr_assert_eq(shard_remove_step(store_shard(x->store, 0), slice_str(name), 50, &gone, &ec), SYNC_OK,
                     "%s", ec.text);
        if (!gone) expect_busy(x, name);
    }
}

/* Brings `two` in from what was carried away; at times gives up half way, as a crash does, and begins
 * anew. */
static void bring_in(struct store_fixture *x, const struct moved *m, uint64_t *seed)
{
    struct shard *sh = store_shard(x->store, 0);
    struct slice two = slice_str("two");
    static const struct stamp pruned;
    struct view *v = fixture_view(x, "one");
    struct import_record record = {.server_site = view_database(v)->server_site,
                                   .last = view_database(v)->last,
                                   .pruned = view_database(v)->pruned};
    struct err_ctx ec;
    view_close(v);
    size_t give_up = random_below(seed, 2) == 0 ? random_below(seed, m->count + 1) : SIZE_MAX;
    cr_assert_eq(shard_import_begin(sh, two, &ec), SYNC_OK, "%s", ec.text);
    for (size_t i = 0; i < m->count;) {
        size_t count = m->count - i < IMPORT_STEP ? m->count - i : IMPORT_STEP;
        cr_assert_eq(shard_import_entries(sh, two, m->entries + i, count, &pruned, &ec), SYNC_OK, "%s",
                     ec.text);
        i += count;
        if (i < give_up) continue;
        give_up = SIZE_MAX;
        fixture_reopen(x);
        sh = store_shard(x->store, 0);
        expect_busy(x, "two");
        remove_all(x, "two");
        cr_assert_eq(shard_import_begin(sh, two, &ec), SYNC_OK, "%s", ec.text);
        i = 0;
    }
    expect_busy(x, "two");
    cr_assert_eq(shard_import_finish(sh, two, &record, &ec), SYNC_OK, "%s", ec.text);
}

/* hold_bytes: what is counted as LevelDB's write buffer when an import holds facts back. */
static void run_seed(uint64_t seed, bool allow_resurrection, size_t hold_bytes)
{
    struct store_fixture x;
    struct moved m = {.entries = malloc(ENTRIES_MAX * sizeof *m.entries)};
    struct stamp position = {0};
    struct err_ctx ec;
    size_t snapshot_at = 20 + random_below(&seed, GROUPS - 40);
    cr_assert(m.entries != NULL);
    faults_skip_syncs();
    fixture_init(&x);
    x.config.write_buffer_bytes = 64 << 10;
    x.config.allow_resurrection = allow_resurrection;
    fixture_reopen(&x);
    for (size_t i = 0; i < GROUPS; i++) {
        struct view *v = fixture_view(&x, "one");
        struct site_id site = view_database(v)->server_site;
        view_close(v);
        struct batch b = random_batch(&seed, i, &site);
        struct apply_request r = {.database = slice_str("one"), .batch = &b, .now_ms = 1000 + i};
        shard_apply(store_shard(x.store, 0), &r);
        cr_assert_eq(r.rc, SYNC_OK, "%s", r.ec.text);
        batch_deinit(&b);
        if (i == snapshot_at / 2) { /* before the snapshot: what is pruned later would come back with it */
            struct arena arena = {0};
            struct prune_candidate *candidates;
            struct slice after;
            size_t count, gone;
            v = fixture_view(&x, "one");
            cr_assert_eq(prune_scan(v, slice_of(NULL, 0), 990 + i, &view_database(v)->last, 1000, &arena,
                                    &candidates, &count, &after, &ec),
                         SYNC_OK);
            view_close(v);
            cr_assert_eq(
                shard_prune(store_shard(x.store, 0), slice_str("one"), candidates, count, &gone, &ec),
                SYNC_OK);
            arena_deinit(&arena);
        }
        if (i < snapshot_at || (i > snapshot_at && random_below(&seed, 3) > 0)) continue;
        carry_current(&m, &x, &position);
        v = fixture_view(&x, "one");
        position = view_database(v)->last;
        view_close(v);
    }
    carry_current(&m, &x, &position);
    cr_assert_gt(m.count, 100);
    x.config.write_buffer_bytes = hold_bytes; /* LevelDB takes 64 KiB for less */
    fixture_reopen(&x);
    bring_in(&x, &m, &seed);
    char *one = dump(&x, "one"), *two = dump(&x, "two");
    cr_assert_gt(strlen(one), 10000);
    size_t i = 0;
    while (one[i] == two[i] && one[i] != '\0') i++;
    while (i > 0 && one[i] != '\0' && one[i - 1] != '\n') i--;
    cr_assert(one[i] == two[i], "differs:\n%.300s\n%.300s", one + i, two + i);
    free(one);
    free(two);
    fixture_free(&x);
    arena_deinit(&m.arena);
    free(m.entries);
}

Test(shard_import, what_was_current_in_the_order_of_stamps_makes_the_same_database, .timeout = 300)
{
    static const size_t hold_bytes[] = {1, 2000, 20000, 4 << 20}; /* all at once, in parts, all in the end */
    for (uint64_t seed = 1; seed <= 8; seed++) run_seed(seed, seed % 2 == 0, hold_bytes[seed / 2 % 4]);
}

Test(shard_import, what_cannot_be_is_refused)
{
    struct store_fixture x;
    struct err_ctx ec;
    bool leaving, gone;
    fixture_init(&x);
    struct shard *sh = store_shard(x.store, 0);
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(5, 0, 'a', 0), "t", "[1]", "c", "1");
    struct moved_entry e = {.stamp = {.wall_ms = 7}, .fact = b.facts[0]};
    struct moved_entry twice[] = {e, e};
    struct import_record record = {0};
    static const struct stamp none;
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_EFORMAT);
    cr_assert_eq(shard_import_finish(sh, slice_str("a"), &record, &ec), SYNC_EFORMAT);
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_OK);
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_EBUSY);
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), twice, 2, &none, &ec), SYNC_EFORMAT,
                 "one stamp twice");
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_EFORMAT,
                 "after a failure it begins anew");
    cr_assert_eq(shard_import_finish(sh, slice_str("a"), &record, &ec), SYNC_EFORMAT);
    remove_all(&x, "a");
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_OK);
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_OK,
                 "nothing of that was kept");
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_EFORMAT,
                 "not above the last");
    remove_all(&x, "a");
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_OK);
    shard_import_forget(sh, slice_str("a"));
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_EFORMAT, "given up");
    shard_import_forget(sh, slice_str("a"));
    shard_import_forget(sh, slice_str("made up"));
    remove_all(&x, "a");
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_OK);
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_OK);
    cr_assert_eq(shard_leave(sh, slice_str("a"), &e.stamp, &leaving, &ec), SYNC_OK);
    cr_assert(!leaving, "it is not live yet");
    cr_assert_eq(shard_import_finish(sh, slice_str("a"), &record, &ec), SYNC_OK);
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), &e, 1, &none, &ec), SYNC_EFORMAT, "it is live");
    cr_assert_eq(shard_remove_step(sh, slice_str("a"), 10, &gone, &ec), SYNC_EBUSY);
    struct stamp earlier = {.wall_ms = 6};
    cr_assert_eq(shard_leave(sh, slice_str("a"), &earlier, &leaving, &ec), SYNC_OK);
    cr_assert(!leaving, "a fact has come since");
    cr_assert_eq(shard_leave(sh, slice_str("a"), &e.stamp, &leaving, &ec), SYNC_OK);
    cr_assert(leaving);
    remove_all(&x, "a");
    struct view *v = fixture_view(&x, "a");
    cr_assert_not(view_database(v)->exists);
    view_close(v);
    batch_deinit(&b);
    fixture_free(&x);
}

Test(shard_import, a_site_is_asked_once_and_only_where_something_may_be_missing)
{
    struct store_fixture x;
    struct err_ctx ec;
    struct site_id a = {{1}}, other = {{2}};
    struct import_record record = {.asks = true};
    bool asked;
    fixture_init(&x);
    struct shard *sh = store_shard(x.store, 0);
    cr_assert_eq(shard_import_begin(sh, slice_str("db"), &ec), SYNC_OK);
    cr_assert_eq(shard_import_finish(sh, slice_str("db"), &record, &ec), SYNC_OK);
    for (int i = 0; i < 2; i++) cr_assert_eq(shard_site_asked(sh, slice_str("db"), &a, &ec), SYNC_OK);
    fixture_reopen(&x);
    struct view *v = fixture_view(&x, "db");
    cr_assert(view_database(v)->asks);
    cr_assert_eq(view_site_was_asked(v, &a, &asked, &ec), SYNC_OK);
    cr_assert(asked);
    cr_assert_eq(view_site_was_asked(v, &other, &asked, &ec), SYNC_OK);
    cr_assert_not(asked);
    view_close(v);
    cr_assert_eq(shard_site_asked(store_shard(x.store, 0), slice_str("new"), &a, &ec), SYNC_OK);
    v = fixture_view(&x, "new");
    cr_assert_not(view_database(v)->exists, "noting a site begins no database");
    view_close(v);
    fixture_free(&x);
}

Test(shard_import, a_cell_that_came_after_its_rows_tombstone_was_removed_takes_it_along)
{
    struct store_fixture x;
    struct arena arena = {0};
    struct err_ctx ec;
    struct import_record record = {0};
    static const struct stamp none;
    struct batch b = facts_batch();
    facts_delete(&b, facts_hlc(5, 0, 'a', 0), "t", "[1]", NULL);
    facts_delete(&b, facts_hlc(5, 0, 'a', 1), "t", "[2]", NULL);
    facts_cell(&b, facts_hlc(6, 0, 'a', 0), "t", "[1]", "c", "1");
    struct moved_entry e[3];
    for (size_t i = 0; i < 3; i++)
        e[i] = (struct moved_entry){.stamp = {.wall_ms = 10 + i}, .fact = b.facts[i]};
    fixture_init(&x);
    struct shard *sh = store_shard(x.store, 0);
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_OK);
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), e, 2, &none, &ec), SYNC_OK);
    cr_assert_eq(shard_import_entries(sh, slice_str("a"), e + 2, 1, &e[0].stamp, &ec), SYNC_OK);
    cr_assert_eq(shard_import_finish(sh, slice_str("a"), &record, &ec), SYNC_OK);
    cr_assert_str_eq(fixture_log(&x, "a", &arena), "delete t [2]\ncell t [1] c = 1\n");
    arena_deinit(&arena);
    batch_deinit(&b);
    fixture_free(&x);
}

/* One of its writes fails, before or after it reached the disk: the import says so, frees what it held back,
 * and once the database is removed a second one makes the same database. */
static bool fail_once(enum fault kind, long nth)
{
    struct store_fixture x;
    struct arena arena = {0};
    struct err_ctx ec;
    struct import_record record = {0};
    static const struct stamp none;
    enum { COUNT = 40 };
    struct batch b = facts_batch();
    struct moved_entry e[COUNT];
    char pk[16];
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(pk, sizeof pk, "[%u]", i);
        facts_cell(&b, facts_hlc(5, (uint16_t)i, 'a', 0), "t", pk, "c", "1");
    }
    for (unsigned i = 0; i < COUNT; i++)
        e[i] = (struct moved_entry){.stamp = {.wall_ms = 10 + i}, .fact = b.facts[i]};
    faults_skip_syncs();
    fixture_init(&x);
    x.config.write_buffer_bytes = 1000; /* some writes of two parts */
    fixture_reopen(&x);
    struct shard *sh = store_shard(x.store, 0);
    cr_assert_eq(shard_import_begin(sh, slice_str("a"), &ec), SYNC_OK);
    faults_arm(kind, nth, 1);
    enum sync_err rc = SYNC_OK;
    for (size_t i = 0; i < COUNT && rc == SYNC_OK; i += 4)
        rc = shard_import_entries(sh, slice_str("a"), e + i, 4, &none, &ec);
    if (rc == SYNC_OK) rc = shard_import_finish(sh, slice_str("a"), &record, &ec);
    bool failed = faults_disarm();
    /* What only saves time, as the row filter does, may be short of memory. */
    bool tolerated = kind == FAULT_ALLOC && rc == SYNC_OK;
    cr_assert(tolerated || (rc == SYNC_OK) == !failed, "kind %d, %ld", (int)kind, nth);
    struct slice name = slice_str("a");
    enum database_state state = DATABASE_RESTORING;
    bool exists;
    cr_assert_eq(shard_database_state(sh, name, &exists, &state, &ec), SYNC_OK, "%s", ec.text);
    if (rc != SYNC_OK &&
        state == DATABASE_RESTORING) { /* else it is the last one that failed, after it was there */
        cr_assert_eq(shard_import_entries(sh, name, e, 4, &none, &ec), SYNC_EFORMAT);
        cr_assert_eq(shard_import_finish(sh, name, &record, &ec), SYNC_EFORMAT);
        remove_all(&x, "a");
        cr_assert_eq(shard_import_begin(sh, name, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(shard_import_entries(sh, name, e, COUNT, &none, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(shard_import_finish(sh, name, &record, &ec), SYNC_OK, "%s", ec.text);
    }
    const char *log = fixture_log(&x, "a", &arena);
    size_t lines = 0;
    for (const char *at = log; *at != '\0'; at++) lines += *at == '\n';
    cr_assert_eq(lines, COUNT, "kind %d, %ld:\n%s", (int)kind, nth, log);
    arena_deinit(&arena);
    batch_deinit(&b);
    fixture_free(&x);
    return failed;
}

Test(shard_import, after_a_failed_write_it_is_begun_again_from_nothing, .timeout = 300)
{
    static const enum fault kinds[] = {FAULT_DB_WRITE, FAULT_DB_WRITE_LATE, FAULT_ALLOC};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        long nth = 1;
        while (fail_once(kinds[k], nth)) nth++;
        cr_assert_gt(nth, 3, "kind %d failed %ld times", (int)kinds[k], nth - 1);
    }
}
