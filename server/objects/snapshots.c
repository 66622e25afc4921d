#include "server/objects/snapshots.h"

#include "core/base/hash.h"
#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/coordinator/coordinator.h"
#include "server/objects/snapshot_take.h"
#include "server/server.h"
#include "storage/shard/snapshot_note.h"
#include "storage/views/view.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* A database that has changed since its last snapshot, or rests after it. */
struct dirty {
    struct dirty *chain;
    uint64_t facts;
    uint64_t first_ms, last_ms; /* monotonic: of its changes */
    uint64_t not_before_ms;     /* the end of its rest, or of the wait after a failure */
    bool now;                   /* asked for */
    bool taking;
    size_t name_len;
    char name[];
};

/* ---- the table; the lock is held */

static struct dirty **place_of(struct snapshots *s, struct slice name)
{
    struct dirty **at = &s->buckets[hash_bytes(0, name) % SNAPSHOT_BUCKETS];
    while (*at != NULL && !slice_eq(slice_of((*at)->name, (*at)->name_len), name)) at = &(*at)->chain;
    return at;
}

static struct dirty *find_or_add(struct snapshots *s, struct slice name)
{
    struct dirty **at = place_of(s, name);
    if (*at != NULL) return *at;
    struct dirty *d = s->count < SNAPSHOT_DIRTY_MAX ? calloc(1, sizeof *d + name.len) : NULL;
    if (d == NULL) { /* found again by the next walk */
        s->walk_due = true;
        return NULL;
    }
    d->first_ms = d->last_ms = system_monotonic_ms();
    d->name_len = name.len;
    memcpy(d->name, name.bytes, name.len);
    *at = d;
    s->count++;
    return d;
}

static void remove_at(struct snapshots *s, struct dirty **at)
{
    struct dirty *d = *at;
    *at = d->chain;
    s->count--;
    free(d);
}

/* Is there nothing to take? */
static bool is_clean(const struct dirty *d)
{
    return d->facts == 0 && !d->now && !d->taking;
}

/* Does the leader's round make no difference to it? */
static bool is_urgent(const struct snapshots *s, const struct dirty *d)
{
    return d->now || d->facts >= s->server->config->object.snapshot_changes;
}

/* When it is due, whoever says when it is taken. */
static uint64_t due_ms(const struct snapshots *s, const struct dirty *d)
{
    uint64_t quiet_ms = s->server->config->object.snapshot_interval_ms;
    uint64_t spread = hash_bytes(0, slice_of(d->name, d->name_len)) % (quiet_ms / 10 + 1);
    uint64_t due = d->last_ms + quiet_ms + spread;
    if (d->first_ms + SNAPSHOT_WAIT_MS_MAX < due) due = d->first_ms + SNAPSHOT_WAIT_MS_MAX;
    return is_urgent(s, d) ? d->last_ms : due;
}

/* When it may be taken. */
static uint64_t take_ms(const struct snapshots *s, const struct dirty *d, bool led)
{
    uint64_t due = due_ms(s, d);
    if (led && !is_urgent(s, d) && due > s->round_ms)
        due += SNAPSHOT_ROUNDS_MISSED * s->server->config->coordinator.snapshot_round_ms;
    return due > d->not_before_ms ? due : d->not_before_ms;
}

/* The one that is due longest, if any is; else *ret_wake_ms is when the next one will be. Lets go of those
 * that have rested. */
static struct dirty *next_due(struct snapshots *s, uint64_t now, uint64_t *ret_wake_ms)
{
    struct dirty *first = NULL;
    uint64_t first_ms = UINT64_MAX;
    bool led = coordinator_hands_out_work(s->server->coordinator);
    for (size_t i = 0; i < SNAPSHOT_BUCKETS; i++) {
        for (struct dirty **at = &s->buckets[i], *d; (d = *at) != NULL;) {
            bool clean = is_clean(d);
            if (clean && d->not_before_ms <= now) {
                remove_at(s, at);
                continue;
            }
            at = &d->chain;
            if (clean || d->taking) continue;
            uint64_t take = take_ms(s, d, led);
            if (take < first_ms) {
                first_ms = take;
                first = d;
            }
        }
    }
    *ret_wake_ms = first_ms;
    return first_ms <= now ? first : NULL;
}

