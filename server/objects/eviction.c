#include "server/objects/eviction.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/hooks/database_place.h"
#include "server/objects/snapshot_take.h"
#include "server/server.h"
#include "server/store/store_call.h"
#include "storage/shard/shard_import.h"
#include "storage/shard/shard_upload.h"
#include "storage/shard/snapshot_note.h"
#include "storage/snapshots/snapshot_proof.h"

#include <string.h>

enum { EVICT_CALL_MS = 20000 };

/* That the object store has all of a database, and what of it must not have changed. */
struct proof {
    struct stamp last;
    struct snapshot_note note;
};

static bool is_stopping(const struct eviction *e)
{
    return atomic_load(&e->stopping);
}

/* ---- 1. the proof */

/* Is the snapshot that the note is about in the object store, and has nobody found it damaged? */
static enum sync_err prove_snapshot(struct eviction *e, struct slice database,
                                    const struct snapshot_note *note, enum snapshot_state *ret,
                                    struct err_ctx *ec)
{
    const struct object_call call = {.timeout_ms = EVICT_CALL_MS, .cancel = &e->stopping};
    const struct snapshot_id id = {.stamp = note->newest, .made_ms = note->made_ms};
    struct database_place place;
    enum sync_err rc = database_place_find(&e->server->hooks, database, &place, ec);
    if (rc != SYNC_OK) return rc;
    return snapshot_prove(server_objects(e->server), &call, place.at, &id, note->bytes, ret, ec);
}

/* How the database is now. *ret is false where it cannot leave: something waits, or a snapshot does not reach
 * its last stamp. */
static enum sync_err look(struct eviction *e, struct slice database, struct proof *ret, bool *ret_covered,
                          struct err_ctx *ec)
{
    struct shard *shard = server_shard(e->server, database);
    struct view *v = NULL;
    bool waiting = true, noted = false;
    enum sync_err rc = shard_is_waiting(shard, database, &waiting, NULL, ec);
    if (rc == SYNC_OK) rc = shard_snapshot_note(shard, database, &noted, &ret->note, ec);
    if (rc == SYNC_OK) rc = view_open(shard, database, &v, ec);
    if (rc != SYNC_OK) return rc;
    bool exists = view_database(v)->exists && view_database(v)->last.wall_ms != 0;
    ret->last = view_database(v)->last;
    view_close(v);
    *ret_covered = exists && !waiting && noted && stamp_cmp(&ret->note.newest, &ret->last) == 0;
    return SYNC_OK;
}

/* *ret_proved is false, without an error, where it is not the time: the next round asks again. */
static enum sync_err prove(struct eviction *e, struct slice database, struct proof *ret, bool *ret_proved,
                           struct err_ctx *ec)
{
    struct stamp stamp;
    bool waiting = true;
    *ret_proved = false;
    enum sync_err rc = shard_is_waiting(server_shard(e->server, database), database, &waiting, NULL, ec);
    for (int attempt = 0; attempt < 2 && rc == SYNC_OK && !waiting && !*ret_proved; attempt++) {
        enum snapshot_state state;
        bool covered = false;
        rc = snapshot_take(e->server, database, &e->stopping, &stamp, ec);
        if (rc == SYNC_OK) rc = look(e, database, ret, &covered, ec);
        if (rc != SYNC_OK || !covered) return rc;
        rc = prove_snapshot(e, database, &ret->note, &state, ec);
        *ret_proved = rc == SYNC_OK && state == SNAPSHOT_GOOD;
        if (rc == SYNC_OK && state == SNAPSHOT_REPLACED) return SYNC_OK; /* it is being noted right now */
        if (rc == SYNC_OK && !*ret_proved) {
            static const struct snapshot_note none;
            counter_add(&e->server->metrics.snapshot.missing, 1);
            log_error(&e->server->logger, LOG_STORAGE, "evict.no_snapshot", LOG_SLICE("db", database),
                      LOG_STR("why", snapshot_state_text(state)),
                      LOG_STR("next", "the one that was verified is gone or damaged: another one is taken"));
            rc = snapshot_note_down(e->server, database, &none, ec);
        }
    }
    return rc;
}

