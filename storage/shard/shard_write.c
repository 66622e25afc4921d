#include "storage/shard/shard_write.h"

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to write facts");
}

/* ---- what stands there: LevelDB with the group's overlay in front ---- */

/* Is it known that LevelDB has neither a cell nor a tombstone of the row that `key` belongs to? */
static bool row_is_new(const struct writing *w, const struct key *key)
{
    const struct row_filter *rows = &w->g->sh->rows;
    return w->database->rows_generation == rows->generation && !row_filter_may_have(rows, key_slice(key));
}

/* The value under key; bytes is NULL where nothing is. *ret_owned is to be freed in any case, after use. */
static enum sync_err value_before(const struct writing *w, const struct key *key, struct slice *ret,
                                  struct instance_value *ret_owned, struct err_ctx *ec)
{
    struct shard *sh = w->g->sh;
    const struct overlay_entry *e = overlay_find(&w->g->overlay, key_slice(key));
    *ret = slice_of(NULL, 0);
    if (e != NULL && e->state != OVERLAY_UNTOUCHED) {
        if (e->state == OVERLAY_PUT) *ret = e->value;
        return SYNC_OK;
    }
    if (key_has_row(key) && row_is_new(w, key)) return SYNC_OK;
    enum sync_err rc = instance_get(sh->instance, key_slice(key), ret_owned, ec);
    if (rc == SYNC_OK) *ret = instance_value_slice(ret_owned);
    if (rc == SYNC_OK && ret->bytes == NULL) row_learner_missed(&sh->learner, &sh->rows, w->database);
    return rc;
}

static enum sync_err decode_found(struct slice value, enum fact_type type, struct arena *arena,
                                  struct stored_fact *ret, struct err_ctx *ec)
{
    struct stored_record r;
    enum sync_err rc = record_get_stored(value, type, &r, ec);
    if (rc != SYNC_OK) return rc;
    *ret = (struct stored_fact){.found = true, .hlc = r.fact.hlc, .stamp = r.stamp};
    if (type != FACT_CELL) return SYNC_OK;
    ret->value = arena_copy(arena, r.fact.cell.value);
    if (ret->value.bytes == NULL && r.fact.cell.value.len > 0) return no_memory(ec);
    return SYNC_OK;
}

enum sync_err writing_find(const struct writing *a, const struct fact *f, struct arena *arena,
                           struct stored_fact *ret, struct err_ctx *ec)
{
    struct key key;
    struct instance_value owned = {0};
    struct slice value;
    uint32_t row_len;
    bool whole;
    *ret = (struct stored_fact){0};
    if (!a->database->exists) return SYNC_OK;
    enum sync_err rc = f->type == FACT_MIGRATION
                           ? key_migration_index(a->database->record.number, f, &key, ec)
                           : key_fact(a->database->record.number, f, &key, &row_len, &whole, ec);
    if (rc == SYNC_OK) rc = value_before(a, &key, &value, &owned, ec);
    if (rc == SYNC_OK && value.bytes != NULL) {
        if (f->type == FACT_MIGRATION) {
            rc = record_get_migration_index(value, &ret->hlc, &ret->stamp, ec);
            ret->found = rc == SYNC_OK;
        } else {
            rc = decode_found(value, f->type, arena, ret, ec);
        }
    }
    instance_value_deinit(&owned);
    return rc;
}

enum sync_err writing_find_tombstone(const struct writing *a, const struct fact *f, struct stored_fact *ret,
                                     struct err_ctx *ec)
{
    struct key key;
    struct instance_value owned = {0};
    struct slice value;
    *ret = (struct stored_fact){0};
    if (!a->database->exists) return SYNC_OK;
    enum sync_err rc =
        key_row(a->database->record.number, KEY_TOMBSTONE, fact_row_key(f), f->table_key_len, &key, ec);
    if (rc == SYNC_OK) rc = value_before(a, &key, &value, &owned, ec);
    if (rc == SYNC_OK && value.bytes != NULL) rc = decode_found(value, FACT_DELETE, NULL, ret, ec);
    instance_value_deinit(&owned);
    return rc;
}

/* ---- writing ---- */

static enum sync_err put(struct group *g, const struct key *key, size_t row_len, uint8_t *bytes, size_t len,
                         bool fresh, struct err_ctx *ec)
{
    if (!overlay_put(&g->overlay, key_slice(key), row_len, slice_of(bytes, len), fresh)) return no_memory(ec);
    return SYNC_OK;
}

