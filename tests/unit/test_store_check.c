/* Stores damaged in every kind of file at random places: what verify says of them, and what a repair brings
 * back. The seed is fixed; every failure prints the round that replays it. */
#include "storage/check/store_check.h"

#include "faults.h"
#include "random.h"
#include "random_batch.h"
#include "store_fixture.h"

#include "core/base/buf.h"
#include "core/facts/fact_key.h"
#include "storage/format_file.h"
#include "storage/leveldb/dir_copy.h"
#include "storage/leveldb/instance_internal.h"
#include "storage/leveldb/log_format.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512, BATCHES = 60, BATCH_FACTS = 20, BATCHES_MAX = 400 };

static struct store_fixture x;
static struct err_ctx ec;
static struct buf lines; /* what verify and repair said */

static void add_line(void *arg, const char *text)
{
    (void)arg;
    buf_put_str(&lines, text);
    buf_put_char(&lines, '\n');
}

static const struct check_report report = {.line = add_line};

static void setup(void)
{
    faults_skip_syncs();
    lines = buf_make(1 << 24);
    fixture_init(&x);
    x.config.write_buffer_bytes = 64 << 10;
    fixture_reopen(&x);
}

static void teardown(void)
{
    fixture_free(&x);
    buf_deinit(&lines);
}

TestSuite(store_check, .init = setup, .fini = teardown, .timeout = 120);

static const char *said(void)
{
    static char text[16384];
    snprintf(text, sizeof text, "%.*s", (int)(lines.len < 16000 ? lines.len : 16000),
             lines.len ? lines.bytes : "");
    return text;
}

static void close_store(void)
{
    store_close(x.store);
    x.store = NULL;
}

static uint64_t verify(void)
{
    uint64_t problems = 0;
    buf_clear(&lines);
    cr_assert_eq(store_verify(x.dir, &report, &problems, &ec), SYNC_OK, "%s", ec.text);
    return problems;
}

static void repair(const char *what)
{
    buf_clear(&lines);
    cr_assert_eq(store_repair(x.dir, &report, &ec), SYNC_OK, "%s: %s\n%s", what, ec.text, said());
    cr_assert_eq(verify(), 0, "%s:\n%s", what, said());
}

/* ---- files */

static void path_of(char ret[PATH_BYTES], const char *name)
{
    cr_assert_lt(snprintf(ret, PATH_BYTES, "%s/%s", x.dir, name), PATH_BYTES);
}

/* A file of the shard whose name has this part, the pick-th of them; empty when there is none. */
static void find_file(const char *part, uint64_t pick, char ret[PATH_BYTES])
{
    char shard[PATH_BYTES], names[64][64];
    size_t count = 0;
    ret[0] = '\0';
    path_of(shard, "shard-00");
    DIR *d = opendir(shard);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strstr(e->d_name, part) != NULL && count < 64)
            snprintf(names[count++], sizeof names[0], "%.60s", e->d_name);
    closedir(d);
    if (count > 0) snprintf(ret, PATH_BYTES, "%.400s/%.60s", shard, names[pick % count]);
}

static long size_of(const char *path)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return (long)st.st_size;
}

/* Overwrites bytes with others. The file is written anew: the copy that a test keeps shares it. */
static void damage(const char *path, long at, long len, uint64_t *seed)
{
    struct buf b = buf_make(1 << 26);
    char piece[4096];
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) buf_put(&b, piece, n);
    fclose(f);
    for (long i = at; i < at + len && i < (long)b.len; i++)
        b.bytes[i] = (char)(b.bytes[i] ^ (char)(1 + random_below(seed, 255)));
    unlink(path);
    f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(b.bytes, 1, b.len, f), b.len);
    fclose(f);
    buf_deinit(&b);
}

static void keep_store(bool restore)
{
    char command[3 * PATH_BYTES];
    snprintf(command, sizeof command, "rm -rf %s%s && cp -a %s%s %s%s", x.dir, restore ? "" : ".kept", x.dir,
             restore ? ".kept" : "", x.dir, restore ? "" : ".kept");
    cr_assert_eq(system(command), 0);
}

static void drop_kept(void)
{
    char command[PATH_BYTES];
    snprintf(command, sizeof command, "rm -rf %s.kept", x.dir);
    cr_assert_eq(system(command), 0);
}

/* ---- content */

