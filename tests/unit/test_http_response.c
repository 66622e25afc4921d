#include "server/http/http_response.h"

#include <criterion/criterion.h>
#include <stdio.h>

static char head_text[4096];

static const char *head_of(const struct http_head *head, const struct http_request *request,
                           const struct config_cors *cors)
{
    struct buf out = buf_make(sizeof head_text - 1);
    struct err_ctx ec;
    http_head_put(&out, head, request, cors);
    cr_assert_eq(buf_check(&out, &ec), SYNC_OK);
    memcpy(head_text, out.bytes, out.len);
    head_text[out.len] = '\0';
    buf_deinit(&out);
    cr_assert_str_eq(head_text + strlen(head_text) - 4, "\r\n\r\n");
    return head_text;
}

/* The header's value; NULL when it is not there, or there twice. */
static const char *value_of(const char *text, const char *name)
{
    static char value[1024];
    char start[64];
    (void)snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *at = strstr(text, start);
    if (at == NULL || strstr(at + 1, start) != NULL) return NULL;
    at += strlen(start);
    (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static const struct config_cors no_cors = {.origin.allow = CORS_ALLOW_NONE};

/* ---- CORS: what is configured, who asks, what is answered */

Test(http_response, cors_follows_the_table)
{
    struct slice list[] = {slice_str("https://a.example"), slice_str("http://localhost:3000")};
    static const struct {
        enum cors_allow allow;
        bool credentials;
        const char *origin, *told_origin, *told_credentials;
    } cases[] = {
        {CORS_ALLOW_ANY, true, "https://x.example", "https://x.example", "true"},
        {CORS_ALLOW_ANY, false, "https://x.example", "https://x.example", NULL},
        {CORS_ALLOW_ANY, true, "null", "null", "true"},
        {CORS_ALLOW_ANY, true, "", NULL, NULL},
        {CORS_ALLOW_LIST, true, "https://a.example", "https://a.example", "true"},
        {CORS_ALLOW_LIST, true, "http://localhost:3000", "http://localhost:3000", "true"},
        {CORS_ALLOW_LIST, true, "https://a.example.org", NULL, NULL},
        {CORS_ALLOW_LIST, true, "https://a.exampl", NULL, NULL},
        {CORS_ALLOW_LIST, true, "http://a.example", NULL, NULL},
        {CORS_ALLOW_LIST, true, "", NULL, NULL},
        {CORS_ALLOW_NONE, true, "https://a.example", NULL, NULL},
    };
    static const int statuses[] = {200, 204, 401, 410, 500};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct config_cors cors = {
            .origin = {.allow = cases[i].allow, .list = {.items = list, .count = 2}},
            .credentials = cases[i].credentials};
        struct http_request request = {.method = METHOD_GET};
        strcpy(request.origin, cases[i].origin);
        for (size_t k = 0; k < sizeof statuses / sizeof statuses[0]; k++) {
            const struct http_head head = {.status = statuses[k], .content_type = CONTENT_JSON};
            const char *text = head_of(&head, &request, &cors);
            const char *origin = value_of(text, "access-control-allow-origin");
            cr_assert_eq(origin == NULL, cases[i].told_origin == NULL, "case %zu: %s", i, text);
            if (origin != NULL) cr_assert_str_eq(origin, cases[i].told_origin);
            const char *credentials = value_of(text, "access-control-allow-credentials");
            cr_assert_eq(credentials == NULL, cases[i].told_credentials == NULL, "case %zu: %s", i, text);
            const char *vary = value_of(text, "vary");
            cr_assert_eq(vary == NULL, cases[i].allow == CORS_ALLOW_NONE, "case %zu: %s", i, text);
            cr_assert_null(value_of(text, "access-control-allow-methods"), "only a preflight asks for these");
            cr_assert_null(strstr(text, ": *"));
        }
    }
}

Test(http_response, a_preflight_is_told_the_methods_and_its_own_headers)
{
    const struct config_cors cors = {.origin.allow = CORS_ALLOW_ANY, .credentials = true};
    struct http_request request = {
        .method = METHOD_OPTIONS, .origin = "https://x.example", .asked_headers = "authorization,x-site-id"};
    const struct http_head head = {.status = 204};
    const char *text = head_of(&head, &request, &cors);
    cr_assert_str_eq(value_of(text, "access-control-allow-methods"), "GET, HEAD, POST");
    cr_assert_str_eq(value_of(text, "access-control-allow-headers"), "authorization,x-site-id");
    cr_assert_str_eq(value_of(text, "access-control-allow-origin"), "https://x.example");
    cr_assert_null(value_of(text, "content-length"), "204 has none");
    request.asked_headers[0] = '\0';
    cr_assert_null(value_of(head_of(&head, &request, &cors), "access-control-allow-headers"));
    const struct config_cors list = {.origin.allow = CORS_ALLOW_LIST};
    cr_assert_null(value_of(head_of(&head, &request, &list), "access-control-allow-methods"),
                   "not on the list");
}

/* ---- the rest of the head */

Test(http_response, the_status_line_names_the_status)
{
    static const struct {
        int status;
        const char *line;
    } cases[] = {
        {200, "HTTP/1.1 200 OK\r\n"},
        {410, "HTTP/1.1 410 Gone\r\n"},
        {413, "HTTP/1.1 413 Content Too Large\r\n"},
        {429, "HTTP/1.1 429 Too Many Requests\r\n"},
        {503, "HTTP/1.1 503 Service Unavailable\r\n"},
        {500, "HTTP/1.1 500 Internal Server Error\r\n"},
    };
    const struct http_request request = {.method = METHOD_GET};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_head head = {.status = cases[i].status};
        cr_assert_eq(strncmp(head_of(&head, &request, &no_cors), cases[i].line, strlen(cases[i].line)), 0);
    }
}

