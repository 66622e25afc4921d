#include "storage/shard/shard_import.h"

#include "storage/shard/left_note.h"
#include "storage/shard/shard_write.h"

/* Every function here is one group about one database. Ends it: commits what `rc` says went well; otherwise
 * the record in memory may be ahead of LevelDB's, and is forgotten. */
static enum sync_err end(struct group *g, struct database *d, enum sync_err rc, struct slice name,
                         struct err_ctx *ec)
{
    if (rc == SYNC_OK)
        rc = group_commit(g, ec);
    else if (d != NULL)
        d->exists = false; /* dropped with the group */
    group_end(g);
    if (rc != SYNC_OK) err_wrap(ec, "database %.*s", SLICE_ARG(name));
    return rc;
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to move a database");
}

static enum sync_err begin(struct group *g, struct shard *sh, struct slice name, struct database **ret,
                           struct err_ctx *ec)
{
    *ret = NULL;
    enum sync_err rc = group_begin(g, sh, ec);
    return rc == SYNC_OK ? group_database(g, name, ret, ec) : rc;
}

enum sync_err shard_import_begin(struct shard *sh, struct slice database, struct err_ctx *ec)
{
    struct group g;
    struct database *d;
    enum sync_err rc = begin(&g, sh, database, &d, ec);
    if (rc == SYNC_OK && d->exists) {
        rc = err_set(ec, SYNC_EBUSY, "it is here already");
        d = NULL;
    }
    struct writing w = {.g = &g, .database = d};
    if (rc == SYNC_OK) rc = writing_begin_database(&w, ec);
    uint32_t number = rc == SYNC_OK ? d->record.number : 0;
    if (rc == SYNC_OK) {
        d->record.state = DATABASE_RESTORING;
        d->changed = true;
        if (import_hold_add(&sh->holds, number, sh->config.hash_seed) == NULL) rc = no_memory(ec);
    }
    rc = end(&g, d, rc, database, ec);
    if (rc != SYNC_OK) import_hold_drop(&sh->holds, number);
    return rc;
}

/* NULL once an entry or a write has failed, and after a restart: what was held back is gone. */
static struct import_hold *hold_of(const struct shard *sh, const struct database *d)
{
    bool importing = d->exists && d->record.state == DATABASE_RESTORING;
    return importing ? import_hold_find(&sh->holds, d->record.number) : NULL;
}

/* The group goes on with what is held back, or the hold gets it back. */
static void swap_overlays(struct group *g, struct import_hold *h)
{
    struct overlay held = h->overlay;
    h->overlay = g->overlay;
    g->overlay = held;
}

/* Begins a group that goes on with an import. Errors: also SYNC_EFORMAT, when none has begun. */
static enum sync_err begin_held(struct group *g, struct shard *sh, struct slice name, struct database **ret,
                                struct import_hold **ret_hold, struct err_ctx *ec)
{
    enum sync_err rc = begin(g, sh, name, ret, ec);
    if (rc != SYNC_OK) return rc;
    *ret_hold = hold_of(sh, *ret);
    if (*ret_hold == NULL) return err_set(ec, SYNC_EFORMAT, "no import has begun");
    swap_overlays(g, *ret_hold);
    return SYNC_OK;
}

/* A cell is accepted only where its row has no tombstone. So one that was removed by retention, and came here
 * all the same because it was carried before, must go; unless cells may come back beside their tombstone. */
static enum sync_err drop_pruned_tombstone(struct writing *w, const struct moved_entry *e,
                                           const struct stamp *pruned, struct err_ctx *ec)
{
    struct stored_fact tombstone;
    if (e->fact.type != FACT_CELL || pruned->wall_ms == 0 || w->g->sh->config.allow_resurrection)
        return SYNC_OK;
    enum sync_err rc = writing_find_tombstone(w, &e->fact, &tombstone, ec);
    if (rc != SYNC_OK || !tombstone.found || stamp_cmp(&tombstone.stamp, pruned) > 0) return rc;
    return writing_drop_tombstone(w, &e->fact, &tombstone, ec);
}