/* Keys as messages have them, so that a fact's place can be found from the fact. */
static void rekey(struct batch *b)
{
    struct json_reader *json = json_reader_new(JSON_DEPTH_DEFAULT);
    for (size_t i = 0; i < b->fact_count; i++)
        cr_assert_eq(fact_key_make(json, &b->arena, &b->facts[i], &ec), SYNC_OK, "%s", ec.text);
    json_reader_free(json);
}

static const char *const databases[] = {"north", "south", "east"};

static void fill_randomly(uint64_t *seed)
{
    const struct site_id server = {.bytes = {9}};
    for (uint64_t epoch = 0; epoch < BATCHES; epoch++) {
        struct batch b = random_batch(seed, epoch, &server);
        rekey(&b);
        (void)fixture_apply(&x, databases[random_below(seed, 3)], &b);
    }
}

/* Each fact once: cell number `i` of table t, of batch `batch`. */
static void fill_once(uint32_t batch)
{
    static char pks[BATCHES_MAX * BATCH_FACTS][16], value[200];
    struct batch b = facts_batch();
    memset(value, '7', sizeof value - 1);
    for (uint32_t i = 0; i < BATCH_FACTS; i++) {
        char *pk = pks[batch * BATCH_FACTS + i];
        snprintf(pk, sizeof pks[0], "[%u]", batch * BATCH_FACTS + i);
        facts_cell(&b, facts_hlc(1000 + batch, 0, 'a', i), "t", pk, "c", value);
    }
    rekey(&b);
    (void)fixture_apply(&x, databases[0], &b);
}