static enum sync_err delete_key(struct group *g, const struct key *key, struct err_ctx *ec)
{
    return overlay_delete(&g->overlay, key_slice(key)) ? SYNC_OK : no_memory(ec);
}

static enum sync_err delete_log_entry(struct writing *a, const struct stamp *s, struct err_ctx *ec)
{
    struct key key;
    key_log(a->database->record.number, s, &key);
    return delete_key(a->g, &key, ec);
}

/* The fact's entry in the log: with its body, or pointing to `key`, under which it is stored. */
static enum sync_err put_log_entry(struct writing *a, const struct fact *f, const struct key *key,
                                   const struct stamp *s, struct err_ctx *ec)
{
    struct key log_key;
    size_t len = record_logged_size(f);
    bool inlined = len <= RECORD_INLINE_BYTES_MAX;
    struct slice rest =
        slice_of(key->bytes + KEY_HEAD_BYTES - 1, key->len - (KEY_HEAD_BYTES - 1)); /* with its kind */
    if (!inlined) len = 1 + rest.len;
    uint8_t *bytes = arena_get(&a->g->overlay.arena, len);
    if (bytes == NULL) return no_memory(ec);
    if (inlined)
        record_put_logged(f, a->created_ms, bytes);
    else
        record_put_pointer(f->type, rest, bytes);
    key_log(a->database->record.number, s, &log_key);
    return put(a->g, &log_key, 0, bytes, len, true, ec);
}

static enum sync_err put_stored(struct writing *a, const struct fact *f, const struct key *key,
                                size_t row_len, bool keep_key, bool fresh, const struct stamp *s,
                                struct err_ctx *ec)
{
    size_t len = record_stored_size(f, keep_key);
    if (len > RECORD_BYTES_MAX)
        return err_set(ec, SYNC_ELIMIT, "a record of %zu bytes, at most %d are stored", len,
                       RECORD_BYTES_MAX);
    uint8_t *bytes = arena_get(&a->g->overlay.arena, len);
    if (bytes == NULL) return no_memory(ec);
    record_put_stored(f, s, a->created_ms, keep_key, bytes);
    return put(a->g, key, row_len, bytes, len, fresh, ec);
}

static enum sync_err write_cell(struct writing *a, const struct fact *f, const struct stored_fact *before,
                                const struct stamp *s, struct err_ctx *ec)
{
    struct key key;
    uint32_t row_len;
    bool whole;
    enum sync_err rc = key_fact(a->database->record.number, f, &key, &row_len, &whole, ec);
    if (rc != SYNC_OK) return rc;
    if (before->found) {
        rc = delete_log_entry(a, &before->stamp, ec);
        if (rc != SYNC_OK) return rc;
    }
    rc = put_stored(a, f, &key, row_len, !whole, !before->found, s, ec);
    if (rc != SYNC_OK) return rc;
    return put_log_entry(a, f, &key, s, ec);
}

static enum sync_err delete_cell(struct writing *a, struct slice key, struct slice value, struct err_ctx *ec)
{
    struct stamp s;
    enum sync_err rc = record_get_stamp(value, FACT_CELL, &s, ec);
    if (rc == SYNC_OK) rc = delete_log_entry(a, &s, ec);
    if (rc == SYNC_OK && !overlay_delete(&a->g->overlay, key)) rc = no_memory(ec);
    return rc;
}

/* The cells of a database as they were before the group, opened once for all deletes in it. */
static enum sync_err open_scan(struct writing *a, struct err_ctx *ec)
{
    struct group *g = a->g;
    uint32_t number = a->database->record.number;
    struct key prefix;
    if (g->scan != NULL && g->scan_number == number) return SYNC_OK;
    scan_close(g->scan);
    g->scan = NULL;
    if (g->reader == NULL) {
        enum sync_err rc = reader_open(g->sh->instance, &g->reader, ec);
        if (rc != SYNC_OK) return rc;
    }
    key_kind_prefix(number, KEY_CELL, &prefix);
    g->scan_number = number;
    return scan_open(g->reader, key_slice(&prefix), true, &g->scan, ec);
}

static enum sync_err delete_row_cells(struct writing *a, const struct fact *f, struct err_ctx *ec)
{
    struct overlay *o = &a->g->overlay;
    struct key row;
    enum sync_err rc =
        key_row(a->database->record.number, KEY_CELL, fact_row_key(f), f->table_key_len, &row, ec);
    if (rc != SYNC_OK) return rc;

