/* Logs as crashes and bad disks leave them: cut, zeroed, overwritten and flipped at every place. */
#include "storage/leveldb/log_check.h"

#include "faults.h"
#include "random.h"
#include "store_fixture.h"

#include "core/base/buf.h"
#include "storage/leveldb/log_format.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL = 8, LARGE = 9, GROUPS = LARGE + 1, LARGE_BYTES = 150000, PATH_BYTES = 160 };

static struct store_fixture x;
static struct arena arena;
static struct err_ctx ec;
static char shard_dir[96], log_path[PATH_BYTES], manifest_path[PATH_BYTES];
static struct buf log_bytes;    /* as it was written */
static size_t ends[GROUPS + 1]; /* how long it was after each group */
static const char *expected[GROUPS + 1];
static const char *log_name;

/* ---- files */

static void path_of(char ret[PATH_BYTES], const char *name)
{
    int n = snprintf(ret, PATH_BYTES, "%s/%s", shard_dir, name);
    cr_assert(n > 0 && n < PATH_BYTES);
}

/* The file of the shard with this prefix or suffix; there is one. */
static const char *find_file(const char *part)
{
    static char names[4][64];
    static int next;
    char *name = names[next++ % 4];
    int count = 0;
    DIR *d = opendir(shard_dir);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, part) == NULL) continue;
        snprintf(name, sizeof names[0], "%.60s", e->d_name);
        count++;
    }
    closedir(d);
    cr_assert_eq(count, 1, "%d files like %s", count, part);
    return name;
}

static struct buf read_file(const char *path)
{
    struct buf b = buf_make(1 << 26);
    char piece[4096];
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s", path);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) buf_put(&b, piece, n);
    fclose(f);
    return b;
}

static void write_file(const char *path, struct slice bytes)
{
    (void)unlink(
        path); /* a file that is cut short and written again makes some file systems wait for the disk */
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f, "%s", path);
    if (bytes.len > 0) cr_assert_eq(fwrite(bytes.bytes, 1, bytes.len, f), bytes.len);
    cr_assert_eq(fclose(f), 0);
}

static bool file_is(const char *path, struct slice bytes)
{
    struct buf b = read_file(path);
    bool same = slice_eq(buf_slice(&b), bytes);
    buf_deinit(&b);
    return same;
}

static void keep_dir(bool restore)
{
    char command[3 * PATH_BYTES];
    snprintf(command, sizeof command, "rm -rf %s%s && cp -a %s%s %s%s", x.dir, restore ? "" : ".kept", x.dir,
             restore ? ".kept" : "", x.dir, restore ? "" : ".kept");
    cr_assert_eq(system(command), 0);
}

/* ---- a store with a log of many groups: small ones, then one over several blocks */

static const char *state(void)
{
    const char *log = fixture_log(&x, "db", &arena);
    struct buf b = buf_make(1 << 26);
    buf_put_str(&b, log);
    buf_put_str(&b, fixture_facts(&x, "db", FACT_CELL, &arena));
    buf_put_char(&b, '\0');
    const char *text = arena_copy(&arena, buf_slice(&b)).bytes;
    buf_deinit(&b);
    return text;
}

static void put(uint64_t wall_ms, const char *value)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(wall_ms, 0, 'a', 0), "t", "[1]", "c", value);
    (void)fixture_apply(&x, "db", &b);
}

/* `groups` of them; the store is closed then, and all of it lies in its log. */
static void fill(int groups)
{
    static char large[LARGE_BYTES + 1];
    struct stat st;
    memset(large, '5', LARGE_BYTES);
    path_of(log_path, log_name = find_file(".log"));
    path_of(manifest_path, find_file("MANIFEST-"));
    expected[0] = state();
    for (int i = 0; i < groups; i++) {
        char value[8];
        snprintf(value, sizeof value, "%d", i);
        put((uint64_t)i + 1, i == LARGE ? large : value);
        cr_assert_eq(stat(log_path, &st), 0);
        ends[i + 1] = (size_t)st.st_size;
        expected[i + 1] = state();
    }
    store_close(x.store);
    x.store = NULL;
    log_bytes = read_file(log_path);
    cr_assert_eq(log_bytes.len, ends[groups]);
    keep_dir(false);
}

static void setup(void)
{
    faults_skip_syncs();
    fixture_init(&x);
    snprintf(shard_dir, sizeof shard_dir, "%s/shard-00", x.dir);
}

