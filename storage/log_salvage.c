#include "storage/log_salvage.h"

#include "core/buf.h"
#include "storage/dir_copy.h"
#include "storage/log_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct salvage {
    const char *dir;
    struct buf content, record, kept;
    uint64_t lost_bytes;
};

static enum sync_err io_error(struct err_ctx *ec, const char *doing, const char *name)
{
    return err_set(ec, SYNC_EIO, "%s %s: %s", doing, name, strerror(errno));
}

static enum sync_err read_log(struct salvage *s, int dir_fd, const char *name, struct err_ctx *ec)
{
    struct stat st;
    enum sync_err rc = SYNC_OK;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_error(ec, "open", name);
    buf_clear(&s->content);
    if (fstat(fd, &st) != 0)
        rc = io_error(ec, "read", name);
    else if (!buf_reserve(&s->content, (size_t)st.st_size))
        rc = buf_check(&s->content, ec);
    while (rc == SYNC_OK && s->content.len < (size_t)st.st_size) {
        ssize_t n = read(fd, s->content.bytes + s->content.len, (size_t)st.st_size - s->content.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = io_error(ec, "read", name);
        if (n <= 0) break;
        s->content.len += (size_t)n;
    }
    (void)close(fd); /* only read from */
    return rc;
}

static bool accept_batch(struct slice record, void *arg)
{
    const uint64_t *sequence = arg;
    struct log_batch b;
    /* An older log's bytes, in blocks that this one got and never wrote to, have lower numbers. */
    return log_batch_read(record, &b) && b.sequence > *sequence;
}

/* The whole records of the loaded log, into s->kept. */
static enum sync_err keep_records(struct salvage *s, struct err_ctx *ec)
{
    struct slice file = buf_slice(&s->content);
    uint64_t sequence = 0;
    size_t at = 0, kept_bytes = 0;
    buf_clear(&s->kept);
    while (!log_ends_at(file, at)) {
        struct log_batch b;
        size_t end, found;
        bool whole = log_record_at(file, at, &s->record, &end) && s->record.failed == SYNC_OK &&
                     log_batch_read(buf_slice(&s->record), &b);
        if (!whole) {
            if (s->record.failed != SYNC_OK) break;
            if (!log_find_record(file, at + 1, accept_batch, &sequence, &s->record, &found)) break;
            at = found;
            continue;
        }
        sequence = b.sequence + (b.count - 1);
        log_record_put(&s->kept, buf_slice(&s->record));
        kept_bytes += end - at;
        at = end;
    }
    enum sync_err rc = buf_check(&s->record, ec);
    if (rc == SYNC_OK) rc = buf_check(&s->kept, ec);
    s->lost_bytes += file.len - kept_bytes;
    return rc;
}

static enum sync_err salvage_one(struct salvage *s, int dir_fd, const char *name, struct err_ctx *ec)
{
    enum sync_err rc = read_log(s, dir_fd, name, ec);
    if (rc == SYNC_OK) rc = keep_records(s, ec);
    if (rc == SYNC_OK) rc = dir_replace_file(s->dir, name, s->kept.bytes, s->kept.len, ec);
    return rc;
}

static bool is_log(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".log") == 0 && name[0] >= '0' && name[0] <= '9';
}

enum sync_err log_salvage(const char *dir, uint64_t *ret_bytes, struct err_ctx *ec)
{
    struct salvage s = {.dir = dir,
                        .content = buf_make(SIZE_MAX / 2),
                        .record = buf_make(SIZE_MAX / 2),
                        .kept = buf_make(SIZE_MAX / 2)};
    enum sync_err rc = SYNC_OK;
    DIR *d = opendir(dir);
    if (d == NULL) return io_error(ec, "list", dir);
    while (rc == SYNC_OK) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (e == NULL) {
            if (errno != 0) rc = io_error(ec, "list", dir);
            break;
        }
        if (is_log(e->d_name)) rc = salvage_one(&s, dirfd(d), e->d_name, ec);
    }
    (void)closedir(d); /* only read from */
    buf_deinit(&s.content);
    buf_deinit(&s.record);
    buf_deinit(&s.kept);
    if (rc == SYNC_OK) *ret_bytes = s.lost_bytes;
    return rc;
}
