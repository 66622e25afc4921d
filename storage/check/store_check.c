#include "storage/check/store_check.h"

#include "storage/format_file.h"
#include "storage/leveldb/dir_copy.h"
#include "storage/leveldb/instance_internal.h"
#include "storage/leveldb/log_salvage.h"
#include "storage/leveldb/plain_file.h"
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_BYTES_MAX = 1024,
    ROUNDS_MAX = 6, /* of mending: what one round made is looked at by the next */
    LOST_MAX = 10000,
    BLOCK_CACHE_BYTES = 8 << 20,
    OPEN_FILES_MAX = 500,
};

#define VERIFY_DIR "verify.tmp"

struct checking {
    const char *dir;
    int dir_fd; /* locked */
    const struct check_report *report;
    bool repair;
    uint64_t problems;
    struct format_file format;
    bool format_lost;    /* no FORMAT that can be read */
    bool shard_lost;     /* a shard's directory is not there */
    bool begun;          /* a repair was begun before, and did not end */
    char lost[PATH_MAX]; /* where the copies go; empty: not made yet */
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *bloom;
};

static void say(const struct checking *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct checking *c, const char *fmt, ...)
{
    va_list args;
    char line[LINE_BYTES_MAX];
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args); /* cut when too long */
    va_end(args);
    c->report->line(c->report->arg, line);
}

static enum sync_err path_in(const char *dir, const char *name, char ret[PATH_MAX], struct err_ctx *ec)
{
    int n = snprintf(ret, PATH_MAX, "%s/%s", dir, name);
    return n < 0 || n >= PATH_MAX ? err_set(ec, SYNC_EIO, "the path of %s is too long", name) : SYNC_OK;
}

static void shard_name(uint32_t index, char ret[STORE_SHARD_NAME_MAX])
{
    (void)snprintf(ret, STORE_SHARD_NAME_MAX, STORE_SHARD_NAME_FORMAT, (unsigned)(index % 100));
}

static bool has_file(const struct checking *c, const char *name)
{
    struct stat st;
    return fstatat(c->dir_fd, name, &st, 0) == 0;
}

/* ---- the directory and its FORMAT */

static enum sync_err open_dir(struct checking *c, struct err_ctx *ec)
{
    c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0 && errno == ENOENT) return err_set(ec, SYNC_ENOTFOUND, "there is no such directory");
    if (c->dir_fd < 0) return plain_error(ec, "open", "the directory");
    if (flock(c->dir_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return err_set(ec, SYNC_ESTORE, "in use by another process: stop the server");
        return plain_error(ec, "lock", "the directory");
    }
    c->begun = has_file(c, STORE_REPAIRING_NAME);
    return SYNC_OK;
}

/* How many shards there are by their directories: one more than the highest number. */
static uint32_t count_shards(const struct checking *c)
{
    char name[STORE_SHARD_NAME_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < STORE_SHARDS_MAX; i++) {
        shard_name(i, name);
        if (has_file(c, name)) count = i + 1;
    }
    return count;
}

