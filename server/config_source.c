#include "server/config_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* Reads a file for the configuration. */
static enum sync_err read_file(void *arg, const char *path, struct buf *ret, struct err_ctx *ec)
{
    (void)arg;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(ec, errno == ENOENT ? SYNC_ENOTFOUND : SYNC_EIO, "%s", strerror(errno));
    enum sync_err rc = SYNC_OK;
    for (;;) {
        char bytes[4096];
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = err_set(ec, SYNC_EIO, "%s", strerror(errno));
        if (n <= 0) break;
        buf_put(ret, bytes, (size_t)n);
    }
    (void)close(fd);
    return rc == SYNC_OK ? buf_check(ret, ec) : rc;
}

struct config_input config_source(int argc, char *const argv[])
{
    return (struct config_input){.argc = argc,
                                 .argv = (const char *const *)argv,
                                 .environment = (const char *const *)environ,
                                 .read_file = read_file};
}