Test(http_response, every_code_of_an_error_has_a_reason_of_its_own)
{
    const struct http_request request = {.method = METHOD_GET};
#define X(code, http, name)                                                                                  \
    if ((http) != 500)                                                                                       \
        cr_assert_null(                                                                                      \
            strstr(head_of(&(struct http_head){.status = (http)}, &request, &no_cors), "Internal"), "%d",    \
            (http));
    SYNC_ERR_MAP(X)
#undef X
}

Test(http_response, a_body_has_a_length_or_is_chunked)
{
    const struct http_request request = {.method = METHOD_GET};
    const char *text = head_of(
        &(struct http_head){.status = 200, .content_type = CONTENT_JSON, .content_length = 12345678901u},
        &request, &no_cors);
    cr_assert_str_eq(value_of(text, "content-length"), "12345678901");
    cr_assert_null(value_of(text, "transfer-encoding"));
    cr_assert_str_eq(value_of(text, "content-type"), CONTENT_JSON);
    cr_assert_str_eq(value_of(text, "cache-control"), "no-store");
    text = head_of(&(struct http_head){.status = 200, .content_type = CONTENT_NDJSON, .chunked = true},
                   &request, &no_cors);
    cr_assert_str_eq(value_of(text, "transfer-encoding"), "chunked");
    cr_assert_null(value_of(text, "content-length"));
}

Test(http_response, what_is_said_only_when_there_is_reason)
{
    struct http_request request = {.method = METHOD_GET};
    const char *text = head_of(&(struct http_head){.status = 200}, &request, &no_cors);
    cr_assert_null(value_of(text, "retry-after"));
    cr_assert_null(value_of(text, "allow"));
    cr_assert_null(value_of(text, "connection"));
    text = head_of(&(struct http_head){.status = 429, .retry_after_s = 7, .close = true}, &request, &no_cors);
    cr_assert_str_eq(value_of(text, "retry-after"), "7");
    cr_assert_str_eq(value_of(text, "connection"), "close");
    text = head_of(&(struct http_head){.status = 405, .allow = "GET, HEAD"}, &request, &no_cors);
    cr_assert_str_eq(value_of(text, "allow"), "GET, HEAD");
    request.is_http_1_0 = true;
    text = head_of(&(struct http_head){.status = 200}, &request, &no_cors);
    cr_assert_str_eq(value_of(text, "connection"), "keep-alive");
    text = head_of(&(struct http_head){.status = 200, .close = true}, &request, &no_cors);
    cr_assert_str_eq(value_of(text, "connection"), "close");
}

Test(http_response, errors_have_their_shape_whatever_their_text)
{
    struct buf out = buf_make(1 << 10);
    http_error_put(&out, "INVALID_BODY", "a \"quote\"\nand a \\ and \xff");
    cr_assert(slice_is(buf_slice(&out), "{\"ok\":false,\"error\":{\"code\":\"INVALID_BODY\",\"message\":\"a "
                                        "\\\"quote\\\"\\nand a \\\\ and \xef\xbf\xbd\"}}"),
              "%.*s", (int)out.len, out.bytes);
    buf_deinit(&out);
}