/* ---- 3. and 4. on the shard's thread */

struct leave_call {
    struct store_call call; /* first */
    struct slice database;
    const struct proof *proof;
    bool yes; /* it is leaving, or gone */
};

/* Notes are written on this thread only, and so are facts: what is true here stays true until it returns. */
static void run_leave(struct job *j)
{
    struct leave_call *c = (struct leave_call *)j;
    struct shard *shard = c->call.store.shard;
    struct snapshot_note now = {0};
    bool noted = false;
    j->rc = shard_snapshot_note(shard, c->database, &noted, &now, &j->ec);
    if (j->rc == SYNC_OK && noted && snapshot_note_eq(&now, &c->proof->note))
        j->rc = shard_leave(shard, c->database, &c->proof->last, &c->yes, &j->ec);
}

static void run_remove(struct job *j)
{
    struct leave_call *c = (struct leave_call *)j;
    j->rc = shard_remove_step(c->call.store.shard, c->database, EVICT_KEYS_MAX, &c->yes, &j->ec);
}

static enum sync_err call(struct eviction *e, struct slice database, const struct proof *proof,
                          void (*run)(struct job *), bool *ret, struct err_ctx *ec)
{
    struct leave_call c = {.database = database, .proof = proof};
    store_call_begin(&c.call, server_store_thread(e->server, database), database, run);
    enum sync_err rc = store_call_wait(&c.call, ec);
    *ret = rc == SYNC_OK && c.yes;
    return rc;
}

/* Until it is gone; or until somebody wants it, who has the rest removed before the restore. */
static enum sync_err remove_all(struct eviction *e, struct slice database, uint64_t *ret_steps,
                                struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    bool gone = false;
    while (rc == SYNC_OK && !gone && !is_stopping(e) && !presence_is_wanted(&e->server->presence, database)) {
        rc = call(e, database, NULL, run_remove, &gone, ec);
        ++*ret_steps;
    }
    return rc;
}

/* ---- one database */

static enum sync_err evict(struct eviction *e, struct slice database, struct err_ctx *ec)
{
    struct server *s = e->server;
    const uint64_t idle_ms = s->config->object.evict_idle_ms;
    struct proof proof;
    bool proved = false, leaving = false;
    uint64_t steps = 0;
    enum sync_err rc = prove(e, database, &proof, &proved, ec);
    if (rc != SYNC_OK || !proved) return rc;
    if (is_stopping(e) || !presence_begin_evicting(&s->presence, database, system_monotonic_ms(), idle_ms))
        return SYNC_OK;
    uint64_t began_ms = system_monotonic_ms();
    rc = call(e, database, &proof, run_leave, &leaving, ec);
    if (rc == SYNC_OK && leaving) {
        counter_add(&s->metrics.snapshot.evictions, 1);
        rc = remove_all(e, database, &steps, ec);
    }
    bool wanted = presence_is_wanted(&s->presence, database);
    presence_evicted(&s->presence, database, leaving);
    if (leaving)
        log_info(&s->logger, LOG_STORAGE, "evict.done", LOG_SLICE("db", database), LOG_U64("steps", steps),
                 LOG_U64("ms", system_monotonic_ms() - began_ms), LOG_BOOL("wanted", wanted));
    return rc;
}

static void tell_failure(struct eviction *e, struct slice database, const struct err_ctx *ec)
{
    counter_add(&e->server->metrics.snapshot.eviction_failures, 1);
    log_warn(&e->server->logger, LOG_STORAGE, "evict.failed", LOG_SLICE("db", database), LOG_FAILURE(ec),
             LOG_STR("next", "nothing is lost: tried again with the next round"));
}

/* ---- all of them */

