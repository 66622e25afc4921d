#include "storage/shard/shard_internal.h"

#include "storage/views/view.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>

static_assert(SITE_ID_BYTES <= SHA256_DIGEST_LENGTH, "a site id is cut from a hash");

static enum sync_err load_counter(struct shard *sh, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    uint32_t number = 0;
    key_counter(&key);
    enum sync_err rc = instance_get(sh->instance, key_slice(&key), &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL)
        rc = record_get_counter(instance_value_slice(&value), &number, ec);
    instance_value_deinit(&value);
    if (rc != SYNC_OK) return rc;
    sh->number_last = number;
    atomic_store_explicit(&sh->database_count, number, memory_order_relaxed);
    return SYNC_OK;
}

enum sync_err shard_open(const struct shard_config *cfg, struct shard **ret, struct err_ctx *ec)
{
    enum sync_err rc;
    struct shard *sh = calloc(1, sizeof *sh);
    if (sh == NULL) return err_set(ec, SYNC_ENOMEM, "open %s", cfg->dir);
    sh->config = *cfg;
    sh->config.dir = NULL; /* the caller's; the instance has its own */
    if (!database_cache_init(&sh->cache, cfg->database_cache_max, cfg->hash_seed)) {
        rc = err_set(ec, SYNC_ENOMEM, "open %s", cfg->dir);
        goto out;
    }
    row_filter_init(&sh->rows, cfg->hash_seed);
    rc = instance_open(cfg->dir, cfg->options, cfg->sync, &sh->instance, ec);
    if (rc != SYNC_OK) goto out;
    rc = load_counter(sh, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "open %s", cfg->dir);
        goto out;
    }
    *ret = sh;
    sh = NULL;
out:
    shard_close(sh);
    return rc;
}

void shard_close(struct shard *sh)
{
    if (sh == NULL) return;
    instance_close(sh->instance);
    database_cache_deinit(&sh->cache);
    row_filter_deinit(&sh->rows);
    import_holds_deinit(&sh->holds);
    free(sh);
}

enum sync_err shard_first_site(const struct shard *sh, struct slice database, struct site_id *ret,
                               struct err_ctx *ec)
{
    uint8_t text[STORE_IDENTITY_BYTES + DATABASE_ID_MAX], hash[SHA256_DIGEST_LENGTH];
    assert(database.len > 0 && database.len <= DATABASE_ID_MAX);
    memcpy(text, sh->config.identity, STORE_IDENTITY_BYTES);
    memcpy(text + STORE_IDENTITY_BYTES, database.bytes, database.len);
    if (SHA256(text, STORE_IDENTITY_BYTES + database.len, hash) == NULL)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256 of a database's name");
    memcpy(ret->bytes, hash, SITE_ID_BYTES);
    return SYNC_OK;
}

uint64_t shard_database_count(const struct shard *sh)
{
    return atomic_load_explicit(&sh->database_count, memory_order_relaxed);
}

uint64_t shard_open_count(const struct shard *sh)
{
    return atomic_load_explicit(&sh->open_count, memory_order_relaxed);
}

uint64_t shard_torn_bytes(const struct shard *sh)
{
    return instance_torn_bytes(sh->instance);
}

/* ---- groups ---- */

/* What is in memory may be ahead of LevelDB, or behind it: a write that failed may be there after all. */
static enum sync_err open_again(struct shard *sh, struct err_ctx *ec)
{
    atomic_store_explicit(&sh->closed, true, memory_order_relaxed);
    database_cache_clear(&sh->cache);
    atomic_store_explicit(&sh->open_count, 0, memory_order_relaxed);
    enum sync_err rc = instance_probe(sh->instance, ec);
    if (rc == SYNC_OK) rc = instance_reopen(sh->instance, ec);
    if (rc == SYNC_OK) rc = load_counter(sh, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "open again");
        return rc;
    }
    atomic_store_explicit(&sh->closed, false, memory_order_relaxed);
    return SYNC_OK;
}

