#include "storage/leveldb/log_check.h"

#include "core/base/buf.h"
#include "storage/leveldb/log_format.h"
#include "storage/leveldb/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_NAME_MAX = 64, /* of LevelDB's files */
    NUMBER_DIGITS_MAX = 19,
};

#define TORN_NAME    "TORN"
#define CURRENT_NAME "CURRENT"

/* One log file, or the MANIFEST. */
struct log_file {
    char name[FILE_NAME_MAX];
    size_t whole_end; /* its records are whole up to here */
    size_t len;
    bool torn; /* something that is no record is behind whole_end */
};

struct check {
    int dir_fd;
    struct log_edit edit;
    uint64_t sequence;     /* the highest in the logs so far */
    struct buf content;    /* of the file under way */
    struct buf record;     /* scratch */
    struct log_file *logs; /* by number */
    uint64_t *numbers;
    size_t log_count, log_capacity;
    struct log_file manifest;
    bool has_data; /* tables, or bytes in a log */
    uint64_t torn_bytes;
};

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to check the logs");
}

/* ---- reading files */

/* A file that is not there is no error. */
static enum sync_err load(struct check *c, const char *name, bool *ret_found, struct err_ctx *ec)
{
    enum sync_err rc = plain_read(c->dir_fd, name, &c->content, ec);
    *ret_found = rc != SYNC_ENOTFOUND;
    return rc == SYNC_ENOTFOUND ? SYNC_OK : rc;
}

/* ---- one file */

static bool accept_batch(struct slice record, void *arg)
{
    const struct check *c = arg;
    struct log_batch b;
    /* What lies in blocks that a file got and never wrote to may be an older log's: its numbers are lower. */
    return log_batch_read(record, &b) && b.sequence > c->sequence;
}

static bool accept_edit(struct slice record, void *arg)
{
    struct log_edit ignored;
    (void)arg;
    return log_edit_read(record, &ignored);
}

static void take_record(struct check *c, bool is_log)
{
    struct log_batch b;
    if (!is_log)
        (void)log_edit_read(buf_slice(&c->record), &c->edit); /* LevelDB says it when it is none */
    else if (log_batch_read(buf_slice(&c->record), &b) && b.sequence + (b.count - 1) > c->sequence)
        c->sequence = b.sequence + (b.count - 1);
}

/* Reads the loaded file's records up to the first that is not whole, and makes sure that none is behind
 * it. */
static enum sync_err scan(struct check *c, struct log_file *f, bool is_log, struct err_ctx *ec)
{
    struct slice file = buf_slice(&c->content);
    size_t end, behind;
    f->len = file.len;
    while (log_record_at(file, f->whole_end, &c->record, &end)) {
        if (c->record.failed != SYNC_OK) return no_memory(ec);
        take_record(c, is_log);
        f->whole_end = end;
    }
    if (log_ends_at(file, f->whole_end)) return SYNC_OK;
    f->torn = true;
    bool found =
        log_find_record(file, f->whole_end, is_log ? accept_batch : accept_edit, c, &c->record, &behind);
    if (c->record.failed != SYNC_OK) return no_memory(ec);
    if (!found) return SYNC_OK;
    return err_set(ec, SYNC_EFORMAT,
                   "%s is damaged at byte %zu, and whole records stand behind it at byte %zu: restore a copy",
                   f->name, f->whole_end, behind);
}

static enum sync_err scan_manifest(struct check *c, struct err_ctx *ec)
{
    bool found;
    enum sync_err rc = load(c, c->manifest.name, &found, ec);
    if (rc != SYNC_OK) return rc;
    if (!found)
        return err_set(ec, SYNC_EFORMAT, CURRENT_NAME " names %s, which is missing", c->manifest.name);
    rc = scan(c, &c->manifest, false, ec);
    /* Where CURRENT names a MANIFEST its beginning is on disk. */
    if (rc == SYNC_OK && !c->edit.has_log_number)
        return err_set(ec, SYNC_EFORMAT, "%s is damaged at byte %zu: restore a copy", c->manifest.name,
                       c->manifest.whole_end);
    return rc;
}

/* The log that the MANIFEST names is there, since LevelDB syncs the directory before it. An end that is cut
 * off the MANIFEST leads back to the log named before, which LevelDB deletes only once that end is on
 * disk. */
