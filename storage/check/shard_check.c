#include "storage/check/shard_check_internal.h"

#include "storage/shard/shard_internal.h"
#include "storage/store.h"
#include "storage/views/view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    LINE_BYTES_MAX = 1024,
    JSON_DEPTH_MAX = 1024,       /* what is stored was let in under the depth that was set then */
    RECOVERED_TRIES_MAX = 10000, /* names until one belongs to this shard: with 64 shards, 64 on average */
};

/* ---- reporting */

void walk_problem(struct walk *w, const char *fmt, ...)
{
    va_list args;
    char what[LINE_BYTES_MAX / 2], line[LINE_BYTES_MAX];
    w->problems++;
    if (w->counts.problems++ >= CHECK_PROBLEMS_SHOWN_MAX) return;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args); /* cut when too long */
    va_end(args);
    if (w->name.len > 0)
        (void)snprintf(line, sizeof line, "%s: database %.*s: %s", w->config->name, SLICE_ARG(w->name), what);
    else
        (void)snprintf(line, sizeof line, "%s: %s", w->config->name, what);
    w->config->report->line(w->config->report->arg, line);
}

/* ---- reading and writing */

enum sync_err walk_get(struct walk *w, const struct key *key, struct instance_value *ret, struct err_ctx *ec)
{
    return instance_get(w->config->instance, key_slice(key), ret, ec);
}

enum sync_err walk_put(struct walk *w, const struct key *key, const void *bytes, size_t len,
                       struct err_ctx *ec)
{
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_writebatch_put(batch, (const char *)key->bytes, key->len, bytes, len);
    enum sync_err rc = instance_write(w->config->instance, batch, false, ec);
    leveldb_writebatch_destroy(batch);
    return rc;
}

enum sync_err walk_delete(struct walk *w, const struct key *key, struct err_ctx *ec)
{
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    leveldb_writebatch_delete(batch, (const char *)key->bytes, key->len);
    enum sync_err rc = instance_write(w->config->instance, batch, false, ec);
    leveldb_writebatch_destroy(batch);
    return rc;
}

void walk_see_stamp(struct walk *w, const struct stamp *s)
{
    if (stamp_cmp(s, &w->last) > 0) w->last = *s;
}

static bool key_from(struct slice bytes, struct key *ret)
{
    if (bytes.len > sizeof ret->bytes) return false;
    memcpy(ret->bytes, bytes.bytes, bytes.len);
    ret->len = (uint32_t)bytes.len;
    return true;
}

/* ---- one database */

static enum sync_err check_entry(struct walk *w, struct slice key_bytes, struct slice value,
                                 struct err_ctx *ec)
{
    struct key key;
    enum key_kind kind = (enum key_kind)(uint8_t)key_bytes.bytes[KEY_HEAD_BYTES - 1];
    if (!key_from(key_bytes, &key)) {
        w->counts.unknown++;
        return SYNC_OK;
    }
    switch (kind) {
    case KEY_CELL: w->counts.cells++; return check_stored(w, kind, &key, value, ec);
    case KEY_TOMBSTONE: w->counts.tombstones++; return check_stored(w, kind, &key, value, ec);
    case KEY_MIGRATION: w->counts.migrations++; return check_stored(w, kind, &key, value, ec);
    case KEY_MIGRATION_INDEX: return check_migration_index(w, &key, value, ec);
    case KEY_LOG: w->counts.log_entries++; return check_logged(w, &key, value, ec);
    case KEY_ASKED: return SYNC_OK;
    case KEY_COUNTER:
    case KEY_SNAPSHOT_NOTE:
    case KEY_DATABASE:
    case KEY_LEFT:
    case KEY_LOG_STATE:
    case KEY_WAITING: break; /* of number 0 only */
    }
    w->counts.unknown++;
    return SYNC_OK;
}

/* All entries with the number of the database under way. In a repair earlier mending may have changed what
 * the scan, which sees the state before, still shows: so what counts is what is there now. */
