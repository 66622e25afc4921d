#include "storage/shard_internal.h"

#include <assert.h>

enum {
    /* A fact whose log record would be longer rests only under its own key, and the log points there. */
    LOG_INLINE_BYTES_MAX = 4096,
};

/* One request on its way through the merge: what the source's callbacks and the plan's writing work with. */
struct applying {
    struct group *g;
    struct database *database;
    const struct apply_request *request;
};

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to apply the batch");
}

/* ---- what stands before the request: LevelDB with the group's overlay in front ---- */

/* Is it known that LevelDB has neither a cell nor a tombstone of the row that `key` belongs to? */
static bool row_is_new(const struct applying *a, const struct key *key)
{
    const struct row_filter *rows = &a->g->sh->rows;
    return a->database->rows_generation == rows->generation && !row_filter_may_have(rows, key_slice(key));
}

/* The value under key; bytes is NULL where nothing is. *ret_owned is to be freed in any case, after use. */
static enum sync_err value_before(const struct applying *a, const struct key *key, struct slice *ret,
                                  struct instance_value *ret_owned, struct err_ctx *ec)
{
    struct shard *sh = a->g->sh;
    const struct overlay_entry *e = overlay_find(&a->g->overlay, key_slice(key));
    *ret = slice_of(NULL, 0);
    if (e != NULL && e->state != OVERLAY_UNTOUCHED) {
        if (e->state == OVERLAY_PUT) *ret = e->value;
        return SYNC_OK;
    }
    if (key_has_row(key) && row_is_new(a, key)) return SYNC_OK;
    enum sync_err rc = instance_get(sh->instance, key_slice(key), ret_owned, ec);
    if (rc == SYNC_OK) *ret = instance_value_slice(ret_owned);
    if (rc == SYNC_OK && ret->bytes == NULL) row_learner_missed(&sh->learner, &sh->rows, a->database);
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

static enum sync_err find_fact(void *state, const struct fact *f, struct arena *arena,
                               struct stored_fact *ret, struct err_ctx *ec)
{
    struct applying *a = state;
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

static enum sync_err find_tombstone(void *state, const struct fact *f, struct stored_fact *ret,
                                    struct err_ctx *ec)
{
    struct applying *a = state;
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

/* ---- carrying out the plan ---- */

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

static enum sync_err delete_log_entry(struct applying *a, const struct stamp *s, struct err_ctx *ec)
{
    struct key key;
    key_log(a->database->record.number, s, &key);
    return delete_key(a->g, &key, ec);
}

/* The fact's entry in the log: with its body, or pointing to `key`, under which it is stored. */
static enum sync_err put_log_entry(struct applying *a, const struct fact *f, const struct key *key,
                                   const struct stamp *s, struct err_ctx *ec)
{
    struct key log_key;
    size_t len = record_logged_size(f);
    bool inlined = len <= LOG_INLINE_BYTES_MAX;
    struct slice rest =
        slice_of(key->bytes + KEY_HEAD_BYTES - 1, key->len - (KEY_HEAD_BYTES - 1)); /* with its kind */
    if (!inlined) len = 1 + rest.len;
    uint8_t *bytes = arena_get(&a->g->overlay.arena, len);
    if (bytes == NULL) return no_memory(ec);
    if (inlined)
        record_put_logged(f, bytes);
    else
        record_put_pointer(f->type, rest, bytes);
    key_log(a->database->record.number, s, &log_key);
    return put(a->g, &log_key, 0, bytes, len, true, ec);
}

static enum sync_err put_stored(struct applying *a, const struct fact *f, const struct key *key,
                                size_t row_len, bool keep_key, bool fresh, const struct stamp *s,
                                struct err_ctx *ec)
{
    size_t len = record_stored_size(f, keep_key);
    if (len > RECORD_BYTES_MAX)
        return err_set(ec, SYNC_ELIMIT, "a record of %zu bytes, at most %d are stored", len,
                       RECORD_BYTES_MAX);
    uint8_t *bytes = arena_get(&a->g->overlay.arena, len);
    if (bytes == NULL) return no_memory(ec);
    record_put_stored(f, s, a->request->now_ms, keep_key, bytes);
    return put(a->g, key, row_len, bytes, len, fresh, ec);
}

static enum sync_err write_cell(struct applying *a, const struct fact *f, const struct stored_fact *before,
                                const struct stamp *s, struct err_ctx *ec)
{
    struct key key;
    uint32_t row_len;
    bool whole;
    struct fact cell = *f;
    enum sync_err rc = key_fact(a->database->record.number, f, &key, &row_len, &whole, ec);
    if (rc != SYNC_OK) return rc;

    /* What it replaces is judged against the state before the batch (protocol section 3, rules 3 and 4). So a
     * cell that survives a delete of its own batch, as resurrection allows, remembers the value that it and
     * the delete found here, in whichever order the two are carried out. */
    cell.cell.has_prior = before->found;
    cell.cell.prior_value = before->value;
    cell.cell.prior_hlc = before->hlc;
    if (before->found) {
        rc = delete_log_entry(a, &before->stamp, ec);
        if (rc != SYNC_OK) return rc;
    }
    rc = put_stored(a, &cell, &key, row_len, !whole, !before->found, s, ec);
    if (rc != SYNC_OK) return rc;
    return put_log_entry(a, &cell, &key, s, ec);
}

static enum sync_err delete_cell(struct applying *a, struct slice key, struct slice value, struct err_ctx *ec)
{
    struct stamp s;
    enum sync_err rc = record_get_stamp(value, FACT_CELL, &s, ec);
    if (rc == SYNC_OK) rc = delete_log_entry(a, &s, ec);
    if (rc == SYNC_OK && !overlay_delete(&a->g->overlay, key)) rc = no_memory(ec);
    return rc;
}

/* The cells of a database as they were before the group, opened once for all deletes in it. */
static enum sync_err open_scan(struct applying *a, struct err_ctx *ec)
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

static enum sync_err delete_row_cells(struct applying *a, const struct fact *f, struct err_ctx *ec)
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

static enum sync_err write_delete(struct applying *a, const struct fact *f, const struct stored_fact *before,
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

static enum sync_err write_migration(struct applying *a, const struct fact *f,
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

static enum sync_err carry_out(struct applying *a, const struct merge_plan *plan, struct err_ctx *ec)
{
    const struct batch *b = a->request->batch;
    struct database *d = a->database;
    enum sync_err rc = SYNC_OK;
    if (!d->exists) {
        if (a->g->number_last == UINT32_MAX)
            return err_set(ec, SYNC_ELIMIT, "this shard has numbers for no more databases");
        d->record.number = ++a->g->number_last;
        d->exists = true;
    }
    struct stamp s = stamp_next(&d->record.last, &b->highest);
    for (size_t i = 0; i < plan->write_count && rc == SYNC_OK; i++) {
        const struct fact *f = &b->facts[plan->writes[i]];
        const struct stored_fact *before = &plan->judgements[plan->writes[i]].before;
        s.op_seq = (uint32_t)i;
        switch (f->type) {
        case FACT_CELL: rc = write_cell(a, f, before, &s, ec); break;
        case FACT_DELETE: rc = write_delete(a, f, before, &s, ec); break;
        case FACT_MIGRATION: rc = write_migration(a, f, before, &s, ec); break;
        }
    }
    d->record.last = s;
    d->changed = true;
    return rc;
}

static enum sync_err apply_one(struct group *g, struct apply_request *r, struct err_ctx *ec)
{
    struct applying a = {.g = g, .request = r};
    enum sync_err rc = group_database(g, r->database, &a.database, ec);
    if (rc != SYNC_OK) return rc;

    const struct merge_rules rules = {.server_site = a.database->record.server_site,
                                      .allow_resurrection = g->sh->config.allow_resurrection};
    const struct merge_source source = {.state = &a, .find = find_fact, .find_tombstone = find_tombstone};
    struct merge_plan plan;
    struct arena scratch = {0};
    rc = merge_batch(r->batch, &rules, &source, &scratch, &plan, ec);
    if (rc == SYNC_OK) r->result = plan.result;
    if (rc == SYNC_OK && plan.write_count > 0) {
        const struct database before = *a.database;
        uint32_t number_last = g->number_last;
        overlay_mark(&g->overlay);
        rc = carry_out(&a, &plan, ec);
        if (rc != SYNC_OK) {
            overlay_rollback(&g->overlay);
            g->number_last = number_last;
            a.database->record = before.record;
            a.database->exists = before.exists;
            a.database->changed = before.changed;
        }
    }
    arena_deinit(&scratch);
    if (rc != SYNC_OK) err_wrap(ec, "database %.*s", SLICE_ARG(r->database));
    return rc;
}

static void fail_all(struct apply_request *group, enum sync_err rc, const struct err_ctx *ec)
{
    for (struct apply_request *r = group; r != NULL; r = r->next) {
        r->rc = rc;
        r->ec = *ec;
        r->result = (struct merge_result){0};
    }
}

void shard_apply(struct shard *sh, struct apply_request *group)
{
    struct group g;
    struct err_ctx ec;
    enum sync_err rc = group_begin(&g, sh, &ec);
    if (rc == SYNC_OK) {
        for (struct apply_request *r = group; r != NULL; r = r->next) {
            r->result = (struct merge_result){0};
            r->rc = apply_one(&g, r, &r->ec);
        }
        rc = group_commit(&g, &ec);
    }
    /* Whoever was judged was judged against facts that now are not there: so nobody has a true answer. */
    if (rc != SYNC_OK) fail_all(group, rc, &ec);
    group_end(&g);
    if (rc == SYNC_OK) row_learner_step(&sh->learner, &sh->rows, &sh->cache, sh->instance);
}
