#include "server/objects/restoring.h"

#include "server/base/system.h"
#include "server/hooks/database_place.h"
#include "server/objects/snapshot_take.h"
#include "server/server.h"
#include "server/store/import_shard.h"
#include "storage/shard/snapshot_note.h"

enum { RESTORE_CALL_MS = 60000 };

struct warning {
    struct server *server;
    struct slice database;
};

static void warn(void *arg, struct slice key, const struct err_ctx *why)
{
    const struct warning *w = arg;
    counter_add(&w->server->metrics.snapshot.damaged, 1);
    log_error(&w->server->logger, LOG_STORAGE, "snapshot.damaged", LOG_SLICE("db", w->database),
              LOG_SLICE("key", key), LOG_FAILURE(why),
              LOG_STR("next", "set aside: the one before it is used, with the log after it"));
}

static void tell(struct server *s, struct slice database, const struct restore_result *r, uint64_t took_ns)
{
    if (!r->found) {
        log_debug(&s->logger, LOG_STORAGE, "restore.new", LOG_SLICE("db", database));
        return;
    }
    counter_add(&s->metrics.snapshot.restores, 1);
    counter_add(&s->metrics.snapshot.restored_facts, r->snapshot_facts + r->log_facts);
    histogram_observe(&s->metrics.snapshot.restore_ns, took_ns);
    log_info(&s->logger, LOG_STORAGE, "restore.done", LOG_SLICE("db", database),
             LOG_U64("snapshot_facts", r->snapshot_facts), LOG_U64("log_facts", r->log_facts),
             LOG_U64("ms", took_ns / 1000000));
    if (!r->complete)
        log_warn(&s->logger, LOG_STORAGE, "restore.incomplete", LOG_SLICE("db", database),
                 LOG_STR("next",
                         "its last changes may be missing: it has a new server site id, and asks each "
                         "site that connects for what it has"));
}

/* What was just read from beginning to end is verified. And what is not in it makes the next one due: all of
 * it, where there is a new server site id, since that snapshot tells the old one. */
static void note_down(struct server *s, struct slice database, const struct restore_result *r)
{
    struct err_ctx ignored; /* without the note a snapshot too many is taken */
    struct snapshot_note note = {0};
    if (!r->found) return;
    if (r->from_snapshot && r->keeps_site)
        note = (struct snapshot_note){
            .newest = r->snapshot.stamp, .made_ms = r->snapshot.made_ms, .before = r->before.stamp};
    (void)snapshot_note_down(s, database, &note, &ignored);
    if (stamp_cmp(&r->record.last, &note.newest) != 0)
        snapshots_note(&s->snapshots, database, r->log_facts + 1);
}

static bool may_have(void *arg, struct slice database)
{
    struct server *s = arg;
    return shared_log_may_have(&s->shared_log, database);
}

enum sync_err restoring_run(struct server *s, struct slice database, const atomic_bool *cancel,
                            struct err_ctx *ec)
{
    struct object_store *objects = server_objects(s);
    const struct object_call call = {.timeout_ms = RESTORE_CALL_MS, .cancel = cancel};
    struct import_shard shard;
    const struct import_target target =
        import_shard_target(&shard, server_store_thread(s, database), database, cancel);
    struct warning warning = {.server = s, .database = database};
    struct shared_log_source source;
    const struct log_source log = shared_log_source(&source, objects, &call, s->shared_log.run);
    source.may_have = may_have;
    source.may_have_arg = s;
    struct restore_request q = {.objects = objects,
                                .call = &call,
                                .database = database,
                                .log = &log,
                                .target = &target,
                                .warn = warn,
                                .warn_arg = &warning};
    struct restore_result result = {0};
    struct database_place place;
    uint64_t began_ns = system_monotonic_ns();
    if (objects == NULL)
        return err_set(ec, SYNC_EBUSY, "it is not on this disk, and the object store cannot be reached");
    gauge_add(&s->metrics.snapshot.restoring, 1);
    system_random(&q.new_site, sizeof q.new_site);
    /* First what an interrupted restore or removal left here, the end of which is the note of how it was. */
    enum sync_err rc = import_shard_remove(&shard, ec);
    bool left = false;
    struct left_note note;
    if (rc == SYNC_OK) rc = shard_left_note(server_shard(s, database), database, &left, &note, ec);
    if (rc == SYNC_OK && left) q.left = &note;
    if (rc == SYNC_OK) rc = database_place_find(&s->hooks, database, &place, ec);
    if (rc == SYNC_OK) q.path = place.at.path;
    if (rc == SYNC_OK) rc = restore_database(&q, &result, ec);
    if (rc == SYNC_OK && left && !result.found)
        rc = err_set(ec, SYNC_EFORMAT,
                     "it left this disk for the object store, which has nothing of it any more");
    if (rc == SYNC_OK) note_down(s, database, &result);
    gauge_add(&s->metrics.snapshot.restoring, -1);
    if (rc == SYNC_OK) {
        tell(s, database, &result, system_monotonic_ns() - began_ns);
    } else {
        counter_add(&s->metrics.snapshot.restore_failures, 1);
        log_error(&s->logger, LOG_STORAGE, "restore.failed", LOG_SLICE("db", database), LOG_FAILURE(ec),
                  LOG_STR("next", "whoever asked is told to come again, and then it is tried again"));
    }
    return rc;
}