static enum sync_err check_entries(struct walk *w, struct reader *r, struct err_ctx *ec)
{
    uint8_t prefix[4];
    struct scan *s;
    (void)key_put_be(prefix, w->number, 4);
    enum sync_err rc = scan_open(r, slice_of(prefix, sizeof prefix), false, &s, ec);
    if (rc != SYNC_OK) return rc;
    w->row = (struct key){0};
    for (;;) {
        struct slice key, value;
        bool found;
        rc = scan_next(s, &found, &key, &value, ec);
        if (rc != SYNC_OK || !found) break;
        if (key.len < KEY_HEAD_BYTES) {
            w->counts.unknown++;
            continue;
        }
        struct instance_value now = {0};
        if (w->config->repair) {
            rc = instance_get(w->config->instance, key, &now, ec);
            if (rc != SYNC_OK) break;
            if (now.bytes == NULL) continue;
            value = instance_value_slice(&now);
        }
        rc = check_entry(w, key, value, ec);
        instance_value_deinit(&now);
        if (rc != SYNC_OK) break;
    }
    scan_close(s);
    return rc;
}

static enum sync_err new_site(struct site_id *ret, struct err_ctx *ec)
{
    if (getrandom(ret->bytes, SITE_ID_BYTES, 0) != SITE_ID_BYTES)
        return err_set(ec, SYNC_EIO, "no random bytes for a server site id");
    return SYNC_OK;
}

/* Whoever was asked for what it has is to be asked again. */
static enum sync_err forget_asked(struct walk *w, struct err_ctx *ec)
{
    struct key prefix, key;
    struct reader *r;
    struct scan *s = NULL;
    enum sync_err rc = reader_open(w->config->instance, &r, ec);
    if (rc != SYNC_OK) return rc;
    key_kind_prefix(w->number, KEY_ASKED, &prefix);
    rc = scan_open(r, key_slice(&prefix), false, &s, ec);
    while (rc == SYNC_OK) {
        struct slice bytes, value;
        bool found;
        rc = scan_next(s, &found, &bytes, &value, ec);
        if (rc != SYNC_OK || !found) break;
        if (key_from(bytes, &key)) rc = walk_delete(w, &key, ec);
    }
    scan_close(s);
    reader_close(r);
    return rc;
}

static enum sync_err write_database(struct walk *w, const struct key *key, struct database_record *d,
                                    struct err_ctx *ec)
{
    uint8_t bytes[DATABASE_RECORD_BYTES_MAX];
    enum sync_err rc = forget_asked(w, ec);
    if (rc == SYNC_OK) rc = new_site(&d->server_site, ec);
    if (rc != SYNC_OK) return rc;
    d->last = w->last;
    d->asks = true;
    d->asked_count = 0;
    size_t len = record_put_database(d, bytes);
    return walk_put(w, key, bytes, len, ec);
}

static enum sync_err check_database(struct walk *w, struct reader *r, const struct key *key,
                                    struct database_record *d, struct err_ctx *ec)
{
    /* What is only half here begins anew, or goes, with the next start: nothing of it has to agree yet. */
    if (d->state != DATABASE_LIVE) return SYNC_OK;
    w->number = d->number;
    w->last = d->last;
    w->problems = 0;
    enum sync_err rc = check_entries(w, r, ec);
    if (rc != SYNC_OK) return rc;
    if (stamp_cmp(&d->pruned, &w->last) > 0) w->last = d->pruned;
    if (stamp_cmp(&w->last, &d->last) != 0) walk_problem(w, "its newest stamp is behind its facts");
    w->counts.databases++;
    if (!w->config->repair || (w->problems == 0 && !w->config->renew)) return SYNC_OK;
    return write_database(w, key, d, ec);
}

/* ---- all databases of a shard */

/* Which numbers have a record: a bit each. */
struct numbers {
    uint8_t *bits;
    size_t len;
    uint32_t highest;
};

static bool numbers_has(const struct numbers *n, uint32_t number)
{
    return number / 8 < n->len && (n->bits[number / 8] >> number % 8 & 1) != 0;
}

