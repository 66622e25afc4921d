#include "storage/objects/dir_open.h"

#include "storage/objects/dir_file.h"
#include "storage/objects/dir_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char format_line[] = "sync-coordinator objects 1\n";

/* Takes the lock without waiting: *ret_got says whether. */
static enum sync_err try_lock(int fd, int operation, bool *ret_got, struct err_ctx *ec)
{
    *ret_got = flock(fd, operation | LOCK_NB) == 0;
    if (!*ret_got && errno != EWOULDBLOCK && errno != EINTR) return dir_errno(ec, "lock", "lock");
    return SYNC_OK;
}

static enum sync_err check_empty(int root_fd, struct err_ctx *ec)
{
    int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    enum sync_err rc = SYNC_OK;
    if (dir == NULL) {
        rc = dir_errno(ec, "list", ".");
        if (fd >= 0) (void)close(fd);
        return rc;
    }
    for (struct dirent *d = readdir(dir); d != NULL && rc == SYNC_OK; d = readdir(dir)) {
        bool ours = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
                    strcmp(d->d_name, "lock") == 0 || strcmp(d->d_name, "tmp") == 0 ||
                    strcmp(d->d_name, "guards") == 0 || strcmp(d->d_name, DIR_OBJECTS) == 0;
        if (!ours)
            rc = err_set(ec, SYNC_ECONFIG, "not an object directory and not empty (it holds %.60s)",
                         d->d_name);
    }
    (void)closedir(dir);
    return rc;
}

/* Writes FORMAT last, so that a directory which has it has everything. */
static enum sync_err make_layout(int root_fd, struct err_ctx *ec)
{
    static const char *const directories[] = {DIR_OBJECTS, "tmp", "guards"};
    enum sync_err rc = check_empty(root_fd, ec);
    if (rc != SYNC_OK) return rc;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (mkdirat(root_fd, directories[i], 0700) != 0 && errno != EEXIST)
            return dir_errno(ec, "make a directory", directories[i]);
    int fd = openat(root_fd, "tmp/FORMAT", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return dir_errno(ec, "create", "tmp/FORMAT");
    ssize_t n = write(fd, format_line, sizeof format_line - 1);
    if (n != sizeof format_line - 1 || fsync(fd) != 0) rc = dir_errno(ec, "write", "tmp/FORMAT");
    (void)close(fd);
    if (rc != SYNC_OK) return rc;
    if (renameat(root_fd, "tmp/FORMAT", root_fd, "FORMAT") != 0) return dir_errno(ec, "rename", "FORMAT");
    return fsync(root_fd) == 0 ? SYNC_OK : dir_errno(ec, "sync", "FORMAT");
}

static enum sync_err check_format(int root_fd, bool *ret_missing, struct err_ctx *ec)
{
    char line[sizeof format_line + 1];
    int fd = openat(root_fd, "FORMAT", O_RDONLY | O_CLOEXEC);
    *ret_missing = fd < 0 && errno == ENOENT;
    if (*ret_missing) return SYNC_OK;
    if (fd < 0) return dir_errno(ec, "open", "FORMAT");
    ssize_t n = read(fd, line, sizeof line);
    (void)close(fd);
    if (n < 0) return dir_errno(ec, "read", "FORMAT");
    if (!slice_is(slice_of(line, (size_t)n), format_line))
        return err_set(ec, SYNC_EFORMAT, "object directory in a format this build does not know");
    return SYNC_OK;
}

/* With the lock to ourselves: nobody else has the directory open. */
static enum sync_err prepare_alone(int root_fd, struct err_ctx *ec)
{
    bool missing;
    enum sync_err rc = check_format(root_fd, &missing, ec);
    if (rc == SYNC_OK && missing) rc = make_layout(root_fd, ec);
    if (rc == SYNC_OK) dir_tree_tidy(root_fd, DIR_OBJECTS);
    return rc;
}

/* While others have it open, or may be about to. */
static enum sync_err prepare_shared(int root_fd, struct err_ctx *ec)
{
    bool missing;
    uint32_t swept;
    enum sync_err rc = check_format(root_fd, &missing, ec);
    if (rc == SYNC_OK && missing) rc = err_set(ec, SYNC_ECONFIG, "not an object directory (no FORMAT in it)");
    return rc == SYNC_OK ? dir_temp_sweep(root_fd, 0, &swept, ec) : rc;
}

/* Ends with the lock held shared. */
static enum sync_err lock_and_prepare(int root_fd, int lock_fd, struct err_ctx *ec)
{
    struct object_ctx ctx = {.deadline_ms = object_clock_ms() + DIR_OPEN_WAIT_MS_MAX};
    bool alone, shared;
    enum sync_err rc = try_lock(lock_fd, LOCK_EX, &alone, ec);
    if (rc == SYNC_OK && alone) rc = prepare_alone(root_fd, ec);
    while (rc == SYNC_OK) {
        rc = try_lock(lock_fd, LOCK_SH, &shared, ec);
        if (rc != SYNC_OK || shared) break;
        rc = object_ctx_wait(&ctx, 5, ec); /* somebody is alone in it, for as long as preparing takes */
    }
    return rc == SYNC_OK ? prepare_shared(root_fd, ec) : rc;
}

enum sync_err dir_open(const char *path, int *ret_root_fd, int *ret_lock_fd, struct err_ctx *ec)
{
    enum sync_err rc;
    int root_fd = -1, lock_fd = -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        bool nowhere = errno == ENOENT || errno == ENOTDIR;
        rc = dir_errno(ec, "make the object directory", path);
        return nowhere ? SYNC_ECONFIG : rc;
    }
    root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) return dir_errno(ec, "open the object directory", path);
    lock_fd = openat(root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    rc = lock_fd < 0 ? dir_errno(ec, "open", "lock") : lock_and_prepare(root_fd, lock_fd, ec);
    if (rc == SYNC_OK) {
        *ret_root_fd = root_fd;
        *ret_lock_fd = lock_fd;
        return SYNC_OK;
    }
    err_wrap(ec, "object directory %.100s", path);
    if (lock_fd >= 0) (void)close(lock_fd);
    (void)close(root_fd);
    return rc;
}
