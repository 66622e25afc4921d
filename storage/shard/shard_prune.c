#include "storage/shard/shard_internal.h"

static enum sync_err prune_one(struct group *g, struct database *d, const struct prune_candidate *c,
                               bool *ret_pruned, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    struct stored_record r;
    enum sync_err rc = key_row(d->record.number, KEY_TOMBSTONE, c->row_key, c->table_key_len, &key, ec);
    if (rc != SYNC_OK) return rc;
    if (overlay_find(&g->overlay, key_slice(&key)) != NULL) return SYNC_OK; /* named twice */
    rc = instance_get(g->sh->instance, key_slice(&key), &value, ec);
    bool found = rc == SYNC_OK && value.bytes != NULL;
    if (found) rc = record_get_stored(instance_value_slice(&value), FACT_DELETE, &r, ec);
    instance_value_deinit(&value);
    if (rc != SYNC_OK) return rc;
    *ret_pruned = found && stamp_cmp(&r.stamp, &c->stamp) == 0;
    if (!*ret_pruned) return SYNC_OK; /* replaced since it was seen, or gone */

    struct key log_key;
    key_log(d->record.number, &c->stamp, &log_key);
    if (!overlay_delete(&g->overlay, key_slice(&key)) || !overlay_delete(&g->overlay, key_slice(&log_key)))
        return err_set(ec, SYNC_ENOMEM, "no memory to prune");
    if (stamp_cmp(&c->stamp, &d->record.pruned) > 0) d->record.pruned = c->stamp;
    d->changed = true;
    return SYNC_OK;
}

enum sync_err shard_prune(struct shard *sh, struct slice database, const struct prune_candidate *candidates,
                          size_t count, size_t *ret_count, struct err_ctx *ec)
{
    struct group g;
    struct database *d = NULL;
    size_t pruned_count = 0;
    enum sync_err rc = group_begin(&g, sh, ec);
    if (rc == SYNC_OK) rc = group_database(&g, database, &d, ec);
    if (rc == SYNC_OK && (!d->exists || d->record.state != DATABASE_LIVE)) count = 0;
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) {
        bool pruned = false;
        rc = prune_one(&g, d, &candidates[i], &pruned, ec);
        pruned_count += pruned;
    }
    if (rc == SYNC_OK)
        rc = group_commit(&g, ec);
    else if (d != NULL)
        d->exists = false; /* its record in memory is ahead of LevelDB's: dropped with the group */
    group_end(&g);
    if (rc == SYNC_OK) *ret_count = pruned_count;
    return rc;
}
