#include "server/objects/log_uploader.h"

#include "core/base/backoff.h"
#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/objects/log_shards.h"
#include "server/server.h"
#include "storage/sharedlog/log_plan.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { WARN_INTERVAL_S = 30 };

static struct server *server_of(const struct log_uploader *u)
{
    return u->log->server;
}

enum sync_err log_uploader_open(struct log_uploader *u, struct shared_log *log, uint32_t partition,
                                struct err_ctx *ec)
{
    struct server *s = log->server;
    struct log_writer_config cfg = {
        .store = s->store,
        .objects = server_objects(s),
        .meta = log->meta,
        .partition = partition,
        .host = log->host,
        .object_durable = s->config->storage.durability == DURABILITY_OBJECT,
        .bytes = s->config->object.log_bytes,
        .cancel = &log->canceled,
        .wall_ms = system_wall_ms,
        .uploaded = log_shards_uploaded,
        .put_state = log_shards_put_state,
        .wait_from_start = log_shards_wait_from_start,
        .sync = s->config->storage.durability == DURABILITY_OS ? log_shards_sync : NULL,
        .arg = u,
    };
    *u = (struct log_uploader){.log = log, .partition = partition};
    if (s->config->object.log_filter_bytes > 0) {
        enum sync_err filter_rc = log_known_new(s->config->object.log_filter_bytes, &u->known, ec);
        if (filter_rc != SYNC_OK) return filter_rc;
    }
    memcpy(cfg.writer, log->writer, sizeof cfg.writer);
    memcpy(cfg.run, log->run, sizeof cfg.run);
    enum sync_err rc = log_writer_open(&cfg, &u->writer, ec);
    if (rc == SYNC_OK) atomic_store(&u->number, log_writer_number(u->writer));
    return rc;
}

/* ---- what is told */

static void set_gauges(struct shared_log *l)
{
    struct object_metrics *m = &l->server->metrics.object;
    uint64_t bytes = 0, databases = 0, oldest_ms = 0, now_ms = system_wall_ms();
    bool lost = false;
    for (uint32_t i = 0; i < atomic_load(&l->uploader_count); i++) {
        struct log_uploader *u = &l->uploaders[i];
        uint64_t since_ms = atomic_load(&u->oldest_ms);
        bytes += atomic_load(&u->backlog_bytes);
        databases += atomic_load(&u->backlog_databases);
        if (since_ms > 0 && (oldest_ms == 0 || since_ms < oldest_ms)) oldest_ms = since_ms;
        lost = lost || atomic_load(&u->lost);
    }
    gauge_set(&m->backlog_bytes, (int64_t)bytes);
    gauge_set(&m->backlog_databases, (int64_t)databases);
    gauge_set(&m->backlog_age_ms, oldest_ms == 0 || oldest_ms > now_ms ? 0 : (int64_t)(now_ms - oldest_ms));
    gauge_set(&m->log_stopped, lost);
}

static void note_backlog(struct log_uploader *u, enum log_step step, const struct log_step_info *info,
                         uint64_t accepted)
{
    bool all = step == LOG_IDLE || (step == LOG_WROTE && !info->more);
    if (all) u->drained = accepted;
    uint64_t behind = atomic_load(&u->log->accepted) - u->drained;
    atomic_store(&u->backlog_bytes, all ? 0 : behind > info->pending_bytes ? behind : info->pending_bytes);
    atomic_store(&u->oldest_ms, all ? 0 : info->backlog.oldest_ms);
    atomic_store(&u->backlog_databases, all ? 0 : info->backlog.databases);
    u->idle = step == LOG_IDLE;
    set_gauges(u->log);
}

static void warn(struct log_uploader *u, const struct err_ctx *ec)
{
    uint64_t now_ns = system_monotonic_ns();
    counter_add(&server_of(u)->metrics.object.log_failures, 1);
    if (u->failures > 1 && now_ns - u->warned_ns < WARN_INTERVAL_S * 1000000000ull) return;
    u->warned_ns = now_ns;
    log_warn(&server_of(u)->logger, LOG_STORAGE, "log.waits", LOG_U64("partition", u->partition),
             LOG_U64("failures", u->failures), LOG_FAILURE(ec),
             LOG_STR("next", "tried again; what was accepted meanwhile waits on this disk"));
}

static void tell_lost(struct log_uploader *u)
{
    const struct log_rival *r = log_writer_rival(u->writer);
    char id[2 * LOG_WRITER_BYTES + 1];
    for (size_t i = 0; i < LOG_WRITER_BYTES; i++) (void)snprintf(id + 2 * i, 3, "%02x", r->writer[i]);
    atomic_store(&u->lost, true);
    set_gauges(u->log);
    log_error(&server_of(u)->logger, LOG_STORAGE, "log.lost", LOG_U64("partition", u->partition),
              LOG_STR("writer", id), LOG_STR("host", r->host), LOG_U64("wall_ms", r->wall_ms),
              LOG_STR("next",
                      "another server writes this log: nothing is uploaded any more, and this server is "
                      "not ready; stop one of the two"));
}

static void count(struct log_uploader *u, const struct log_step_info *info)
{
    struct object_metrics *m = &server_of(u)->metrics.object;
    counter_add(&m->log_objects, 1);
    counter_add(&m->log_bytes, info->bytes);
    counter_add(&m->log_entries, info->entries);
    histogram_observe(&m->log_databases, info->databases);
}

/* ---- the thread */