static enum sync_err import_one(struct writing *w, struct import_hold *h, const struct moved_entry *e,
                                const struct stamp *pruned, struct err_ctx *ec)
{
    struct arena scratch = {0};
    struct stored_fact before;
    if (stamp_cmp(&e->stamp, &h->last) <= 0)
        return err_set(ec, SYNC_EFORMAT, "facts do not come in the order of their stamps");
    enum sync_err rc = drop_pruned_tombstone(w, e, pruned, ec);
    if (rc == SYNC_OK) rc = writing_find(w, &e->fact, &scratch, &before, ec);
    w->created_ms = e->created_ms;
    if (rc == SYNC_OK) rc = writing_put(w, &e->fact, &before, &e->stamp, ec);
    h->last = e->stamp;
    import_hold_count(h, &e->fact);
    arena_deinit(&scratch);
    return rc;
}

enum sync_err shard_import_entries(struct shard *sh, struct slice database, const struct moved_entry *entries,
                                   size_t count, const struct stamp *pruned, struct err_ctx *ec)
{
    struct group g;
    struct database *d;
    struct import_hold *h;
    enum sync_err rc = begin_held(&g, sh, database, &d, &h, ec);
    if (rc != SYNC_OK) return end(&g, d, rc, database, ec);
    struct writing w = {.g = &g, .database = d};
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) rc = import_one(&w, h, &entries[i], pruned, ec);
    if (rc == SYNC_OK && import_hold_is_full(h, sh->config.write_buffer_bytes)) {
        rc = group_commit_apart(&g, ec);
        overlay_deinit(&g.overlay);
        import_hold_clear(h);
    }
    swap_overlays(&g, h);
    group_end(&g);
    if (rc == SYNC_OK) return SYNC_OK;
    import_hold_drop(&sh->holds, h->number);
    err_wrap(ec, "database %.*s", SLICE_ARG(database));
    return rc;
}

static enum sync_err drop_left_note(struct group *g, const struct database *d, struct err_ctx *ec)
{
    struct key key;
    key_left(database_name(d), &key);
    return overlay_delete(&g->overlay, key_slice(&key)) ? SYNC_OK : no_memory(ec);
}

static enum sync_err put_left_note(struct group *g, const struct database *d, struct err_ctx *ec)
{
    const struct left_note note = {.last = d->record.last, .server_site = d->record.server_site};
    struct key key;
    uint8_t *bytes = arena_get(&g->overlay.arena, LEFT_NOTE_BYTES);
    if (bytes == NULL) return no_memory(ec);
    left_note_put(&note, bytes);
    key_left(database_name(d), &key);
    return overlay_put(&g->overlay, key_slice(&key), 0, slice_of(bytes, LEFT_NOTE_BYTES), false)
               ? SYNC_OK
               : no_memory(ec);
}

enum sync_err shard_import_finish(struct shard *sh, struct slice database, const struct import_record *record,
                                  struct err_ctx *ec)
{
    struct group g;
    struct database *d;
    struct import_hold *h;
    enum sync_err rc = begin_held(&g, sh, database, &d, &h, ec);
    if (rc != SYNC_OK) return end(&g, d, rc, database, ec);
    d->record.state = DATABASE_LIVE;
    d->record.server_site = record->server_site;
    d->record.pruned = record->pruned;
    d->record.asks = record->asks;
    d->record.last = stamp_cmp(&record->last, &h->last) > 0 ? record->last : h->last;
    d->changed = true;
    import_hold_drop(&sh->holds, d->record.number);
    rc = drop_left_note(&g, d, ec);
    return end(&g, d, rc, database, ec);
}

void shard_import_forget(struct shard *sh, struct slice database)
{
    struct group g;
    struct database *d;
    struct err_ctx ignored; /* what cannot be looked up now goes with the removal, or with the shard */
    if (begin(&g, sh, database, &d, &ignored) == SYNC_OK) import_hold_drop(&sh->holds, d->record.number);
    group_end(&g);
}

