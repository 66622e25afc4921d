#include "storage/leveldb/dir_copy.h"

#include "storage/leveldb/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 << 10 };

static enum sync_err write_all(int fd, const char *bytes, size_t len, const char *name, struct err_ctx *ec)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return plain_error(ec, "write", name);
        bytes += n;
        len -= (size_t)n;
    }
    return SYNC_OK;
}

/* Syncs and closes; rc is what went before. */
static enum sync_err finish(int fd, enum sync_err rc, const char *name, struct err_ctx *ec)
{
    if (rc == SYNC_OK && fsync(fd) != 0) rc = plain_error(ec, "sync", name);
    if (close(fd) != 0 && rc == SYNC_OK) rc = plain_error(ec, "close", name);
    return rc;
}

static enum sync_err copy_file(int from, int to, const char *name, struct err_ctx *ec)
{
    char piece[PIECE_BYTES];
    enum sync_err rc = SYNC_OK;
    int in = openat(from, name, O_RDONLY | O_CLOEXEC);
    if (in < 0) return plain_error(ec, "open", name);
    int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (out < 0) {
        rc = plain_error(ec, "make", name);
        (void)close(in); /* nothing was read */
        return rc;
    }
    while (rc == SYNC_OK) {
        ssize_t n = read(in, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = plain_error(ec, "read", name);
        if (n <= 0) break;
        rc = write_all(out, piece, (size_t)n, name, ec);
    }
    (void)close(in); /* only read from */
    return finish(out, rc, name, ec);
}

static bool is_table(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcmp(dot, ".ldb") == 0 || strcmp(dot, ".sst") == 0);
}

static enum sync_err copy_one(int from, int to, const char *name, struct err_ctx *ec)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return plain_error(ec, "look at", name);
    if (!S_ISREG(st.st_mode)) return SYNC_OK;
    if (is_table(name) && linkat(from, name, to, name, 0) == 0) return SYNC_OK;
    return copy_file(from, to, name, ec);
}

static enum sync_err copy_entry(int fd, const char *name, void *arg, struct err_ctx *ec)
{
    return copy_one(fd, *(const int *)arg, name, ec);
}

enum sync_err dir_copy(const char *from, const char *to, struct err_ctx *ec)
{
    if (mkdir(to, 0755) != 0) return plain_error(ec, "make", to);
    int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return plain_error(ec, "open", to);
    enum sync_err rc = plain_walk(AT_FDCWD, from, copy_entry, &fd, ec);
    return finish(fd, rc, to, ec);
}

enum sync_err dir_replace_file(const char *dir, const char *name, const void *bytes, size_t len,
                               struct err_ctx *ec)
{
    char temporary[NAME_MAX + 1];
    int n = snprintf(temporary, sizeof temporary, "%s.new", name);
    if (n < 0 || (size_t)n >= sizeof temporary) return err_set(ec, SYNC_EIO, "the name %s is too long", name);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return plain_error(ec, "open", dir);
    enum sync_err rc = SYNC_OK;
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        rc = plain_error(ec, "make", temporary);
    else
        rc = finish(fd, write_all(fd, bytes, len, temporary, ec), temporary, ec);
    if (rc == SYNC_OK && renameat(dir_fd, temporary, dir_fd, name) != 0)
        rc = plain_error(ec, "rename", temporary);
    return finish(dir_fd, rc, dir, ec);
}

static enum sync_err remove_entry(int fd, const char *name, void *arg, struct err_ctx *ec)
{
    const char *dir = arg;
    char path[PATH_MAX];
    if (unlinkat(fd, name, 0) == 0) return SYNC_OK;
    if (errno != EISDIR && errno != EPERM) return plain_error(ec, "remove", name);
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof path) return err_set(ec, SYNC_EIO, "the path of %s is too long", name);
    return dir_remove(path, ec);
}

enum sync_err dir_remove(const char *dir, struct err_ctx *ec)
{
    struct stat st;
    if (lstat(dir, &st) != 0 && errno == ENOENT) return SYNC_OK;
    enum sync_err rc = plain_walk(AT_FDCWD, dir, remove_entry, (void *)dir, ec);
    if (rc == SYNC_OK && rmdir(dir) != 0) rc = plain_error(ec, "remove", dir);
    return rc;
}
