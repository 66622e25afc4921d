#include "server/objects/shared_log.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/objects/log_uploader.h"
#include "server/server.h"
#include "storage/format_file.h"
#include "storage/sharedlog/log_names.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    OPEN_RETRY_MS = 2000,
    STOP_PATIENCE_MS = 2000, /* for the step under way */
};

static_assert(sizeof((struct shared_log *)0)->writer == LOG_WRITER_BYTES, "shared_log.h");
static_assert(sizeof((struct shared_log *)0)->run == LOG_RUN_BYTES, "shared_log.h");

/* The server's name in the log follows from its data directory; a run of it has a random one. */
static enum sync_err make_names(struct shared_log *l, struct err_ctx *ec)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char text[STORE_IDENTITY_BYTES + 6];
    memcpy(text, store_identity(l->server->store), STORE_IDENTITY_BYTES);
    memcpy(text + STORE_IDENTITY_BYTES, "writer", 6);
    if (SHA256((const unsigned char *)text, sizeof text, hash) == NULL)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256 of the store's identity");
    memcpy(l->writer, hash, sizeof l->writer);
    system_random(l->run, sizeof l->run);
    if (gethostname(l->host, sizeof l->host - 1) != 0) l->host[0] = '\0'; /* it is only told */
    return SYNC_OK;
}

static void close_uploaders(struct shared_log *l, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) log_uploader_close(&l->uploaders[i]);
    free(l->uploaders);
    l->uploaders = NULL;
}

/* The description, a writer for each partition, and their threads. All or nothing. */
static enum sync_err open_log(struct shared_log *l, struct err_ctx *ec)
{
    const struct object_call call = {.timeout_ms = LOG_CALL_MS, .cancel = &l->canceled};
    uint8_t identity[LOG_IDENTITY_BYTES];
    uint32_t count = 0;
    uint64_t number = 0;
    system_random(identity, sizeof identity);
    enum sync_err rc = log_meta_open(server_objects(l->server), &call, l->server->config->object.partitions,
                                     identity, &l->meta, ec);
    if (rc != SYNC_OK) return rc;
    l->uploaders = calloc(l->meta.partitions, sizeof *l->uploaders);
    if (l->uploaders == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the shared log");
    for (; count < l->meta.partitions && rc == SYNC_OK; count++)
        rc = log_uploader_open(&l->uploaders[count], l, count, ec);
    if (rc == SYNC_OK) number = log_writer_number(l->uploaders[0].writer); /* before its thread moves it on */
    for (uint32_t i = 0; i < l->meta.partitions && rc == SYNC_OK; i++) {
        rc = log_uploader_start(&l->uploaders[i], ec);
        if (rc == SYNC_OK) atomic_store(&l->uploader_count, i + 1);
    }
    if (rc != SYNC_OK && atomic_load(&l->uploader_count) == 0) close_uploaders(l, count);
    if (rc == SYNC_OK && log_cleaner_start(&l->cleaner, l, ec) != SYNC_OK)
        log_error(&l->server->logger, LOG_STORAGE, "log.not_tidied", LOG_FAILURE(ec),
                  LOG_STR("next", "the log is written, and grows until the next start"));
    if (rc == SYNC_OK)
        log_info(&l->server->logger, LOG_STORAGE, "log.open", LOG_U64("partitions", l->meta.partitions),
                 LOG_U64("number", number));
    return rc;
}

static void *open_later(void *arg)
{
    struct shared_log *l = arg;
    struct err_ctx ec;
    do {
        if (server_objects(l->server) == NULL) continue;
        enum sync_err rc = open_log(l, &ec);
        if (rc == SYNC_OK || rc == SYNC_ECANCELED) break;
        log_error(&l->server->logger, LOG_STORAGE, "log.not_open", LOG_FAILURE(&ec),
                  LOG_STR("next", "nothing is uploaded; tried again in a few seconds"));
    } while (wait_unless_stopped(&l->lock, &l->changed, &l->stopping, OPEN_RETRY_MS));
    return NULL;
}

enum sync_err shared_log_start(struct shared_log *l, struct server *server, struct err_ctx *ec)
{
    if (!server_keeps_databases_there(server)) return SYNC_OK;
    l->server = server;
    wait_init(&l->lock, &l->changed);
    l->started = true;
    enum sync_err rc = make_names(l, ec);
    if (rc != SYNC_OK || !server->config->object.optional) return rc == SYNC_OK ? open_log(l, ec) : rc;
    rc = thread_start(&l->opener, "log-open", open_later, l, ec);
    l->opener_started = rc == SYNC_OK;
    return rc;
}

void shared_log_stop_threads(struct shared_log *l)
{
    if (!l->started) return;
    wait_stop(&l->lock, &l->changed, &l->stopping);
    if (l->opener_started) {
        atomic_store(&l->canceled, true);
        pthread_join(l->opener, NULL);
        l->opener_started = false;
        atomic_store(&l->canceled, false);
    }
    log_cleaner_stop(&l->cleaner);
    for (uint32_t i = 0; i < atomic_load(&l->uploader_count); i++)
        log_uploader_join(&l->uploaders[i], STOP_PATIENCE_MS);
    atomic_store(&l->canceled, false);
}

void shared_log_finish(struct shared_log *l, uint32_t timeout_ms)
{
    if (!l->started) return;
    uint32_t count = atomic_load(&l->uploader_count);
    uint64_t until_ns = system_monotonic_ns() + (uint64_t)timeout_ms * 1000000u;
    l->direct = true;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t now_ns = system_monotonic_ns();
        log_uploader_finish(&l->uploaders[i],
                            now_ns < until_ns ? (uint32_t)((until_ns - now_ns) / 1000000u) : 0);
    }
    atomic_store(&l->uploader_count, 0);
    log_cleaner_free(&l->cleaner);
    close_uploaders(l, count);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
    l->started = false;
}