enum sync_err shard_leave(struct shard *sh, struct slice database, const struct stamp *last,
                          bool *ret_leaving, struct err_ctx *ec)
{
    struct group g;
    struct database *d;
    bool leaving = false;
    enum sync_err rc = begin(&g, sh, database, &d, ec);
    if (rc == SYNC_OK && d->exists && d->record.state == DATABASE_LIVE && !d->waiting &&
        stamp_cmp(&d->record.last, last) == 0) {
        d->record.state = DATABASE_LEAVING;
        d->changed = leaving = true;
    }
    rc = end(&g, d, rc, database, ec);
    if (rc == SYNC_OK) *ret_leaving = leaving;
    return rc;
}

/* Deletes keys of the database, in their order. *ret_more: there may be further ones. */
static enum sync_err remove_keys(struct group *g, const struct database *d, size_t keys_max, bool *ret_more,
                                 struct err_ctx *ec)
{
    struct key prefix;
    struct scan *scan = NULL;
    key_database_prefix(d->record.number, &prefix);
    enum sync_err rc = reader_open(g->sh->instance, &g->reader, ec);
    if (rc == SYNC_OK) rc = scan_open(g->reader, key_slice(&prefix), false, &scan, ec);
    *ret_more = true;
    for (size_t i = 0; i < keys_max && rc == SYNC_OK && *ret_more; i++) {
        struct slice key, value;
        rc = scan_next(scan, ret_more, &key, &value, ec);
        if (rc == SYNC_OK && *ret_more && !overlay_delete(&g->overlay, key)) rc = no_memory(ec);
    }
    scan_close(scan);
    return rc;
}

enum sync_err shard_remove_step(struct shard *sh, struct slice database, size_t keys_max, bool *ret_gone,
                                struct err_ctx *ec)
{
    struct group g;
    struct database *d;
    bool more = false;
    enum sync_err rc = begin(&g, sh, database, &d, ec);
    if (rc == SYNC_OK && d->exists && d->record.state == DATABASE_LIVE) {
        rc = err_set(ec, SYNC_EBUSY, "it is in use");
        d = NULL;
    }
    if (rc == SYNC_OK && d->exists) import_hold_drop(&sh->holds, d->record.number);
    /* That it is not LIVE is on the disk. What a crash brings back of these steps is removed once more. */
    g.lazy = true;
    if (rc == SYNC_OK && d->exists) {
        rc = remove_keys(&g, d, keys_max, &more, ec);
        if (rc == SYNC_OK && !more) {
            struct key mark;
            key_waiting(d->record.number, &mark);
            if (!overlay_delete(&g.overlay, key_slice(&mark))) rc = no_memory(ec);
            if (rc == SYNC_OK && d->record.state == DATABASE_LEAVING) rc = put_left_note(&g, d, ec);
            d->waiting = false;
            d->exists = false;
            d->changed = true;
        }
    }
    rc = end(&g, d, rc, database, ec);
    if (rc == SYNC_OK) *ret_gone = !more;
    return rc;
}

enum sync_err shard_site_asked(struct shard *sh, struct slice database, const struct site_id *site,
                               struct err_ctx *ec)
{
    static const char nothing = 0;
    struct group g;
    struct database *d;
    struct key key;
    struct instance_value known = {0};
    enum sync_err rc = begin(&g, sh, database, &d, ec);
    if (rc == SYNC_OK && d->exists && d->record.asks) {
        key_asked(d->record.number, site, &key);
        rc = instance_get(sh->instance, key_slice(&key), &known, ec);
        if (rc == SYNC_OK && known.bytes == NULL) {
            if (!overlay_put(&g.overlay, key_slice(&key), 0, slice_of(&nothing, 1), true))
                rc = err_set(ec, SYNC_ENOMEM, "no memory to note a site");
            if (++d->record.asked_count >= SITES_ASKED_MAX) {
                d->record.asks = false;
                d->record.asked_count = 0;
            }
            d->changed = true;
        }
        instance_value_deinit(&known);
    }
    return end(&g, d, rc, database, ec);
}

enum sync_err shard_database_state(struct shard *sh, struct slice database, bool *ret_exists,
                                   enum database_state *ret, struct err_ctx *ec)
{
    struct group g;
    struct database *d;
    enum sync_err rc = begin(&g, sh, database, &d, ec);
    if (rc == SYNC_OK) {
        *ret_exists = d->exists;
        *ret = d->record.state;
    }
    return end(&g, d, rc, database, ec);
}
