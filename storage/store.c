#include "storage/store.h"

#include "storage/check/store_check.h"
#include "storage/format_file.h"
#include "storage/shard/shard_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STORE_OPEN_FILES_MAX = 4736, /* of all shards together; LevelDB takes no less than 74 for each */
    SHARD_OPEN_FILES_MAX = 500,
};

static_assert(STORE_SHARDS_MAX * 74 <= STORE_OPEN_FILES_MAX, "LevelDB's least, for each shard");

struct store {
    int dir_fd; /* locked: one process at a time */
    struct format_file format;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *bloom;
    leveldb_options_t *options;
    struct shard *shards[STORE_SHARDS_MAX];
};

static enum sync_err io_error(struct err_ctx *ec, const char *doing)
{
    return err_set(ec, SYNC_EIO, "%s: %s", doing, strerror(errno));
}

/* Makes the entry of a new directory in the one above it last. */
static enum sync_err sync_parent(const char *path, struct err_ctx *ec)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    memcpy(parent, path, len);
    parent[len] = '\0';
    int fd = open(slash == NULL ? "." : len == 0 ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return io_error(ec, "open the directory above");
    enum sync_err rc = fsync(fd) == 0 ? SYNC_OK : io_error(ec, "sync the directory above");
    (void)close(fd); /* only synced */
    return rc;
}

static enum sync_err make_dirs(const char *dir, struct err_ctx *ec)
{
    char path[PATH_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof path)
        return err_set(ec, SYNC_EIO, "a path has 1 to %zu bytes", sizeof path - 1);
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        char end = path[i];
        path[i] = '\0';
        if (mkdir(path, 0755) == 0) {
            enum sync_err rc = sync_parent(path, ec);
            if (rc != SYNC_OK) return rc;
        } else if (errno != EEXIST) {
            return io_error(ec, "make the directory");
        }
        path[i] = end;
    }
    return SYNC_OK;
}

static void shard_name(uint32_t index, char ret[STORE_SHARD_NAME_MAX])
{
    (void)snprintf(ret, STORE_SHARD_NAME_MAX, STORE_SHARD_NAME_FORMAT, (unsigned)(index % 100));
}

/* A directory with shards and without FORMAT has lost it: to begin anew there would mix two stores. */
static enum sync_err begin_store(struct store *s, const struct store_config *cfg, struct err_ctx *ec)
{
    char name[STORE_SHARD_NAME_MAX];
    struct stat st;
    shard_name(0, name);
    if (fstatat(s->dir_fd, name, &st, 0) == 0)
        return err_set(ec, SYNC_EFORMAT, "holds shards but no FORMAT file");
    if (cfg->shards == 0 || cfg->shards > STORE_SHARDS_MAX)
        return err_set(ec, SYNC_ECONFIG, "%" PRIu32 " shards, 1 to %d are possible", cfg->shards,
                       STORE_SHARDS_MAX);
    s->format.shards = cfg->shards;
    if (getrandom(s->format.identity, sizeof s->format.identity, 0) != sizeof s->format.identity)
        return io_error(ec, "get random bytes");
    return format_file_write(s->dir_fd, &s->format, ec);
}

