#include "storage/snapshots/snapshot_write.h"

#include "storage/snapshots/packer.h"

#include <string.h>

static enum sync_err put_facts(struct packer *p, struct view *v, const atomic_bool *cancel,
                               struct snapshot_foot *foot, struct err_ctx *ec)
{
    struct log_cursor *c = NULL;
    struct log_entry e;
    bool found = true;
    enum sync_err rc = log_cursor_open(v, NULL, &c, ec);
    while (rc == SYNC_OK) {
        if (cancel != NULL && atomic_load(cancel)) rc = err_set(ec, SYNC_ECANCELED, "canceled");
        if (rc == SYNC_OK) rc = log_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK || !found) break;
        const struct moved_entry m = {.stamp = e.stamp, .fact = e.fact, .created_ms = e.created_ms};
        snapshot_put_fact(packer_text(p), &m);
        snapshot_foot_count(foot, e.fact.type);
        rc = packer_step(p, ec);
    }
    log_cursor_close(c);
    return rc;
}

static enum sync_err put_all(struct packer *p, const struct snapshot_head *head, struct view *v,
                             const atomic_bool *cancel, struct snapshot_made *m, struct err_ctx *ec)
{
    struct packed packed;
    snapshot_put_head(packer_text(p), head);
    enum sync_err rc = put_facts(p, v, cancel, &m->foot, ec);
    if (rc == SYNC_OK) rc = packer_hash(p, m->foot.sha256, ec);
    if (rc != SYNC_OK) return rc;
    snapshot_put_foot(packer_text(p), &m->foot);
    rc = packer_finish(p, &packed, ec);
    if (rc != SYNC_OK) return rc;
    m->bytes = packed.bytes;
    m->raw_bytes = packed.raw_bytes;
    memcpy(m->tail, packed.tail, sizeof m->tail);
    return SYNC_OK;
}

enum sync_err snapshot_write(struct object_store *s, const struct object_writer_config *cfg, struct view *v,
                             struct snapshot_place at, uint64_t made_ms, const uint8_t *run,
                             struct snapshot_made *ret, struct err_ctx *ec)
{
    const struct database_info *info = view_database(v);
    struct snapshot_head head = {.database = at.database,
                                 .server_site = info->server_site,
                                 .stamp = info->last,
                                 .pruned = info->pruned,
                                 .asks = info->asks,
                                 .made_ms = made_ms,
                                 .has_run = run != NULL};
    struct snapshot_made made = {.id = {.stamp = info->last, .made_ms = made_ms}};
    struct object_writer *writer = NULL;
    struct packer *packer = NULL;
    struct snapshot_key key;
    if (run != NULL) memcpy(head.run, run, LOG_RUN_BYTES);
    snapshot_key_of(at, &made.id, &key);
    enum sync_err rc = object_writer_open(s, snapshot_key_slice(&key), cfg, &writer, ec);
    if (rc == SYNC_OK) rc = packer_open(writer, &packer, ec);
    if (rc == SYNC_OK) rc = put_all(packer, &head, v, cfg->call.cancel, &made, ec);
    packer_close(packer);
    if (rc == SYNC_OK) rc = object_writer_finish(writer, NULL, ec);
    object_writer_close(writer);
    if (rc == SYNC_OK) *ret = made;
    return rc;
}
