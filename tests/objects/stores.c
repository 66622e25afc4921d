#include "tests/objects/stores.h"

#include "storage/objects/object_dir.h"
#include "tests/objects/check.h"

#include <sys/random.h>

static char kind_text[8], place_text[512], run_text[48];
static char prefix_text[64];
static unsigned folder;

const char *need_env(const char *name)
{
    const char *value = getenv(name);
    CHECK(value != NULL, "%s is not set: run it by tests/with-s3", name);
    return value;
}

void stores_init(const char *kind, const char *place)
{
    uint64_t random;
    const char *run = getenv("OBJECTS_RUN");
    CHECK(strcmp(kind, "dir") == 0 || strcmp(kind, "s3") == 0, "kind is dir or s3");
    (void)snprintf(kind_text, sizeof kind_text, "%s", kind);
    (void)snprintf(place_text, sizeof place_text, "%s", place);
    CHECK(getrandom(&random, sizeof random, 0) == sizeof random);
    if (run != NULL)
        (void)snprintf(run_text, sizeof run_text, "%s", run);
    else
        (void)snprintf(run_text, sizeof run_text, "run-%016jx", (uintmax_t)random);
    CHECK(setenv("OBJECTS_RUN", run_text, 1) == 0);
    (void)snprintf(prefix_text, sizeof prefix_text, "%s/", run_text);
}

const char *stores_kind(void)
{
    return kind_text;
}

const char *stores_place(void)
{
    return place_text;
}

const char *stores_run(void)
{
    return run_text;
}

struct object_s3_config stores_s3_config(void)
{
    struct object_s3_config cfg = OBJECT_S3_CONFIG_DEFAULT;
    cfg.bucket = need_env("S3_BUCKET");
    cfg.region = need_env("S3_REGION");
    cfg.endpoint = need_env("S3_ENDPOINT");
    cfg.force_path_style = true;
    cfg.key_prefix = prefix_text;
    cfg.credentials.access_key_id = need_env("S3_ACCESS_KEY");
    cfg.credentials.secret_access_key = need_env("S3_SECRET_KEY");
    return cfg;
}

struct object_store *stores_open_s3(const struct object_s3_config *cfg)
{
    struct object_store *s;
    struct err_ctx ec;
    CHECK_OK(object_s3_open(cfg, &s, &ec), &ec);
    return s;
}

struct object_store *stores_open(void)
{
    return stores_open_observed(&(struct object_observer){0});
}

struct object_store *stores_open_observed(const struct object_observer *observer)
{
    if (strcmp(kind_text, "s3") == 0) {
        struct object_s3_config cfg = stores_s3_config();
        cfg.observer = *observer;
        return stores_open_s3(&cfg);
    }
    char path[600];
    struct object_store *s;
    struct err_ctx ec;
    (void)snprintf(path, sizeof path, "%s/%s", place_text, run_text);
    struct object_dir_config cfg = {.path = path, .observer = *observer};
    CHECK_OK(object_dir_open(&cfg, &s, &ec), &ec);
    return s;
}

void stores_next_folder(void)
{
    folder++;
}

struct slice stores_key(const char *name)
{
    static char keys[8][OBJECT_KEY_MAX + 64];
    static unsigned next;
    char *key = keys[next++ % 8];
    (void)snprintf(key, sizeof keys[0], "f%u/%s", folder, name);
    return slice_str(key);
}
