#include "server/http/http_request.h"

#include "server/http/http_parse.h"

#include <stdio.h>
#include <strings.h>

enum { QUERY_VALUE_MAX = 1024 };

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
    char version[64], connection[64];
    (void)copy_header(wsi, WSI_TOKEN_HTTP, version, sizeof version);
    (void)copy_header(wsi, WSI_TOKEN_CONNECTION, connection, sizeof connection);
    http_parse_connection(version, connection, r);
}

static void read_framing(struct lws *wsi, struct http_request *r)
{
    char length[32], coding[32];
    (void)copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof length);
    (void)copy_header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING, coding, sizeof coding);
    http_parse_framing(lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 ? length : NULL,
                       lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ? coding : NULL, r);
}

static void read_body_type(struct lws *wsi, struct http_request *r)
{
    char type[128], encoding[128];
    (void)copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof type);
    (void)copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_ENCODING, encoding, sizeof encoding);
    http_parse_body_type(type,
                         lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_ENCODING) > 0 ? encoding : NULL, r);
}

void http_request_read(struct lws *wsi, const char *base_path, struct slice path, struct http_request *ret)
{
    *ret = (struct http_request){.method = method_of(wsi)};
    http_parse_path(base_path, path, ret);
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
    *ret_len = http_parse_token(ret, n);
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
    for (int i = 0;; i++) {
        int n = lws_hdr_copy_fragment(wsi, part, sizeof part, WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0) return false; /* no further parameter, or one longer than any of ours */
        part[(size_t)n < sizeof part ? (size_t)n : sizeof part - 1] = '\0';
        const char *value = http_parse_parameter(part, name);
        if (value == NULL) continue;
        int copied = snprintf(ret, ret_size, "%s", value);
        return copied >= 0 && (size_t)copied < ret_size;
    }
}

enum sync_err http_request_since(struct lws *wsi, bool *ret_has, struct hlc *ret, struct err_ctx *ec)
{
    char text[QUERY_VALUE_MAX] = "";
    *ret_has = false;
    if (!query_value(wsi, "sinceHLC", text, sizeof text) || text[0] == '\0') {
        if (copy_custom(wsi, "x-since-hlc:", text, sizeof text) <= 0) return SYNC_OK;
    }
    enum sync_err rc = http_parse_since(text, ret, ec);
    *ret_has = rc == SYNC_OK;
    return rc;
}

enum sync_err http_request_wait(struct lws *wsi, uint64_t *ret_ms, struct err_ctx *ec)
{
    char text[32];
    *ret_ms = 0;
    if (!query_value(wsi, "wait", text, sizeof text) || text[0] == '\0') return SYNC_OK;
    return http_parse_wait(text, ret_ms, ec);
}