/* Which of the cells of fill_once() are there, under whatever name the database has now. */
static size_t cells_there(bool there[BATCHES_MAX * BATCH_FACTS])
{
    char name[DATABASE_ID_MAX];
    size_t len = 0, count = 0;
    bool found;
    struct shard *sh = store_shard(x.store, 0);
    memset(there, 0, BATCHES_MAX * BATCH_FACTS * sizeof *there);
    for (;;) {
        struct view *v;
        struct log_cursor *c;
        struct log_entry e;
        cr_assert_eq(shard_next_database(sh, slice_of(name, len), name, &len, &found, &ec), SYNC_OK);
        if (!found) return count;
        cr_assert_eq(view_open(sh, slice_of(name, len), &v, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(log_cursor_open(v, NULL, &c, &ec), SYNC_OK, "%s", ec.text);
        for (;;) {
            cr_assert_eq(log_cursor_next(c, &e, &found, &ec), SYNC_OK, "%s", ec.text);
            if (!found) break;
            long i = strtol(e.fact.cell.pk.bytes + 1, NULL, 10);
            cr_assert(i >= 0 && i < BATCHES_MAX * BATCH_FACTS && !there[i]);
            there[i] = true;
            count++;
        }
        log_cursor_close(c);
        view_close(v);
    }
}

static struct site_id site_of(const char *database)
{
    struct view *v = fixture_view(&x, database);
    struct site_id site = view_database(v)->server_site;
    view_close(v);
    return site;
}

/* ---- tests */

Test(store_check, a_healthy_store_has_no_problems_and_is_left_as_it_is)
{
    struct arena arena = {0};
    uint64_t seed = 1;
    fill_randomly(&seed);
    const char *before = fixture_log(&x, "north", &arena);
    struct site_id site = site_of("north");
    close_store();
    cr_assert_eq(verify(), 0, "%s", said());
    cr_assert_not_null(strstr(said(), "shard-00: 3 databases, "), "%s", said());
    cr_assert_eq(store_repair(x.dir, &report, &ec), SYNC_OK);
    cr_assert_not_null(strstr(said(), "nothing to repair"));
    fixture_reopen(&x);
    cr_assert_str_eq(fixture_log(&x, "north", &arena), before);
    struct site_id after = site_of("north");
    cr_assert_eq(memcmp(&after, &site, sizeof site), 0);
    arena_deinit(&arena);
}

Test(store_check, a_store_in_use_and_no_store_are_told_from_damage)
{
    uint64_t problems;
    cr_assert_eq(store_verify(x.dir, &report, &problems, &ec), SYNC_ESTORE);
    cr_assert_not_null(strstr(ec.text, "in use by another process"), "%s", ec.text);
    cr_assert_eq(store_verify("/tmp/sync-no-such-store", &report, &problems, &ec), SYNC_ENOTFOUND);
    char name[] = "/tmp/sync-empty-XXXXXX";
    cr_assert_not_null(mkdtemp(name));
    cr_assert_eq(store_repair(name, &report, &ec), SYNC_ENOTFOUND, "%s", ec.text);
    rmdir(name);
}

Test(store_check, a_store_of_another_format_is_not_touched)
{
    char path[PATH_BYTES];
    uint64_t problems;
    struct format_file f = {.shards = 1};
    char text[FORMAT_FILE_BYTES_MAX];
    close_store();
    path_of(path, "FORMAT");
    (void)format_file_text(&f, text);
    char *digit = strstr(text, "\nformat ");
    cr_assert_not_null(digit);
    digit[8] = '9';
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
    cr_assert_eq(store_verify(x.dir, &report, &problems, &ec), SYNC_EFORMAT);
    cr_assert_eq(store_repair(x.dir, &report, &ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "format 9, this build reads"), "%s", ec.text);
    path_of(path, "lost-1");
    cr_assert_neq(access(path, F_OK), 0);
}

Test(store_check, a_repair_that_was_cut_off_keeps_the_server_away_until_it_is_run_again)
{
    char path[PATH_BYTES];
    fill_once(0);
    struct site_id before = site_of(databases[0]);
    close_store();
    path_of(path, STORE_REPAIRING_NAME);
    fclose(fopen(path, "wb"));
    cr_assert_eq(store_open(&x.config, &x.store, &ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "repair"), "%s", ec.text);
    cr_assert_gt(verify(), 0);
    repair("again");
    fixture_reopen(&x);
    struct site_id after = site_of(databases[0]);
    cr_assert_neq(memcmp(&after, &before, sizeof before), 0, "nobody knows what the first one had done");
}

/* ---- entries that do not agree */

/* Takes one key of this kind away, or spoils its value, or keeps it. Returns how many there were. */
static uint64_t tamper(enum key_kind kind, uint64_t pick, bool remove)
{
    char shard[PATH_BYTES];
    struct instance *in;
    struct reader *r;
    struct scan *s;
    struct key key = {0};
    struct slice k, v;
    struct buf value = buf_make(1 << 20);
    bool found;
    uint64_t count = 0;
    leveldb_options_t *options = leveldb_options_create();
    path_of(shard, "shard-00");
    cr_assert_eq(instance_open(shard, options, false, &in, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(reader_open(in, &r, &ec), SYNC_OK);
    cr_assert_eq(scan_open(r, slice_str(""), false, &s, &ec), SYNC_OK);
    while (scan_next(s, &found, &k, &v, &ec) == SYNC_OK && found) {
        if ((uint8_t)k.bytes[KEY_HEAD_BYTES - 1] != (uint8_t)kind) continue;
        if (count++ != pick) continue;
        memcpy(key.bytes, k.bytes, k.len);
        key.len = (uint32_t)k.len;
        buf_put_slice(&value, v);
    }
    scan_close(s);
    reader_close(r);
    if (key.len > 0) {
        leveldb_writebatch_t *batch = leveldb_writebatch_create();
        if (remove)
            leveldb_writebatch_delete(batch, (const char *)key.bytes, key.len);
        else
            leveldb_writebatch_put(batch, (const char *)key.bytes, key.len, value.bytes, value.len / 2);
        cr_assert_eq(instance_write(in, batch, false, &ec), SYNC_OK);
        leveldb_writebatch_destroy(batch);
    }
    instance_close(in);
    leveldb_options_destroy(options);
    buf_deinit(&value);
    return count;
}

static const char *all_facts(struct arena *arena)
{
    struct buf b = buf_make(1 << 26);
    for (size_t i = 0; i < 3; i++) {
        buf_put_str(&b, fixture_log(&x, databases[i], arena));
        for (int type = FACT_CELL; type <= FACT_MIGRATION; type++)
            buf_put_str(&b, fixture_facts(&x, databases[i], (enum fact_type)type, arena));
    }
    buf_put_char(&b, '\0');
    const char *text = arena_copy(arena, buf_slice(&b)).bytes;
    buf_deinit(&b);
    return text;
}

Test(store_check, an_entry_that_is_gone_or_spoiled_is_made_again_from_its_other_half)
{
    static const enum key_kind kinds[] = {KEY_CELL, KEY_TOMBSTONE, KEY_MIGRATION, KEY_MIGRATION_INDEX,
                                          KEY_LOG,  KEY_COUNTER};
    struct arena arena = {0};
    uint64_t seed = 7;
    size_t whole = 0, rounds = 0;
    fill_randomly(&seed);
    const char *before = all_facts(&arena);
    close_store();
    keep_store(false);
    for (size_t i = 0; i < 6; i++) {
        for (int n = 0; n < 4; n++, rounds++) {
            char what[64];
            keep_store(true);
            bool remove = n % 2 == 0;
            uint64_t count = tamper(kinds[i], UINT64_MAX, remove);
            cr_assert_gt(count, 0, "none of kind %c", kinds[i]);
            (void)tamper(kinds[i], random_below(&seed, count), remove);
            snprintf(what, sizeof what, "kind %c, round %d", kinds[i], n);
            cr_assert_gt(verify(), 0, "%s", what);
            repair(what);
            fixture_reopen(&x);
            /* Large facts have no second body; all others must be as they were. */
            bool same = strcmp(all_facts(&arena), before) == 0;
            if (kinds[i] != KEY_CELL && kinds[i] != KEY_TOMBSTONE && kinds[i] != KEY_MIGRATION)
                cr_assert(same, "%s", what);
            whole += same;
            close_store();
        }
    }
    cr_assert_geq(whole, rounds - 8, "%zu of %zu came back whole", whole, rounds);
    drop_kept();
    arena_deinit(&arena);
}

Test(store_check, facts_whose_database_lost_its_name_are_kept_under_another)
{
    bool there[BATCHES_MAX * BATCH_FACTS];
    for (uint32_t i = 0; i < 3; i++) fill_once(i);
    close_store();
    (void)tamper(KEY_DATABASE, 0, true);
    cr_assert_gt(verify(), 0);
    repair("record gone");
    fixture_reopen(&x);
    cr_assert_eq(cells_there(there), 3 * BATCH_FACTS);
    struct view *v = fixture_view(&x, "recovered-0-1-0");
    cr_assert(view_database(v)->exists);
    view_close(v);
    fill_once(3); /* the name begins anew, with another number */
    cr_assert_eq(cells_there(there), 4 * BATCH_FACTS);
}

/* ---- bytes that are not what was written */

Test(store_check, a_damaged_log_loses_the_batches_that_were_hit_and_no_other)
{
    static long ends[BATCHES_MAX + 1];
    bool there[BATCHES_MAX * BATCH_FACTS];
    char log[PATH_BYTES];
    uint64_t seed = 11;
    x.config.write_buffer_bytes = 64 << 20;
    fixture_reopen(&x);
    for (uint32_t i = 0; i < BATCHES; i++) {
        fill_once(i);
        find_file(".log", 0, log);
        ends[i + 1] = size_of(log);
    }
    close_store();
    keep_store(false);
    for (int round = 0; round < 15; round++) {
        char what[96];
        keep_store(true);
        long at = (long)random_below(&seed, (uint64_t)ends[BATCHES - 1]);
        long len = 1 + (long)random_below(&seed, 200);
        snprintf(what, sizeof what, "round %d: %ld bytes at %ld", round, len, at);
        damage(log, at, len, &seed);
        cr_assert_eq(store_open(&x.config, &x.store, &ec), SYNC_EFORMAT, "%s", what);
        cr_assert_gt(verify(), 0, "%s", what);
        repair(what);
        fixture_reopen(&x);
        (void)cells_there(there);
        for (uint32_t b = 0; b < BATCHES; b++) {
            /* A record may stand in several pieces; those in a damaged stretch are one batch, or a few. */
            bool hit = at < ends[b + 1] && at + len > ends[b];
            for (uint32_t i = 0; i < BATCH_FACTS && !hit; i++)
                cr_assert(there[b * BATCH_FACTS + i], "%s: batch %u", what, b);
        }
        close_store();
    }
    drop_kept();
}

Test(store_check, a_damaged_block_of_a_table_loses_no_small_fact)
{
    bool there[BATCHES_MAX * BATCH_FACTS];
    char table[PATH_BYTES];
    uint64_t seed = 13;
    for (uint32_t i = 0; i < BATCHES_MAX / 2; i++) fill_once(i);
    close_store();
    fixture_reopen(&x); /* what the log held becomes a table */
    struct site_id before = site_of(databases[0]);
    close_store();
    keep_store(false);
    int found_count = 0;
    for (int round = 0; round < 8; round++) {
        char what[600];
        keep_store(true);
        find_file(".ldb", random_below(&seed, 64), table);
        cr_assert_neq(table[0], '\0');
        /* Blocks come first, then filter, index and footer, without which the whole table is lost. */
        long at = (long)random_below(&seed, (uint64_t)size_of(table) / 2);
        snprintf(what, sizeof what, "round %d: %.400s at %ld", round, table, at);
        damage(table, at, 20, &seed);
        if (verify() == 0) continue; /* bytes that nothing reads any more */
        found_count++;
        repair(what);
        fixture_reopen(&x);
        cr_assert_eq(cells_there(there), BATCHES_MAX / 2 * BATCH_FACTS, "%s", what);
        struct site_id after = site_of(databases[0]);
        cr_assert_neq(memcmp(&after, &before, sizeof before), 0, "%s", what);
        close_store();
    }
    cr_assert_gt(found_count, 4);
    drop_kept();
}

/* Whatever is damaged and however: verify finds it or nothing is lost, and a repair brings a store that
 * serves, with nothing in it that was not written. */
Test(store_check, every_kind_of_file_can_be_damaged)
{
    static const char *const kinds[] = {".ldb", ".log", "MANIFEST", "CURRENT", "FORMAT"};
    bool there[BATCHES_MAX * BATCH_FACTS];
    char path[PATH_BYTES], copy[PATH_BYTES];
    uint64_t seed = 17;
    for (uint32_t i = 0; i < BATCHES; i++) fill_once(i);
    close_store();
    keep_store(false);
    for (int round = 0; round < 30; round++) {
        const char *kind = kinds[round % 5];
        char what[600];
        keep_store(true);
        if (strcmp(kind, "FORMAT") == 0)
            path_of(path, kind);
        else
            find_file(kind, random_below(&seed, 64), path);
        cr_assert_neq(path[0], '\0', "no %s", kind);
        long way = (long)random_below(&seed, 3);
        long size = size_of(path);
        long at = (long)random_below(&seed, (uint64_t)(size > 0 ? size : 1));
        snprintf(what, sizeof what, "round %d: %.400s, way %ld at %ld", round, path, way, at);
        if (way == 0)
            unlink(path);
        else if (way == 1)
            cr_assert_eq(truncate(path, at), 0);
        else
            damage(path, at, 1 + (long)random_below(&seed, 100), &seed);
        bool found = verify() > 0;
        repair(what);
        fixture_reopen(&x);
        size_t count = cells_there(there);
        /* What LevelDB takes for the end of a log (a torn one) is lost without being damage. */
        if (!found && strcmp(kind, ".log") != 0) cr_assert_eq(count, BATCHES * BATCH_FACTS, "%s", what);
        if (strcmp(kind, "MANIFEST") == 0 || strcmp(kind, "CURRENT") == 0 || strcmp(kind, "FORMAT") == 0)
            cr_assert_geq(count, (BATCHES - 1) * BATCH_FACTS, "%s: %zu", what, count);
        struct batch b = facts_batch();
        facts_cell(&b, facts_hlc(9000, 0, 'z', 0), "u", "[7999]", "c", "1");
        rekey(&b);
        cr_assert_eq(fixture_apply(&x, "new", &b).applied, 1, "%s", what);
        close_store();
        path_of(copy, "lost-1");
        cr_assert(!found || access(copy, F_OK) == 0, "%s: no copy", what);
    }
    drop_kept();
}

Test(store_check, a_shard_that_is_missing_begins_anew_and_its_clients_know_it)
{
    char path[PATH_BYTES], name[PATH_BYTES];
    uint64_t there = 0;
    struct site_id before[8], after;
    fixture_free(&x);
    fixture_init(&x);
    store_close(x.store);
    x.store = NULL;
    fixture_remove_dir(x.dir);
    x.config.shards = 2;
    fixture_reopen(&x);
    for (int i = 0; i < 8; i++) {
        struct batch b = facts_batch();
        snprintf(name, sizeof name, "db%d", i);
        facts_cell(&b, facts_hlc(1, 0, 'a', 0), "t", "[1]", "c", "1");
        rekey(&b);
        (void)fixture_apply(&x, name, &b);
        before[i] = site_of(name);
    }
    close_store();
    path_of(path, "shard-01");
    cr_assert_eq(dir_remove(path, &ec), SYNC_OK);
    cr_assert_eq(store_open(&x.config, &x.store, &ec), SYNC_EFORMAT);
    cr_assert_eq(verify(), 1, "%s", said());
    cr_assert_not_null(strstr(said(), "shard-01 is missing"));
    repair("shard missing");
    fixture_reopen(&x);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "db%d", i);
        struct view *v = fixture_view(&x, name);
        bool lost = store_shard_of(x.store, slice_str(name)) == 1;
        after = view_database(v)->server_site;
        cr_assert_eq(view_database(v)->exists, !lost, "%s", name);
        cr_assert_eq(memcmp(&after, &before[i], sizeof after) != 0, lost, "%s", name);
        there += !lost;
        view_close(v);
    }
    cr_assert(there > 0 && there < 8);
}