static enum sync_err read_format(struct checking *c, struct err_ctx *ec)
{
    bool found = false;
    struct err_ctx why = {""};
    char text[FORMAT_FILE_BYTES_MAX];
    enum sync_err rc = format_file_read(c->dir_fd, &c->format, &found, &why);
    uint32_t shards = count_shards(c);
    if (rc == SYNC_OK && found) {
        for (uint32_t i = 0; i < c->format.shards; i++) {
            shard_name(i, text);
            if (shards == 0 || has_file(c, text)) continue;
            say(c, "%s is missing", text);
            c->shard_lost = true;
            c->problems++;
        }
        return SYNC_OK;
    }
    if (rc == SYNC_EIO) {
        *ec = why;
        return rc;
    }
    if (rc != SYNC_OK) {
        int fd = openat(c->dir_fd, "FORMAT", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (fd >= 0) (void)close(fd); /* only read from */
        if (n > 0 && format_file_is_foreign(slice_of(text, (size_t)n))) {
            *ec = why;
            return rc;
        }
    }
    if (shards == 0) return err_set(ec, SYNC_ENOTFOUND, "there is no store");
    say(c, "%s", rc == SYNC_OK ? "FORMAT is missing" : why.text);
    c->problems++;
    c->format_lost = true;
    c->format = (struct format_file){.shards = shards};
    return SYNC_OK;
}

/* ---- LevelDB */

static void make_options(struct checking *c)
{
    c->cache = leveldb_cache_create_lru(BLOCK_CACHE_BYTES);
    c->bloom = leveldb_filterpolicy_create_bloom(STORE_BLOOM_BITS_PER_KEY);
    c->options = leveldb_options_create();
    leveldb_options_set_cache(c->options, c->cache);
    leveldb_options_set_filter_policy(c->options, c->bloom);
    leveldb_options_set_max_open_files(c->options, OPEN_FILES_MAX);
    leveldb_options_set_compression(c->options, leveldb_snappy_compression);
    leveldb_options_set_paranoid_checks(c->options, 1);
    leveldb_options_set_create_if_missing(c->options, 1); /* a shard that was never written to */
}

static void free_options(struct checking *c)
{
    if (c->options == NULL) return;
    leveldb_options_destroy(c->options);
    leveldb_filterpolicy_destroy(c->bloom);
    leveldb_cache_destroy(c->cache);
}

/* A line of what a shard holds. */
static void say_counts(struct checking *c, const char *name, const struct shard_counts *n,
                       uint64_t torn_bytes)
{
    if (torn_bytes > 0)
        say(c,
            "%s: %" PRIu64
            " bytes at the end of a log are no whole record: a crash's, none of it acknowledged "
            "(fsync), cut off at the next start",
            name, torn_bytes);
    if (n->problems > CHECK_PROBLEMS_SHOWN_MAX)
        say(c, "%s: and %" PRIu64 " problems more", name, n->problems - CHECK_PROBLEMS_SHOWN_MAX);
    if (n->unknown > 0)
        say(c, "%s: %" PRIu64 " entries of kinds that this build does not know were left alone", name,
            n->unknown);
    say(c,
        "%s: %" PRIu64 " databases, %" PRIu64 " cells, %" PRIu64 " tombstones, %" PRIu64
        " migrations, %" PRIu64 " log entries, %" PRIu64 " problems",
        name, n->databases, n->cells, n->tombstones, n->migrations, n->log_entries, n->problems);
}

/* Looks through a copy of the shard. *ret_unreadable: LevelDB cannot open it or read all of it. */
static enum sync_err verify_shard(struct checking *c, uint32_t index, bool *ret_unreadable,
                                  uint64_t *ret_problems, struct err_ctx *ec)
{
    char name[STORE_SHARD_NAME_MAX], from[PATH_MAX], copy[PATH_MAX];
    struct instance *in = NULL;
    struct shard_counts counts = {0};
    struct err_ctx why;
    shard_name(index, name);
    enum sync_err rc = path_in(c->dir, name, from, ec);
    if (rc == SYNC_OK) rc = path_in(c->dir, VERIFY_DIR, copy, ec);
    if (rc == SYNC_OK) rc = dir_remove(copy, ec);
    if (rc == SYNC_OK) rc = dir_copy(from, copy, ec);
    if (rc != SYNC_OK) return rc;
    rc = instance_open(copy, c->options, false, &in, &why);
    uint64_t torn_bytes = rc == SYNC_OK ? instance_torn_bytes(in) : 0;
    if (rc == SYNC_OK) {
        const struct shard_check check = {
            .instance = in, .name = name, .index = index, .shards = c->format.shards, .report = c->report};
        rc = shard_check(&check, &counts, &why);
        /* A table that is shorter than it says reads as an I/O error. */
        if (rc == SYNC_ESTORE) rc = SYNC_EFORMAT;
    }
    instance_close(in);
    enum sync_err removed = dir_remove(copy, ec);
    if (removed != SYNC_OK) return removed;
    *ret_unreadable = rc == SYNC_EFORMAT;
    if (rc == SYNC_EFORMAT) {
        say(c, "%s: damaged: %s", name, why.text);
        counts.problems++;
    } else if (rc != SYNC_OK) {
        *ec = why;
        return rc;
    }
    say_counts(c, name, &counts, torn_bytes);
    *ret_problems = counts.problems;
    return SYNC_OK;
}

/* ---- mending */

/* Makes DIR/lost-N for what is about to be changed, and says so. */
static enum sync_err make_lost(struct checking *c, struct err_ctx *ec)
{
    if (c->lost[0] != '\0') return SYNC_OK;
    for (int i = 1; i <= LOST_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "lost-%d", i);
        if (mkdirat(c->dir_fd, name, 0755) == 0) {
            enum sync_err rc = path_in(c->dir, name, c->lost, ec);
            if (rc == SYNC_OK) say(c, "what there was is kept in %s", c->lost);
            return rc;
        }
        if (errno != EEXIST) return plain_error(ec, "make", name);
    }
    return err_set(ec, SYNC_EIO, "there are lost-1 to lost-%d already", LOST_MAX);
}

