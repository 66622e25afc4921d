#include "storage/leveldb/log_format.h"

#include "storage/leveldb/crc32c.h"

#include <criterion/criterion.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(log_format, .timeout = 60);

Test(log_format, the_crc_is_castagnolis)
{
    uint8_t zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) rising[i] = i;
    /* RFC 3720, appendix B.4 */
    cr_assert_eq(crc32c(slice_of(zeros, 32)), 0x8a9136aau);
    cr_assert_eq(crc32c(slice_of(ones, 32)), 0x62a8ab43u);
    cr_assert_eq(crc32c(slice_of(rising, 32)), 0x46dd794eu);
    cr_assert_eq(crc32c(slice_str("123456789")), 0xe3069283u);
    cr_assert_eq(crc32c(slice_of(NULL, 0)), 0);
}

/* ---- what LevelDB itself writes */

static char dir[32];

static void remove_dir(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

/* Writes batches of one put with values of these lengths into a new LevelDB; returns its log. */
static struct buf write_log(const size_t *lens, size_t count)
{
    char *err = NULL, path[64];
    strcpy(dir, "/tmp/sync-log-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    leveldb_options_t *options = leveldb_options_create();
    leveldb_writeoptions_t *write_options = leveldb_writeoptions_create();
    leveldb_options_set_create_if_missing(options, 1);
    leveldb_t *db = leveldb_open(options, dir, &err);
    cr_assert_null(err);
    for (size_t i = 0; i < count; i++) {
        char *value = calloc(1, lens[i] + 1);
        memset(value, (int)('a' + i % 26), lens[i]);
        leveldb_put(db, write_options, "key", 3, value, lens[i], &err);
        cr_assert_null(err);
        free(value);
    }
    struct buf log = buf_make(1 << 24);
    snprintf(path, sizeof path, "%s/000003.log", dir);
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) buf_put(&log, piece, n);
    fclose(f);
    leveldb_close(db);
    leveldb_options_destroy(options);
    leveldb_writeoptions_destroy(write_options);
    remove_dir();
    return log;
}

static size_t varint_len(size_t n)
{
    return n < 128 ? 1 : n < 16384 ? 2 : 3;
}

Test(log_format, reads_the_records_that_leveldb_writes_wherever_they_cross_blocks)
{
    /* The third ends so that exactly 0 to 9 bytes of its block are left; the last fills blocks. */
    for (size_t left = 0; left < 10; left++) {
        const size_t head = 12 + 1 + 4 + 7; /* of a batch, its put, its key, a piece */
        size_t lens[] = {10, 200, 0, 5, 100000, 1};
        lens[2] = LOG_BLOCK_BYTES - (head + 1 + 10) - (head + 2 + 200) - (head + 3) - left;
        struct buf log = write_log(lens, 6), record = buf_make(1 << 24);
        struct slice file = buf_slice(&log);
        size_t at = 0, end = 0;
        for (uint64_t i = 0; i < 6; i++) {
            struct log_batch b;
            cr_assert_not(log_ends_at(file, at));
            cr_assert(log_record_at(file, at, &record, &end), "record %lu, %zu left", (unsigned long)i, left);
            cr_assert(log_batch_read(buf_slice(&record), &b));
            cr_assert(b.sequence == i + 1 && b.count == 1);
            cr_assert_eq(record.len, 12 + 1 + 4 + varint_len(lens[i]) + lens[i]);
            if (i == 2) cr_assert_eq(end, LOG_BLOCK_BYTES - left);
            at = end;
        }
        cr_assert_eq(end, file.len);
        cr_assert(log_ends_at(file, at));
        cr_assert_not(log_record_at(file, at, &record, &end));
        buf_deinit(&log);
        buf_deinit(&record);
    }
}

static bool accept_any(struct slice record, void *arg)
{
    struct log_batch b;
    size_t *calls = arg;
    (*calls)++;
    return log_batch_read(record, &b);
}

Test(log_format, finds_the_next_record_from_any_byte)
{
    const size_t lens[] = {10, 300, 70000, 20, 40};
    struct buf log = write_log(lens, 5), record = buf_make(1 << 24);
    struct slice file = buf_slice(&log);
    size_t ends[6] = {0}, calls = 0, found;
    for (size_t i = 0; i < 5; i++) cr_assert(log_record_at(file, ends[i], &record, &ends[i + 1]));
    size_t next = 0;
    for (size_t at = 0; at < file.len; at++) {
        while (next < 5 && ends[next] < at) next++;
        if (at > ends[2] + 100 && at < ends[3] - 100) at += 997; /* bytes of one value: some will do */
        while (next < 5 && ends[next] < at) next++;
        bool any = log_find_record(file, at, accept_any, &calls, &record, &found);
        cr_assert_eq(any, next < 5, "from %zu", at);
        if (any) cr_assert_eq(found, ends[next], "from %zu: %zu", at, found);
    }
    cr_assert_gt(calls, 0);
    buf_deinit(&log);
    buf_deinit(&record);
}

Test(log_format, refuses_batches_and_edits_that_are_cut_or_too_long)
{
    static const char batch[] = "\1\0\0\0\0\0\0\0\2\0\0\0\1\3key\5value\0\3key";
    static const char edit[] = "\1\10cmpname.\2\7\11\0\3\12\4\20\5\1\3key\6\0\2\7\0\5\100\1a\1z";
    struct log_batch b;
    struct log_edit e = {0};
    size_t batch_len = sizeof batch - 1, edit_len = sizeof edit - 1;
    cr_assert(log_batch_read(slice_of(batch, batch_len), &b));
    cr_assert(b.sequence == 1 && b.count == 2);
    for (size_t len = 0; len < batch_len; len++) cr_assert_not(log_batch_read(slice_of(batch, len), &b));
    cr_assert_not(log_batch_read(slice_of(batch, batch_len + 1), &b));
    cr_assert_not(log_batch_read(slice_of("\1\0\0\0\0\0\0\0\0\0\0\0", 12), &b), "of nothing");
    cr_assert_not(log_batch_read(slice_of("\1\0\0\0\0\0\0\0\1\0\0\0\2\1k", 15), &b),
                  "neither put nor delete");

    cr_assert(log_edit_read(slice_of(edit, edit_len), &e));
    cr_assert(e.has_log_number && e.log_number == 7 && e.prev_log_number == 0);
    cr_assert_not(log_edit_read(slice_of(edit, edit_len - 1), &e));
    cr_assert_not(log_edit_read(slice_of(edit, 0), &e));
    cr_assert_not(log_edit_read(slice_of("\10", 1), &e), "an unknown tag");
    cr_assert_not(log_edit_read(slice_of("\2\377\377\377\377\377\377\377\377\377\377\377\1", 13), &e));
    cr_assert(log_edit_read(slice_of("\4\5", 2), &e));
    cr_assert(e.has_log_number && e.log_number == 7, "what an edit does not say stays");
}