static void teardown(void)
{
    char kept[PATH_BYTES];
    fixture_free(&x);
    snprintf(kept, sizeof kept, "%s.kept", x.dir);
    fixture_remove_dir(kept);
    arena_deinit(&arena);
    buf_deinit(&log_bytes);
}

TestSuite(log_check, .init = setup, .fini = teardown, .timeout = 120);

/* How many groups are whole in the first `len` bytes. */
static int groups_in(size_t len)
{
    int i = 0;
    while (i < GROUPS && ends[i + 1] != 0 && ends[i + 1] <= len) i++;
    return i;
}

/* The log holds `bytes`, of which so many groups are whole and the rest is torn. */
static void expect_torn(struct slice bytes, int groups)
{
    char torn_path[PATH_BYTES];
    uint64_t torn = 0;
    size_t torn_len = bytes.len - ends[groups];
    path_of(torn_path, "TORN");
    (void)unlink(torn_path);
    write_file(log_path, bytes);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(torn, torn_len, "%lu bytes of %zu torn instead of %zu", (unsigned long)torn, bytes.len,
                 torn_len);
    cr_assert(file_is(log_path, slice_of(bytes.bytes, ends[groups])), "the log is cut behind what is whole");
    if (torn_len > 0)
        cr_assert(file_is(torn_path, slice_of(bytes.bytes + ends[groups], torn_len)), "and its end is kept");
    else
        cr_assert_neq(access(torn_path, F_OK), 0);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_OK);
    cr_assert_eq(torn, 0, "once");
}

/* The log holds `bytes`, and nothing may be done to it. */
static void expect_refused(struct slice bytes, const char *what)
{
    uint64_t torn = 99;
    char torn_path[PATH_BYTES];
    path_of(torn_path, "TORN");
    (void)unlink(torn_path);
    write_file(log_path, bytes);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_EFORMAT, "%s", what);
    cr_assert_not_null(strstr(ec.text, log_name), "%s", ec.text);
    cr_assert_not_null(strstr(ec.text, "damaged at byte"), "%s", ec.text);
    cr_assert_eq(torn, 99);
    cr_assert(file_is(log_path, bytes));
    cr_assert_neq(access(torn_path, F_OK), 0);
}

/* The whole store opens, holds these groups, takes another, and keeps it. */
static void expect_opens_with(int groups)
{
    fixture_reopen(&x);
    cr_assert(strcmp(state(), expected[groups]) == 0, "%d groups expected", groups);
    put(99, "99");
    const char *with_it = state();
    fixture_reopen(&x);
    cr_assert(strcmp(state(), with_it) == 0);
    store_close(x.store);
    x.store = NULL;
    keep_dir(true);
}

/* ---- torn ends */

Test(log_check, a_log_cut_at_any_byte_ends_with_its_last_whole_group)
{
    fill(SMALL);
    for (size_t len = 0; len <= log_bytes.len; len += 3) {
        expect_torn(slice_of(log_bytes.bytes, len), groups_in(len));
        if (len % 99 == 0) {
            write_file(log_path, slice_of(log_bytes.bytes, len));
            expect_opens_with(groups_in(len));
        }
    }
}

Test(log_check, an_end_of_zeros_or_of_anything_is_torn)
{
    uint64_t seed = 7;
    fill(SMALL);
    size_t len = log_bytes.len + 1000;
    char *bytes = malloc(len);
    for (size_t from = 0; from < len; from += 7) {
        for (int random = 0; random < 2; random++) {
            int groups = groups_in(from);
            memcpy(bytes, log_bytes.bytes, log_bytes.len);
            for (size_t i = from; i < len; i++) bytes[i] = random ? (char)random_u64(&seed) : 0;
            if (random && from < log_bytes.len) bytes[from] = (char)(log_bytes.bytes[from] ^ 1);
            /* A group whose last bytes are zeros anyway is whole. */
            while (groups < SMALL && memcmp(bytes, log_bytes.bytes, ends[groups + 1]) == 0) groups++;
            expect_torn(slice_of(bytes, len), groups);
            if (from % 301 != 0) continue;
            write_file(log_path, slice_of(bytes, len));
            expect_opens_with(groups);
        }
    }
    free(bytes);
}

