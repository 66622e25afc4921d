#include "storage/store.h"

#include "store_fixture.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

TestSuite(store, .init = setup, .fini = teardown);

static void put(const char *db)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(1, 0, 'a', 0), "t", "[1]", "c", "1");
    fixture_apply(&x, db, &b);
}

static size_t entries_in(const char *path)
{
    size_t count = 0;
    DIR *d = opendir(path);
    cr_assert_not_null(d);
    while (readdir(d) != NULL) count++;
    closedir(d);
    return count;
}

static void write_format(const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/FORMAT", x.dir);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static enum sync_err try_open(struct err_ctx *ec)
{
    struct store *s = NULL;
    enum sync_err rc = store_open(&x.config, &s, ec);
    store_close(s);
    return rc;
}

Test(store, keeps_everything_when_it_is_opened_again)
{
    put("one");
    put("two");
    uint32_t shards = store_shard_count(x.store);
    x.config.shards = 7;
    fixture_reopen(&x);
    cr_assert_eq(store_shard_count(x.store), shards, "the number of shards is for good");
    cr_assert_str_eq(fixture_log(&x, "one", &arena), "cell t [1] c = 1\n");
    cr_assert_str_eq(fixture_log(&x, "two", &arena), "cell t [1] c = 1\n");
    cr_assert_str_eq(fixture_log(&x, "three", &arena), "");
}

/* Bytes of LevelDB's logs in the only shard. */
static uint64_t logged_bytes(void)
{
    char path[512];
    struct stat st;
    uint64_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/shard-00", x.dir);
    DIR *d = opendir(path);
    cr_assert_not_null(d, "%s", path);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 4, ".log") != 0) continue;
        (void)snprintf(path, sizeof path, "%s/shard-00/%.200s", x.dir, e->d_name);
        cr_assert_eq(stat(path, &st), 0, "%s", path);
        bytes += (uint64_t)st.st_size;
    }
    closedir(d);
    return bytes;
}

Test(store, after_a_flush_the_next_start_has_no_log_to_replay)
{
    store_flush(x.store); /* with nothing in it */
    put("one");
    cr_assert_gt(logged_bytes(), 0);
    store_flush(x.store);
    cr_assert_eq(logged_bytes(), 0);
    fixture_reopen(&x);
    cr_assert_str_eq(fixture_log(&x, "one", &arena), "cell t [1] c = 1\n");
    put("two");
    fixture_reopen(&x);
    cr_assert_str_eq(fixture_log(&x, "two", &arena), "cell t [1] c = 1\n");
}

Test(store, refuses_an_unknown_format_and_touches_nothing)
{
    struct err_ctx ec;
    store_close(x.store);
    x.store = NULL;
    fixture_remove_dir(x.dir);
    cr_assert_eq(mkdir(x.dir, 0755), 0);
    write_format("sync-coordinator store\nformat 9\nshards 2\nidentity 00\n");
    cr_assert_eq(try_open(&ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "format 9, this build reads 2"), "%s", ec.text);
    cr_assert_eq(entries_in(x.dir), 3, "., .. and FORMAT");
}

Test(store, refuses_a_damaged_format_file)
{
    static const char *const bad[] = {"",
                                      "hello\n",
                                      "sync-coordinator store\n",
                                      "sync-coordinator store\nformat 2\nshards 0\nidentity 00\n",
                                      "sync-coordinator store\nformat 2\nshards 1\nidentity 00\n",
                                      "sync-coordinator store\nformat 2\nshards 9999999999\nidentity 00\n"};
    store_close(x.store);
    x.store = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err_ctx ec;
        write_format(bad[i]);
        cr_assert_eq(try_open(&ec), SYNC_EFORMAT, "%zu", i);
    }
}

Test(store, does_not_begin_anew_where_shards_lost_their_format_file)
{
    char path[128];
    struct err_ctx ec;
    store_close(x.store);
    x.store = NULL;
    snprintf(path, sizeof path, "%s/FORMAT", x.dir);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(try_open(&ec), SYNC_EFORMAT);
}

Test(store, is_opened_once_at_a_time)
{
    struct err_ctx ec;
    cr_assert_eq(try_open(&ec), SYNC_ESTORE);
    cr_assert_not_null(strstr(ec.text, "in use"), "%s", ec.text);
    store_close(x.store);
    x.store = NULL;
    cr_assert_eq(try_open(&ec), SYNC_OK, "%s", ec.text);
}

Test(store, makes_its_directory_with_its_parents)
{
    char dir[128], deep[160];
    struct store *s;
    struct err_ctx ec;
    snprintf(dir, sizeof dir, "%s/a", x.dir);
    snprintf(deep, sizeof deep, "%s/b/c", dir);
    struct store_config cfg = x.config;
    cfg.dir = deep;
    cr_assert_eq(store_open(&cfg, &s, &ec), SYNC_OK, "%s", ec.text);
    store_close(s);
}

Test(store, sends_a_database_to_the_shard_it_always_was_in)
{
    static const struct {
        const char *name;
        uint32_t shard; /* of 16; part of the format */
    } known[] = {{"a", 0}, {"main", 10}, {"org:project:db-1", 0}, {"", 1}};
    store_close(x.store);
    x.store = NULL;
    fixture_remove_dir(x.dir);
    x.config.shards = 16;
    fixture_reopen(&x);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        cr_assert_eq(store_shard_of(x.store, slice_str(known[i].name)), known[i].shard, "%s", known[i].name);
}

Test(store, ten_thousand_databases_cost_no_more_open_files_than_one)
{
    enum { COUNT = 10000, GROUP = 500 };
    static struct apply_request r[GROUP];
    static char names[GROUP][16];
    put("first");
    size_t files = entries_in("/proc/self/fd");
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(1, 0, 'a', 0), "t", "[1]", "c", "1");
    for (int done = 0; done < COUNT; done += GROUP) {
        for (int i = 0; i < GROUP; i++) {
            snprintf(names[i], sizeof names[i], "db%d", done + i);
            r[i] = (struct apply_request){
                .next = i + 1 < GROUP ? &r[i + 1] : NULL, .database = slice_str(names[i]), .batch = &b};
        }
        shard_apply(store_shard(x.store, 0), r);
        for (int i = 0; i < GROUP; i++) cr_assert_eq(r[i].rc, SYNC_OK);
    }
    batch_deinit(&b);
    cr_assert_eq(shard_database_count(store_shard(x.store, 0)), COUNT + 1);
    cr_assert_leq(shard_open_count(store_shard(x.store, 0)), 4096);
    cr_assert_eq(entries_in("/proc/self/fd"), files);
    cr_assert_str_eq(fixture_log(&x, "db0", &arena), "cell t [1] c = 1\n");
    cr_assert_str_eq(fixture_log(&x, "db9999", &arena), "cell t [1] c = 1\n");
    fixture_reopen(&x);
    cr_assert_eq(shard_database_count(store_shard(x.store, 0)), COUNT + 1);
}

Test(store, does_not_make_a_lost_shard_anew)
{
    char path[128];
    struct err_ctx ec;
    store_close(x.store);
    x.store = NULL;
    fixture_remove_dir(x.dir);
    x.config.shards = 3;
    fixture_reopen(&x);
    store_close(x.store);
    x.store = NULL;
    snprintf(path, sizeof path, "%s/shard-01", x.dir);
    fixture_remove_dir(path);
    cr_assert_eq(try_open(&ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "shard-01 is missing"), "%s", ec.text);
}
