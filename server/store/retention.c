#include "server/store/retention.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/coordinator/coordinator.h"
#include "server/net/loop.h"
#include "server/server.h"
#include "server/store/store_thread.h"
#include "server/ws/ws.h"
#include "storage/views/view.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* ---- waiting for others: a job that was handed out is waited for here */

static void finish(struct retention *r, bool *finished)
{
    pthread_mutex_lock(&r->lock);
    *finished = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void wait_for(struct retention *r, const bool *finished)
{
    pthread_mutex_lock(&r->lock);
    while (!*finished) pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

static bool is_stopping(struct retention *r, const atomic_bool *stop)
{
    if (stop != NULL && atomic_load(stop)) return true;
    pthread_mutex_lock(&r->lock);
    bool stopping = r->stopping;
    pthread_mutex_unlock(&r->lock);
    return stopping;
}

/* Sleeps for the interval, which may change meanwhile; false when it is time to end. */
static bool sleep_until_next(struct retention *r)
{
    const struct timespec began = wait_until_ms(0);
    int failed = 0;
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && failed != ETIMEDOUT) {
        struct timespec until = wait_later(began, r->interval_ms);
        failed = pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    bool go_on = !r->stopping;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static uint64_t horizon_ms_of(struct retention *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t horizon_ms = r->horizon_ms;
    pthread_mutex_unlock(&r->lock);
    return horizon_ms;
}

uint64_t retention_interval_ms(struct retention *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t interval_ms = r->interval_ms;
    pthread_mutex_unlock(&r->lock);
    return interval_ms;
}

/* ---- how far may be pruned: the lowest watermark of all sessions of the database */

struct floor_job {
    struct job job;
    struct retention *retention;
    struct slice database;
    struct site_id server_site;
    struct stamp floor; /* only goes down */
    bool finished;
};

static void lower_floor(struct subscriber *s, void *arg)
{
    struct floor_job *j = arg;
    struct hlc watermark;
    struct stamp floor = {0};
    if (!ws_is_session(s)) return; /* a long poll is told by 410, as any request is */
    if (ws_proven_watermark(s, &watermark) && !stamp_floor(&watermark, &j->server_site, &floor))
        floor = (struct stamp){0};
    if (stamp_cmp(&floor, &j->floor) < 0) j->floor = floor;
}

static void floor_done(struct job *job)
{
    struct floor_job *j = (struct floor_job *)job;
    hub_each(&job->home->hub, j->database, lower_floor, j);
    finish(j->retention, &j->finished);
}

static struct stamp find_floor(struct retention *r, struct slice database, const struct site_id *server_site)
{
    struct floor_job j = {.retention = r, .database = database, .server_site = *server_site};
    j.floor = (struct stamp){.wall_ms = UINT64_MAX, .counter = UINT16_MAX, .op_seq = UINT32_MAX};
    j.job.done = floor_done;
    for (uint32_t i = 0; i < r->server->loop_count; i++) {
        j.finished = false;
        j.job.home = &r->server->loops[i];
        loop_post(j.job.home, &j.job);
        wait_for(r, &j.finished);
    }
    return j.floor;
}

/* ---- removing */

struct prune_job {
    struct store_job store; /* first */
    struct retention *retention;
    struct slice database;
    const struct prune_candidate *candidates;
    size_t count, removed;
    bool finished;
};

static void prune_run(struct job *job)
{
    struct prune_job *j = (struct prune_job *)job;
    job->rc = shard_prune(j->store.shard, j->database, j->candidates, j->count, &j->removed, &job->ec);
}

static void prune_done(struct job *job)
{
    struct prune_job *j = (struct prune_job *)job;
    finish(j->retention, &j->finished);
}

static enum sync_err prune(struct retention *r, struct slice database,
                           const struct prune_candidate *candidates, size_t count, uint64_t *pruned,
                           struct err_ctx *ec)
{
    struct prune_job j = {.retention = r, .database = database, .candidates = candidates, .count = count};
    j.store.job.home = &r->server->loops[0];
    j.store.job.run = prune_run;
    j.store.job.done = prune_done;
    store_thread_put(server_store_thread(r->server, database), database, &j.store);
    wait_for(r, &j.finished);
    if (j.store.job.rc != SYNC_OK) *ec = j.store.job.ec;
    counter_add(&r->server->metrics.tombstones_pruned, j.removed);
    *pruned += j.removed;
    return j.store.job.rc;
}

/* One step of a database: looks at some tombstones behind `position`, and moves it. */
static enum sync_err sweep_step(struct retention *r, struct slice database, uint64_t horizon_ms,
                                const struct stamp *floor, struct buf *position, uint64_t *pruned,
                                struct err_ctx *ec)
{
    struct view *v = NULL;
    struct arena arena = {0};
    struct prune_candidate *candidates;
    struct slice after;
    size_t count = 0;
    enum sync_err rc = view_open(server_shard(r->server, database), database, &v, ec);
    if (rc == SYNC_OK)
        rc = prune_scan(v, buf_slice(position), horizon_ms, floor, PRUNE_STEP_MAX, &arena, &candidates,
                        &count, &after, ec);
    view_close(v);
    if (rc == SYNC_OK && count > 0) rc = prune(r, database, candidates, count, pruned, ec);
    if (rc == SYNC_OK) {
        buf_clear(position);
        buf_put_slice(position, after);
        rc = buf_check(position, ec);
    }
    arena_deinit(&arena);
    return rc;
}

static enum sync_err sweep_database(struct retention *r, struct slice database, const atomic_bool *stop,
                                    uint64_t *pruned, struct err_ctx *ec)
{
    uint64_t now_ms = system_wall_ms(), horizon_ms = horizon_ms_of(r);
    if (now_ms <= horizon_ms) return SYNC_OK;
    struct view *v = NULL;
    enum sync_err rc = view_open(server_shard(r->server, database), database, &v, ec);
    if (rc == SYNC_EBUSY) return SYNC_OK; /* it has left this disk meanwhile */
    if (rc != SYNC_OK) return rc;
    struct site_id server_site = view_database(v)->server_site;
    view_close(v);

    struct buf position = buf_make(UINT32_MAX);
    do {
        /* Asked again for each step: a session may have come meanwhile. */
        struct stamp floor = find_floor(r, database, &server_site);
        rc = sweep_step(r, database, now_ms - horizon_ms, &floor, &position, pruned, ec);
    } while (rc == SYNC_OK && position.len > 0 && !is_stopping(r, stop));
    buf_deinit(&position);
    return rc == SYNC_EBUSY ? SYNC_OK : rc; /* likewise */
}

/* The databases of one shard, in order. */
static enum sync_err sweep_shard(struct retention *r, struct shard *shard, const atomic_bool *stop,
                                 uint64_t *pruned, struct err_ctx *ec)
{
    char name[DATABASE_ID_MAX], next[DATABASE_ID_MAX];
    size_t len = 0, next_len;
    bool found = true;
    enum sync_err rc = SYNC_OK;
    while (rc == SYNC_OK && found && !is_stopping(r, stop)) {
        rc = shard_next_database(shard, slice_of(name, len), next, &next_len, &found, ec);
        if (rc == SYNC_OK && found) {
            memcpy(name, next, next_len);
            len = next_len;
            rc = sweep_database(r, slice_of(name, len), stop, pruned, ec);
        }
    }
    if (rc != SYNC_OK)
        log_error(&r->server->logger, LOG_STORAGE, "retention.failed", LOG_SLICE("db", slice_of(name, len)),
                  LOG_FAILURE(ec), LOG_STR("next", "tried again with the next sweep"));
    return rc;
}

enum sync_err retention_sweep(struct retention *r, const atomic_bool *stop, uint64_t *ret_pruned,
                              struct err_ctx *ec)
{
    enum sync_err first = SYNC_OK;
    *ret_pruned = 0;
    for (uint32_t i = 0; i < store_shard_count(r->server->store); i++) {
        struct err_ctx why;
        enum sync_err rc = sweep_shard(r, store_shard(r->server->store, i), stop, ret_pruned, &why);
        if (rc == SYNC_OK || first != SYNC_OK) continue;
        first = rc;
        *ec = why;
    }
    if (is_stopping(r, stop)) return err_set(ec, SYNC_ECANCELED, "the server stops");
    return first;
}

static void *run(void *arg)
{
    struct retention *r = arg;
    while (sleep_until_next(r)) {
        uint64_t pruned;
        struct err_ctx ec; /* told where it happened */
        if (!coordinator_hands_out_work(r->server->coordinator)) (void)retention_sweep(r, NULL, &pruned, &ec);
    }
    return NULL;
}

enum sync_err retention_start(struct retention *r, struct server *server, struct err_ctx *ec)
{
    const struct config_sync *config = &server->config->sync;
    *r = (struct retention){.server = server,
                            .horizon_ms = config->retention_horizon_ms,
                            .interval_ms = config->sweep_interval_ms};
    wait_init(&r->lock, &r->changed);
    enum sync_err rc = thread_start(&r->thread, "retention", run, r, ec);
    r->started = rc == SYNC_OK;
    return rc;
}

void retention_take(struct retention *r, const struct config_sync *config)
{
    pthread_mutex_lock(&r->lock);
    r->horizon_ms = config->retention_horizon_ms;
    r->interval_ms = config->sweep_interval_ms;
    pthread_cond_broadcast(&r->changed); /* a shorter sleep may be over */
    pthread_mutex_unlock(&r->lock);
}

void retention_stop(struct retention *r)
{
    if (!r->started) return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    r->started = false;
}
