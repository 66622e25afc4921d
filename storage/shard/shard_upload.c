#include "storage/shard/shard_upload.h"

#include "storage/shard/shard_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    MARK_FORMAT = 1,
    MARK_FIXED = 1 + KEY_STAMP_BYTES + 8,
    STATE_FORMAT = 1,
    STATE_BYTES = 1 + LOG_IDENTITY_BYTES + 8,
};

/* ---- the bytes */

static enum sync_err get_mark(struct slice value, struct waiting_database *ret, struct err_ctx *ec)
{
    const uint8_t *at = (const uint8_t *)value.bytes;
    if (value.len <= MARK_FIXED || value.len > MARK_FIXED + DATABASE_ID_MAX || at[0] != MARK_FORMAT ||
        !key_parse_stamp(slice_of(at + 1, KEY_STAMP_BYTES), &ret->position))
        return err_set(ec, SYNC_EFORMAT, "damaged mark of a database that waits, %zu bytes", value.len);
    ret->since_ms = key_get_be(at + 1 + KEY_STAMP_BYTES, 8);
    ret->name_len = value.len - MARK_FIXED;
    memcpy(ret->name, at + MARK_FIXED, ret->name_len);
    return SYNC_OK;
}

static bool put_mark(struct group *g, const struct database *d, const struct stamp *position, uint64_t now_ms)
{
    struct key key;
    size_t len = MARK_FIXED + d->name_len;
    uint8_t *bytes = arena_get(&g->overlay.arena, len);
    if (bytes == NULL) return false;
    bytes[0] = MARK_FORMAT;
    uint8_t *at = key_put_be(key_put_stamp(bytes + 1, position), now_ms, 8);
    memcpy(at, d->name, d->name_len);
    key_waiting(d->record.number, &key);
    return overlay_put(&g->overlay, key_slice(&key), 0, slice_of(bytes, len), false);
}

static void put_state(uint32_t partition, const struct log_state *state, struct key *ret_key,
                      uint8_t ret[STATE_BYTES])
{
    key_log_state(partition, ret_key);
    ret[0] = STATE_FORMAT;
    memcpy(ret + 1, state->identity, LOG_IDENTITY_BYTES);
    (void)key_put_be(ret + 1 + LOG_IDENTITY_BYTES, state->sequence, 8);
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to note what is uploaded");
}

/* ---- which wait */

struct waiting_scan {
    struct reader *reader;
    struct scan *scan;
};

enum sync_err waiting_scan_open(struct shard *sh, uint32_t from, struct waiting_scan **ret,
                                struct err_ctx *ec)
{
    struct key prefix, key;
    struct waiting_scan *s = calloc(1, sizeof *s);
    if (s == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a scan");
    key_kind_prefix(0, KEY_WAITING, &prefix);
    enum sync_err rc = reader_open(sh->instance, &s->reader, ec);
    if (rc == SYNC_OK) rc = scan_open(s->reader, key_slice(&prefix), true, &s->scan, ec);
    key_waiting(from, &key);
    if (rc == SYNC_OK) rc = scan_seek(s->scan, key_slice(&key), ec);
    if (rc != SYNC_OK) {
        waiting_scan_close(s);
        return rc;
    }
    *ret = s;
    return SYNC_OK;
}

void waiting_scan_close(struct waiting_scan *s)
{
    if (s == NULL) return;
    scan_close(s->scan);
    reader_close(s->reader);
    free(s);
}

enum sync_err waiting_scan_next(struct waiting_scan *s, struct waiting_database *ret, bool *ret_found,
                                struct err_ctx *ec)
{
    struct slice key, value;
    enum sync_err rc = scan_next(s->scan, ret_found, &key, &value, ec);
    if (rc != SYNC_OK || !*ret_found) return rc;
    if (key.len != KEY_HEAD_BYTES + 4)
        return err_set(ec, SYNC_EFORMAT, "a waiting database's key of %zu bytes", key.len);
    ret->number = (uint32_t)key_get_be((const uint8_t *)key.bytes + KEY_HEAD_BYTES, 4);
    return get_mark(value, ret, ec);
}

enum sync_err shard_is_waiting(struct shard *sh, struct slice database, bool *ret, struct stamp *ret_position,
                               struct err_ctx *ec)
{
    struct reader *reader = NULL;
    struct key key;
    struct instance_value value = {0};
    struct database_record record;
    struct waiting_database mark;
    key_database(database, &key);
    *ret = false;
    enum sync_err rc = reader_open(sh->instance, &reader, ec);
    if (rc == SYNC_OK) rc = reader_get(reader, key_slice(&key), &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL) {
        rc = record_get_database(instance_value_slice(&value), &record, ec);
        instance_value_deinit(&value);
        key_waiting(record.number, &key);
        if (rc == SYNC_OK) rc = reader_get(reader, key_slice(&key), &value, ec);
        if (rc == SYNC_OK && value.bytes != NULL) {
            rc = get_mark(instance_value_slice(&value), &mark, ec);
            *ret = rc == SYNC_OK;
            if (rc == SYNC_OK && ret_position != NULL) *ret_position = mark.position;
        }
    }
    instance_value_deinit(&value);
    reader_close(reader);
    return rc;
}

enum sync_err database_load_waiting(struct shard *sh, struct database *d, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    if (!d->exists) return SYNC_OK;
    key_waiting(d->record.number, &key);
    enum sync_err rc = instance_get(sh->instance, key_slice(&key), &value, ec);
    d->waiting = rc == SYNC_OK && value.bytes != NULL;
    instance_value_deinit(&value);
    return rc;
}

enum sync_err group_wait(struct group *g, struct database *d, const struct stamp *position, uint64_t now_ms,
                         struct err_ctx *ec)
{
    if (d->waiting) return SYNC_OK;
    if (!put_mark(g, d, position, now_ms)) return no_memory(ec);
    d->waiting = true;
    return SYNC_OK;
}

/* ---- moving positions */

static enum sync_err move(struct group *g, const struct upload_position *p, struct err_ctx *ec)
{
    struct database *d;
    struct key key;
    struct instance_value value = {0};
    struct waiting_database mark;
    enum sync_err rc = group_database(g, p->database, &d, ec);
    if (rc != SYNC_OK || !d->exists || !d->waiting) return rc;
    key_waiting(d->record.number, &key);
    if (stamp_cmp(&p->position, &d->record.last) >= 0) {
        d->waiting = false;
        return overlay_delete(&g->overlay, key_slice(&key)) ? SYNC_OK : no_memory(ec);
    }
    rc = instance_get(g->sh->instance, key_slice(&key), &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL) rc = get_mark(instance_value_slice(&value), &mark, ec);
    bool forward = rc == SYNC_OK && value.bytes != NULL && stamp_cmp(&mark.position, &p->position) < 0;
    instance_value_deinit(&value);
    if (!forward) return rc;
    /* What waits behind the new position is at most as old as what waited before it. */
    return put_mark(g, d, &p->position, mark.since_ms) ? SYNC_OK : no_memory(ec);
}

static enum sync_err commit(struct group *g, enum sync_err rc, struct err_ctx *ec)
{
    if (rc == SYNC_OK) {
        rc = group_commit(g, ec);
    } else {
        /* What is in memory may be ahead of LevelDB. */
        g->touched = NULL;
        database_cache_clear(&g->sh->cache);
    }
    group_end(g);
    return rc;
}

enum sync_err shard_uploaded(struct shard *sh, const struct upload_position *positions, size_t count,
                             uint32_t partition, const struct log_state *state, struct err_ctx *ec)
{
    struct group g;
    struct key key;
    uint8_t bytes[STATE_BYTES];
    enum sync_err rc = group_begin(&g, sh, ec);
    g.lazy = true;
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) rc = move(&g, &positions[i], ec);
    if (rc == SYNC_OK && state != NULL) {
        put_state(partition, state, &key, bytes);
        if (!overlay_put(&g.overlay, key_slice(&key), 0, slice_of(bytes, STATE_BYTES), false))
            rc = no_memory(ec);
    }
    return commit(&g, rc, ec);
}

