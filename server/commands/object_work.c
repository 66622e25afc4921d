#include "server/commands/object_work.h"

#include "server/base/system.h"
#include "server/config_source.h"
#include "server/objects/objects.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORK_CALL_MS = 60000 };

enum sync_err object_work_open(struct object_work *w, int argc, char *const argv[], struct err_ctx *ec)
{
    static const struct object_observer nobody = {0};
    struct config_input in = config_source(argc, argv);
    enum sync_err rc = config_load(&in, &w->loaded, ec);
    if (rc != SYNC_OK) return rc;
    const struct config *config = &w->loaded.config;
    if (config->object.dir[0] == '\0' && config->s3.bucket[0] == '\0')
        return err_set(ec, SYNC_ECONFIG, "there is no object store: set s3.bucket or object.dir");
    w->call = (struct object_call){.timeout_ms = WORK_CALL_MS};
    rc = database_place_open_hooks(&w->hooks, config, ec);
    return rc == SYNC_OK ? objects_open(config, &nobody, &w->objects, ec) : rc;
}

void object_work_close(struct object_work *w)
{
    object_store_close(w->objects);
    (void)hook_gate_close(&w->hooks); /* nothing is unloaded behind it: the process ends */
    config_unload(&w->loaded);
}

/* ---- stores */

enum sync_err work_store_open(const struct object_work *w, const char *dir, struct work_store *ret,
                              struct err_ctx *ec)
{
    const struct config *config = &w->loaded.config;
    const struct store_config cfg = {.dir = dir == NULL ? config->storage.data_dir : dir,
                                     .shards = config->storage.shards,
                                     .sync = true,
                                     .allow_resurrection = config->sync.allow_resurrection,
                                     .write_buffer_bytes = config->storage.write_buffer_bytes,
                                     .block_cache_bytes = config->storage.block_cache_bytes};
    *ret = (struct work_store){0};
    return store_open(&cfg, &ret->store, ec);
}

enum sync_err work_store_temporary(struct work_store *ret, struct err_ctx *ec)
{
    const char *top = getenv("TMPDIR");
    struct store_config cfg = STORE_CONFIG_DEFAULT;
    *ret = (struct work_store){0};
    int n = snprintf(ret->dir, sizeof ret->dir, "%s/sync-object-XXXXXX",
                     top == NULL || top[0] == '\0' ? "/tmp" : top);
    if (n < 0 || (size_t)n >= sizeof ret->dir || mkdtemp(ret->dir) == NULL)
        return err_set(ec, SYNC_EIO, "no temporary directory like %s", ret->dir);
    ret->temporary = true;
    cfg.dir = ret->dir;
    cfg.shards = 1;
    cfg.sync = false;
    enum sync_err rc = store_open(&cfg, &ret->store, ec);
    if (rc != SYNC_OK) work_store_close(ret);
    return rc;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

void work_store_close(struct work_store *s)
{
    store_close(s->store);
    if (s->temporary)
        (void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* the system sweeps it some day */
    *s = (struct work_store){0};
}

struct shard *work_shard(struct work_store *s, struct slice database)
{
    return store_shard(s->store, store_shard_of(s->store, database));
}

/* ---- the target */

static enum sync_err begin(void *arg, struct err_ctx *ec)
{
    struct work_target *x = arg;
    enum sync_err rc = SYNC_OK;
    for (bool gone = false; rc == SYNC_OK && !gone;)
        rc = shard_remove_step(x->shard, x->database, REMOVE_KEYS_MAX, &gone, ec);
    return rc == SYNC_OK ? shard_import_begin(x->shard, x->database, ec) : rc;
}

static enum sync_err entries(void *arg, const struct moved_entry *e, size_t count, const struct stamp *pruned,
                             struct err_ctx *ec)
{
    struct work_target *x = arg;
    return shard_import_entries(x->shard, x->database, e, count, pruned, ec);
}

static enum sync_err finish(void *arg, const struct import_record *record, struct err_ctx *ec)
{
    struct work_target *x = arg;
    return shard_import_finish(x->shard, x->database, record, ec);
}

static void settle(void *arg)
{
    struct work_target *x = arg; /* nothing is ever lent for longer than a call */
    shard_import_forget(x->shard, x->database);
}

struct import_target work_target_of(struct work_target *x)
{
    return (struct import_target){
        .arg = x, .begin = begin, .entries = entries, .finish = finish, .settle = settle};
}

static void warn(void *arg, struct slice key, const struct err_ctx *why)
{
    (void)arg;
    (void)fprintf(stderr, "sync-coordinator: set aside %.*s: %s\n", SLICE_ARG(key), why->text);
}

enum sync_err work_restore(struct object_work *w, struct slice database, struct work_store *to,
                           struct slice as, uint64_t until_ms, struct restore_result *ret, struct err_ctx *ec)
{
    struct work_target x = {.shard = work_shard(to, as), .database = as};
    const struct import_target target = work_target_of(&x);
    struct shared_log_source s;
    const struct log_source log = shared_log_source(&s, w->objects, &w->call, NULL);
    struct database_place place;
    struct restore_request q = {.objects = w->objects,
                                .call = &w->call,
                                .database = database,
                                .until_ms = until_ms,
                                .log = &log,
                                .target = &target,
                                .always_new_site = until_ms > 0 || !slice_eq(database, as),
                                .warn = warn};
    system_random(&q.new_site, sizeof q.new_site);
    enum sync_err rc = database_place_find(&w->hooks, database, &place, ec);
    q.path = rc == SYNC_OK ? place.at.path : q.path;
    if (rc == SYNC_OK) rc = restore_database(&q, ret, ec);
    if (rc == SYNC_OK && !ret->found)
        rc = err_set(ec, SYNC_ENOTFOUND, "the object store has nothing of it%s",
                     until_ms > 0 ? " from before that time" : "");
    if (rc != SYNC_OK) err_wrap(ec, "database %.*s", SLICE_ARG(database));
    return rc;
}