static enum sync_err open_dir(struct store *s, const struct store_config *cfg, struct err_ctx *ec)
{
    bool found = false;
    s->dir_fd = open(cfg->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) return io_error(ec, "open the directory");
    /* Two processes that start in a new directory must not both begin a store there. LevelDB's own lock comes
     * too late for that. */
    if (flock(s->dir_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return err_set(ec, SYNC_ESTORE, "in use by another process");
        return io_error(ec, "lock the directory");
    }
    struct stat st;
    if (fstatat(s->dir_fd, STORE_REPAIRING_NAME, &st, 0) == 0)
        return err_set(ec, SYNC_EFORMAT, "a repair was begun and has not ended: run it again");
    enum sync_err rc = format_file_read(s->dir_fd, &s->format, &found, ec);
    if (rc == SYNC_OK && !found) rc = begin_store(s, cfg, ec);
    return rc;
}

static void make_options(struct store *s, const struct store_config *cfg)
{
    uint32_t files = STORE_OPEN_FILES_MAX / s->format.shards;
    s->cache = leveldb_cache_create_lru(cfg->block_cache_bytes);
    s->bloom = leveldb_filterpolicy_create_bloom(STORE_BLOOM_BITS_PER_KEY);
    s->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(s->options, 1);
    leveldb_options_set_cache(s->options, s->cache);
    leveldb_options_set_filter_policy(s->options, s->bloom);
    leveldb_options_set_write_buffer_size(s->options, cfg->write_buffer_bytes);
    leveldb_options_set_max_open_files(s->options,
                                       (int)(files < SHARD_OPEN_FILES_MAX ? files : SHARD_OPEN_FILES_MAX));
    leveldb_options_set_compression(s->options, leveldb_snappy_compression);
    /* Damage that LevelDB finds must stop it, not be dropped with a line in a file that nobody reads. Torn
     * ends of logs are no damage, and are gone before it looks (leveldb/log_check.h). */
    leveldb_options_set_paranoid_checks(s->options, 1);
}

/* Shards are all made before the first of them is opened. One that is missing beside one that was used has
 * been lost, and to make it anew would be to begin its databases anew. */
static enum sync_err check_shards(const struct store *s, struct err_ctx *ec)
{
    char name[STORE_SHARD_NAME_MAX], current[STORE_SHARD_NAME_MAX + sizeof "/CURRENT"];
    struct stat st;
    bool used = false;
    uint32_t missing = UINT32_MAX;
    for (uint32_t i = 0; i < s->format.shards; i++) {
        shard_name(i, name);
        (void)snprintf(current, sizeof current, "%s/CURRENT", name);
        if (fstatat(s->dir_fd, current, &st, 0) == 0) used = true;
        if (fstatat(s->dir_fd, name, &st, 0) != 0) missing = i;
    }
    if (!used || missing == UINT32_MAX) return SYNC_OK;
    shard_name(missing, name);
    return err_set(ec, SYNC_EFORMAT, "%s is missing: restore a copy", name);
}

/* One shard that is being opened, by a thread of its own where there is one to have. */
struct opening {
    struct shard_config cfg;
    char path[PATH_MAX];
    struct shard *shard;
    enum sync_err rc;
    struct err_ctx ec;
    pthread_t thread;
    bool has_thread;
};

static void *open_one(void *arg)
{
    struct opening *o = arg;
    o->cfg.dir = o->path;
    o->rc = shard_open(&o->cfg, &o->shard, &o->ec);
    return NULL;
}

/* Side by side: each has up to a write buffer of its log to replay. The error is that of the lowest shard. */
static enum sync_err open_each(struct store *s, const struct store_config *cfg, const struct shard_config *sc,
                               struct err_ctx *ec)
{
    const uint32_t count = s->format.shards;
    char name[STORE_SHARD_NAME_MAX];
    enum sync_err rc = SYNC_OK;
    struct opening *all = calloc(count, sizeof *all);
    if (all == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to open the shards");
    for (uint32_t i = 0; i < count; i++) {
        struct opening *o = &all[i];
        o->cfg = *sc;
        shard_name(i, name);
        int n = snprintf(o->path, sizeof o->path, "%s/%s", cfg->dir, name);
        if (n < 0 || (size_t)n >= sizeof o->path)
            o->rc = err_set(&o->ec, SYNC_EIO, "the path is too long");
        else if (i + 1 < count && pthread_create(&o->thread, NULL, open_one, o) == 0)
            o->has_thread = true;
        else
            (void)open_one(o);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct opening *o = &all[i];
        if (o->has_thread) (void)pthread_join(o->thread, NULL); /* it is ours, and not joined yet */
        if (o->rc == SYNC_OK) s->shards[i] = o->shard;
        if (rc == SYNC_OK && o->rc != SYNC_OK) {
            rc = o->rc;
            *ec = o->ec;
        }
    }
    free(all);
    return rc;
}

static enum sync_err open_shards(struct store *s, const struct store_config *cfg, struct err_ctx *ec)
{
    struct shard_config sc = {.options = s->options,
                              .sync = cfg->sync,
                              .allow_resurrection = cfg->allow_resurrection,
                              .write_buffer_bytes = cfg->write_buffer_bytes,
                              .database_cache_max = DATABASE_CACHE_MAX};
    char name[STORE_SHARD_NAME_MAX];
    memcpy(sc.identity, s->format.identity, sizeof sc.identity);
    if (getrandom(&sc.hash_seed, sizeof sc.hash_seed, 0) != sizeof sc.hash_seed)
        return io_error(ec, "get random bytes");
    enum sync_err checked = check_shards(s, ec);
    if (checked != SYNC_OK) return checked;
    for (uint32_t i = 0; i < s->format.shards; i++) {
        shard_name(i, name);
        if (mkdirat(s->dir_fd, name, 0755) != 0 && errno != EEXIST) return io_error(ec, "make a shard");
    }
    if (fsync(s->dir_fd) != 0) return io_error(ec, "sync the directory");
    return open_each(s, cfg, &sc, ec);
}

enum sync_err store_open(const struct store_config *cfg, struct store **ret, struct err_ctx *ec)
{
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a store");
    s->dir_fd = -1;
    enum sync_err rc = make_dirs(cfg->dir, ec);
    if (rc == SYNC_OK) rc = open_dir(s, cfg, ec);
    if (rc == SYNC_OK) {
        make_options(s, cfg);
        rc = open_shards(s, cfg, ec);
    }
    if (rc != SYNC_OK) {
        err_wrap(ec, "store %s", cfg->dir);
        store_close(s);
        return rc;
    }
    *ret = s;
    return SYNC_OK;
}

void store_flush(struct store *s)
{
    for (uint32_t i = 0; i < s->format.shards; i++) shard_flush(s->shards[i]);
}

void store_close(struct store *s)
{
    if (s == NULL) return;
    for (uint32_t i = 0; i < STORE_SHARDS_MAX; i++) shard_close(s->shards[i]);
    if (s->options != NULL) {
        leveldb_options_destroy(s->options);
        leveldb_filterpolicy_destroy(s->bloom);
        leveldb_cache_destroy(s->cache);
    }
    if (s->dir_fd >= 0) (void)close(s->dir_fd); /* only locked */
    free(s);
}

const uint8_t *store_identity(const struct store *s)
{
    return s->format.identity;
}

uint32_t store_shard_count(const struct store *s)
{
    return s->format.shards;
}

struct shard *store_shard(struct store *s, uint32_t index)
{
    assert(index < s->format.shards);
    return s->shards[index];
}

/* 64-bit FNV-1a, its halves folded, modulo the number of shards. Part of the stored format: a database is
 * found again only where this sent it. */
uint32_t store_hash(struct slice database, uint32_t shards)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < database.len; i++) h = (h ^ (uint8_t)database.bytes[i]) * 0x100000001b3u;
    return (uint32_t)((h ^ h >> 32) % shards);
}

uint32_t store_shard_of(const struct store *s, struct slice database)
{
    return store_hash(database, s->format.shards);
}
