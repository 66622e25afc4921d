#include "storage/leveldb/log_salvage.h"

#include "core/base/buf.h"
#include "storage/leveldb/dir_copy.h"
#include "storage/leveldb/log_format.h"
#include "storage/leveldb/plain_file.h"

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

static bool is_log(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".log") == 0 && name[0] >= '0' && name[0] <= '9';
}

static enum sync_err salvage_one(int dir_fd, const char *name, void *arg, struct err_ctx *ec)
{
    struct salvage *s = arg;
    if (!is_log(name)) return SYNC_OK;
    enum sync_err rc = plain_read(dir_fd, name, &s->content, ec);
    if (rc == SYNC_OK) rc = keep_records(s, ec);
    if (rc == SYNC_OK) rc = dir_replace_file(s->dir, name, s->kept.bytes, s->kept.len, ec);
    return rc;
}

enum sync_err log_salvage(const char *dir, uint64_t *ret_bytes, struct err_ctx *ec)
{
    struct salvage s = {.dir = dir,
                        .content = buf_make(SIZE_MAX / 2),
                        .record = buf_make(SIZE_MAX / 2),
                        .kept = buf_make(SIZE_MAX / 2)};
    enum sync_err rc = plain_walk(AT_FDCWD, dir, salvage_one, &s, ec);
    buf_deinit(&s.content);
    buf_deinit(&s.record);
    buf_deinit(&s.kept);
    if (rc == SYNC_OK) *ret_bytes = s.lost_bytes;
    return rc;
}
