#include "server/server.h"

#include "server/base/system.h"
#include "server/base/version.h"
#include "server/base/waiting.h"
#include "server/coordinator/coordinator.h"
#include "server/net/admission.h"
#include "server/net/listen.h"
#include "server/net/loop.h"
#include "server/net/tls.h"
#include "server/store/store_thread.h"
#include "storage/shard/left_note.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LOOPS_MAX = 64, LOOPS_DEFAULT_MAX = 8, FILES_BESIDE_CONNECTIONS = 1024 };

/* ---- any thread */

void server_work_begins(struct server *s)
{
    atomic_fetch_add(&s->work, 1);
}

void server_work_ends(struct server *s)
{
    if (atomic_fetch_sub(&s->work, 1) != 1) return;
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->lock);
}

struct shard *server_shard(struct server *s, struct slice database)
{
    return store_shard(s->store, store_shard_of(s->store, database));
}

struct store_thread *server_store_thread(struct server *s, struct slice database)
{
    return &s->store_threads[store_shard_of(s->store, database)];
}

uint64_t server_database_count(const struct server *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < store_shard_count(s->store); i++)
        count += shard_database_count(store_shard(s->store, i));
    return count;
}

uint64_t server_open_count(const struct server *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < store_shard_count(s->store); i++)
        count += shard_open_count(store_shard(s->store, i));
    return count;
}

bool server_store_is_closed(const struct server *s)
{
    for (uint32_t i = 0; i < store_shard_count(s->store); i++)
        if (shard_is_closed(store_shard(s->store, i))) return true;
    return false;
}

/* ---- start */

/* Room for as many files as connections may be open. libwebsockets sizes its tables by this limit, so it is
 * set to what is needed and no more. */
static void set_file_limit(struct server *s)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)s->config->limits.connections + FILES_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    if (limit.rlim_max != RLIM_INFINITY && want > limit.rlim_max) {
        log_warn(&s->logger, LOG_SERVER, "server.few_files", LOG_U64("wanted", want),
                 LOG_U64("allowed", limit.rlim_max),
                 LOG_STR("next", "connections beyond that are refused; raise the limit of open files"));
        want = limit.rlim_max;
    }
    limit.rlim_cur = want;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* the limit that is there serves, only less */
}

static uint32_t loops_wanted(const struct config *config)
{
    if (config->server.threads > 0)
        return config->server.threads < LOOPS_MAX ? config->server.threads : LOOPS_MAX;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 1) return 1;
    return processors < LOOPS_DEFAULT_MAX ? (uint32_t)processors : LOOPS_DEFAULT_MAX;
}

/* Databases that have left the disk are not new to a server that cannot look for them. */
static enum sync_err check_all_here(struct server *s, struct err_ctx *ec)
{
    for (uint32_t i = 0; i < store_shard_count(s->store) && !server_keeps_databases_there(s); i++) {
        char name[DATABASE_ID_MAX];
        size_t len;
        bool found = false;
        enum sync_err rc = shard_any_elsewhere(store_shard(s->store, i), name, &len, &found, ec);
        if (rc != SYNC_OK) return rc;
        if (found)
            return err_set(
                ec, SYNC_ECONFIG,
                "%s: database %.*s, and maybe others, has left this disk for an object store: start "
                "with that one configured, and object.log on",
                s->config->storage.data_dir, (int)len, name);
    }
    return SYNC_OK;
}

static enum sync_err open_store(struct server *s, struct err_ctx *ec)
{
    const struct store_config cfg = {
        .dir = s->config->storage.data_dir,
        .shards = s->config->storage.shards,
        .sync = s->config->storage.durability != DURABILITY_OS,
        .allow_resurrection = s->config->sync.allow_resurrection,
        .write_buffer_bytes = s->config->storage.write_buffer_bytes,
        .block_cache_bytes = s->config->storage.block_cache_bytes,
    };
    enum sync_err rc = store_open(&cfg, &s->store, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "open the store in %s", cfg.dir);
        if (rc == SYNC_EFORMAT)
            log_error(&s->logger, LOG_STORAGE, "store.damaged", LOG_STR("dir", cfg.dir),
                      LOG_STR("next",
                              "`sync-coordinator store verify DIR` tells what is damaged, `store repair "
                              "DIR` mends what can be mended and keeps a copy"));
        return rc;
    }
    for (uint32_t i = 0; i < store_shard_count(s->store); i++) {
        uint64_t bytes = shard_torn_bytes(store_shard(s->store, i));
        if (bytes > 0)
            log_warn(&s->logger, LOG_STORAGE, "store.torn_log", LOG_U64("shard", i), LOG_U64("bytes", bytes),
                     LOG_STR("next", "cut off and kept in the file TORN; see docs/storage-format.md"));
    }
    return check_all_here(s, ec);
}

