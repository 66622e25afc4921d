#include "storage/leveldb/plain_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum sync_err plain_error(struct err_ctx *ec, const char *doing, const char *name)
{
    return err_set(ec, SYNC_EIO, "%s %s: %s", doing, name, strerror(errno));
}

static enum sync_err read_open(int fd, const char *name, struct buf *out, struct err_ctx *ec)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return plain_error(ec, "read", name);
    if (!buf_reserve(out, (size_t)st.st_size)) return buf_check(out, ec);
    while (out->len < (size_t)st.st_size) {
        ssize_t n = read(fd, out->bytes + out->len, (size_t)st.st_size - out->len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return plain_error(ec, "read", name);
        if (n == 0) break;
        out->len += (size_t)n;
    }
    return SYNC_OK;
}

enum sync_err plain_read(int dir_fd, const char *name, struct buf *out, struct err_ctx *ec)
{
    buf_clear(out);
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return err_set(ec, SYNC_ENOTFOUND, "there is no %s", name);
    if (fd < 0) return plain_error(ec, "open", name);
    enum sync_err rc = read_open(fd, name, out, ec);
    (void)close(fd); /* only read from */
    return rc;
}

enum sync_err plain_walk(int dir_fd, const char *name, plain_visit_fn *visit, void *arg, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        rc = plain_error(ec, "list", name);
        if (fd >= 0) (void)close(fd); /* nothing was done with it */
        return rc;
    }
    while (rc == SYNC_OK) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (e == NULL) {
            if (errno != 0) rc = plain_error(ec, "list", name);
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = visit(dirfd(d), e->d_name, arg, ec);
    }
    (void)closedir(d); /* only read from */
    return rc;
}