enum sync_err shard_recover(struct shard *sh, struct err_ctx *ec)
{
    return shard_is_closed(sh) ? open_again(sh, ec) : SYNC_OK;
}

void shard_flush(struct shard *sh)
{
    if (!shard_is_closed(sh)) instance_flush(sh->instance);
}

bool shard_is_closed(const struct shard *sh)
{
    return atomic_load_explicit(&sh->closed, memory_order_relaxed);
}

enum sync_err group_begin(struct group *g, struct shard *sh, struct err_ctx *ec)
{
    *g = (struct group){.sh = sh};
    overlay_init(&g->overlay, sh->config.hash_seed);
    enum sync_err rc = shard_recover(sh, ec);
    g->number_last = sh->number_last;
    return rc;
}

/* Lets go of the databases. Those that do not exist are not kept: asking for made up names must not push real
 * ones out. */
static void release_databases(struct group *g)
{
    struct shard *sh = g->sh;
    while (g->touched != NULL) {
        struct database *d = g->touched;
        g->touched = d->touched_next;
        d->touched = d->changed = false;
        d->touched_next = NULL;
        if (!d->exists) database_cache_drop(&sh->cache, d);
    }
    while (sh->cache.count > sh->cache.count_max) database_cache_drop(&sh->cache, sh->cache.oldest);
    atomic_store_explicit(&sh->open_count, sh->cache.count, memory_order_relaxed);
}

void group_end(struct group *g)
{
    release_databases(g);
    scan_close(g->scan);
    reader_close(g->reader);
    overlay_deinit(&g->overlay);
}

static enum sync_err load_database(struct shard *sh, struct slice name, struct database_record *ret,
                                   bool *ret_exists, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    struct database_record record = {0};
    key_database(name, &key);
    enum sync_err rc = instance_get(sh->instance, key_slice(&key), &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL)
        rc = record_get_database(instance_value_slice(&value), &record, ec);
    else if (rc == SYNC_OK)
        rc = shard_first_site(sh, name, &record.server_site, ec);
    if (rc == SYNC_OK) {
        *ret = record;
        *ret_exists = value.bytes != NULL;
    }
    instance_value_deinit(&value);
    return rc;
}