enum sync_err shard_put_log_state(struct shard *sh, uint32_t partition, const struct log_state *state,
                                  struct err_ctx *ec)
{
    struct group g;
    struct key key;
    uint8_t bytes[STATE_BYTES];
    enum sync_err rc = group_begin(&g, sh, ec);
    put_state(partition, state, &key, bytes);
    if (rc == SYNC_OK && !overlay_put(&g.overlay, key_slice(&key), 0, slice_of(bytes, STATE_BYTES), false))
        rc = no_memory(ec);
    return commit(&g, rc, ec);
}

enum sync_err shard_wait_from_start(struct shard *sh, struct slice database, uint64_t now_ms,
                                    struct err_ctx *ec)
{
    static const struct stamp start = {0};
    struct group g;
    struct database *d;
    enum sync_err rc = group_begin(&g, sh, ec);
    if (rc == SYNC_OK) rc = group_database(&g, database, &d, ec);
    if (rc == SYNC_OK && d->exists) {
        if (!put_mark(&g, d, &start, now_ms)) rc = no_memory(ec);
        d->waiting = true;
    }
    return commit(&g, rc, ec);
}

enum sync_err shard_sync(struct shard *sh, struct err_ctx *ec)
{
    enum sync_err rc = shard_recover(sh, ec);
    return rc == SYNC_OK ? instance_sync(sh->instance, ec) : rc;
}

enum sync_err shard_get_log_state(struct shard *sh, uint32_t partition, struct log_state *ret,
                                  bool *ret_found, struct err_ctx *ec)
{
    struct reader *reader = NULL;
    struct key key;
    struct instance_value value = {0};
    key_log_state(partition, &key);
    enum sync_err rc = reader_open(sh->instance, &reader, ec);
    if (rc == SYNC_OK) rc = reader_get(reader, key_slice(&key), &value, ec);
    if (rc == SYNC_OK) *ret_found = value.bytes != NULL;
    if (rc == SYNC_OK && value.bytes != NULL) {
        const uint8_t *at = (const uint8_t *)value.bytes;
        if (value.len == STATE_BYTES && at[0] == STATE_FORMAT) {
            memcpy(ret->identity, at + 1, LOG_IDENTITY_BYTES);
            ret->sequence = key_get_be(at + 1 + LOG_IDENTITY_BYTES, 8);
        } else {
            rc = err_set(ec, SYNC_EFORMAT, "damaged state of the shared log, %zu bytes", value.len);
        }
    }
    instance_value_deinit(&value);
    reader_close(reader);
    return rc;
}
