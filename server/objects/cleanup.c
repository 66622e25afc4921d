#include "server/objects/cleanup.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/coordinator/coordinator.h"
#include "server/server.h"
#include "storage/objects/object_probe.h"
#include "storage/shard/snapshot_note.h"
#include "storage/snapshots/snapshot_sweep.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    CLEANUP_CALL_MS = 60000,
    CLEANUP_FIRST_MS = 600000, /* after the start, or earlier where the interval is shorter */
    CLEANUP_TEXT_MAX = 200,
};

/* ---- the databases of this instance */

/* What this instance has noted it has read back itself. Of databases that it has no note of it does not
 * know what is good, so they stay as they are: they may be another one's. */
static bool verified(void *arg, struct slice database, struct snapshot_id *ret)
{
    struct server *s = arg;
    struct snapshot_note note;
    struct err_ctx ec;
    bool found = false;
    enum sync_err rc = shard_snapshot_note(server_shard(s, database), database, &found, &note, &ec);
    if (rc != SYNC_OK || !found || note.newest.wall_ms == 0) return false;
    *ret = (struct snapshot_id){.stamp = note.newest, .made_ms = note.made_ms};
    return true;
}

/* The log's own thread does the same at its own pace; here it is told in the round's result. A server that
 * does not write the log, or does not merge it, has nothing to do. */
static enum sync_err clean_log(struct server *s, char *text, size_t text_bytes, struct err_ctx *ec)
{
    struct log_tidy_result r;
    enum sync_err rc = shared_log_tidy(&s->shared_log, &r, ec);
    if (rc == SYNC_EBUSY) return SYNC_OK;
    (void)snprintf(text, text_bytes, "; of the log %u parts made, %u deleted, %u left", r.merged + r.thinned,
                   r.deleted, r.parts);
    if (rc == SYNC_OK && r.failures > 0) {
        *ec = r.why;
        rc = SYNC_EIO;
    }
    return rc;
}

enum sync_err cleanup_own(struct server *s, const atomic_bool *cancel, char *text, size_t text_bytes,
                          struct err_ctx *ec)
{
    const struct object_call call = {.timeout_ms = CLEANUP_CALL_MS, .cancel = cancel};
    const struct snapshot_sweep sweep = {
        .retained = s->config->object.snapshots_retained, .verified = verified, .arg = s};
    struct object_store *objects = server_objects(s);
    struct snapshot_swept swept;
    (void)snprintf(text, text_bytes, "no databases of this instance are there");
    if (!server_keeps_databases_there(s)) return SYNC_OK;
    if (objects == NULL) return err_set(ec, SYNC_EBUSY, "the object store cannot be reached");
    enum sync_err rc = snapshot_sweep(objects, &call, &sweep, &swept, ec);
    (void)snprintf(text, text_bytes,
                   "%" PRIu64 " snapshots of %" PRIu64 " databases, %" PRIu64 " databases had too many",
                   swept.snapshots, swept.databases, swept.thinned);
    size_t len = strlen(text);
    return rc == SYNC_OK ? clean_log(s, text + len, text_bytes - len, ec) : rc;
}

/* ---- what is nobody's */

static bool take_common(struct cleanup *c)
{
    pthread_mutex_lock(&c->lock);
    bool taken = !c->common_runs;
    c->common_runs = true;
    pthread_mutex_unlock(&c->lock);
    return taken;
}

static void give_common_back(struct cleanup *c)
{
    pthread_mutex_lock(&c->lock);
    c->common_runs = false;
    pthread_mutex_unlock(&c->lock);
}

enum sync_err cleanup_common(struct server *s, const atomic_bool *cancel, char *text, size_t text_bytes,
                             struct err_ctx *ec)
{
    const struct object_call call = {.timeout_ms = CLEANUP_CALL_MS, .cancel = cancel};
    struct object_store *objects = server_objects(s);
    uint32_t uploads = 0, probes = 0;
    if (objects == NULL) return err_set(ec, SYNC_EBUSY, "the object store cannot be reached");
    (void)snprintf(text, text_bytes, "it is being cleaned up");
    if (!take_common(&s->cleanup)) return SYNC_OK;
    enum sync_err rc =
        object_upload_sweep(objects, &call, slice_str(SNAPSHOTS_PREFIX), CLEANUP_UPLOAD_AGE_MS, &uploads, ec);
    if (rc == SYNC_OK)
        rc = leftovers_sweep(&s->cleanup.leftovers, objects, &call, slice_str(OBJECT_PROBE_PREFIX),
                             system_boot_ms(), CLEANUP_PROBE_AGE_MS, &probes, ec);
    give_common_back(&s->cleanup);
    (void)snprintf(text, text_bytes, "%u unfinished uploads and %u leftovers of probes removed", uploads,
                   probes);
    return rc;
}

/* ---- the thread, for servers without a leader */

static void tell(struct cleanup *c, const char *what, enum sync_err rc, const char *text,
                 const struct err_ctx *ec)
{
    if (rc == SYNC_OK)
        log_info(&c->server->logger, LOG_STORAGE, "cleanup.done", LOG_STR("of", what), LOG_STR("did", text));
    else if (rc != SYNC_ECANCELED)
        log_warn(&c->server->logger, LOG_STORAGE, "cleanup.failed", LOG_STR("of", what), LOG_FAILURE(ec),
                 LOG_STR("next", "tried again with the next clean-up; what is left over costs room only"));
}

static void clean_up(struct cleanup *c)
{
    char text[CLEANUP_TEXT_MAX];
    struct err_ctx ec;
    enum sync_err rc = cleanup_own(c->server, &c->stopping, text, sizeof text, &ec);
    tell(c, "databases", rc, text, &ec);
    rc = cleanup_common(c->server, &c->stopping, text, sizeof text, &ec);
    tell(c, "store", rc, text, &ec);
}

/* False when it is time to end. */
static bool sleep_for(struct cleanup *c, uint64_t ms)
{
    return wait_unless_stopped(&c->lock, &c->changed, &c->stopping, ms);
}

static void *run(void *arg)
{
    struct cleanup *c = arg;
    uint64_t interval_ms = c->server->config->object.cleanup_interval_ms;
    bool go_on = sleep_for(c, interval_ms < CLEANUP_FIRST_MS ? interval_ms : CLEANUP_FIRST_MS);
    while (go_on) {
        if (!coordinator_hands_out_work(c->server->coordinator)) clean_up(c);
        go_on = sleep_for(c, interval_ms);
    }
    return NULL;
}

enum sync_err cleanup_start(struct cleanup *c, struct server *server, struct err_ctx *ec)
{
    *c = (struct cleanup){.server = server};
    wait_init(&c->lock, &c->changed);
    if (!server_keeps_databases_there(server)) return SYNC_OK;
    enum sync_err rc = thread_start(&c->thread, "cleanup", run, c, ec);
    c->thread_started = rc == SYNC_OK;
    return rc;
}

void cleanup_stop(struct cleanup *c)
{
    if (c->server == NULL) return;
    wait_stop(&c->lock, &c->changed, &c->stopping);
    if (c->thread_started) pthread_join(c->thread, NULL);
    leftovers_deinit(&c->leftovers);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    *c = (struct cleanup){0};
}
