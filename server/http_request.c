#include "server/http_request.h"

#include "server/auth.h"

#include "core/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { QUERY_VALUE_MAX = 1024 };

/* ---- path */

static struct slice drop_first(struct slice s, size_t n)
{
    return slice_of(s.bytes + n, s.len - n);
}

static bool ends_with(struct slice s, const char *tail, struct slice *ret_before)
{
    size_t n = strlen(tail);
    if (s.len < n || memcmp(s.bytes + s.len - n, tail, n) != 0) return false;
    *ret_before = slice_of(s.bytes, s.len - n);
    return true;
}

static bool fixed_route(struct slice rest, enum http_endpoint *ret)
{
    static const struct {
        const char *path;
        enum http_endpoint endpoint;
    } routes[] = {
        {"/status", HTTP_ENDPOINT_STATUS},           {"/metrics", HTTP_ENDPOINT_METRICS},
        {"/healthz", HTTP_ENDPOINT_HEALTHZ},         {"/readyz", HTTP_ENDPOINT_READYZ},
        {"/coordinator", HTTP_ENDPOINT_COORDINATOR}, {"/coordinator/hint", HTTP_ENDPOINT_COORDINATOR_HINT},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!slice_is(rest, routes[i].path)) continue;
        *ret = routes[i].endpoint;
        return true;
    }
    return false;
}

/* BASE/DATABASE/changes and BASE/DATABASE/snapshot. libwebsockets resolves percent-encoding, and makes one of
 * several slashes, before we see the path: an empty database shows as none at all. */
static void database_route(struct slice rest, struct http_request *r)
{
    struct slice database;
    if (ends_with(rest, "/changes", &database))
        r->endpoint = r->method == METHOD_POST ? HTTP_ENDPOINT_APPLY_CHANGES : HTTP_ENDPOINT_GET_CHANGES;
    else if (ends_with(rest, "/snapshot", &database))
        r->endpoint = HTTP_ENDPOINT_SNAPSHOT;
    else
        return;
    if (database.len > 0) database = drop_first(database, 1); /* its slash */
    r->database_valid = database_id_is_valid(database);
    r->database_is_text = database_id_is_text(database);
    r->database_len = database.len < sizeof r->database ? database.len : sizeof r->database - 1;
    if (r->database_len > 0) memcpy(r->database, database.bytes, r->database_len);
}

static void read_path(const char *base_path, struct slice path, struct http_request *r)
{
    struct slice base = slice_str(base_path);
    r->endpoint = HTTP_ENDPOINT_OTHER;
    if (!slice_starts_with(path, base)) return;
    struct slice rest = drop_first(path, base.len);
    if (rest.len == 0 || rest.bytes[0] != '/') return;
    if (!fixed_route(rest, &r->endpoint)) database_route(rest, r);
}

/* ---- headers */

/* The header's text, "" when it is missing or too long for ret. */
static size_t copy_header(struct lws *wsi, enum lws_token_indexes token, char *ret, size_t ret_size)
{
    ret[0] = '\0';
    int n = lws_hdr_copy(wsi, ret, (int)ret_size, token);
    return n < 0 ? 0 : (size_t)n;
}

/* Of a header that libwebsockets has no name for; `name` is lower case, with its colon. */
static int copy_custom(struct lws *wsi, const char *name, char *ret, size_t ret_size)
{
    return lws_hdr_custom_copy(wsi, ret, (int)ret_size, name, (int)strlen(name));
}

static enum http_method method_of(struct lws *wsi)
{
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0) return METHOD_GET;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0) return METHOD_POST;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_OPTIONS_URI) > 0) return METHOD_OPTIONS;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0) return METHOD_HEAD;
    return METHOD_OTHER;
}

static void read_connection(struct lws *wsi, struct http_request *r)
{
    char text[64];
    (void)copy_header(wsi, WSI_TOKEN_HTTP, text, sizeof text);
    r->is_http_1_0 = strcmp(text, "HTTP/1.1") != 0;
    (void)copy_header(wsi, WSI_TOKEN_CONNECTION, text, sizeof text);
    r->keep_alive = r->is_http_1_0 ? strcasecmp(text, "keep-alive") == 0 : strcasecmp(text, "close") != 0;
}

/* Where does the body end (RFC 9112 section 6.3)? Two readers of one request must never disagree on that: a
 * Content-Length is digits, once, and not with Transfer-Encoding, and that is `chunked` and nothing else. Two
 * headers of a name show as one with a comma. */
static void read_framing(struct lws *wsi, struct http_request *r)
{
    char text[32];
    r->has_length = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
        (void)copy_header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING, text, sizeof text);
        r->is_chunked = strcasecmp(text, "chunked") == 0;
        r->framing_valid = r->is_chunked && !r->has_length && !r->is_http_1_0;
        return;
    }
    r->framing_valid = !r->has_length;
    if (!r->has_length || copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof text) == 0) return;
    if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 18) return;
    r->length = strtoull(text, NULL, 10);
    r->framing_valid = true;
}

