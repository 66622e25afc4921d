#include "storage/objects/dir_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t magic[8] = {'S', 'Y', 'N', 'C', 'O', 'B', 'J', '1'};

enum { VERSION_BYTES = 16, WRITE_BYTES_MAX = 1 << 20, TEMP_TRIES_MAX = 16 };

static_assert(sizeof magic + 8 + VERSION_BYTES == DIR_TRAILER_BYTES, "trailer layout");

enum sync_err dir_errno(struct err_ctx *ec, const char *doing, const char *path)
{
    int error = errno;
    const char *advice = error == ENOSPC || error == EDQUOT ? " (the object directory's disk is full)" : "";
    bool rights = error == EACCES || error == EPERM || error == EROFS;
    enum sync_err rc = error == ENOMEM ? SYNC_ENOMEM : rights ? SYNC_ECONFIG : SYNC_EIO;
    return err_set(ec, rc, "%s: %s%s: %.100s", doing, strerrordesc_np(error), advice, path);
}

static enum sync_err random_hex(uint8_t bytes[VERSION_BYTES], char hex[2 * VERSION_BYTES + 1],
                                struct err_ctx *ec)
{
    ssize_t n = getrandom(bytes, VERSION_BYTES, 0); /* up to 256 bytes come whole */
    if (n != VERSION_BYTES) return dir_errno(ec, "random bytes", "getrandom");
    for (size_t i = 0; i < VERSION_BYTES; i++) (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return SYNC_OK;
}

/* ---- writing */

enum sync_err dir_temp_open(int root_fd, struct dir_temp *ret, struct err_ctx *ec)
{
    *ret = (struct dir_temp){.root_fd = root_fd, .fd = -1};
    for (int i = 0; i < TEMP_TRIES_MAX; i++) {
        uint8_t random[VERSION_BYTES];
        char hex[2 * VERSION_BYTES + 1];
        struct stat st;
        enum sync_err rc = random_hex(random, hex, ec);
        if (rc != SYNC_OK) return rc;
        (void)snprintf(ret->name, sizeof ret->name, "tmp/%s", hex);
        ret->fd = openat(root_fd, ret->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (ret->fd < 0) return dir_errno(ec, "create a temporary file", ret->name);
        ret->linked = true;
        if (flock(ret->fd, LOCK_EX | LOCK_NB) == 0 && fstat(ret->fd, &st) == 0 && st.st_nlink == 1)
            return SYNC_OK;
        dir_temp_close(ret); /* a sweep came between open and lock and took it for a dead one */
    }
    return err_set(ec, SYNC_EIO, "create a temporary file: it vanished %d times", TEMP_TRIES_MAX);
}

static enum sync_err write_at(struct dir_temp *t, uint64_t offset, const void *bytes, size_t len,
                              const struct object_ctx *ctx, struct err_ctx *ec)
{
    for (size_t done = 0; done < len;) {
        size_t n = len - done < WRITE_BYTES_MAX ? len - done : WRITE_BYTES_MAX;
        ssize_t written = pwrite(t->fd, (const char *)bytes + done, n, (off_t)(offset + done));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return dir_errno(ec, "write", t->name);
        done += (size_t)written;
        if (ctx != NULL && done < len) {
            enum sync_err rc = object_ctx_check(ctx, ec);
            if (rc != SYNC_OK) return rc;
        }
    }
    return SYNC_OK;
}

enum sync_err dir_temp_write(struct dir_temp *t, uint64_t offset, struct slice bytes,
                             const struct object_ctx *ctx, struct err_ctx *ec)
{
    return write_at(t, offset, bytes.bytes, bytes.len, ctx, ec);
}

enum sync_err dir_temp_seal(struct dir_temp *t, uint64_t object_bytes, struct object_version *ret_version,
                            struct err_ctx *ec)
{
    uint8_t trailer[DIR_TRAILER_BYTES], *at = trailer + sizeof magic;
    char hex[2 * VERSION_BYTES + 1];
    memcpy(trailer, magic, sizeof magic);
    for (int shift = 56; shift >= 0; shift -= 8) *at++ = (uint8_t)(object_bytes >> shift);
    enum sync_err rc = random_hex(at, hex, ec);
    if (rc == SYNC_OK) rc = write_at(t, object_bytes, trailer, sizeof trailer, NULL, ec);
    if (rc != SYNC_OK) return rc;
    if (fsync(t->fd) != 0) return dir_errno(ec, "sync", t->name);
    (void)snprintf(ret_version->text, sizeof ret_version->text, "%s", hex);
    return SYNC_OK;
}

enum sync_err dir_temp_link(struct dir_temp *t, const char *path, bool *ret_exists, bool *ret_no_dir,
                            struct err_ctx *ec)
{
    *ret_exists = *ret_no_dir = false;
    if (linkat(t->root_fd, t->name, t->root_fd, path, 0) == 0) return SYNC_OK;
    *ret_exists = errno == EEXIST;
    *ret_no_dir = errno == ENOENT;
    return *ret_exists || *ret_no_dir ? SYNC_OK : dir_errno(ec, "link", path);
}

enum sync_err dir_temp_rename(struct dir_temp *t, const char *path, bool *ret_no_dir, struct err_ctx *ec)
{
    *ret_no_dir = false;
    if (renameat(t->root_fd, t->name, t->root_fd, path) == 0) {
        t->linked = false;
        return SYNC_OK;
    }
    *ret_no_dir = errno == ENOENT;
    return *ret_no_dir ? SYNC_OK : dir_errno(ec, "rename", path);
}

void dir_temp_close(struct dir_temp *t)
{
    if (t->linked) (void)unlinkat(t->root_fd, t->name, 0); /* the next sweep takes what stays */
    if (t->fd >= 0) (void)close(t->fd);                    /* synced already, or thrown away */
    t->linked = false;
    t->fd = -1;
}

/* Removes tmp/name if its writer is dead. */
static bool sweep_one(int tmp_fd, const char *name, uint64_t age_ms)
{
    struct stat st;
    bool removed = false;
    int fd = openat(tmp_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false; /* just gone */
    uint64_t now_ms = object_wall_ms();
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0) {
        uint64_t written_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
        bool old = age_ms == 0 || (now_ms > written_ms && now_ms - written_ms >= age_ms);
        removed = old && unlinkat(tmp_fd, name, 0) == 0;
    }
    (void)close(fd);
    return removed;
}

enum sync_err dir_temp_sweep(int root_fd, uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec)
{
    uint32_t count = 0;
    int fd = openat(root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum sync_err rc = dir_errno(ec, "open", "tmp");
        if (fd >= 0) (void)close(fd);
        return rc;
    }
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir))
        if (d->d_name[0] != '.' && sweep_one(fd, d->d_name, age_ms)) count++;
    (void)closedir(dir);
    *ret_count = count;
    return SYNC_OK;
}