static enum sync_err keep_shard(struct checking *c, const char *name, const char *path, struct err_ctx *ec)
{
    char kept[PATH_MAX];
    enum sync_err rc = make_lost(c, ec);
    if (rc == SYNC_OK) rc = path_in(c->lost, name, kept, ec);
    if (rc == SYNC_OK) rc = dir_copy(path, kept, ec);
    return rc;
}

/* LevelDB's own repair: a new MANIFEST over all tables and logs that can be read. What it moves aside is in
 * our copy, too. */
static enum sync_err rebuild(struct checking *c, const char *name, const char *path, struct err_ctx *ec)
{
    char aside[PATH_MAX];
    char *text = NULL;
    uint64_t lost_bytes;
    enum sync_err rc = log_salvage(path, &lost_bytes, ec);
    if (rc != SYNC_OK) return rc;
    if (lost_bytes > 0) say(c, "%s: %" PRIu64 " bytes of its logs cannot be read", name, lost_bytes);
    leveldb_repair_db(c->options, path, &text);
    if (text != NULL) return instance_error(ec, "repair", text);
    rc = path_in(path, "lost", aside, ec);
    return rc == SYNC_OK ? dir_remove(aside, ec) : rc;
}

/* Rounds of mending until one finds nothing. */
static enum sync_err mend(struct checking *c, struct instance *in, const char *name, uint32_t index,
                          bool renew, struct err_ctx *ec)
{
    struct shard_counts counts = {0};
    for (int round = 0; round < ROUNDS_MAX; round++) {
        const struct shard_check check = {.instance = in,
                                          .name = name,
                                          .index = index,
                                          .shards = c->format.shards,
                                          .repair = true,
                                          .renew = renew && round == 0,
                                          .report = c->report};
        enum sync_err rc = shard_check(&check, &counts, ec);
        if (rc != SYNC_OK) return rc;
        if (counts.problems == 0) return SYNC_OK;
    }
    return err_set(ec, SYNC_EFORMAT, "%s: %" PRIu64 " problems are left after %d rounds of mending", name,
                   counts.problems, ROUNDS_MAX);
}

static enum sync_err repair_shard(struct checking *c, uint32_t index, bool unreadable, struct err_ctx *ec)
{
    char name[STORE_SHARD_NAME_MAX], path[PATH_MAX];
    struct instance *in = NULL;
    shard_name(index, name);
    enum sync_err rc = path_in(c->dir, name, path, ec);
    if (rc == SYNC_OK) rc = keep_shard(c, name, path, ec);
    if (rc == SYNC_OK && unreadable) rc = rebuild(c, name, path, ec);
    if (rc == SYNC_OK) rc = instance_open(path, c->options, false, &in, ec);
    if (rc == SYNC_OK) {
        /* After a rebuild all tables lie in level 0 in no order, where a look-up takes the first that has the
         * key. A merge goes by sequence numbers, and leaves one of each. */
        if (unreadable) leveldb_compact_range(in->db, NULL, 0, NULL, 0);
        rc = mend(c, in, name, index, unreadable || c->begun, ec);
        /* Tables are synced as they are written; this leaves nothing in the log that is not. */
        if (rc == SYNC_OK) leveldb_compact_range(in->db, NULL, 0, NULL, 0);
    }
    instance_close(in);
    return rc;
}

/* A new identity makes the server site ids new of all databases that have no record, as those have that were
 * lost without a trace. */
static enum sync_err renew_format(struct checking *c, struct err_ctx *ec)
{
    char text[FORMAT_FILE_BYTES_MAX];
    enum sync_err rc = make_lost(c, ec);
    if (rc != SYNC_OK) return rc;
    char kept[PATH_MAX];
    rc = path_in(c->lost, "FORMAT", kept, ec);
    if (rc == SYNC_OK && has_file(c, "FORMAT") && linkat(c->dir_fd, "FORMAT", AT_FDCWD, kept, 0) != 0 &&
        renameat(c->dir_fd, "FORMAT", AT_FDCWD, kept) != 0)
        rc = plain_error(ec, "keep", "FORMAT");
    if (rc == SYNC_OK &&
        getrandom(c->format.identity, sizeof c->format.identity, 0) != (ssize_t)sizeof c->format.identity)
        rc = plain_error(ec, "get", "random bytes");
    if (rc != SYNC_OK) return rc;
    size_t len = format_file_text(&c->format, text);
    return dir_replace_file(c->dir, "FORMAT", text, len, ec);
}