/* What restores and removals left that were cut short. Nobody is served any of it. */
static void sweep_shard(struct eviction *e, struct shard *shard)
{
    char name[DATABASE_ID_MAX], next[DATABASE_ID_MAX];
    size_t len = 0, next_len;
    struct err_ctx ec;
    bool found = true;
    while (!is_stopping(e)) {
        uint64_t steps = 0;
        enum sync_err rc = shard_next_unfinished(shard, slice_of(name, len), next, &next_len, &found, &ec);
        if (rc != SYNC_OK || !found) return; /* a shard that cannot be read is told elsewhere */
        memcpy(name, next, next_len);
        len = next_len;
        struct slice database = slice_of(name, len);
        if (!presence_begin_evicting(&e->server->presence, database, system_monotonic_ms(), 0)) continue;
        rc = remove_all(e, database, &steps, &ec);
        presence_evicted(&e->server->presence, database, true);
        if (rc != SYNC_OK && rc != SYNC_EBUSY) tell_failure(e, database, &ec);
        log_info(&e->server->logger, LOG_STORAGE, "evict.swept", LOG_SLICE("db", database),
                 LOG_U64("steps", steps));
    }
}

/* False: the round is better ended. */
static bool evict_shard(struct eviction *e, struct shard *shard)
{
    char name[DATABASE_ID_MAX], next[DATABASE_ID_MAX];
    size_t len = 0, next_len;
    struct err_ctx ec;
    unsigned failures = 0;
    bool found = true;
    while (!is_stopping(e) && failures < EVICT_FAILURES_MAX) {
        enum sync_err rc = shard_next_database(shard, slice_of(name, len), next, &next_len, &found, &ec);
        if (rc != SYNC_OK || !found) return true;
        memcpy(name, next, next_len);
        len = next_len;
        struct slice database = slice_of(name, len);
        if (!presence_is_idle(&e->server->presence, database, system_monotonic_ms(),
                              e->server->config->object.evict_idle_ms))
            continue;
        rc = evict(e, database, &ec);
        if (rc == SYNC_ECANCELED) return false;
        if (rc != SYNC_OK) tell_failure(e, database, &ec);
        failures = rc == SYNC_OK ? 0 : failures + 1;
    }
    return false;
}

static void round_of(struct eviction *e)
{
    struct store *store = e->server->store;
    if (server_objects(e->server) == NULL || !shared_log_is_ours(&e->server->shared_log)) return;
    for (uint32_t i = 0; i < store_shard_count(store); i++)
        if (!evict_shard(e, store_shard(store, i))) return;
}

/* False when it is time to end. */
static bool wait_a_while(struct eviction *e)
{
    uint64_t wait_ms = e->server->config->object.evict_idle_ms / 4;
    if (wait_ms < EVICT_ROUND_MS_MIN) wait_ms = EVICT_ROUND_MS_MIN;
    if (wait_ms > EVICT_ROUND_MS_MAX) wait_ms = EVICT_ROUND_MS_MAX;
    return wait_unless_stopped(&e->lock, &e->changed, &e->stopping, wait_ms);
}

static void *run(void *arg)
{
    struct eviction *e = arg;
    do {
        for (uint32_t i = 0; i < store_shard_count(e->server->store); i++)
            sweep_shard(e, store_shard(e->server->store, i));
        if (!e->server->config->object.evict) break;
        round_of(e);
    } while (wait_a_while(e));
    return NULL;
}

/* ---- start and stop */

enum sync_err eviction_start(struct eviction *e, struct server *server, struct err_ctx *ec)
{
    *e = (struct eviction){.server = server};
    if (!server_keeps_databases_there(server)) return SYNC_OK;
    wait_init(&e->lock, &e->changed);
    enum sync_err rc = thread_start(&e->thread, "evict", run, e, ec);
    e->started = rc == SYNC_OK;
    return rc;
}

void eviction_stop(struct eviction *e)
{
    if (!e->started) return;
    wait_stop(&e->lock, &e->changed, &e->stopping);
    pthread_join(e->thread, NULL);
    (void)pthread_cond_destroy(&e->changed);
    (void)pthread_mutex_destroy(&e->lock);
    e->started = false;
}