enum sync_err group_database(struct group *g, struct slice name, struct database **ret, struct err_ctx *ec)
{
    if (name.len == 0 || name.len > DATABASE_ID_MAX)
        return err_set(ec, SYNC_ELIMIT, "a database's name has 1 to %d bytes, not %zu", DATABASE_ID_MAX,
                       name.len);
    struct database *d = database_cache_find(&g->sh->cache, name);
    if (d == NULL) {
        struct database_record record;
        bool exists;
        enum sync_err rc = load_database(g->sh, name, &record, &exists, ec);
        if (rc != SYNC_OK) {
            err_wrap(ec, "database %.*s", SLICE_ARG(name));
            return rc;
        }
        d = database_cache_add(&g->sh->cache, name);
        if (d == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a database's record");
        d->record = record;
        d->exists = exists;
        if (!exists) d->rows_generation = g->sh->rows.generation; /* nothing is stored yet */
        rc = database_load_waiting(g->sh, d, ec);
        if (rc != SYNC_OK) {
            database_cache_drop(&g->sh->cache, d);
            return rc;
        }
    }
    if (!d->touched) {
        d->touched = true;
        d->touched_next = g->touched;
        g->touched = d;
    }
    *ret = d;
    return SYNC_OK;
}

enum sync_err database_check_live(const struct database *d, struct err_ctx *ec)
{
    switch (d->record.state) {
    case DATABASE_LIVE: break;
    case DATABASE_RESTORING: return err_set(ec, SYNC_EBUSY, "it is being restored, try again");
    case DATABASE_LEAVING: return err_set(ec, SYNC_EBUSY, "it has just left this disk, try again");
    }
    return SYNC_OK;
}

static bool put_database(struct group *g, const struct database *d)
{
    struct key key;
    key_database(database_name(d), &key);
    if (!d->exists) return overlay_delete(&g->overlay, key_slice(&key)); /* it has left */
    uint8_t *bytes = arena_get(&g->overlay.arena, DATABASE_RECORD_BYTES_MAX);
    if (bytes == NULL) return false;
    size_t len = record_put_database(&d->record, bytes);
    return overlay_put(&g->overlay, key_slice(&key), 0, slice_of(bytes, len), false);
}

static bool put_counter(struct group *g)
{
    struct key key;
    uint8_t *bytes = arena_get(&g->overlay.arena, COUNTER_RECORD_BYTES);
    if (bytes == NULL) return false;
    key_counter(&key);
    record_put_counter(g->number_last, bytes);
    return overlay_put(&g->overlay, key_slice(&key), 0, slice_of(bytes, COUNTER_RECORD_BYTES), false);
}

enum which { WHICH_ALL, WHICH_NO_LOG, WHICH_LOG };

static bool is_written(struct slice key, enum which which)
{
    return which == WHICH_ALL || (which == WHICH_LOG) == key_is_log(key);
}

static enum sync_err write_overlay(struct group *g, enum which which, struct err_ctx *ec)
{
    bool any = false;
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    for (const struct overlay_entry *e = g->overlay.first; e != NULL; e = e->next) {
        if (!is_written(e->key, which)) continue;
        if (e->state == OVERLAY_PUT) {
            leveldb_writebatch_put(batch, e->key.bytes, e->key.len, e->value.bytes, e->value.len);
            row_filter_add(&g->sh->rows, e->key); /* whether or not the write succeeds: too many do no harm */
        } else if (e->state == OVERLAY_DELETE) {
            leveldb_writebatch_delete(batch, e->key.bytes, e->key.len);
        } else {
            continue;
        }
        any = true;
    }
    enum sync_err rc = any ? instance_write(g->sh->instance, batch, g->lazy, ec) : SYNC_OK;
    leveldb_writebatch_destroy(batch);
    return rc;
}

static void write_failed(struct group *g)
{
    struct err_ctx again;
    g->touched = NULL;
    /* If this fails too the next group tries again; what the caller needs to hear is the write's failure. */
    (void)open_again(g->sh, &again);
}

enum sync_err group_commit(struct group *g, struct err_ctx *ec)
{
    struct shard *sh = g->sh;
    enum sync_err rc = SYNC_OK;
    for (const struct database *d = g->touched; d != NULL && rc == SYNC_OK; d = d->touched_next)
        if (d->changed && !put_database(g, d)) rc = err_set(ec, SYNC_ENOMEM, "no memory to write the group");
    if (rc == SYNC_OK && g->number_last != sh->number_last && !put_counter(g))
        rc = err_set(ec, SYNC_ENOMEM, "no memory to write the group");
    if (rc != SYNC_OK) {
        /* Nothing reached LevelDB: forgetting is enough. */
        g->touched = NULL;
        database_cache_clear(&sh->cache);
        return rc;
    }
    rc = write_overlay(g, WHICH_ALL, ec);
    if (rc != SYNC_OK) {
        write_failed(g);
        return rc;
    }
    sh->number_last = g->number_last;
    atomic_store_explicit(&sh->database_count, sh->number_last, memory_order_relaxed);
    return SYNC_OK;
}

enum sync_err group_commit_apart(struct group *g, struct err_ctx *ec)
{
    for (const struct database *d = g->touched; d != NULL; d = d->touched_next) assert(!d->changed);
    enum sync_err rc = write_overlay(g, WHICH_NO_LOG, ec);
    if (rc == SYNC_OK) rc = write_overlay(g, WHICH_LOG, ec);
    if (rc != SYNC_OK) write_failed(g);
    return rc;
}