/* ---- any thread */

void shared_log_accepted(struct shared_log *l, struct slice database, size_t bytes)
{
    uint32_t count = atomic_load(&l->uploader_count);
    if (!l->started) return;
    atomic_fetch_add(&l->accepted, bytes);
    if (count == 0 || l->server->config->storage.durability != DURABILITY_OBJECT) return;
    uint32_t partition = log_partition_of(database, l->meta.partitions);
    if (partition >= count) return;
    pthread_mutex_lock(&l->lock);
    l->uploaders[partition].kicked = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

bool shared_log_is_ready(struct shared_log *l, const char **ret)
{
    if (!l->started) return true;
    const struct config_object *c = &l->server->config->object;
    uint32_t count = atomic_load(&l->uploader_count);
    uint64_t now_ms = system_wall_ms(), bytes = 0;
    *ret = "the shared log is not open";
    /* What an optional store is not needed for goes on without it. */
    if (count == 0) return c->optional && l->server->config->storage.durability != DURABILITY_OBJECT;
    for (uint32_t i = 0; i < count; i++) {
        struct log_uploader *u = &l->uploaders[i];
        uint64_t since_ms = atomic_load(&u->oldest_ms);
        *ret = "another server writes the same shared log";
        if (atomic_load(&u->lost)) return false;
        *ret = "changes have been waiting for their upload for too long";
        if (c->ready_backlog_ms > 0 && since_ms > 0 && now_ms > since_ms &&
            now_ms - since_ms > c->ready_backlog_ms)
            return false;
        bytes += atomic_load(&u->backlog_bytes);
    }
    *ret = "too much waits for its upload";
    return c->ready_backlog_bytes == 0 || bytes <= c->ready_backlog_bytes;
}

enum sync_err shared_log_tidy(struct shared_log *l, struct log_tidy_result *ret, struct err_ctx *ec)
{
    *ret = (struct log_tidy_result){0};
    if (!l->started || atomic_load(&l->uploader_count) == 0)
        return err_set(ec, SYNC_EBUSY, "this server does not write the shared log, or not yet");
    return log_cleaner_run(&l->cleaner, ret, ec);
}

void shared_log_stop_tidying(struct shared_log *l)
{
    atomic_store(&l->cleaner.cancel, true);
}

bool shared_log_is_ours(struct shared_log *l)
{
    uint32_t count = l->started ? atomic_load(&l->uploader_count) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (atomic_load(&l->uploaders[i].lost)) return false;
    return count > 0;
}

bool shared_log_may_have(struct shared_log *l, struct slice database)
{
    if (!shared_log_is_ours(l)) return true; /* others may write it */
    uint32_t partition = log_partition_of(database, l->meta.partitions);
    if (partition >= atomic_load(&l->uploader_count)) return true;
    return log_known_may_have(l->uploaders[partition].known, database);
}

bool shared_log_meta(struct shared_log *l, struct log_meta *ret)
{
    if (!l->started || atomic_load(&l->uploader_count) == 0) return false;
    *ret = l->meta;
    return true;
}