static enum sync_err find_named_log(const struct check *c, struct err_ctx *ec)
{
    if (c->edit.log_number == 0) return SYNC_OK; /* of a LevelDB that was never opened to its end */
    for (size_t i = 0; i < c->log_count; i++)
        if (c->numbers[i] == c->edit.log_number) return SYNC_OK;
    return err_set(ec, SYNC_EFORMAT, "%s names log %06" PRIu64 ", which is missing%s: restore a copy",
                   c->manifest.name, c->edit.log_number, c->manifest.torn ? ", and is damaged" : "");
}

/* A torn end in one log and records in a later one: these were written after those that are missing. */
static enum sync_err scan_logs(struct check *c, struct err_ctx *ec)
{
    const struct log_file *torn = NULL;
    enum sync_err named = find_named_log(c, ec);
    if (named != SYNC_OK) return named;
    for (size_t i = 0; i < c->log_count; i++) {
        struct log_file *f = &c->logs[i];
        bool found;
        enum sync_err rc = load(c, f->name, &found, ec);
        if (rc == SYNC_OK) rc = scan(c, f, true, ec);
        if (rc != SYNC_OK) return rc;
        if (torn != NULL && f->whole_end > 0)
            return err_set(
                ec, SYNC_EFORMAT,
                "%s is damaged at byte %zu, and whole records stand behind it in %s: restore a copy",
                torn->name, torn->whole_end, f->name);
        if (f->torn) torn = f;
    }
    return SYNC_OK;
}

/* ---- which files there are */

/* The number of "NUMBER.log" and the like. */
static bool parse_name(const char *name, uint64_t *ret_number, const char **ret_suffix)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < NUMBER_DIGITS_MAX && name[i] >= '0' && name[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(name[i] - '0');
    if (i == 0) return false;
    *ret_number = n;
    *ret_suffix = name + i;
    return true;
}

static bool add_log(struct check *c, const char *name, uint64_t number)
{
    if (c->log_count == c->log_capacity) {
        size_t capacity = c->log_capacity == 0 ? 8 : c->log_capacity * 2;
        struct log_file *logs = realloc(c->logs, capacity * sizeof *logs);
        if (logs == NULL) return false;
        c->logs = logs;
        uint64_t *numbers = realloc(c->numbers, capacity * sizeof *numbers);
        if (numbers == NULL) return false;
        c->numbers = numbers;
        c->log_capacity = capacity;
    }
    size_t at = c->log_count++;
    for (; at > 0 && c->numbers[at - 1] > number; at--) {
        c->logs[at] = c->logs[at - 1];
        c->numbers[at] = c->numbers[at - 1];
    }
    c->logs[at] = (struct log_file){0};
    (void)snprintf(c->logs[at].name, sizeof c->logs[at].name, "%s", name);
    c->numbers[at] = number;
    return true;
}

/* One entry of the directory: a log that LevelDB will read is kept in mind. */
static enum sync_err see_file(int dir_fd, const char *name, void *arg, struct err_ctx *ec)
{
    struct check *c = arg;
    uint64_t number;
    const char *suffix;
    struct stat st;
    if (strlen(name) >= FILE_NAME_MAX || !parse_name(name, &number, &suffix)) return SYNC_OK;
    if (strcmp(suffix, ".ldb") == 0 || strcmp(suffix, ".sst") == 0) c->has_data = true;
    if (strcmp(suffix, ".log") != 0) return SYNC_OK;
    if (fstatat(dir_fd, name, &st, 0) != 0) return plain_error(ec, "look at", name);
    if (st.st_size > 0) c->has_data = true;
    if (number < c->edit.log_number && number != c->edit.prev_log_number) return SYNC_OK;
    return add_log(c, name, number) ? SYNC_OK : no_memory(ec);
}

/* CURRENT is one line, the name of the MANIFEST. */
static enum sync_err read_current(struct check *c, bool *ret_found, struct err_ctx *ec)
{
    static const char prefix[] = "MANIFEST-";
    enum sync_err rc = load(c, CURRENT_NAME, ret_found, ec);
    if (rc != SYNC_OK || !*ret_found) return rc;
    struct slice line = buf_slice(&c->content);
    size_t prefix_len = sizeof prefix - 1;
    bool fits = line.len > prefix_len + 1 && line.len <= sizeof c->manifest.name &&
                slice_starts_with(line, slice_str(prefix)) && line.bytes[line.len - 1] == '\n';
    for (size_t i = prefix_len; fits && i + 1 < line.len; i++)
        fits = line.bytes[i] >= '0' && line.bytes[i] <= '9';
    if (!fits) return err_set(ec, SYNC_EFORMAT, CURRENT_NAME " is damaged: it names no MANIFEST");
    memcpy(c->manifest.name, line.bytes, line.len - 1);
    c->manifest.name[line.len - 1] = '\0';
    return SYNC_OK;
}