static enum sync_err begin_repair(struct checking *c, struct err_ctx *ec)
{
    static const char text[] = "A repair of this store was begun and has not ended: run it again.\n";
    if (c->begun) say(c, "an earlier repair did not end: every database gets a new server site id");
    return dir_replace_file(c->dir, STORE_REPAIRING_NAME, text, sizeof text - 1, ec);
}

static enum sync_err end_repair(struct checking *c, struct err_ctx *ec)
{
    if (unlinkat(c->dir_fd, STORE_REPAIRING_NAME, 0) != 0 || fsync(c->dir_fd) != 0)
        return plain_error(ec, "remove", STORE_REPAIRING_NAME);
    return SYNC_OK;
}

static enum sync_err make_lost_shards(struct checking *c, struct err_ctx *ec)
{
    char name[STORE_SHARD_NAME_MAX];
    for (uint32_t i = 0; i < c->format.shards; i++) {
        shard_name(i, name);
        if (mkdirat(c->dir_fd, name, 0755) != 0 && errno != EEXIST) return plain_error(ec, "make", name);
    }
    return SYNC_OK;
}

/* ---- the whole */

/* Verifies shard after shard; in a repair those with problems are marked. */
struct marks {
    bool damaged[STORE_SHARDS_MAX], unreadable[STORE_SHARDS_MAX];
};

static enum sync_err verify_all(struct checking *c, struct marks *ret, struct err_ctx *ec)
{
    char name[STORE_SHARD_NAME_MAX];
    *ret = (struct marks){0};
    enum sync_err rc = read_format(c, ec);
    for (uint32_t i = 0; i < c->format.shards && rc == SYNC_OK; i++) {
        uint64_t problems = 0;
        shard_name(i, name);
        if (!has_file(c, name)) continue;
        rc = verify_shard(c, i, &ret->unreadable[i], &problems, ec);
        ret->damaged[i] = problems > 0;
        c->problems += problems;
    }
    return rc;
}

static enum sync_err repair_all(struct checking *c, const struct marks *m, struct err_ctx *ec)
{
    bool identity_lost = c->format_lost || c->shard_lost || c->begun;
    enum sync_err rc = begin_repair(c, ec);
    if (rc == SYNC_OK) rc = make_lost_shards(c, ec);
    for (uint32_t i = 0; i < c->format.shards && rc == SYNC_OK; i++) {
        identity_lost |= m->unreadable[i];
        if (m->damaged[i] || c->begun) rc = repair_shard(c, i, m->unreadable[i], ec);
    }
    if (rc == SYNC_OK && identity_lost) rc = renew_format(c, ec);
    return rc;
}

static enum sync_err check_store(struct checking *c, struct err_ctx *ec)
{
    struct marks marks;
    enum sync_err rc = open_dir(c, ec);
    if (rc == SYNC_OK) rc = verify_all(c, &marks, ec);
    if (rc == SYNC_OK && c->begun && !c->repair) {
        say(c, "a repair was begun and has not ended (" STORE_REPAIRING_NAME " stands): run it again");
        c->problems++;
    }
    if (rc != SYNC_OK || !c->repair) return rc;
    if (c->problems == 0 && !c->begun) {
        say(c, "nothing to repair");
        return SYNC_OK;
    }
    rc = repair_all(c, &marks, ec);
    if (rc != SYNC_OK) return rc;
    say(c, "verifying what was repaired:");
    c->problems = 0;
    c->format_lost = c->shard_lost = false;
    rc = verify_all(c, &marks, ec);
    if (rc == SYNC_OK && c->problems > 0)
        rc = err_set(ec, SYNC_EFORMAT, "%" PRIu64 " problems could not be mended", c->problems);
    return rc == SYNC_OK ? end_repair(c, ec) : rc;
}

static enum sync_err run(struct checking *c, struct err_ctx *ec)
{
    make_options(c);
    c->dir_fd = -1;
    enum sync_err rc = check_store(c, ec);
    if (c->dir_fd >= 0) (void)close(c->dir_fd); /* only locked */
    free_options(c);
    if (rc != SYNC_OK) err_wrap(ec, "store %s", c->dir);
    return rc;
}

enum sync_err store_verify(const char *dir, const struct check_report *report, uint64_t *ret_problems,
                           struct err_ctx *ec)
{
    struct checking c = {.dir = dir, .report = report};
    enum sync_err rc = run(&c, ec);
    if (rc == SYNC_OK) *ret_problems = c.problems;
    return rc;
}

enum sync_err store_repair(const char *dir, const struct check_report *report, struct err_ctx *ec)
{
    struct checking c = {.dir = dir, .report = report, .repair = true};
    return run(&c, ec);
}