Test(log_check, a_group_over_many_blocks_is_torn_wherever_it_has_a_hole)
{
    enum { SECTOR = 512 };
    uint64_t seed = 11;
    fill(GROUPS);
    size_t begin = ends[LARGE], end = ends[LARGE + 1];
    cr_assert_gt(end - begin, 2 * LOG_BLOCK_BYTES);
    char *bytes = malloc(end);
    for (int round = 0; round < 150; round++) {
        /* As a power cut leaves what was not synced yet: any of its sectors are there, and any length. */
        uint64_t chance = 1 + random_below(&seed, 40);
        size_t len = random_below(&seed, 3) == 0 ? begin + random_below(&seed, end - begin) : end;
        memcpy(bytes, log_bytes.bytes, end);
        for (size_t at = begin; at < len; at = (at / SECTOR + 1) * SECTOR) {
            size_t to = (at / SECTOR + 1) * SECTOR < len ? (at / SECTOR + 1) * SECTOR : len;
            if (random_below(&seed, chance) == 0) memset(bytes + at, 0, to - at);
        }
        bool whole = len == end && memcmp(bytes, log_bytes.bytes, end) == 0;
        expect_torn(slice_of(bytes, len), whole ? GROUPS : LARGE);
        if (round % 25 != 0) continue;
        write_file(log_path, slice_of(bytes, len));
        expect_opens_with(whole ? GROUPS : LARGE);
    }
    free(bytes);
}

Test(log_check, what_an_older_file_left_in_the_blocks_of_a_torn_end_is_no_record)
{
    fill(SMALL);
    size_t len = log_bytes.len + ends[2];
    char *bytes = malloc(len);
    memcpy(bytes, log_bytes.bytes, log_bytes.len);
    memcpy(bytes + log_bytes.len, log_bytes.bytes, ends[2]); /* whole, but of the past */
    bytes[ends[SMALL - 1] + 20] ^= 1;
    expect_torn(slice_of(bytes, len), SMALL - 1);
    free(bytes);
}

/* ---- damage */

Test(log_check, a_flipped_bit_before_the_last_group_is_refused_and_in_it_torn)
{
    fill(SMALL);
    char *bytes = malloc(log_bytes.len);
    for (size_t at = 0; at < log_bytes.len; at++) {
        struct slice flipped = slice_of(bytes, log_bytes.len);
        memcpy(bytes, log_bytes.bytes, log_bytes.len);
        bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
        if (at < ends[SMALL - 1])
            expect_refused(flipped, "damage before a whole group");
        else
            expect_torn(flipped, SMALL - 1);
        if (at % 53 != 0) continue;
        write_file(log_path, flipped);
        if (at >= ends[SMALL - 1]) {
            expect_opens_with(SMALL - 1);
            continue;
        }
        cr_assert_eq(store_open(&x.config, &x.store, &ec), SYNC_EFORMAT);
        cr_assert_not_null(strstr(ec.text, "shard-00"), "%s", ec.text);
        cr_assert_not_null(strstr(ec.text, "restore a copy"), "%s", ec.text);
        cr_assert_null(x.store);
        cr_assert(file_is(log_path, flipped));
    }
    free(bytes);
}

Test(log_check, a_group_of_zeros_before_a_whole_one_is_refused)
{
    fill(GROUPS);
    char *bytes = malloc(log_bytes.len);
    for (int group = 0; group + 1 < GROUPS; group++) {
        memcpy(bytes, log_bytes.bytes, log_bytes.len);
        memset(bytes + ends[group], 0, ends[group + 1] - ends[group]);
        expect_refused(slice_of(bytes, log_bytes.len), "zeros before a whole group");
    }
    /* Some pieces of the large group are whole, but it is not. */
    memcpy(bytes, log_bytes.bytes, log_bytes.len);
    memset(bytes + LOG_BLOCK_BYTES, 0, LOG_BLOCK_BYTES);
    expect_torn(slice_of(bytes, log_bytes.len), LARGE);
    free(bytes);
}

/* ---- several logs */

static void split_log(int groups, struct slice *first, struct slice *second)
{
    *first = slice_of(log_bytes.bytes, ends[groups]);
    *second = slice_of(log_bytes.bytes + ends[groups], log_bytes.len - ends[groups]);
}

Test(log_check, a_torn_log_with_records_in_a_later_one_is_refused)
{
    char later[PATH_BYTES];
    struct slice first, second;
    uint64_t torn;
    fill(SMALL);
    split_log(4, &first, &second);
    path_of(later, "000099.log"); /* not 9 before 10: by number */
    write_file(log_path, first);
    write_file(later, second);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_OK, "%s", ec.text);
    expect_opens_with(SMALL);

    write_file(later, second);
    first.len -= 3;
    expect_refused(first, "cut before a later log");
    cr_assert_not_null(strstr(ec.text, "000099.log"), "%s", ec.text);
    second.len = 10; /* no whole record: nothing was acknowledged behind the torn one */
    write_file(later, second);
    write_file(log_path, first);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(torn, ends[4] - 3 - ends[3] + 10);
    expect_opens_with(3);
    write_file(later, slice_of(NULL, 0));
    expect_torn(first, 3);
}