enum { WAIT_MS_MAX = 1000, ROUND_POLL_MS = 100 };

static void wait_for_ms(struct snapshots *s, uint64_t wait_ms)
{
    struct timespec until = wait_until_ms(wait_ms);
    (void)pthread_cond_timedwait(&s->changed, &s->lock, &until);
}

/* ---- any thread */

void snapshots_note(struct snapshots *s, struct slice database, uint64_t facts)
{
    if (!s->enabled) return;
    const struct config_object *cfg = &s->server->config->object;
    pthread_mutex_lock(&s->lock);
    struct dirty *d = find_or_add(s, database);
    if (d != NULL) {
        bool was_full = d->facts >= cfg->snapshot_changes;
        if (d->facts == 0) d->first_ms = system_monotonic_ms();
        d->last_ms = system_monotonic_ms();
        d->facts += facts;
        if (!was_full && d->facts >= cfg->snapshot_changes) pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
}

void snapshots_take_now(struct snapshots *s, struct slice database)
{
    if (!s->enabled) return;
    pthread_mutex_lock(&s->lock);
    struct dirty *d = find_or_add(s, database);
    if (d != NULL) {
        d->now = true;
        d->not_before_ms = 0;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Of those that were due when the round began: is one left that nobody has tried since? */
static bool round_is_open(const struct snapshots *s)
{
    if (s->walk_due || s->walking) return true;
    for (size_t i = 0; i < SNAPSHOT_BUCKETS; i++)
        for (const struct dirty *d = s->buckets[i]; d != NULL; d = d->chain)
            if (!is_clean(d) && due_ms(s, d) <= s->round_ms && (d->taking || d->not_before_ms <= s->round_ms))
                return true;
    return false;
}

enum sync_err snapshots_take_round(struct snapshots *s, const atomic_bool *stop, uint64_t *ret_taken,
                                   uint64_t *ret_failed, struct err_ctx *ec)
{
    *ret_taken = *ret_failed = 0;
    if (!s->enabled) return SYNC_OK;
    pthread_mutex_lock(&s->lock);
    s->round_ms = system_monotonic_ms();
    s->round_taken = s->round_failed = 0;
    pthread_cond_broadcast(&s->changed);
    while (!s->stopping && !atomic_load(stop) && round_is_open(s)) wait_for_ms(s, ROUND_POLL_MS);
    *ret_taken = s->round_taken;
    *ret_failed = s->round_failed;
    bool over = !s->stopping && !atomic_load(stop);
    pthread_mutex_unlock(&s->lock);
    return over ? SYNC_OK : err_set(ec, SYNC_ECANCELED, "the server stops");
}

enum sync_err snapshots_covered(struct server *s, struct slice database, struct stamp *ret,
                                struct err_ctx *ec)
{
    struct snapshot_note note;
    bool found = false;
    *ret = (struct stamp){0};
    enum sync_err rc = shard_snapshot_note(server_shard(s, database), database, &found, &note, ec);
    if (rc == SYNC_OK && found) *ret = snapshot_note_covered(&note);
    return rc;
}

/* ---- the threads */

static void take_one(struct snapshots *s, struct dirty *d)
{
    struct server *server = s->server;
    char copy[DATABASE_ID_MAX];
    struct slice name = slice_of(copy, d->name_len);
    struct stamp stamp;
    struct err_ctx ec;
    uint64_t facts = d->facts, began_ms = system_monotonic_ms();
    memcpy(copy, d->name, d->name_len);
    bool asked_for = d->now;
    d->taking = true;
    d->now = false;
    s->taking++;
    pthread_mutex_unlock(&s->lock);
    enum sync_err rc = snapshot_take(server, name, &s->cancel, &stamp, &ec);
    if (rc != SYNC_OK && rc != SYNC_ECANCELED) {
        counter_add(&server->metrics.snapshot.failures, 1);
        log_error(
            &server->logger, LOG_STORAGE, "snapshot.failed", LOG_SLICE("db", name), LOG_FAILURE(&ec),
            LOG_STR("next", "tried again in a while; the shared log is not cleaned up past the last one"));
    }
    pthread_mutex_lock(&s->lock);
    s->taking--;
    if (rc == SYNC_OK)
        s->round_taken++;
    else
        s->round_failed++;
    d->taking = false;
    uint64_t now_ms = system_monotonic_ms(), took_ms = now_ms - began_ms;
    if (rc != SYNC_OK) {
        d->not_before_ms = now_ms + (took_ms > SNAPSHOT_RETRY_MS ? took_ms : SNAPSHOT_RETRY_MS);
        d->now = d->now || asked_for;
        return;
    }
    uint64_t rest_ms = SNAPSHOT_REST * took_ms;
    if (rest_ms > SNAPSHOT_REST_MS_MAX) rest_ms = SNAPSHOT_REST_MS_MAX;
    d->facts -= facts; /* what came while it was taken is for the next one */
    d->first_ms = now_ms;
    d->not_before_ms = d->now ? 0 : now_ms + rest_ms; /* asked for again meanwhile: at once */
}

/* Puts databases into the table that have changed since their last snapshot, or may have: after a start
 * nobody knows which. */
static void walk_shard(struct snapshots *s, struct shard *sh)
{
    char name[DATABASE_ID_MAX], next[DATABASE_ID_MAX];
    size_t len = 0, next_len;
    struct err_ctx ec;
    bool found = true;
    while (found && !atomic_load(&s->cancel)) {
        enum sync_err rc = shard_next_database(sh, slice_of(name, len), next, &next_len, &found, &ec);
        struct snapshot_note note;
        struct view *v = NULL;
        bool noted = false;
        if (rc != SYNC_OK || !found) break;
        memcpy(name, next, next_len);
        len = next_len;
        rc = shard_snapshot_note(sh, slice_of(name, len), &noted, &note, &ec);
        if (rc == SYNC_OK) rc = view_open(sh, slice_of(name, len), &v, &ec);
        bool changed = rc == SYNC_OK && (!noted || stamp_cmp(&note.newest, &view_database(v)->last) != 0);
        view_close(v);
        if (changed) snapshots_note(s, slice_of(name, len), 1);
    }
}

static void walk(struct snapshots *s)
{
    s->walk_due = false;
    s->walking = true;
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < store_shard_count(s->server->store); i++)
        walk_shard(s, store_shard(s->server->store, i));
    pthread_mutex_lock(&s->lock);
    s->walking = false;
}

static void *run(void *arg)
{
    struct snapshots *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        uint64_t now = system_monotonic_ms(), wake_ms = now + WAIT_MS_MAX;
        struct dirty *d = NULL;
        if (s->walk_due && !s->walking && s->count < SNAPSHOT_DIRTY_MAX / 2)
            walk(s);
        else if (server_objects(s->server) != NULL && (d = next_due(s, now, &wake_ms)) != NULL)
            take_one(s, d);
        else
            wait_for_ms(s, wake_ms - now < WAIT_MS_MAX ? wake_ms - now : WAIT_MS_MAX);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- start and stop */

enum sync_err snapshots_init(struct snapshots *s, struct server *server, struct err_ctx *ec)
{
    *s = (struct snapshots){.server = server};
    if (!server_keeps_databases_there(server)) return SYNC_OK;
    s->buckets = calloc(SNAPSHOT_BUCKETS, sizeof(struct dirty *));
    if (s->buckets == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the table of changed databases");
    wait_init(&s->lock, &s->changed);
    s->walk_due = true;
    s->enabled = true;
    return SYNC_OK;
}

enum sync_err snapshots_start(struct snapshots *s, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    while (s->enabled && rc == SYNC_OK && s->thread_count < SNAPSHOT_THREADS) {
        rc = thread_start(&s->threads[s->thread_count], "snapshot", run, s, ec);
        if (rc == SYNC_OK) s->thread_count++;
    }
    return rc;
}

void snapshots_stop(struct snapshots *s)
{
    if (!s->enabled) return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    atomic_store(&s->cancel, true);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->thread_count; i++) pthread_join(s->threads[i], NULL);
    s->thread_count = 0;
}

void snapshots_free(struct snapshots *s)
{
    if (!s->enabled) return;
    for (size_t i = 0; i < SNAPSHOT_BUCKETS; i++) {
        while (s->buckets[i] != NULL) {
            struct dirty *d = s->buckets[i];
            s->buckets[i] = d->chain;
            free(d);
        }
    }
    free(s->buckets);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    *s = (struct snapshots){0};
}
