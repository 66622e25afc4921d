/* plain_file.h -- files as the offline checks and repairs handle them: whole, by name, in an open directory.
 *
 * Errors: SYNC_EIO, with what was tried, on what, and the system's words; others where said. */
#ifndef STORAGE_LEVELDB_PLAIN_FILE_H
#define STORAGE_LEVELDB_PLAIN_FILE_H

#include "core/base/buf.h"
#include "core/base/err.h"

/* The error of the system call that just failed (errno): "DOING NAME: ...". */
enum sync_err plain_error(struct err_ctx *ec, const char *doing, const char *name);

/* Replaces the content of out by the file's. Errors: also SYNC_ENOTFOUND, and what buf_check() says of
 * out. */
enum sync_err plain_read(int dir_fd, const char *name, struct buf *out, struct err_ctx *ec);

/* Is called for each entry but "." and ".."; an error ends the walk. */
typedef enum sync_err plain_visit_fn(int dir_fd, const char *name, void *arg, struct err_ctx *ec);

/* In no order. `name` is relative to dir_fd, which may be AT_FDCWD. */
enum sync_err plain_walk(int dir_fd, const char *name, plain_visit_fn *visit, void *arg, struct err_ctx *ec);

#endif