    for (const struct overlay_entry *e = overlay_row(o, key_slice(&row)); e != NULL; e = e->row_next) {
        if (e->state != OVERLAY_PUT) continue;
        rc = delete_cell(a, e->key, e->value, ec);
        if (rc != SYNC_OK) return rc;
    }
    rc = open_scan(a, ec);
    if (rc == SYNC_OK) rc = scan_seek(a->g->scan, key_slice(&row), ec);
    while (rc == SYNC_OK) {
        bool found;
        struct slice key, value;
        rc = scan_next(a->g->scan, &found, &key, &value, ec);
        if (rc != SYNC_OK || !found || !slice_starts_with(key, key_slice(&row))) break;
        const struct overlay_entry *e = overlay_find(o, key);
        if (e != NULL && e->state != OVERLAY_UNTOUCHED) continue; /* just now, or earlier in the group */
        rc = delete_cell(a, key, value, ec);
    }
    return rc;
}

static enum sync_err write_delete(struct writing *a, const struct fact *f, const struct stored_fact *before,
                                  const struct stamp *s, struct err_ctx *ec)
{
    struct key key;
    uint32_t row_len;
    bool whole;
    enum sync_err rc = delete_row_cells(a, f, ec);
    if (rc == SYNC_OK && before->found) rc = delete_log_entry(a, &before->stamp, ec);
    if (rc == SYNC_OK) rc = key_fact(a->database->record.number, f, &key, &row_len, &whole, ec);
    if (rc != SYNC_OK) return rc;
    rc = put_stored(a, f, &key, 0, !whole, !before->found, s, ec);
    if (rc != SYNC_OK) return rc;
    return put_log_entry(a, f, &key, s, ec);
}

static enum sync_err write_migration(struct writing *a, const struct fact *f,
                                     const struct stored_fact *before, const struct stamp *s,
                                     struct err_ctx *ec)
{
    uint32_t number = a->database->record.number, row_len;
    struct key key;
    bool whole;
    enum sync_err rc = SYNC_OK;
    if (before->found) {
        rc = key_migration(number, f, &before->hlc, &key, &whole, ec);
        if (rc == SYNC_OK) rc = delete_key(a->g, &key, ec);
        if (rc == SYNC_OK) rc = delete_log_entry(a, &before->stamp, ec);
        if (rc != SYNC_OK) return rc;
    }
    uint8_t *index = arena_get(&a->g->overlay.arena, MIGRATION_INDEX_BYTES);
    if (index == NULL) return no_memory(ec);
    record_put_migration_index(&f->hlc, s, index);
    rc = key_migration_index(number, f, &key, ec);
    if (rc == SYNC_OK) rc = put(a->g, &key, 0, index, MIGRATION_INDEX_BYTES, !before->found, ec);
    if (rc == SYNC_OK) rc = key_fact(number, f, &key, &row_len, &whole, ec);
    if (rc == SYNC_OK) rc = put_stored(a, f, &key, 0, !whole, true, s, ec);
    if (rc == SYNC_OK) rc = put_log_entry(a, f, &key, s, ec);
    return rc;
}

enum sync_err writing_begin_database(struct writing *a, struct err_ctx *ec)
{
    struct database *d = a->database;
    if (d->exists) return SYNC_OK;
    if (a->g->number_last == UINT32_MAX)
        return err_set(ec, SYNC_ELIMIT, "this shard has numbers for no more databases");
    d->record.number = ++a->g->number_last;
    d->exists = true;
    return SYNC_OK;
}

enum sync_err writing_put(struct writing *a, const struct fact *f, const struct stored_fact *before,
                          const struct stamp *s, struct err_ctx *ec)
{
    switch (f->type) {
    case FACT_CELL: return write_cell(a, f, before, s, ec);
    case FACT_DELETE: return write_delete(a, f, before, s, ec);
    case FACT_MIGRATION: break;
    }
    return write_migration(a, f, before, s, ec);
}

enum sync_err writing_drop_tombstone(struct writing *a, const struct fact *f,
                                     const struct stored_fact *tombstone, struct err_ctx *ec)
{
    struct key key;
    enum sync_err rc =
        key_row(a->database->record.number, KEY_TOMBSTONE, fact_row_key(f), f->table_key_len, &key, ec);
    if (rc == SYNC_OK) rc = delete_key(a->g, &key, ec);
    return rc == SYNC_OK ? delete_log_entry(a, &tombstone->stamp, ec) : rc;
}
