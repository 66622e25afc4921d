#include "server/objects/log_proof.h"

#include "server/hooks/database_place.h"
#include "server/objects/log_cleaner.h"
#include "server/server.h"
#include "server/store/store_call.h"
#include "storage/shard/snapshot_note.h"
#include "storage/snapshots/snapshot_proof.h"

struct forget_call {
    struct store_call call; /* first */
    struct slice database;
    const struct snapshot_note *note;
};

/* Notes are written on this thread only: one that has moved on is not the one that was looked for. */
static void run_forget(struct job *j)
{
    static const struct snapshot_note none;
    struct forget_call *c = (struct forget_call *)j;
    struct shard *shard = c->call.store.shard;
    struct snapshot_note now = {0};
    bool noted = false;
    j->rc = shard_snapshot_note(shard, c->database, &noted, &now, &j->ec);
    if (j->rc == SYNC_OK && noted && snapshot_note_eq(&now, c->note))
        j->rc = shard_note_snapshot(shard, c->database, &none, &j->ec);
}

static enum sync_err forget(struct server *s, struct slice database, const struct snapshot_note *note,
                            enum snapshot_state state, struct err_ctx *ec)
{
    struct forget_call c = {.database = database, .note = note};
    counter_add(&s->metrics.snapshot.missing, 1);
    log_error(
        &s->logger, LOG_STORAGE, "snapshot.missing", LOG_SLICE("db", database),
        LOG_STR("why", snapshot_state_text(state)),
        LOG_STR("next", "it had been verified: the shared log keeps what it covered, another is taken"));
    store_call_begin(&c.call, server_store_thread(s, database), database, run_forget);
    enum sync_err rc = store_call_wait(&c.call, ec);
    if (rc == SYNC_OK) snapshots_take_now(&s->snapshots, database);
    return rc;
}

static enum sync_err prove(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec)
{
    struct log_cleaner *c = arg;
    struct server *s = c->log->server;
    struct snapshot_note note = {0};
    struct database_place place;
    enum snapshot_state state = SNAPSHOT_MISSING;
    bool noted = false;
    *ret = (struct stamp){0};
    enum sync_err rc = shard_snapshot_note(server_shard(s, database), database, &noted, &note, ec);
    if (rc != SYNC_OK || !noted || note.newest.wall_ms == 0) return rc;
    rc = database_place_find(&s->hooks, database, &place, ec);
    if (rc != SYNC_OK && rc != SYNC_ECANCELED) { /* whoever has no place holds up nobody else */
        log_warn(&s->logger, LOG_STORAGE, "snapshot.no_place", LOG_SLICE("db", database), LOG_FAILURE(ec),
                 LOG_STR("next", "the shared log keeps what its snapshots cover"));
        return SYNC_OK;
    }
    const struct snapshot_id id = {.stamp = note.newest, .made_ms = note.made_ms};
    if (rc == SYNC_OK)
        rc = snapshot_prove(server_objects(s), &c->call, place.at, &id, note.bytes, &state, ec);
    if (rc != SYNC_OK) return rc;
    if (state == SNAPSHOT_GOOD) *ret = snapshot_note_covered(&note);
    if (state == SNAPSHOT_GOOD || state == SNAPSHOT_REPLACED) return SYNC_OK;
    return forget(s, database, &note, state, ec);
}

static enum sync_err noted(void *arg, struct slice database, struct stamp *ret, struct err_ctx *ec)
{
    struct log_cleaner *c = arg;
    return snapshots_covered(c->log->server, database, ret, ec);
}

struct log_cover_source log_proof_source(struct log_cleaner *c)
{
    return (struct log_cover_source){.noted = noted, .prove = prove, .arg = c};
}
