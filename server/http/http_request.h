/* http_request.h -- what a request asks for: its head, read out of libwebsockets and checked.
 *
 * Plain data; texts are copies. Threads: the loop's. */
#ifndef SERVER_HTTP_HTTP_REQUEST_H
#define SERVER_HTTP_HTTP_REQUEST_H

#include "core/base/err.h"
#include "core/facts/hlc.h"
#include "core/metrics/sync_metrics.h"
#include "core/protocol/session.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_BYTES_MAX = 8 << 10, ORIGIN_BYTES_MAX = 512, REQUEST_HEADERS_MAX = 512, HINT_BYTES_MAX = 64 };

enum http_method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OPTIONS, METHOD_OTHER };

enum body_encoding { BODY_PLAIN, BODY_GZIP, BODY_UNKNOWN };

struct http_request {
    enum http_method method;
    enum http_endpoint endpoint; /* by path; HTTP_ENDPOINT_OTHER: none */
    char database[DATABASE_ID_BYTES_MAX + 1];
    size_t database_len;
    bool database_valid;   /* by the built-in rule */
    bool database_is_text; /* a hook may call it valid */
    char origin[ORIGIN_BYTES_MAX];
    char asked_headers[REQUEST_HEADERS_MAX]; /* of a preflight */
    bool is_http_1_0;
    bool keep_alive;
    enum body_encoding encoding;
    bool is_json;    /* content type */
    bool is_chunked; /* a body of unknown length */
    bool has_length;
    bool framing_valid; /* where the body ends is beyond doubt */
    bool expects_continue;
    uint64_t length;
};

/* Reads the head, all but what only the database routes need (below). */
void http_request_read(struct lws *wsi, const char *base_path, struct slice path, struct http_request *ret);

/* X-Site-Id. Errors: SYNC_EAUTH when it is missing or malformed. */
enum sync_err http_request_site(struct lws *wsi, struct site_id *ret, struct err_ctx *ec);

/* The bearer token, or "" (copied to ret). Errors: SYNC_EAUTH when it is too long. */
enum sync_err http_request_token(struct lws *wsi, char ret[TOKEN_BYTES_MAX], size_t *ret_len,
                                 struct err_ctx *ec);

/* X-Coordinator-Hint; 0: it is missing or too long. */
size_t http_request_hint(struct lws *wsi, char ret[HINT_BYTES_MAX]);

/* sinceHLC of the query, or X-Since-HLC. Errors: SYNC_EBADMSG. */
enum sync_err http_request_since(struct lws *wsi, bool *ret_has, struct hlc *ret, struct err_ctx *ec);

/* Seconds of ?wait=, 0 without. Errors: SYNC_EBADMSG unless it is a number. */
enum sync_err http_request_wait(struct lws *wsi, uint64_t *ret_ms, struct err_ctx *ec);

#endif