static enum sync_err start_store_threads(struct server *s, struct err_ctx *ec)
{
    uint32_t count = store_shard_count(s->store);
    s->store_threads = calloc(count, sizeof *s->store_threads);
    if (s->store_threads == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for %u threads", count);
    for (; s->store_thread_count < count; s->store_thread_count++) {
        uint32_t i = s->store_thread_count;
        enum sync_err rc = store_thread_start(&s->store_threads[i], s, store_shard(s->store, i), ec);
        if (rc != SYNC_OK) return rc;
    }
    return SYNC_OK;
}

static enum sync_err open_loops(struct server *s, struct err_ctx *ec)
{
    uint32_t count = loops_wanted(s->config);
    enum sync_err rc =
        listen_resolve(s->config->server.host, s->config->server.port, s->listen_address, &s->port, ec);
    if (rc != SYNC_OK) return rc;
    s->loops = calloc(count, sizeof *s->loops);
    if (s->loops == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for %u event loops", count);
    while (rc == SYNC_OK && s->loop_count < count) {
        uint32_t i = s->loop_count++; /* counted even when it fails: loop_close() takes half-open ones */
        rc = loop_open(&s->loops[i], s, i, ec);
    }
    for (uint32_t i = 0; i < s->loop_count && rc == SYNC_OK; i++) rc = loop_start(&s->loops[i], ec);
    return rc;
}

static enum sync_err start_parts(struct server *s, struct err_ctx *ec)
{
    enum sync_err rc = settings_first(s->config, &s->settings, ec);
    if (rc == SYNC_OK) rc = hook_gate_open(&s->hooks, s->config, s->logger, &s->metrics, ec);
    s->admission = admission_new(system_random_u64());
    if (rc == SYNC_OK && s->admission == NULL) rc = err_set(ec, SYNC_ENOMEM, "no memory for the limits");
    if (rc == SYNC_OK) rc = open_store(s, ec);
    if (rc == SYNC_OK) rc = objects_start(&s->objects, s, ec);
    if (rc == SYNC_OK) rc = presence_start(&s->presence, s, ec);
    if (rc == SYNC_OK) rc = snapshots_init(&s->snapshots, s, ec);
    if (rc == SYNC_OK) rc = start_store_threads(s, ec);
    if (rc == SYNC_OK) rc = worker_pool_start(&s->readers, s->config->server.reader_threads, "reader", ec);
    if (rc == SYNC_OK && s->config->coordinator.enabled) rc = coordinator_new(s, &s->coordinator, ec);
    if (rc == SYNC_OK) rc = open_loops(s, ec);
    if (rc == SYNC_OK) rc = shared_log_start(&s->shared_log, s, ec);
    if (rc == SYNC_OK) rc = retention_start(&s->retention, s, ec);
    if (rc == SYNC_OK) rc = snapshots_start(&s->snapshots, ec);
    if (rc == SYNC_OK) rc = cleanup_start(&s->cleanup, s, ec);
    if (rc == SYNC_OK) rc = eviction_start(&s->eviction, s, ec);
    if (rc == SYNC_OK && s->coordinator != NULL) rc = coordinator_start(s->coordinator, ec);
    return rc;
}

enum sync_err server_start(struct server *s, const struct config *config, struct logger logger,
                           struct err_ctx *ec)
{
    *s = (struct server){.config = config, .logger = logger, .started_ns = system_monotonic_ns()};
    wait_init(&s->lock, &s->idle);
    sync_metrics_init(&s->metrics);
    gauge_set(&s->metrics.process_start_ms, (int64_t)system_wall_ms());
    lws_set_log_level(LLL_ERR, NULL);
    set_file_limit(s);
    enum sync_err rc = start_parts(s, ec);
    if (rc != SYNC_OK) {
        struct err_ctx why = *ec;
        (void)server_stop(s); /* no call of a hook was made yet */
        *ec = why;
        return rc;
    }
    atomic_store(&s->ready, true);
    log_info(&s->logger, LOG_SERVER, "server.listening", LOG_STR("host", config->server.host),
             LOG_U64("port", s->port), LOG_BOOL("tls", tls_is_on(config)),
             LOG_STR("base_path", config->server.base_path), LOG_U64("threads", s->loop_count),
             LOG_U64("shards", s->store_thread_count), LOG_U64("databases", server_database_count(s)),
             LOG_STR("version", SYNC_VERSION));
    return SYNC_OK;
}

/* ---- stop */

static void drain_done(struct job *j)
{
    loop_drain(j->home);
    server_work_ends(j->home->server);
    free(j);
}

/* Sessions and exchanges end; waits until none is left, or the time is over. */
static void drain(struct server *s)
{
    uint32_t timeout_ms = s->settings == NULL ? 0 : s->settings->config->server.drain_timeout_ms;
    atomic_store(&s->draining, true);
    for (uint32_t i = 0; i < s->loop_count; i++) {
        struct job *j = s->loops[i].thread_started ? calloc(1, sizeof *j) : NULL;
        if (j == NULL) continue;
        server_work_begins(s);
        j->home = &s->loops[i];
        j->done = drain_done;
        loop_post(j->home, j);
    }
    struct timespec until = wait_until_ms(timeout_ms);
    pthread_mutex_lock(&s->lock);
    while (atomic_load(&s->work) > 0 && pthread_cond_timedwait(&s->idle, &s->lock, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&s->lock);
    uint32_t left = atomic_load(&s->work);
    if (left > 0)
        log_warn(&s->logger, LOG_SERVER, "server.drain_timeout", LOG_U64("left", left),
                 LOG_STR("next", "they are cut off; nothing unanswered was acknowledged"));
}

bool server_stop(struct server *s)
{
    presence_cancel(&s->presence);
    shared_log_stop_tidying(&s->shared_log); /* a ticket may be about it */
    coordinator_stop(s->coordinator,
                     s->config->server.drain_timeout_ms); /* first: the next one leads sooner */
    drain(s);
    retention_stop(&s->retention);
    eviction_stop(&s->eviction);
    snapshots_stop(&s->snapshots);
    cleanup_stop(&s->cleanup);
    shared_log_stop_threads(&s->shared_log);
    for (uint32_t i = 0; i < s->loop_count; i++) loop_stop(&s->loops[i]);
    /* What was queued is still read and written; its answers find nobody. */
    worker_pool_stop(&s->readers);
    objects_stop_jobs(&s->objects);
    for (uint32_t i = 0; i < s->store_thread_count; i++) store_thread_stop(&s->store_threads[i]);
    for (uint32_t i = 0; i < s->loop_count; i++) loop_say_goodbye(&s->loops[i]);
    bool all = hook_gate_close(&s->hooks); /* answers come to the loops, which are still there */
    shared_log_finish(&s->shared_log, s->config->server.drain_timeout_ms);
    for (uint32_t i = 0; i < s->loop_count; i++) loop_close(&s->loops[i]);
    coordinator_free(s->coordinator);
    free(s->loops);
    free(s->store_threads);
    snapshots_free(&s->snapshots);
    presence_stop(&s->presence);
    objects_stop(&s->objects);
    if (s->store != NULL) store_flush(s->store);
    store_close(s->store);
    settings_unref(s->settings);
    admission_free(s->admission);
    log_info(&s->logger, LOG_SERVER, "server.stopped");
    (void)pthread_cond_destroy(&s->idle);
    (void)pthread_mutex_destroy(&s->lock);
    return all;
}