static void read_body_type(struct lws *wsi, struct http_request *r)
{
    char text[128];
    (void)copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, text, sizeof text);
    text[strcspn(text, "; \t")] = '\0';
    r->is_json = strcasecmp(text, "application/json") == 0;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_ENCODING) <= 0) {
        r->encoding = BODY_PLAIN;
        return;
    }
    (void)copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_ENCODING, text, sizeof text);
    if (strcasecmp(text, "identity") == 0)
        r->encoding = BODY_PLAIN;
    else
        r->encoding = strcasecmp(text, "gzip") == 0 ? BODY_GZIP : BODY_UNKNOWN;
}

void http_request_read(struct lws *wsi, const char *base_path, struct slice path, struct http_request *ret)
{
    *ret = (struct http_request){.method = method_of(wsi)};
    read_path(base_path, path, ret);
    read_connection(wsi, ret);
    read_framing(wsi, ret);
    read_body_type(wsi, ret);
    (void)copy_header(wsi, WSI_TOKEN_ORIGIN, ret->origin, sizeof ret->origin);
    char expect[32];
    (void)copy_header(wsi, WSI_TOKEN_HTTP_EXPECT, expect, sizeof expect);
    ret->expects_continue = strcasecmp(expect, "100-continue") == 0;
    if (ret->method == METHOD_OPTIONS)
        (void)copy_header(wsi, WSI_TOKEN_HTTP_AC_REQUEST_HEADERS, ret->asked_headers,
                          sizeof ret->asked_headers);
}

/* ---- what the database routes need */

enum sync_err http_request_site(struct lws *wsi, struct site_id *ret, struct err_ctx *ec)
{
    char text[64];
    int n = copy_custom(wsi, "x-site-id:", text, sizeof text);
    if (n <= 0) return err_set(ec, SYNC_EAUTH, "the header X-Site-Id is required");
    enum sync_err rc = site_id_parse(slice_of(text, (size_t)n), ret, ec);
    if (rc == SYNC_OK) return SYNC_OK;
    err_wrap(ec, "X-Site-Id");
    return SYNC_EAUTH;
}

enum sync_err http_request_token(struct lws *wsi, char ret[TOKEN_BYTES_MAX], size_t *ret_len,
                                 struct err_ctx *ec)
{
    *ret_len = 0;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) <= 0) return SYNC_OK;
    size_t n = copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, ret, TOKEN_BYTES_MAX);
    if (n == 0) return err_set(ec, SYNC_EAUTH, "the token is too long");
    struct slice token = auth_header_token(slice_of(ret, n));
    memmove(ret, token.bytes, token.len);
    *ret_len = token.len;
    return SYNC_OK;
}

size_t http_request_hint(struct lws *wsi, char ret[HINT_BYTES_MAX])
{
    int n = copy_custom(wsi, "x-coordinator-hint:", ret, HINT_BYTES_MAX);
    return n > 0 ? (size_t)n : 0;
}

/* The value of a query parameter, its percent-encoding resolved. False: not there, or longer than ret. */
static bool query_value(struct lws *wsi, const char *name, char *ret, size_t ret_size)
{
    char part[QUERY_VALUE_MAX];
    size_t name_len = strlen(name);
    for (int i = 0;; i++) {
        int n = lws_hdr_copy_fragment(wsi, part, sizeof part, WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0) return false; /* no further parameter, or one longer than any of ours */
        part[(size_t)n < sizeof part ? (size_t)n : sizeof part - 1] = '\0';
        if (strncmp(part, name, name_len) != 0 || part[name_len] != '=') continue;
        int copied = snprintf(ret, ret_size, "%s", part + name_len + 1);
        return copied >= 0 && (size_t)copied < ret_size;
    }
}

enum sync_err http_request_since(struct lws *wsi, bool *ret_has, struct hlc *ret, struct err_ctx *ec)
{
    char text[QUERY_VALUE_MAX] = "";
    uint8_t bytes[HLC_ENCODED_SIZE];
    size_t len;
    *ret_has = false;
    if (!query_value(wsi, "sinceHLC", text, sizeof text) || text[0] == '\0') {
        if (copy_custom(wsi, "x-since-hlc:", text, sizeof text) <= 0) return SYNC_OK;
    }
    /* A + of base64 that arrived raw shows as the space that it means in a query. */
    for (char *c = text; *c != '\0'; c++)
        if (*c == ' ') *c = '+';
    if (!base64_decode(BASE64_ANY, slice_str(text), bytes, sizeof bytes, &len) || len != sizeof bytes)
        return err_set(ec, SYNC_EBADMSG, "sinceHLC is not an HLC in base64");
    hlc_decode(bytes, ret);
    *ret_has = true;
    return SYNC_OK;
}

enum sync_err http_request_wait(struct lws *wsi, uint64_t *ret_ms, struct err_ctx *ec)
{
    char text[32];
    *ret_ms = 0;
    if (!query_value(wsi, "wait", text, sizeof text) || text[0] == '\0') return SYNC_OK;
    char *end;
    double seconds = strtod(text, &end);
    if (*end != '\0' || !(seconds >= 0 && seconds < 1e9))
        return err_set(ec, SYNC_EBADMSG, "wait is not a number of seconds");
    *ret_ms = (uint64_t)(seconds * 1000);
    return SYNC_OK;
}
