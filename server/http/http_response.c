#include "server/http/http_response.h"

#include "core/json/json_text.h"

static const char *reason_of(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 431: return "Request Header Fields Too Large";
    case 429: return "Too Many Requests";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

static void put_header(struct buf *out, const char *name, const char *value)
{
    buf_put_str(out, name);
    BUF_PUT_LIT(out, ": ");
    buf_put_str(out, value);
    BUF_PUT_LIT(out, "\r\n");
}

static void put_number(struct buf *out, const char *name, uint64_t value)
{
    buf_put_str(out, name);
    BUF_PUT_LIT(out, ": ");
    buf_put_u64(out, value);
    BUF_PUT_LIT(out, "\r\n");
}

static bool allows_origin(const struct config_cors *cors, const char *origin)
{
    if (cors->origin.allow == CORS_ALLOW_ANY) return true;
    if (cors->origin.allow == CORS_ALLOW_NONE) return false;
    for (size_t i = 0; i < cors->origin.list.count; i++)
        if (slice_is(cors->origin.list.items[i], origin)) return true;
    return false;
}

static void put_cors(struct buf *out, const struct http_request *request, const struct config_cors *cors)
{
    if (cors->origin.allow == CORS_ALLOW_NONE) return;
    /* Said even where there is no Origin or none that is allowed: a cache must not mix the answers up. */
    put_header(out, "vary", "Origin");
    if (request->origin[0] == '\0' || !allows_origin(cors, request->origin)) return;
    put_header(out, "access-control-allow-origin", request->origin);
    if (cors->credentials) put_header(out, "access-control-allow-credentials", "true");
    if (request->method != METHOD_OPTIONS) return;
    put_header(out, "access-control-allow-methods", "GET, HEAD, POST");
    if (request->asked_headers[0] != '\0')
        put_header(out, "access-control-allow-headers", request->asked_headers);
    put_header(out, "access-control-max-age", "86400");
}

void http_head_put(struct buf *out, const struct http_head *head, const struct http_request *request,
                   const struct config_cors *cors)
{
    BUF_PUT_LIT(out, "HTTP/1.1 ");
    buf_put_u64(out, (uint64_t)head->status);
    buf_put_char(out, ' ');
    buf_put_str(out, reason_of(head->status));
    BUF_PUT_LIT(out, "\r\n");
    if (head->content_type != NULL) put_header(out, "content-type", head->content_type);
    if (head->chunked)
        put_header(out, "transfer-encoding", "chunked");
    else if (head->status != 204)
        put_number(out, "content-length", head->content_length);
    if (head->retry_after_s > 0) put_number(out, "retry-after", head->retry_after_s);
    if (head->allow != NULL) put_header(out, "allow", head->allow);
    if (head->content_type != NULL) {
        put_header(out, "cache-control", "no-store");
        put_header(out, "x-content-type-options", "nosniff");
    }
    put_cors(out, request, cors);
    if (head->close)
        put_header(out, "connection", "close");
    else if (request->is_http_1_0)
        put_header(out, "connection", "keep-alive");
    BUF_PUT_LIT(out, "\r\n");
}

void http_error_put(struct buf *out, const char *code, const char *message)
{
    BUF_PUT_LIT(out, "{\"ok\":false,\"error\":{\"code\":");
    json_put_text(out, slice_str(code));
    BUF_PUT_LIT(out, ",\"message\":");
    json_put_text(out, slice_str(message));
    BUF_PUT_LIT(out, "}}");
}
