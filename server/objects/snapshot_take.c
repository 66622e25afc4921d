#include "server/objects/snapshot_take.h"

#include "server/base/system.h"
#include "server/hooks/database_place.h"
#include "server/server.h"
#include "server/store/store_call.h"
#include "storage/shard/snapshot_note.h"
#include "storage/snapshots/snapshot_list.h"
#include "storage/snapshots/snapshot_write.h"

enum { TAKE_CALL_MS = 60000 };

struct note_call {
    struct store_call call; /* first */
    struct slice database;
    const struct snapshot_note *note;
};

static void run_note(struct job *j)
{
    struct note_call *c = (struct note_call *)j;
    j->rc = shard_note_snapshot(c->call.store.shard, c->database, c->note, &j->ec);
}

enum sync_err snapshot_note_down(struct server *s, struct slice database, const struct snapshot_note *note,
                                 struct err_ctx *ec)
{
    struct note_call c = {.database = database, .note = note};
    store_call_begin(&c.call, server_store_thread(s, database), database, run_note);
    return store_call_wait(&c.call, ec);
}

static enum sync_err write_and_verify(struct server *s, struct snapshot_place at, struct view *v,
                                      const atomic_bool *cancel, struct snapshot_made *ret,
                                      struct err_ctx *ec)
{
    struct object_store *objects = server_objects(s);
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    const struct object_call call = {.timeout_ms = TAKE_CALL_MS, .cancel = cancel};
    if (objects == NULL) return err_set(ec, SYNC_EBUSY, "the object store cannot be reached");
    cfg.call.cancel = cancel;
    enum sync_err rc = snapshot_write(objects, &cfg, v, at, system_wall_ms(), s->shared_log.run, ret, ec);
    if (rc != SYNC_OK) return rc;
    rc = snapshot_verify(objects, &call, at, ret, ec);
    if (rc == SYNC_EFORMAT) {
        struct err_ctx ignored; /* where it cannot be set aside, whoever reads it finds out */
        (void)snapshot_set_aside(objects, &call, at, &ret->id, ec->text, &ignored);
        counter_add(&s->metrics.snapshot.damaged, 1);
    }
    return rc;
}

static enum sync_err conclude(struct server *s, struct snapshot_place at, const struct snapshot_made *made,
                              const atomic_bool *cancel, struct err_ctx *ec)
{
    const struct object_call call = {.timeout_ms = TAKE_CALL_MS, .cancel = cancel};
    struct snapshot_id before;
    enum sync_err rc = snapshot_thin_out(server_objects(s), &call, at, &made->id,
                                         s->config->object.snapshots_retained, &before, ec);
    if (rc != SYNC_OK) return rc;
    const struct snapshot_note note = {
        .newest = made->id.stamp, .made_ms = made->id.made_ms, .before = before.stamp, .bytes = made->bytes};
    return snapshot_note_down(s, at.database, &note, ec);
}

enum sync_err snapshot_take(struct server *s, struct slice database, const atomic_bool *cancel,
                            struct stamp *ret_stamp, struct err_ctx *ec)
{
    struct snapshot_metrics *m = &s->metrics.snapshot;
    struct snapshot_note note = {0};
    struct database_place place;
    struct snapshot_made made;
    struct view *v = NULL;
    bool noted = false;
    uint64_t began_ns = system_monotonic_ns();
    enum sync_err rc = shard_snapshot_note(server_shard(s, database), database, &noted, &note, ec);
    if (rc == SYNC_OK) rc = view_open(server_shard(s, database), database, &v, ec);
    *ret_stamp = note.newest;
    if (rc == SYNC_EBUSY) return SYNC_OK; /* it comes from the object store, or goes there */
    if (rc != SYNC_OK) return rc;
    const struct database_info *info = view_database(v);
    if (!info->exists || info->last.wall_ms == 0 || (noted && stamp_cmp(&note.newest, &info->last) == 0)) {
        view_close(v);
        return SYNC_OK;
    }
    rc = database_place_find(&s->hooks, database, &place, ec);
    if (rc == SYNC_OK) rc = write_and_verify(s, place.at, v, cancel, &made, ec);
    view_close(v);
    if (rc == SYNC_OK) rc = conclude(s, place.at, &made, cancel, ec);
    if (rc != SYNC_OK) return rc;
    uint64_t took_ns = system_monotonic_ns() - began_ns;
    uint64_t facts = made.foot.cells + made.foot.deletes + made.foot.migrations;
    *ret_stamp = made.id.stamp;
    counter_add(&m->taken, 1);
    counter_add(&m->bytes, made.bytes);
    counter_add(&m->facts, facts);
    histogram_observe(&m->taken_ns, took_ns);
    log_info(&s->logger, LOG_STORAGE, "snapshot.taken", LOG_SLICE("db", database), LOG_U64("facts", facts),
             LOG_U64("bytes", made.bytes), LOG_U64("raw_bytes", made.raw_bytes),
             LOG_U64("ms", took_ns / 1000000));
    return SYNC_OK;
}
