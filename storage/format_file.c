#include "storage/format_file.h"

#include "storage/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME     "FORMAT"
#define FILE_NAME_NEW "FORMAT.new"

static const char first_line[] = "sync-coordinator store\n";

size_t format_file_text(const struct format_file *f, char ret[FORMAT_FILE_BYTES_MAX])
{
    int n = snprintf(ret, FORMAT_FILE_BYTES_MAX, "%sformat %d\nshards %" PRIu32 "\nidentity ", first_line,
                     STORE_FORMAT, f->shards);
    for (size_t i = 0; i < STORE_IDENTITY_BYTES; i++)
        n += snprintf(ret + n, FORMAT_FILE_BYTES_MAX - (size_t)n, "%02x", f->identity[i]);
    n += snprintf(ret + n, FORMAT_FILE_BYTES_MAX - (size_t)n, "\n");
    assert(n < FORMAT_FILE_BYTES_MAX);
    return (size_t)n;
}

/* Takes "NAME VALUE\n" off the text, the value at most 9 decimal digits. */
static bool take_number(struct slice *text, const char *name, uint32_t *ret)
{
    struct slice prefix = slice_str(name);
    uint32_t n = 0;
    size_t at = prefix.len;
    if (!slice_starts_with(*text, prefix)) return false;
    for (; at < text->len && at < prefix.len + 9 && text->bytes[at] >= '0' && text->bytes[at] <= '9'; at++)
        n = n * 10 + (uint32_t)(text->bytes[at] - '0');
    if (at == prefix.len || at == text->len || text->bytes[at] != '\n') return false;
    *text = slice_of(text->bytes + at + 1, text->len - at - 1);
    *ret = n;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static bool take_identity(struct slice text, uint8_t ret[STORE_IDENTITY_BYTES])
{
    struct slice prefix = slice_str("identity ");
    if (text.len != prefix.len + 2 * STORE_IDENTITY_BYTES + 1 || !slice_starts_with(text, prefix))
        return false;
    const char *at = text.bytes + prefix.len;
    for (size_t i = 0; i < STORE_IDENTITY_BYTES; i++, at += 2) {
        int high = hex_value(at[0]), low = hex_value(at[1]);
        if (high < 0 || low < 0) return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return *at == '\n';
}

enum sync_err format_file_parse(struct slice text, struct format_file *ret, struct err_ctx *ec)
{
    struct format_file f;
    struct slice prefix = slice_str(first_line);
    uint32_t format;
    if (!slice_starts_with(text, prefix))
        return err_set(ec, SYNC_EFORMAT, "not the FORMAT file of a sync-coordinator store");
    text = slice_of(text.bytes + prefix.len, text.len - prefix.len);
    if (!take_number(&text, "format ", &format)) return err_set(ec, SYNC_EFORMAT, "damaged: no format");
    if (format != STORE_FORMAT)
        return err_set(ec, SYNC_EFORMAT, "format %" PRIu32 ", this build reads %d", format, STORE_FORMAT);
    if (!take_number(&text, "shards ", &f.shards) || f.shards == 0 || f.shards > STORE_SHARDS_MAX)
        return err_set(ec, SYNC_EFORMAT, "damaged: no number of shards from 1 to %d", STORE_SHARDS_MAX);
    if (!take_identity(text, f.identity)) return err_set(ec, SYNC_EFORMAT, "damaged: no identity");
    *ret = f;
    return SYNC_OK;
}

bool format_file_is_foreign(struct slice text)
{
    struct slice prefix = slice_str(first_line);
    uint32_t format;
    if (!slice_starts_with(text, prefix)) return false;
    text = slice_of(text.bytes + prefix.len, text.len - prefix.len);
    return take_number(&text, "format ", &format) && format != STORE_FORMAT;
}

static enum sync_err io_error(struct err_ctx *ec, const char *doing)
{
    return err_set(ec, SYNC_EIO, "%s: %s", doing, strerror(errno));
}

enum sync_err format_file_read(int dir_fd, struct format_file *ret, bool *ret_found, struct err_ctx *ec)
{
    char text[FORMAT_FILE_BYTES_MAX];
    size_t len = 0;
    int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret_found = false;
        return SYNC_OK;
    }
    if (fd < 0) return io_error(ec, "open " FILE_NAME);
    while (len < sizeof text) {
        ssize_t n = read(fd, text + len, sizeof text - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            enum sync_err rc = io_error(ec, "read " FILE_NAME);
            (void)close(fd); /* only read from */
            return rc;
        }
        if (n == 0) break;
        len += (size_t)n;
    }
    (void)close(fd); /* only read from */
    enum sync_err rc = format_file_parse(slice_of(text, len), ret, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, FILE_NAME);
        return rc;
    }
    *ret_found = true;
    return SYNC_OK;
}

static enum sync_err write_all(int fd, const char *text, size_t len, struct err_ctx *ec)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_error(ec, "write " FILE_NAME_NEW);
        text += n;
        len -= (size_t)n;
    }
    if (fsync(fd) != 0) return io_error(ec, "sync " FILE_NAME_NEW);
    return SYNC_OK;
}

enum sync_err format_file_write(int dir_fd, const struct format_file *f, struct err_ctx *ec)
{
    char text[FORMAT_FILE_BYTES_MAX];
    size_t len = format_file_text(f, text);
    int fd = openat(dir_fd, FILE_NAME_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return io_error(ec, "create " FILE_NAME_NEW);
    enum sync_err rc = write_all(fd, text, len, ec);
    if (close(fd) != 0 && rc == SYNC_OK) rc = io_error(ec, "close " FILE_NAME_NEW);
    if (rc == SYNC_OK && renameat(dir_fd, FILE_NAME_NEW, dir_fd, FILE_NAME) != 0)
        rc = io_error(ec, "rename " FILE_NAME_NEW);
    if (rc != SYNC_OK) {
        (void)unlinkat(dir_fd, FILE_NAME_NEW, 0); /* the next start truncates it */
        return rc;
    }
    if (fsync(dir_fd) != 0) return io_error(ec, "sync the directory");
    return SYNC_OK;
}
