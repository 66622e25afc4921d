/* gzip.h -- bodies that came compressed (Content-Encoding: gzip). */
#ifndef SERVER_HTTP_GZIP_H
#define SERVER_HTTP_GZIP_H

#include "core/base/buf.h"
#include "core/base/err.h"

/* Replaces the buffer's content by what it inflates to, at most bytes_max, which its ceiling has room for. A
 * few bytes that would inflate without end stop there. Errors: SYNC_EBADMSG, SYNC_ELIMIT, SYNC_ENOMEM. */
enum sync_err gzip_inflate(struct buf *b, size_t bytes_max, struct err_ctx *ec);

#endif
