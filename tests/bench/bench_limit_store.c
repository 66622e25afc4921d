#include "bench_limit.h"
#include "bench_util.h"

#include "core/protocol/message.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DATABASE = 1,
    /* As storage/store.c sets up its own, by default. */
    BLOOM_BITS_PER_KEY = 10,
    WRITE_BUFFER_BYTES = 4 << 20,
};

/* Keys and values of all messages in one piece; a batch is a range of entries. */
struct entry {
    size_t at, key_len, value_len;
};

struct records {
    struct buf bytes;
    struct entry *entries;
    size_t count, capacity;
    size_t *message_ends; /* index behind a message's last entry */
};

static uint8_t *add(struct records *r, const struct key *key, size_t value_len)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity == 0 ? 4096 : r->capacity * 2;
        r->entries = must(realloc(r->entries, r->capacity * sizeof *r->entries));
    }
    if (!buf_reserve(&r->bytes, key->len + value_len)) die("out of memory");
    r->entries[r->count++] = (struct entry){.at = r->bytes.len, .key_len = key->len, .value_len = value_len};
    buf_put(&r->bytes, key->bytes, key->len);
    r->bytes.len += value_len;
    return (uint8_t *)r->bytes.bytes + r->bytes.len - value_len;
}

static void add_fact(struct records *r, const struct fact *f, const struct stamp *s)
{
    struct err_ctx ec;
    struct key key;
    uint32_t row_len;
    bool whole;
    if (key_fact(DATABASE, f, &key, &row_len, &whole, &ec) != SYNC_OK) die("%s", ec.text);
    record_put_stored(f, s, 0, !whole, add(r, &key, record_stored_size(f, !whole)));
    key_log(DATABASE, s, &key);
    record_put_logged(f, 0, add(r, &key, record_logged_size(f)));
}

static void add_message(struct records *r, struct json_reader *reader, struct slice text, struct stamp *last)
{
    static const char padding[JSON_PADDING];
    struct database_record database = {.number = DATABASE};
    struct message m;
    struct err_ctx ec;
    struct key key;
    struct buf copy = buf_make(SIZE_MAX / 4);
    size_t all;
    buf_put_slice(&copy, text);
    buf_put(&copy, padding, sizeof padding);
    if (buf_check(&copy, &ec) != SYNC_OK) die("%s", ec.text);
    if (message_read(reader, buf_take(&copy, &all), text.len, &m, &ec) != SYNC_OK) die("%s", ec.text);
    struct stamp s = stamp_next(last, &m.batch.highest);
    for (size_t i = 0; i < m.batch.fact_count; i++, s.op_seq++) add_fact(r, &m.batch.facts[i], &s);
    database.last = *last = s;
    key_database(slice_str("bench"), &key);
    record_put_database(&database, add(r, &key, DATABASE_RECORD_BYTES));
    message_deinit(&m);
}

static void make_records(struct records *r, const struct messages *m, size_t count)
{
    struct stamp last = {0};
    struct json_reader *reader = must(json_reader_new(JSON_DEPTH_DEFAULT));
    *r = (struct records){.bytes = buf_make(SIZE_MAX / 4)};
    r->message_ends = must(malloc(count * sizeof *r->message_ends));
    for (size_t i = 0; i < count; i++) {
        add_message(r, reader, messages_at(m, i), &last);
        r->message_ends[i] = r->count;
    }
    json_reader_free(reader);
}

/* Writes the messages in batches. Returns how many it came to. */
static size_t write_all(leveldb_t *db, const leveldb_writeoptions_t *wo, const struct records *r,
                        size_t count, double per_batch, uint64_t deadline_ns)
{
    char *failed = NULL;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    size_t done = 0, entry = 0;
    for (double due = per_batch; done < count && now_ns() < deadline_ns; due += per_batch) {
        size_t end = due < (double)(done + 1) ? done + 1 : (size_t)due;
        if (end > count) end = count;
        for (; entry < r->message_ends[end - 1]; entry++) {
            const struct entry *e = &r->entries[entry];
            const char *key = r->bytes.bytes + e->at;
            leveldb_writebatch_put(batch, key, e->key_len, key + e->key_len, e->value_len);
        }
        leveldb_write(db, wo, batch, &failed);
        if (failed != NULL) die("raw write: %s", failed);
        leveldb_writebatch_clear(batch);
        done = end;
    }
    leveldb_writebatch_destroy(batch);
    return done;
}

double limit_store(const struct store_limit *s, const struct messages *m, size_t count,
                   double messages_per_batch, double seconds, double *ret_cpu_ns)
{
    struct records r;
    char path[4096], *failed = NULL;
    make_records(&r, m, count);
    if (snprintf(path, sizeof path, "%s/raw-leveldb", s->dir) >= (int)sizeof path)
        die("%s is too long", s->dir);
    leveldb_options_t *o = leveldb_options_create();
    leveldb_writeoptions_t *wo = leveldb_writeoptions_create();
    leveldb_filterpolicy_t *bloom = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);
    leveldb_options_set_create_if_missing(o, 1);
    leveldb_options_set_filter_policy(o, bloom);
    leveldb_options_set_write_buffer_size(o, WRITE_BUFFER_BYTES);
    leveldb_options_set_compression(o, leveldb_snappy_compression);
    leveldb_options_set_paranoid_checks(o, 1);
    leveldb_writeoptions_set_sync(wo, s->sync);
    leveldb_t *db = leveldb_open(o, path, &failed);
    if (failed != NULL) die("raw open: %s", failed);

    uint64_t began_ns = now_ns(), cpu_ns = process_cpu_ns();
    size_t done = write_all(db, wo, &r, count, messages_per_batch, began_ns + (uint64_t)(seconds * NS_PER_S));
    double took_s = (double)(now_ns() - began_ns) / NS_PER_S;

    leveldb_close(db);
    *ret_cpu_ns = (double)(process_cpu_ns() - cpu_ns) / (double)(done * m->transactions_each);
    leveldb_destroy_db(o, path, &failed);
    leveldb_free(failed); /* what stays goes with the directory */
    leveldb_writeoptions_destroy(wo);
    leveldb_options_destroy(o);
    leveldb_filterpolicy_destroy(bloom);
    buf_deinit(&r.bytes);
    free(r.entries);
    free(r.message_ends);
    return (double)(done * m->transactions_each) / took_s;
}
