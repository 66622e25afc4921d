#include "tests/objects/faults.h"

#include <pthread.h>
#include <time.h>

struct faults fx;

static pthread_mutex_t last_lock =
    PTHREAD_MUTEX_INITIALIZER; /* the parts of one stream end at the same time */

static void on_ended(void *arg, const struct object_event *ev)
{
    (void)arg;
    pthread_mutex_lock(&last_lock);
    fx.last = *ev;
    pthread_mutex_unlock(&last_lock);
}

static void on_breaker(void *arg, enum breaker_state now)
{
    (void)arg;
    CHECK(fx.moves_count < sizeof fx.moves / sizeof *fx.moves);
    fx.moves[fx.moves_count++] = now;
}

static void on_skew(void *arg, int64_t skew_ms)
{
    (void)arg;
    fx.skew_ms = skew_ms;
}

void faults_begin(void)
{
    const char *endpoint = need_env("S3_ENDPOINT"), *port = strrchr(endpoint, ':');
    CHECK(port != NULL, "%s has no port", endpoint);
    fx = (struct faults){0};
    fx.proxy = fault_proxy_start(0, (uint16_t)atoi(port + 1));
    CHECK(fx.proxy != NULL);
    (void)snprintf(fx.endpoint, sizeof fx.endpoint, "http://127.0.0.1:%u", fault_proxy_port(fx.proxy));
    fx.direct = stores_open();
    stores_next_folder();
}

void faults_end(void)
{
    object_store_close(fx.store);
    object_store_close(fx.direct);
    fault_proxy_stop(fx.proxy);
}

struct object_s3_config faults_config(void)
{
    struct object_s3_config cfg = stores_s3_config();
    cfg.endpoint = fx.endpoint;
    cfg.backoff = (struct backoff_config){.base_ms = 1, .cap_ms = 10};
    cfg.observer =
        (struct object_observer){.ended = on_ended, .breaker_moved = on_breaker, .clock_skew = on_skew};
    return cfg;
}

void faults_open(const struct object_s3_config *cfg)
{
    object_store_close(fx.store);
    fx.store = stores_open_s3(cfg);
}

int faults_rule(const char *line)
{
    int id = fault_proxy_rule(fx.proxy, line);
    CHECK(id >= 0, "no rule: %s", line);
    return id;
}

void faults_put_direct(const char *name, const char *bytes)
{
    CHECK_OK(object_put(fx.direct, NULL, stores_key(name), slice_str(bytes), NULL, &fx.ec), &fx.ec);
}

void faults_check_holds(const char *name, const char *bytes)
{
    struct buf got = buf_make(1 << 20);
    CHECK_OK(object_get_buf(fx.direct, NULL, stores_key(name), NULL, &got, NULL, &fx.ec), &fx.ec);
    CHECK(slice_is(buf_slice(&got), bytes), "%s holds %.*s", name, SLICE_ARG(buf_slice(&got)));
    buf_deinit(&got);
}

void faults_check_absent(const char *name)
{
    struct object_info info;
    CHECK_RC(object_head(fx.direct, NULL, stores_key(name), &info, &fx.ec), SYNC_ENOTFOUND, &fx.ec);
}

uint64_t faults_clock_ms(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