/* ---- reading */

/* Checks the trailer and fills *ret. */
static enum sync_err read_trailer(int fd, const char *path, struct object_info *ret, struct err_ctx *ec)
{
    uint8_t trailer[DIR_TRAILER_BYTES];
    struct stat st;
    uint64_t bytes = 0;
    if (fstat(fd, &st) != 0) return dir_errno(ec, "stat", path);
    uint64_t file_bytes = (uint64_t)st.st_size;
    if (file_bytes < sizeof trailer)
        return err_set(ec, SYNC_EIO, "damaged object, %ju bytes and no trailer: %.100s",
                       (uintmax_t)file_bytes, path);
    ssize_t n = pread(fd, trailer, sizeof trailer, (off_t)(file_bytes - sizeof trailer));
    if (n < 0) return dir_errno(ec, "read", path);
    for (size_t i = 0; i < 8; i++) bytes = bytes << 8 | trailer[sizeof magic + i];
    if (n != sizeof trailer || memcmp(trailer, magic, sizeof magic) != 0 ||
        bytes != file_bytes - sizeof trailer)
        return err_set(ec, SYNC_EIO, "damaged object, its trailer is not right: %.100s", path);
    ret->bytes = bytes;
    ret->modified_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
    for (size_t i = 0; i < VERSION_BYTES; i++)
        (void)snprintf(ret->version.text + 2 * i, 3, "%02x", trailer[DIR_TRAILER_BYTES - VERSION_BYTES + i]);
    return SYNC_OK;
}

enum sync_err dir_file_open(int root_fd, const char *path, int *ret_fd, struct object_info *ret,
                            struct err_ctx *ec)
{
    int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return err_set(ec, SYNC_ENOTFOUND, "no such object");
    if (fd < 0) return dir_errno(ec, "open", path);
    enum sync_err rc = read_trailer(fd, path, ret, ec);
    if (rc != SYNC_OK) {
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SYNC_OK;
}
