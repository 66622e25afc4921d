/* chunked.h -- bodies of unknown length: the chunked coding of RFC 9112 section 7.1.
 *
 * libwebsockets 4.1 hands such a body to a server as it stands on the wire, chunk sizes included, and does
 * not see its end. So it is decoded here, and the connection ends with its answer: what follows the body
 * could not be told from it.
 *
 * Pure: bytes in, bytes out, in pieces of any size. */
#ifndef SERVER_HTTP_CHUNKED_H
#define SERVER_HTTP_CHUNKED_H

#include "core/base/buf.h"
#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHUNK_LINE_MAX = 256, CHUNK_TRAILERS_MAX = 4096 };

enum chunked_state {
    CHUNKED_SIZE,      /* hexadecimal digits */
    CHUNKED_SIZE_END,  /* blanks before an extension or the line end */
    CHUNKED_EXTENSION, /* the rest of the size line, passed over */
    CHUNKED_LINE_FEED, /* the second half of the size line's end */
    CHUNKED_DATA,
    CHUNKED_DATA_END, /* the line end behind the data */
    CHUNKED_TRAILER,  /* lines behind the last chunk, passed over, up to an empty one */
    CHUNKED_DONE,
};

/* All zero to begin with. */
struct chunked {
    enum chunked_state state;
    uint64_t left;     /* of the size being read, then of the data */
    uint32_t digits;   /* of the size */
    uint32_t line_len; /* of the line being read, its end not counted */
    uint32_t trailers; /* bytes of trailer lines in all */
};

/* Decodes the next bytes of the body, appending its data to out, which gets no longer than bytes_max.
 * Errors: SYNC_EBADMSG, SYNC_ELIMIT, SYNC_ENOMEM. What follows the end is passed over. */
enum sync_err chunked_decode(struct chunked *c, const char *bytes, size_t len, size_t bytes_max,
                             struct buf *out, struct err_ctx *ec);

static inline bool chunked_is_done(const struct chunked *c)
{
    return c->state == CHUNKED_DONE;
}

#endif