Test(log_check, a_log_that_is_no_longer_read_may_be_in_any_state)
{
    char old[PATH_BYTES], last_log[PATH_BYTES];
    fill(SMALL);
    fixture_reopen(&x); /* what was in the log is in a table, and another log is begun */
    store_close(x.store);
    x.store = NULL;
    path_of(last_log, find_file(".log"));
    cr_assert_str_neq(last_log, log_path);
    path_of(old, log_name);
    log_bytes.bytes[30] ^= 1;
    write_file(old, buf_slice(&log_bytes));
    fixture_reopen(&x);
    cr_assert(strcmp(state(), expected[SMALL]) == 0);
    cr_assert_neq(access(old, F_OK), 0, "LevelDB sweeps it away");
}

/* ---- the MANIFEST and CURRENT */

Test(log_check, a_manifest_is_cut_where_its_last_edit_is_torn)
{
    uint64_t torn;
    size_t refused = 0, cut = 0;
    fill(SMALL);
    struct buf manifest = read_file(manifest_path), record = buf_make(1 << 20);
    size_t last = 0, end;
    while (log_record_at(buf_slice(&manifest), last, &record, &end) && end < manifest.len) last = end;
    /* An edit that was on its way when the power went. */
    struct buf longer = buf_make(1 << 20);
    buf_put_slice(&longer, buf_slice(&manifest));
    buf_put(&longer, "\1\2\3\4\20\0\1", 7);
    for (int zeros = 0; zeros < 30; zeros++) {
        write_file(manifest_path, buf_slice(&longer));
        cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(torn, longer.len - manifest.len);
        cr_assert(file_is(manifest_path, buf_slice(&manifest)));
        buf_put_char(&longer, 0);
    }
    expect_opens_with(SMALL);

    /* Of what is there already all is needed here: it was synced before CURRENT named it. */
    for (size_t at = 0; at < manifest.len; at++) {
        manifest.bytes[at] ^= 4;
        write_file(manifest_path, buf_slice(&manifest));
        enum sync_err rc = log_check(shard_dir, &torn, &ec);
        cr_assert(rc == SYNC_EFORMAT || (rc == SYNC_OK && at >= last), "byte %zu", at);
        if (rc == SYNC_EFORMAT) cr_assert(file_is(manifest_path, buf_slice(&manifest)), "byte %zu", at);
        refused += rc == SYNC_EFORMAT;
        cut += rc == SYNC_OK;
        manifest.bytes[at] ^= 4;
    }
    cr_assert(refused > 20 && cut == 0, "%zu refused, %zu cut", refused, cut);
    write_file(manifest_path, buf_slice(&manifest));
    buf_deinit(&manifest);
    buf_deinit(&longer);
    buf_deinit(&record);
}

Test(log_check, a_manifest_whose_log_is_missing_is_refused)
{
    uint64_t torn;
    fill(SMALL);
    cr_assert_eq(unlink(log_path), 0);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "which is missing"), "%s", ec.text);
}

Test(log_check, a_shard_with_data_and_without_current_is_refused)
{
    static const char *const bad[] = {"",  "MANIFEST-", "MANIFEST-\n", "MANIFEST-000002", "MANIFEST-x\n",
                                      "\n"};
    char current[PATH_BYTES];
    uint64_t torn;
    fill(SMALL);
    path_of(current, "CURRENT");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_file(current, slice_str(bad[i]));
        cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_EFORMAT, "%zu", i);
    }
    write_file(current, slice_str("MANIFEST-987654\n"));
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "MANIFEST-987654, which is missing"), "%s", ec.text);
    cr_assert_eq(unlink(current), 0);
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_EFORMAT);
    cr_assert_not_null(strstr(ec.text, "no CURRENT"), "%s", ec.text);
    cr_assert_eq(store_open(&x.config, &x.store, &ec), SYNC_EFORMAT);
    cr_assert_eq(access(log_path, F_OK), 0, "nothing is swept away");

    /* A LevelDB that was never made to its end has a MANIFEST at most. */
    write_file(log_path, slice_of(NULL, 0));
    cr_assert_eq(log_check(shard_dir, &torn, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(log_check("/tmp/there/is no such/directory", &torn, &ec), SYNC_OK);
}
