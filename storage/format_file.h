/* format_file.h -- the file FORMAT of a store: what must be known before anything else is read.
 *
 *     sync-coordinator store
 *     format 2
 *     shards 2
 *     identity 64 hexadecimal digits
 *
 * Text, so that an operator can read it. It is written once, before the shards are made, and never again. */
#ifndef STORAGE_FORMAT_FILE_H
#define STORAGE_FORMAT_FILE_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    STORE_FORMAT = 2,
    STORE_IDENTITY_BYTES = 32,
    FORMAT_FILE_BYTES_MAX = 512,
};

struct format_file {
    uint32_t shards;
    uint8_t identity[STORE_IDENTITY_BYTES]; /* random; tells this store from every other */
};

/* Errors: SYNC_EFORMAT for another format and for anything that format_file_text() would not have written. */
enum sync_err format_file_parse(struct slice text, struct format_file *ret, struct err_ctx *ec);

/* Is it the FORMAT of a store, whole so far as it can be read, of a format that this build does not know?
 * Such a store is healthy, and not this build's to mend. */
bool format_file_is_foreign(struct slice text);

/* Zero terminated. Returns the length. */
size_t format_file_text(const struct format_file *f, char ret[FORMAT_FILE_BYTES_MAX]);

/* dir_fd: the store's directory. *ret_found is false when there is no such file.
 * Errors: SYNC_EIO, SYNC_EFORMAT. */
enum sync_err format_file_read(int dir_fd, struct format_file *ret, bool *ret_found, struct err_ctx *ec);

/* On success the file is on disk, whole; on failure, or a crash, there is none. Errors: SYNC_EIO. */
enum sync_err format_file_write(int dir_fd, const struct format_file *f, struct err_ctx *ec);

#endif
