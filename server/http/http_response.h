/* http_response.h -- the text of an answer's head, and of the errors (protocol section 4).
 *
 * Pure but for its inputs. CORS: an allowed Origin is echoed, never `*`, so that credentials may be sent; on
 * errors and snapshots too, or a browser would not let the page read them. */
#ifndef SERVER_HTTP_HTTP_RESPONSE_H
#define SERVER_HTTP_HTTP_RESPONSE_H

#include "core/base/buf.h"
#include "core/config/config.h"
#include "server/http/http_request.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTENT_JSON   "application/json; charset=utf-8"
#define CONTENT_NDJSON "application/x-ndjson"

struct http_head {
    int status;
    const char *content_type; /* NULL: none */
    bool chunked;             /* length unknown; else content_length counts */
    uint64_t content_length;
    bool close;             /* the connection ends with this answer */
    uint32_t retry_after_s; /* 0: none */
    const char *allow;      /* of 405: the methods that are */
};

/* Appends the status line and all headers, up to the empty line. */
void http_head_put(struct buf *out, const struct http_head *head, const struct http_request *request,
                   const struct config_cors *cors);

/* Appends {"ok":false,"error":{...}}. */
void http_error_put(struct buf *out, const char *code, const char *message);

#endif