/* ---- torn ends */

static enum sync_err write_all(int fd, struct slice bytes, struct err_ctx *ec)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.bytes, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return plain_error(ec, "write", TORN_NAME);
        bytes = slice_of(bytes.bytes + n, bytes.len - (size_t)n);
    }
    return SYNC_OK;
}

static enum sync_err copy_end(struct check *c, const struct log_file *f, int torn_fd, struct err_ctx *ec)
{
    bool found;
    enum sync_err rc = load(c, f->name, &found, ec);
    if (rc != SYNC_OK) return rc;
    struct slice content = buf_slice(&c->content);
    if (content.len < f->whole_end) return err_set(ec, SYNC_EIO, "%s changed while it was read", f->name);
    return write_all(torn_fd, slice_of(content.bytes + f->whole_end, content.len - f->whole_end), ec);
}

static enum sync_err cut_end(struct check *c, const struct log_file *f, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    int fd = openat(c->dir_fd, f->name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return plain_error(ec, "open", f->name);
    if (ftruncate(fd, (off_t)f->whole_end) != 0 || fsync(fd) != 0) rc = plain_error(ec, "cut", f->name);
    if (close(fd) != 0 && rc == SYNC_OK) rc = plain_error(ec, "cut", f->name);
    c->torn_bytes += f->len - f->whole_end;
    return rc;
}

/* The copy is on disk before anything is cut. */
static enum sync_err mend(struct check *c, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    bool any = c->manifest.torn;
    for (size_t i = 0; i < c->log_count; i++) any |= c->logs[i].torn;
    if (!any) return SYNC_OK;

    int fd = openat(c->dir_fd, TORN_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return plain_error(ec, "make", TORN_NAME);
    if (c->manifest.torn) rc = copy_end(c, &c->manifest, fd, ec);
    for (size_t i = 0; i < c->log_count && rc == SYNC_OK; i++)
        if (c->logs[i].torn) rc = copy_end(c, &c->logs[i], fd, ec);
    if (rc == SYNC_OK && fsync(fd) != 0) rc = plain_error(ec, "sync", TORN_NAME);
    if (close(fd) != 0 && rc == SYNC_OK) rc = plain_error(ec, "close", TORN_NAME);
    if (rc == SYNC_OK && fsync(c->dir_fd) != 0) rc = plain_error(ec, "sync", "the directory");

    if (rc == SYNC_OK && c->manifest.torn) rc = cut_end(c, &c->manifest, ec);
    for (size_t i = 0; i < c->log_count && rc == SYNC_OK; i++)
        if (c->logs[i].torn) rc = cut_end(c, &c->logs[i], ec);
    return rc;
}

enum sync_err log_check(const char *dir, uint64_t *ret_torn_bytes, struct err_ctx *ec)
{
    struct check c = {.content = buf_make(SIZE_MAX / 2), .record = buf_make(SIZE_MAX / 2)};
    bool found = false;
    c.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c.dir_fd < 0 && errno == ENOENT) {
        *ret_torn_bytes = 0;
        return SYNC_OK;
    }
    if (c.dir_fd < 0) return plain_error(ec, "open", dir);
    enum sync_err rc = read_current(&c, &found, ec);
    if (rc == SYNC_OK && found) rc = scan_manifest(&c, ec);
    if (rc == SYNC_OK) rc = plain_walk(c.dir_fd, ".", see_file, &c, ec);
    if (rc == SYNC_OK && !found && c.has_data)
        rc = err_set(ec, SYNC_EFORMAT, "holds data but no " CURRENT_NAME " file");
    if (rc == SYNC_OK && found) rc = scan_logs(&c, ec);
    if (rc == SYNC_OK && found) rc = mend(&c, ec);
    if (rc == SYNC_OK)
        *ret_torn_bytes = c.torn_bytes;
    else
        err_wrap(ec, "%s", dir);
    (void)close(c.dir_fd); /* only listed and synced */
    free(c.logs);
    free(c.numbers);
    buf_deinit(&c.content);
    buf_deinit(&c.record);
    return rc;
}
