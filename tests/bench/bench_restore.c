/* bench_restore.c -- what a restore can reach at most: the same records written into LevelDB by nothing else.
 *
 *   bench-restore DIR MIB
 *
 * Cells with values of 1,000 random letters, in the order of their keys, each as two records, as a database
 * has them after a restore; in two ways: `mixed`, both records of a fact in one batch, batches of 1 MiB; and
 * `apart`, batches that fill a memtable with records of one kind (storage/shard/import_hold.h). Every batch
 * is synced. Prints one JSON object, in MiB of values a second. */
#include "bench_util.h"

#include "core/facts/fact_key.h"
#include "core/json/json.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

#include <ftw.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DATABASE = 1,
    VALUE_BYTES = 1000,
    TABLE_ROWS = 1000,
    NOISE_BYTES = 64 << 20,
    /* As storage/store.c sets up its own, by default. */
    BLOOM_BITS_PER_KEY = 10,
    WRITE_BUFFER_BYTES = 4 << 20,
    MIXED_BYTES = 1 << 20,
    APART_BYTES = WRITE_BUFFER_BYTES / 10 * 11,
};

/* A fact at a time, with what it needs. */
struct source {
    struct json_reader *reader;
    char *noise;
    char value[VALUE_BYTES + 3], pk[64];
    struct arena arena;
    struct fact fact;
    struct stamp stamp;
};

static void source_init(struct source *s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t seed = 1;
    s->reader = must(json_reader_new(JSON_DEPTH_DEFAULT));
    s->noise = must(malloc(NOISE_BYTES));
    for (size_t i = 0; i < NOISE_BYTES; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        s->noise[i] = letters[seed >> 58];
    }
}

static void source_next(struct source *s, size_t number)
{
    struct err_ctx ec;
    arena_deinit(&s->arena);
    s->arena = (struct arena){0};
    int pk = snprintf(s->pk, sizeof s->pk, "[%zu,%zu]", number / TABLE_ROWS, number % TABLE_ROWS);
    s->value[0] = s->value[VALUE_BYTES + 1] = '"';
    memcpy(s->value + 1, s->noise + number * (VALUE_BYTES + 9) % (NOISE_BYTES - VALUE_BYTES), VALUE_BYTES);
    s->stamp = (struct stamp){.wall_ms = 1735689600000 + number / TABLE_ROWS,
                              .op_seq = (uint32_t)(number % TABLE_ROWS)};
    s->fact = (struct fact){.type = FACT_CELL,
                            .hlc = {.wall_ms = s->stamp.wall_ms, .op_seq = s->stamp.op_seq},
                            .schema = slice_str("main"),
                            .table = slice_str("t"),
                            .cell = {.column = slice_str("v"),
                                     .pk = slice_of(s->pk, (size_t)pk),
                                     .value = slice_of(s->value, VALUE_BYTES + 2)}};
    if (fact_key_make(s->reader, &s->arena, &s->fact, &ec) != SYNC_OK) die("%s", ec.text);
}

struct target {
    leveldb_t *db;
    leveldb_writeoptions_t *synced;
    leveldb_writebatch_t *stored, *logged; /* the same batch, or one for each kind */
    size_t stored_bytes, logged_bytes;
};

static void write_out(struct target *t, leveldb_writebatch_t *batch)
{
    char *text = NULL;
    leveldb_write(t->db, t->synced, batch, &text);
    if (text != NULL) die("%s", text);
    leveldb_writebatch_clear(batch);
}

static void write_all(struct target *t)
{
    write_out(t, t->stored);
    if (t->logged != t->stored) write_out(t, t->logged);
    t->stored_bytes = t->logged_bytes = 0;
}

static void put(struct target *t, const struct source *s)
{
    uint8_t bytes[2 * VALUE_BYTES];
    struct err_ctx ec;
    struct key key;
    uint32_t row_len;
    bool whole;
    if (key_fact(DATABASE, &s->fact, &key, &row_len, &whole, &ec) != SYNC_OK) die("%s", ec.text);
    size_t len = record_stored_size(&s->fact, !whole);
    if (len > sizeof bytes) die("a record of %zu bytes", len);
    record_put_stored(&s->fact, &s->stamp, 0, !whole, bytes);
    leveldb_writebatch_put(t->stored, (const char *)key.bytes, key.len, (const char *)bytes, len);
    t->stored_bytes += len;
    key_log(DATABASE, &s->stamp, &key);
    len = record_logged_size(&s->fact);
    record_put_logged(&s->fact, 0, bytes);
    leveldb_writebatch_put(t->logged, (const char *)key.bytes, key.len, (const char *)bytes, len);
    t->logged_bytes += len;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

/* MiB of values a second. */
static double measure(struct source *s, const char *dir, size_t mib, bool apart)
{
    struct target t = {.synced = leveldb_writeoptions_create(), .stored = leveldb_writebatch_create()};
    leveldb_options_t *o = leveldb_options_create();
    leveldb_filterpolicy_t *bloom = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);
    size_t count = (mib << 20) / VALUE_BYTES;
    char *text = NULL;
    t.logged = apart ? leveldb_writebatch_create() : t.stored;
    leveldb_writeoptions_set_sync(t.synced, 1);
    leveldb_options_set_create_if_missing(o, 1);
    leveldb_options_set_error_if_exists(o, 1);
    leveldb_options_set_filter_policy(o, bloom);
    leveldb_options_set_write_buffer_size(o, WRITE_BUFFER_BYTES);
    t.db = leveldb_open(o, dir, &text);
    if (text != NULL) die("%s", text);
    uint64_t began_ns = now_ns();
    for (size_t i = 0; i < count; i++) {
        source_next(s, i);
        put(&t, s);
        if (apart ? t.logged_bytes >= APART_BYTES : t.stored_bytes + t.logged_bytes >= MIXED_BYTES)
            write_all(&t);
    }
    write_all(&t);
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    leveldb_close(t.db);
    leveldb_options_destroy(o);
    leveldb_filterpolicy_destroy(bloom);
    leveldb_writeoptions_destroy(t.synced);
    leveldb_writebatch_destroy(t.stored);
    if (apart) leveldb_writebatch_destroy(t.logged);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return (double)count * VALUE_BYTES / (1 << 20) / seconds;
}

int main(int argc, char **argv)
{
    struct source s = {0};
    if (argc != 3 || atol(argv[2]) <= 0) die("usage: %s DIR MIB", argv[0]);
    size_t mib = (size_t)atol(argv[2]);
    source_init(&s);
    double mixed = measure(&s, argv[1], mib, false), apart = measure(&s, argv[1], mib, true);
    printf("{\"mixed\":%.1f,\"apart\":%.1f}\n", mixed, apart);
    arena_deinit(&s.arena);
    json_reader_free(s.reader);
    free(s.noise);
    return 0;
}
