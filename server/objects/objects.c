#include "server/objects/objects.h"

#include "core/config/config.h"
#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/server.h"
#include "storage/objects/object_dir.h"
#include "storage/objects/object_probe.h"
#include "storage/objects/object_s3.h"

#include <assert.h>

#define X(constant, value) static_assert((int)OBJECT_CALL_##constant == (int)OBJECT_OP_##constant, value);
OBJECT_CALL_MAP(X)
#undef X
#define X(constant, value) +1
static_assert((0 OBJECT_OP_MAP(X)) == OBJECT_CALL_COUNT, "every operation is counted");
#undef X

/* ---- metrics */

static void call_ended(void *arg, const struct object_event *ev)
{
    struct object_metrics *m = &((struct server *)arg)->metrics.object;
    counter_add(&m->requests[ev->op], ev->requests);
    counter_add(&m->retries[ev->op], ev->retries);
    counter_add(&m->sent_bytes[ev->op], ev->sent_bytes);
    counter_add(&m->received_bytes[ev->op], ev->received_bytes);
    histogram_observe(&m->call_ns[ev->op], ev->latency_us * 1000);
    counter_add(&m->cost_nano_usd, ev->cost_nano_usd);
    if (ev->rc != SYNC_OK && ev->rc != SYNC_ENOTFOUND && ev->rc != SYNC_ECANCELED)
        counter_add(&m->errors[ev->op], 1);
    if (ev->rc == SYNC_OK && ev->outcome == OBJECT_UNKNOWN) counter_add(&m->unknown[ev->op], 1);
}

static void breaker_moved(void *arg, enum breaker_state now)
{
    struct server *s = arg;
    gauge_set(&s->metrics.object.breaker, (int64_t)now);
    if (now == BREAKER_HALF_OPEN) return;
    log_warn(&s->logger, LOG_STORAGE, "object.breaker", LOG_STR("state", breaker_state_name(now)),
             LOG_STR("next", now == BREAKER_OPEN ? "calls fail at once for a while, then one is tried"
                                                 : "the object store answers again"));
}

static void clock_skew(void *arg, int64_t skew_ms)
{
    struct server *s = arg;
    gauge_set(&s->metrics.object.clock_skew_ms, skew_ms);
    log_warn(&s->logger, LOG_STORAGE, "object.clock_skew", LOG_I64("skew_ms", skew_ms),
             LOG_STR("next", "requests are dated by the service's clock; set this machine's"));
}

/* ---- opening */

enum { UPLOAD_BYTES_PER_S_MIN = 1024 }; /* object_s3.h */

enum sync_err objects_open(const struct config *config, const struct object_observer *observer,
                           struct object_store **ret, struct err_ctx *ec)
{
    const struct config_s3 *s3 = &config->s3;
    const struct config_object *object = &config->object;
    if (object->dir[0] != '\0') {
        const struct object_dir_config dir = {.path = object->dir, .observer = *observer};
        return object_dir_open(&dir, ret, ec);
    }
    struct object_s3_config cfg = OBJECT_S3_CONFIG_DEFAULT;
    cfg.bucket = s3->bucket;
    cfg.region = s3->region;
    cfg.endpoint = s3->endpoint;
    cfg.force_path_style = s3->force_path_style;
    cfg.key_prefix = s3->key_prefix;
    cfg.ca_file = s3->ca_file;
    cfg.credentials = (struct credentials_config){.access_key_id = s3->access_key_id,
                                                  .secret_access_key = s3->secret_access_key,
                                                  .session_token = s3->session_token};
    cfg.upload_bytes_per_s = object->upload_bytes_per_s;
    if (cfg.upload_bytes_per_s > 0 && cfg.upload_bytes_per_s < UPLOAD_BYTES_PER_S_MIN)
        cfg.upload_bytes_per_s = UPLOAD_BYTES_PER_S_MIN;
    cfg.observer = *observer;
    return object_s3_open(&cfg, ret, ec);
}

static enum sync_err open_store(struct objects *o, struct err_ctx *ec)
{
    const struct object_observer observer = {
        .ended = call_ended, .breaker_moved = breaker_moved, .clock_skew = clock_skew, .arg = o->server};
    return objects_open(o->server->config, &observer, &o->store, ec);
}

static enum sync_err try_once(struct objects *o, struct err_ctx *ec)
{
    const struct object_call call = {.timeout_ms = OBJECTS_PROBE_MS, .cancel = &o->stopping};
    enum sync_err rc = o->store == NULL ? open_store(o, ec) : SYNC_OK;
    if (rc != SYNC_OK) {
        err_wrap(ec, "open the object store");
        return rc;
    }
    rc = object_probe(o->store, &call, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "try the object store %s", object_store_name(o->store));
        return rc;
    }
    atomic_store(&o->usable, o->store);
    gauge_set(&o->server->metrics.object.usable, 1);
    log_info(&o->server->logger, LOG_STORAGE, "object.usable", LOG_STR("store", object_store_name(o->store)));
    return SYNC_OK;
}

static void warn_unusable(struct objects *o, const struct err_ctx *why)
{
    log_error(&o->server->logger, LOG_STORAGE, "object.unusable", LOG_FAILURE(why),
              LOG_STR("next", "this server runs without it for now, and what it holds is nowhere else; tried "
                              "again every few seconds"));
}

static void *run(void *arg)
{
    struct objects *o = arg;
    struct err_ctx ec;
    while (wait_unless_stopped(&o->lock, &o->changed, &o->stopping, OBJECTS_RETRY_MS)) {
        enum sync_err rc = try_once(o, &ec);
        if (rc == SYNC_OK || rc == SYNC_ECANCELED) break;
        warn_unusable(o, &ec);
    }
    return NULL;
}

enum sync_err objects_start(struct objects *o, struct server *server, struct err_ctx *ec)
{
    *o = (struct objects){.server = server};
    if (!server_has_objects(server)) return SYNC_OK;
    wait_init(&o->lock, &o->changed);
    o->started = true;
    enum sync_err rc = worker_pool_start(&o->pool, server->config->object.threads, "object", ec);
    if (rc != SYNC_OK) return rc;
    rc = try_once(o, ec);
    if (rc == SYNC_OK || !server->config->object.optional) return rc;
    warn_unusable(o, ec);
    rc = thread_start(&o->thread, "objects", run, o, ec);
    o->thread_started = rc == SYNC_OK;
    return rc;
}

void objects_stop_jobs(struct objects *o)
{
    worker_pool_stop(&o->pool);
}

void objects_stop(struct objects *o)
{
    if (!o->started) return;
    wait_stop(&o->lock, &o->changed, &o->stopping);
    if (o->thread_started) pthread_join(o->thread, NULL);
    worker_pool_stop(&o->pool);
    object_store_close(o->store);
    (void)pthread_cond_destroy(&o->changed);
    (void)pthread_mutex_destroy(&o->lock);
    *o = (struct objects){0};
}

/* ---- any thread */

bool server_has_objects(const struct server *s)
{
    return s->config->object.dir[0] != '\0' || s->config->s3.bucket[0] != '\0';
}

bool server_keeps_databases_there(const struct server *s)
{
    return server_has_objects(s) && s->config->object.log;
}

struct object_store *server_objects(struct server *s)
{
    return atomic_load(&s->objects.usable);
}

void server_objects_put(struct server *s, struct job *j)
{
    assert(s->objects.started);
    worker_pool_put(&s->objects.pool, j);
}