static bool numbers_add(struct numbers *n, uint32_t number)
{
    size_t needed = (size_t)number / 8 + 1;
    if (needed > n->len) {
        size_t len = needed > 2 * n->len ? needed : 2 * n->len;
        uint8_t *bits = realloc(n->bits, len);
        if (bits == NULL) return false;
        memset(bits + n->len, 0, len - n->len);
        n->bits = bits;
        n->len = len;
    }
    n->bits[number / 8] |= (uint8_t)(1u << number % 8);
    if (number > n->highest) n->highest = number;
    return true;
}

/* One "d" entry. */
static enum sync_err see_database(struct walk *w, struct reader *r, struct numbers *numbers,
                                  struct slice bytes, struct slice value, struct err_ctx *ec)
{
    struct key key;
    struct database_record d;
    struct err_ctx why;
    w->name = slice_of(bytes.bytes + KEY_HEAD_BYTES, bytes.len - KEY_HEAD_BYTES);
    if (w->name.len == 0 || w->name.len > DATABASE_ID_MAX || !key_from(bytes, &key)) {
        w->counts.unknown++;
        return SYNC_OK;
    }
    uint32_t home = store_hash(w->name, w->config->shards);
    if (home != w->config->index) {
        walk_problem(w, "belongs to shard %" PRIu32 " of %" PRIu32 ", where the server looks for it", home,
                     w->config->shards);
        /* Which of the two is wrong, the number of shards or the place, nobody here can know. */
        if (w->config->repair)
            return err_set(
                ec, SYNC_EFORMAT,
                "database %.*s is in %s and belongs to another shard: shards were exchanged, or FORMAT "
                "names another number of them",
                SLICE_ARG(w->name), w->config->name);
    }
    if (record_get_database(value, &d, &why) != SYNC_OK) {
        walk_problem(w, "%s", why.text);
        return w->config->repair ? walk_delete(w, &key, ec) : SYNC_OK; /* its facts become an orphan's */
    }
    if (numbers_has(numbers, d.number)) {
        walk_problem(w, "has the number %" PRIu32 " of another database", d.number);
        return w->config->repair ? walk_delete(w, &key, ec) : SYNC_OK;
    }
    if (!numbers_add(numbers, d.number)) return err_set(ec, SYNC_ENOMEM, "no memory for the databases");
    return check_database(w, r, &key, &d, ec);
}

static enum sync_err see_databases(struct walk *w, struct reader *r, struct numbers *numbers,
                                   struct err_ctx *ec)
{
    struct key prefix;
    struct scan *s;
    key_kind_prefix(0, KEY_DATABASE, &prefix);
    enum sync_err rc = scan_open(r, key_slice(&prefix), false, &s, ec);
    if (rc != SYNC_OK) return rc;
    for (;;) {
        struct slice key, value;
        bool found;
        rc = scan_next(s, &found, &key, &value, ec);
        if (rc != SYNC_OK || !found) break;
        rc = see_database(w, r, numbers, key, value, ec);
        if (rc != SYNC_OK) break;
    }
    scan_close(s);
    w->name = slice_of(NULL, 0);
    return rc;
}

/* Gives facts without a database's record one, with a name that leads to this shard and that nothing has. */
static enum sync_err adopt(struct walk *w, struct reader *r, uint32_t number, struct err_ctx *ec)
{
    struct database_record d = {.number = number};
    struct key key;
    char name[DATABASE_ID_MAX + 1];
    for (int i = 0; i < RECOVERED_TRIES_MAX; i++) {
        struct instance_value taken = {0};
        int n =
            snprintf(name, sizeof name, "recovered-%" PRIu32 "-%" PRIu32 "-%d", w->config->index, number, i);
        w->name = slice_of(name, (size_t)n);
        if (store_hash(w->name, w->config->shards) != w->config->index) continue;
        key_database(w->name, &key);
        enum sync_err rc = walk_get(w, &key, &taken, ec);
        bool free = rc == SYNC_OK && taken.bytes == NULL;
        instance_value_deinit(&taken);
        if (rc != SYNC_OK) return rc;
        if (!free) continue;
        rc = check_database(w, r, &key, &d, ec);
        if (rc == SYNC_OK) rc = write_database(w, &key, &d, ec); /* in any case: it has none */
        return rc;
    }
    return err_set(ec, SYNC_EFORMAT, "no name for the facts of the lost database number %" PRIu32, number);
}

