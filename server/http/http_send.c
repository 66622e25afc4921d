#include "server/http/http_internal.h"

#include <assert.h>
#include <stdio.h>

enum { RETRY_AFTER_S = 1 };

static void begin_out(struct http *h)
{
    static const char room[LWS_PRE];
    buf_clear(&h->out);
    buf_put(&h->out, room, sizeof room);
}

static void want_write(struct http *h)
{
    if (h->state == HTTP_WORKING) http_go_on_reading(h); /* else nothing could be written */
    h->state = HTTP_ANSWERING;
    http_begin_sending(h);
    (void)lws_callback_on_writable(h->wsi);
}

static void put_head(struct http *h, struct http_head head)
{
    h->status = head.status;
    if (!h->request.keep_alive || h->loop->draining) h->close = true;
    head.close = h->close;
    http_head_put(&h->out, &head, &h->request, &h->loop->config->cors);
}

/* The whole answer at once. */
static void answer(struct http *h, struct http_head head, struct slice body)
{
    begin_out(h);
    head.content_length = body.len;
    put_head(h, head);
    if (h->request.method != METHOD_HEAD) buf_put_slice(&h->out, body);
    h->ends = true;
    want_write(h);
}

void http_answer(struct http *h, int status, const char *content_type, struct slice body)
{
    answer(h, (struct http_head){.status = status, .content_type = content_type}, body);
}

static void fail(struct http *h, struct http_head head, const char *code, const char *message)
{
    struct buf body = buf_make(64 << 10);
    http_error_put(&body, code, message);
    head.content_type = CONTENT_JSON;
    answer(h, head, buf_slice(&body));
    buf_deinit(&body);
}

void http_fail(struct http *h, int status, const char *code, const char *message)
{
    static const char *const changes = "GET, HEAD, POST, OPTIONS", *const others = "GET, HEAD, OPTIONS";
    static const char *const hint = "POST, OPTIONS";
    bool is_hint = h->request.endpoint == HTTP_ENDPOINT_COORDINATOR_HINT;
    bool is_changes = h->request.endpoint == HTTP_ENDPOINT_GET_CHANGES ||
                      h->request.endpoint == HTTP_ENDPOINT_APPLY_CHANGES;
    fail(h,
         (struct http_head){.status = status,
                            .allow = status != 405 ? NULL
                                     : is_changes  ? changes
                                     : is_hint     ? hint
                                                   : others},
         code, message);
}

void http_fail_later(struct http *h, const char *code, const char *message)
{
    fail(h, (struct http_head){.status = 503, .retry_after_s = RETRY_AFTER_S}, code, message);
}

void http_fail_busy(struct http *h, uint64_t retry_after_s)
{
    fail(h, (struct http_head){.status = 429, .retry_after_s = (uint32_t)retry_after_s}, "TOO_MANY_REQUESTS",
         "this site or database has written more than its share for now");
}

void http_answer_head_only(struct http *h, const char *content_type)
{
    begin_out(h);
    put_head(h, (struct http_head){.status = 200, .content_type = content_type, .chunked = true});
    h->ends = true;
    want_write(h);
}

void http_send_piece(struct http *h, const char *content_type)
{
    const struct read_piece *piece = read_stream_piece(h->stream);
    struct http_head head = {.status = 200, .content_type = content_type};
    begin_out(h);
    if (piece->first && piece->last) {
        head.content_length = piece->bytes.len;
        put_head(h, head);
        buf_put_slice(&h->out, piece->bytes);
    } else if (h->request
                   .is_http_1_0) { /* knows no chunks: the end of the connection is the end of the body */
        h->close = true;
        if (piece->first) put_head(h, head);
        buf_put_slice(&h->out, piece->bytes);
    } else {
        head.chunked = h->chunked = true;
        if (piece->first) put_head(h, head);
        if (piece->bytes.len > 0) buf_printf(&h->out, "%zx\r\n", piece->bytes.len);
        buf_put_slice(&h->out, piece->bytes);
        if (piece->bytes.len > 0) BUF_PUT_LIT(&h->out, "\r\n");
        if (piece->last) BUF_PUT_LIT(&h->out, "0\r\n\r\n");
    }
    h->ends = piece->last;
    want_write(h);
}

void http_break_off(struct http *h, struct slice line)
{
    begin_out(h);
    if (h->chunked && line.len > 0) {
        buf_printf(&h->out, "%zx\r\n", line.len);
        buf_put_slice(&h->out, line);
        BUF_PUT_LIT(&h->out, "\r\n0\r\n\r\n"); /* the line says that it failed; the framing is whole */
    }
    h->ends = h->close = true;
    want_write(h);
}
