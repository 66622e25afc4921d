#include "storage/objects/object_dir.h"

#include "storage/objects/dir_file.h"
#include "storage/objects/dir_list.h"
#include "storage/objects/dir_name.h"
#include "storage/objects/dir_open.h"
#include "storage/objects/dir_tree.h"
#include "storage/objects/object_impl.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 * 1024,
    PUBLISH_TRIES_MAX = 8,  /* each after somebody removed the directory from under us */
    GUARD_WAIT_MS_MAX = 16, /* between two tries for a guard */
};

struct object_dir {
    struct object_store base;
    int root_fd;
    int lock_fd;
    struct dir_tree tree;
};

struct dir_upload {
    struct object_upload base;
    struct object_dir *store;
    struct dir_temp temp;
    uint64_t bytes_of_last; /* of the highest part */
    uint32_t highest;
    pthread_mutex_t lock; /* guards the two above */
    bool published;
    struct object_version version; /* once published */
    char path[sizeof DIR_OBJECTS + DIR_PATH_MAX + 1];
};

static struct object_dir *dir_of(struct object_store *s)
{
    return (struct object_dir *)s;
}

/* "objects/..." of a key. */
struct object_path {
    char text[sizeof DIR_OBJECTS + DIR_PATH_MAX + 1];
};

static struct object_path path_of(struct slice key)
{
    struct object_path p = {.text = DIR_OBJECTS "/"};
    dir_name_path(key, p.text + sizeof DIR_OBJECTS);
    return p;
}

/* ---- reading */

static enum sync_err send_to_sink(int fd, uint64_t offset, uint64_t end, struct object_ctx *ctx,
                                  const struct object_sink *sink, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    char *bytes = malloc(READ_BYTES);
    if (bytes == NULL) return err_set(ec, SYNC_ENOMEM, "get");
    while (rc == SYNC_OK && offset < end) {
        size_t want = end - offset < READ_BYTES ? (size_t)(end - offset) : READ_BYTES;
        ssize_t n = pread(fd, bytes, want, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            rc = dir_errno(ec, "read", "object");
        } else if (n == 0) {
            rc = err_set(ec, SYNC_EIO, "damaged object: it became shorter while it was read");
        } else {
            offset += (uint64_t)n;
            ctx->received_bytes += (uint64_t)n;
            rc = sink->put(sink->arg, slice_of(bytes, (size_t)n), ec);
        }
        if (rc == SYNC_OK && offset < end) rc = object_ctx_check(ctx, ec);
    }
    free(bytes);
    return rc;
}

static enum sync_err dir_get(struct object_store *s, struct object_ctx *ctx, struct slice key,
                             const struct object_range *range, const struct object_sink *sink,
                             struct object_info *ret, struct err_ctx *ec)
{
    struct object_path path = path_of(key);
    int fd;
    ctx->requests++;
    enum sync_err rc = dir_file_open(dir_of(s)->root_fd, path.text, &fd, ret, ec);
    if (rc != SYNC_OK) return rc;
    uint64_t offset = range == NULL ? 0 : range->offset, end = ret->bytes;
    if (range != NULL && offset >= ret->bytes)
        rc = err_set(ec, SYNC_EBADMSG, "range from byte %ju of an object of %ju bytes", (uintmax_t)offset,
                     (uintmax_t)ret->bytes);
    else if (range != NULL && range->bytes < end - offset)
        end = offset + range->bytes;
    if (rc == SYNC_OK) rc = send_to_sink(fd, offset, end, ctx, sink, ec);
    (void)close(fd);
    return rc;
}

static enum sync_err dir_head(struct object_store *s, struct object_ctx *ctx, struct slice key,
                              struct object_info *ret, struct err_ctx *ec)
{
    struct object_path path = path_of(key);
    int fd;
    ctx->requests++;
    enum sync_err rc = dir_file_open(dir_of(s)->root_fd, path.text, &fd, ret, ec);
    if (rc == SYNC_OK) (void)close(fd);
    return rc;
}