/* Walks the numbers that have entries, one look a database, for those without a record. */
static enum sync_err see_orphans(struct walk *w, struct reader *r, struct numbers *numbers,
                                 struct err_ctx *ec)
{
    uint8_t at[4] = {0, 0, 0, 1};
    struct scan *s;
    enum sync_err rc = scan_open(r, slice_str(""), false, &s, ec);
    if (rc != SYNC_OK) return rc;
    for (;;) {
        struct slice key, value;
        bool found = false;
        rc = scan_seek(s, slice_of(at, sizeof at), ec);
        if (rc == SYNC_OK) rc = scan_next(s, &found, &key, &value, ec);
        if (rc != SYNC_OK || !found) break;
        if (key.len < KEY_HEAD_BYTES) {
            w->counts.unknown++;
            break;
        }
        uint32_t number = (uint32_t)key_get_be((const uint8_t *)key.bytes, 4);
        if (!numbers_has(numbers, number)) {
            w->name = slice_of(NULL, 0);
            walk_problem(w, "facts of database number %" PRIu32 ", whose record with its name is gone",
                         number);
            if (!numbers_add(numbers, number)) {
                rc = err_set(ec, SYNC_ENOMEM, "no memory for the databases");
                break;
            }
            if (w->config->repair) rc = adopt(w, r, number, ec);
            if (rc != SYNC_OK) break;
        }
        if (number == UINT32_MAX) break;
        (void)key_put_be(at, number + 1, 4);
    }
    scan_close(s);
    w->name = slice_of(NULL, 0);
    return rc;
}

static enum sync_err check_counter(struct walk *w, uint32_t highest, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    struct err_ctx why;
    uint32_t count = 0;
    key_counter(&key);
    enum sync_err rc = walk_get(w, &key, &value, ec);
    if (rc != SYNC_OK) return rc;
    if (value.bytes != NULL && record_get_counter(instance_value_slice(&value), &count, &why) != SYNC_OK)
        walk_problem(w, "%s", why.text);
    instance_value_deinit(&value);
    if (count >= highest) return SYNC_OK;
    walk_problem(w, "the counter of databases says %" PRIu32 ", and there is number %" PRIu32, count,
                 highest);
    if (!w->config->repair) return SYNC_OK;
    uint8_t bytes[COUNTER_RECORD_BYTES];
    record_put_counter(highest, bytes);
    return walk_put(w, &key, bytes, sizeof bytes, ec);
}

static enum sync_err walk_shard(struct walk *w, struct err_ctx *ec)
{
    struct numbers numbers = {0};
    struct reader *r;
    enum sync_err rc = reader_open(w->config->instance, &r, ec);
    if (rc != SYNC_OK) return rc;
    rc = see_databases(w, r, &numbers, ec);
    if (rc == SYNC_OK) rc = see_orphans(w, r, &numbers, ec);
    if (rc == SYNC_OK) rc = check_counter(w, numbers.highest, ec);
    reader_close(r);
    free(numbers.bits);
    return rc;
}

enum sync_err shard_check(const struct shard_check *c, struct shard_counts *ret, struct err_ctx *ec)
{
    struct walk w = {
        .config = c, .bytes = buf_make(RECORD_BYTES_MAX), .json = json_reader_new(JSON_DEPTH_MAX)};
    enum sync_err rc = w.json == NULL ? err_set(ec, SYNC_ENOMEM, "no memory to check") : walk_shard(&w, ec);
    json_reader_free(w.json);
    arena_deinit(&w.arena);
    buf_deinit(&w.bytes);
    if (rc != SYNC_OK)
        err_wrap(ec, "%s", c->name);
    else
        *ret = w.counts;
    return rc;
}