/* Waits for the time, or until stopping, or with `kicks` until something was committed. */
static void wait_for(struct log_uploader *u, uint64_t wait_ms, bool kicks)
{
    struct shared_log *l = u->log;
    struct timespec until = wait_until_ms(wait_ms);
    pthread_mutex_lock(&l->lock);
    while (!atomic_load(&l->stopping) && !atomic_load(&l->canceled) && !(kicks && u->kicked) &&
           pthread_cond_timedwait(&l->changed, &l->lock, &until) != ETIMEDOUT)
        continue;
    u->kicked = false;
    pthread_mutex_unlock(&l->lock);
}

/* One step, and how long to wait after it. *ret_go_on is false when there is no more to do for good. */
static uint64_t step(struct log_uploader *u, bool *ret_go_on)
{
    static const struct backoff_config backoff = {.base_ms = 100, .cap_ms = 5000};
    struct log_step_info info = {0};
    enum log_step result = LOG_WAITS;
    struct err_ctx ec;
    bool follows = server_of(u)->config->storage.durability == DURABILITY_OBJECT;
    uint64_t accepted = atomic_load(&u->log->accepted);
    enum sync_err rc = log_writer_step(u->writer, &result, &info, &ec);
    atomic_store(&u->number, log_writer_number(u->writer));
    if (rc == SYNC_ECANCELED) return 0;
    if (rc != SYNC_OK) result = LOG_WAITS;
    if (result == LOG_LOST) {
        tell_lost(u);
        *ret_go_on = false;
        return 0;
    }
    if (rc == SYNC_OK) note_backlog(u, result, &info, accepted);
    if (result == LOG_WAITS) {
        u->failures++;
        warn(u, &ec);
        return backoff_ms(&backoff, u->failures, system_random_u64()) + 1;
    }
    if (u->failures > 0)
        log_info(&server_of(u)->logger, LOG_STORAGE, "log.goes_on", LOG_U64("partition", u->partition),
                 LOG_U64("failures", u->failures));
    u->failures = 0;
    if (result == LOG_WROTE) count(u, &info);
    if (result == LOG_WROTE && (info.more || follows)) return 0;
    const struct config_object *object = &server_of(u)->config->object;
    return log_plan_pause_ms(object->log_tick_ms, object->segment_objects);
}

static void *run(void *arg)
{
    struct log_uploader *u = arg;
    struct shared_log *l = u->log;
    bool go_on = true, follows = l->server->config->storage.durability == DURABILITY_OBJECT;
    while (go_on && !atomic_load(&l->stopping)) {
        uint64_t wait_ms = step(u, &go_on);
        if (go_on && wait_ms > 0) wait_for(u, wait_ms, follows && u->failures == 0);
    }
    return NULL;
}

enum sync_err log_uploader_start(struct log_uploader *u, struct err_ctx *ec)
{
    enum sync_err rc = thread_start(&u->thread, "log", run, u, ec);
    u->thread_started = rc == SYNC_OK;
    return rc;
}

void log_uploader_join(struct log_uploader *u, uint32_t patience_ms)
{
    struct timespec until;
    if (!u->thread_started) return;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += patience_ms / 1000 + 1;
    if (pthread_timedjoin_np(u->thread, NULL, &until) != 0) {
        atomic_store(&u->log->canceled, true);
        pthread_join(u->thread, NULL);
    }
    u->thread_started = false;
}

/* ---- the end */

/* One step of the rest. False: it is over, one way or the other. */
static bool finish_step(struct log_uploader *u, bool *ret_closed, struct err_ctx *ec)
{
    struct log_step_info info = {0};
    enum log_step result = LOG_WAITS;
    enum sync_err rc = log_writer_step(u->writer, &result, &info, ec);
    if (rc != SYNC_OK) return rc != SYNC_ECANCELED;
    if (result == LOG_WROTE) count(u, &info);
    if (result == LOG_LOST) (void)err_set(ec, SYNC_ECONFIG, "another server writes this log");
    if (result != LOG_IDLE) return result != LOG_LOST;
    rc = log_writer_close_mark(u->writer, &result, ec);
    *ret_closed = rc == SYNC_OK && result == LOG_WROTE;
    return false;
}

void log_uploader_finish(struct log_uploader *u, uint32_t timeout_ms)
{
    enum { PAUSE_NS = 50000000 };
    uint64_t until_ns = system_monotonic_ns() + (uint64_t)timeout_ms * 1000000u, now_ns;
    struct err_ctx ec = {"out of time"};
    bool closed = false, go_on = !atomic_load(&u->lost);
    if (u->writer == NULL || !go_on) return;
    while (go_on && (now_ns = system_monotonic_ns()) < until_ns) {
        log_writer_hurry(u->writer, (uint32_t)((until_ns - now_ns) / 1000000u) + 1);
        uint64_t written = log_writer_number(u->writer);
        go_on = finish_step(u, &closed, &ec);
        if (go_on && log_writer_number(u->writer) == written)
            (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    if (closed)
        log_info(&server_of(u)->logger, LOG_STORAGE, "log.closed", LOG_U64("partition", u->partition),
                 LOG_U64("number", log_writer_number(u->writer)));
    else
        log_warn(&server_of(u)->logger, LOG_STORAGE, "log.not_closed", LOG_U64("partition", u->partition),
                 LOG_FAILURE(&ec),
                 LOG_STR("next", "what is not uploaded yet is, when this server starts again with this data "
                                 "directory"));
}

void log_uploader_close(struct log_uploader *u)
{
    log_writer_close(u->writer);
    u->writer = NULL;
    log_known_free(u->known);
    u->known = NULL;
}