static enum sync_err dir_list(struct object_store *s, struct object_ctx *ctx,
                              const struct object_query *query, struct object_page *ret, struct err_ctx *ec)
{
    ctx->requests++;
    return dir_list_page(dir_of(s)->root_fd, DIR_OBJECTS, ctx, query, ret, ec);
}

/* ---- writing */

/* Takes the lock that writers of this path share with some others; *ret_fd is closed to give it back. */
static enum sync_err take_guard(struct object_dir *d, struct object_ctx *ctx, const char *path, int *ret_fd,
                                struct err_ctx *ec)
{
    char name[32];
    unsigned hash = 5381;
    for (const char *c = path; *c != '\0'; c++) hash = hash * 33 + (unsigned char)*c;
    (void)snprintf(name, sizeof name, "guards/%02x", hash % DIR_GUARDS);
    int fd = openat(d->root_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return dir_errno(ec, "open", name);
    enum sync_err rc = SYNC_OK;
    for (uint64_t wait_ms = 1; flock(fd, LOCK_EX | LOCK_NB) != 0 && rc == SYNC_OK;) {
        rc = errno == EWOULDBLOCK || errno == EINTR ? object_ctx_wait(ctx, wait_ms, ec)
                                                    : dir_errno(ec, "lock", name);
        if (wait_ms < GUARD_WAIT_MS_MAX) wait_ms *= 2;
    }
    if (rc != SYNC_OK) {
        err_wrap(ec, "wait for another writer");
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SYNC_OK;
}

/* Does the condition hold now? Between this and the write the guard must be held, except for what link(2)
 * decides itself. */
static enum sync_err check_condition(struct object_dir *d, const struct object_put *put, const char *path,
                                     bool *ret_holds, struct err_ctx *ec)
{
    struct object_info info;
    int fd;
    *ret_holds = true;
    if (put->condition == OBJECT_ALWAYS) return SYNC_OK;
    if (put->condition == OBJECT_IF_ABSENT) {
        *ret_holds = faccessat(d->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
        return SYNC_OK;
    }
    enum sync_err rc = dir_file_open(d->root_fd, path, &fd, &info, ec);
    *ret_holds = rc == SYNC_OK && strcmp(info.version.text, put->match->text) == 0;
    if (rc == SYNC_OK) (void)close(fd);
    return rc == SYNC_ENOTFOUND ? SYNC_OK : rc;
}

/* Compares and replaces under the guard. */
static enum sync_err replace(struct object_dir *d, struct object_ctx *ctx, const struct object_put *put,
                             const char *path, struct dir_temp *t, bool *ret_holds, bool *ret_no_dir,
                             struct err_ctx *ec)
{
    int guard_fd;
    enum sync_err rc = take_guard(d, ctx, path, &guard_fd, ec);
    if (rc != SYNC_OK) return rc;
    *ret_no_dir = false;
    rc = check_condition(d, put, path, ret_holds, ec);
    if (rc == SYNC_OK && *ret_holds) rc = dir_temp_rename(t, path, ret_no_dir, ec);
    (void)close(guard_fd);
    return rc;
}

/* Gives a sealed file its name, as far as the condition allows. */
static enum sync_err publish(struct object_dir *d, struct object_ctx *ctx, const struct object_put *put,
                             const char *path, struct dir_temp *t, bool *ret_holds, struct err_ctx *ec)
{
    for (int i = 0; i < PUBLISH_TRIES_MAX; i++) {
        bool exists = false, no_dir = false;
        enum sync_err rc = dir_tree_make(&d->tree, path, ec);
        if (rc != SYNC_OK) return rc;
        if (put->condition == OBJECT_IF_ABSENT) {
            rc = dir_temp_link(t, path, &exists, &no_dir, ec);
            *ret_holds = !exists;
        } else {
            rc = replace(d, ctx, put, path, t, ret_holds, &no_dir, ec);
        }
        if (rc != SYNC_OK || !no_dir) return rc;
        dir_tree_forget(&d->tree); /* an operator cleaned up by hand */
    }
    return err_set(ec, SYNC_EIO, "the directory keeps vanishing: %.100s", path);
}

static enum sync_err dir_put(struct object_store *s, struct object_ctx *ctx, const struct object_put *put,
                             enum object_outcome *ret_outcome, struct object_version *ret_version,
                             struct err_ctx *ec)
{
    struct object_dir *d = dir_of(s);
    struct object_path path = path_of(put->key);
    struct dir_temp temp = {.fd = -1};
    bool holds;
    ctx->requests++;
    *ret_outcome = OBJECT_LOST;
    enum sync_err rc = check_condition(d, put, path.text, &holds, ec); /* saves writing for nothing */
    if (rc != SYNC_OK || !holds) return rc;

    rc = dir_temp_open(d->root_fd, &temp, ec);
    if (rc == SYNC_OK) rc = dir_temp_write(&temp, 0, put->bytes, ctx, ec);
    if (rc == SYNC_OK) rc = dir_temp_seal(&temp, put->bytes.len, ret_version, ec);
    if (rc == SYNC_OK) rc = publish(d, ctx, put, path.text, &temp, &holds, ec);
    if (rc == SYNC_OK && holds) {
        ctx->sent_bytes += put->bytes.len;
        *ret_outcome = OBJECT_OK;
        rc = dir_tree_sync(&d->tree, path.text, ec);
        if (rc != SYNC_OK &&
            put->condition != OBJECT_ALWAYS) { /* visible, but may be gone after a power cut */
            *ret_outcome = OBJECT_UNKNOWN;
            rc = SYNC_OK;
        }
    }
    dir_temp_close(&temp);
    return rc;
}

static enum sync_err dir_remove(struct object_store *s, struct object_ctx *ctx, struct slice key,
                                struct err_ctx *ec)
{
    struct object_dir *d = dir_of(s);
    struct object_path path = path_of(key);
    int guard_fd;
    ctx->requests++;
    enum sync_err rc = take_guard(d, ctx, path.text, &guard_fd, ec);
    if (rc != SYNC_OK) return rc;
    bool missing = false;
    if (unlinkat(d->root_fd, path.text, 0) != 0) {
        missing = errno == ENOENT;
        if (!missing) rc = dir_errno(ec, "delete", path.text);
    }
    (void)close(guard_fd);
    return rc == SYNC_OK && !missing ? dir_tree_sync(&d->tree, path.text, ec) : rc;
}

/* ---- uploads: one temporary file, each part at its offset */

static void dir_upload_free(struct object_upload *u)
{
    struct dir_upload *up = (struct dir_upload *)u;
    dir_temp_close(&up->temp);
    (void)pthread_mutex_destroy(&up->lock);
    free(up);
}

static enum sync_err dir_upload_begin(struct object_store *s, struct object_ctx *ctx, struct slice key,
                                      size_t part_bytes, struct object_upload **ret, struct err_ctx *ec)
{
    struct dir_upload *up = calloc(1, sizeof *up);
    if (up == NULL) return err_set(ec, SYNC_ENOMEM, "upload");
    ctx->requests++;
    up->base.store = s;
    up->base.part_bytes = part_bytes;
    up->store = dir_of(s);
    (void)pthread_mutex_init(&up->lock, NULL);
    memcpy(up->path, path_of(key).text, sizeof up->path);
    enum sync_err rc = dir_temp_open(up->store->root_fd, &up->temp, ec);
    if (rc != SYNC_OK) {
        dir_upload_free(&up->base);
        return rc;
    }
    *ret = &up->base;
    return SYNC_OK;
}

static enum sync_err dir_upload_part(struct object_upload *u, struct object_ctx *ctx, uint32_t number,
                                     struct slice bytes, struct err_ctx *ec)
{
    struct dir_upload *up = (struct dir_upload *)u;
    ctx->requests++;
    if (up->temp.fd < 0) return err_set(ec, SYNC_EIO, "the upload is over");
    uint64_t offset = (uint64_t)(number - 1) * u->part_bytes;
    enum sync_err rc = dir_temp_write(&up->temp, offset, bytes, ctx, ec);
    if (rc != SYNC_OK) return rc;
    ctx->sent_bytes += bytes.len;
    pthread_mutex_lock(&up->lock);
    if (number >= up->highest) {
        up->highest = number;
        up->bytes_of_last = bytes.len;
    }
    pthread_mutex_unlock(&up->lock);
    return SYNC_OK;
}

static enum sync_err dir_upload_complete(struct object_upload *u, struct object_ctx *ctx, uint32_t count,
                                         struct object_version *ret_version, struct err_ctx *ec)
{
    struct dir_upload *up = (struct dir_upload *)u;
    struct object_dir *d = up->store;
    struct object_put always = {.condition = OBJECT_ALWAYS};
    bool holds;
    enum sync_err rc = SYNC_OK;
    ctx->requests++;
    assert(count == up->highest);
    if (!up->published) {
        if (up->temp.fd < 0) return err_set(ec, SYNC_EIO, "the upload is over");
        uint64_t bytes = (uint64_t)(count - 1) * u->part_bytes + up->bytes_of_last;
        rc = dir_temp_seal(&up->temp, bytes, &up->version, ec);
        if (rc == SYNC_OK) rc = publish(d, ctx, &always, up->path, &up->temp, &holds, ec);
        up->published = rc == SYNC_OK;
    }
    if (rc == SYNC_OK) rc = dir_tree_sync(&d->tree, up->path, ec);
    *ret_version = up->version;
    return rc;
}

static enum sync_err dir_upload_abort(struct object_upload *u, struct object_ctx *ctx, struct err_ctx *ec)
{
    struct dir_upload *up = (struct dir_upload *)u;
    (void)ec;
    ctx->requests++;
    dir_temp_close(&up->temp);
    return SYNC_OK;
}

/* A temporary file does not say which key it was for, so the prefix selects nothing here: only what no living
 * process writes goes. */
static enum sync_err dir_upload_sweep(struct object_store *s, struct object_ctx *ctx, struct slice prefix,
                                      uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec)
{
    (void)prefix;
    ctx->requests++;
    return dir_temp_sweep(dir_of(s)->root_fd, age_ms, ret_count, ec);
}

/* ---- open and close */

static void dir_close(struct object_store *s)
{
    struct object_dir *d = dir_of(s);
    dir_tree_deinit(&d->tree);
    (void)close(d->lock_fd);
    (void)close(d->root_fd);
    free(d);
}

static const struct object_store_ops dir_ops = {
    .get = dir_get,
    .head = dir_head,
    .put = dir_put,
    .remove = dir_remove,
    .list = dir_list,
    .upload_begin = dir_upload_begin,
    .upload_part = dir_upload_part,
    .upload_complete = dir_upload_complete,
    .upload_abort = dir_upload_abort,
    .upload_free = dir_upload_free,
    .upload_sweep = dir_upload_sweep,
    .close = dir_close,
};

enum sync_err object_dir_open(const struct object_dir_config *cfg, struct object_store **ret,
                              struct err_ctx *ec)
{
    struct object_dir *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(ec, SYNC_ENOMEM, "open %.100s", cfg->path);
    enum sync_err rc = dir_open(cfg->path, &d->root_fd, &d->lock_fd, ec);
    if (rc != SYNC_OK) {
        free(d);
        return rc;
    }
    d->base.ops = &dir_ops;
    d->base.observer = cfg->observer;
    (void)snprintf(d->base.name, sizeof d->base.name, "file:%s", cfg->path);
    dir_tree_init(&d->tree, d->root_fd);
    *ret = &d->base;
    return SYNC_OK;
}
