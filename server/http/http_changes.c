#include "core/json/json_text.h"
#include "server/hooks/hook_apply.h"
#include "server/http/gzip.h"
#include "server/http/http_internal.h"
#include "server/net/limit.h"

#include <assert.h>
#include <stdlib.h>

static struct slice database_of(const struct http *h)
{
    return slice_of(h->request.database, h->request.database_len);
}

/* What may go by itself is 503 with Retry-After, so that clients and proxies come again; damage is 500. */
static void storage_failed(struct http *h, enum sync_err rc, const char *code, const char *text)
{
    if (err_http_status(rc) == 503)
        http_fail_later(h, code, text);
    else
        http_fail(h, 500, code, text);
}

static void read_failed(struct http *h, const char *code, const struct read_piece *piece)
{
    log_error(&h->loop->server->logger, LOG_HTTP, "read.failed", LOG_U64("exchange", h->id),
              LOG_SLICE("db", database_of(h)), LOG_FAILURE(&piece->ec));
    storage_failed(h, piece->rc, code, piece->ec.text);
}

/* ---- GET changes, at once and as a long poll */

static void start_delta(struct http *h);

static void begin_polling(struct http *h)
{
    read_stream_release(h->stream);
    h->stream = NULL;
    if (h->poll_again) { /* a batch arrived while the store was being read */
        h->poll_again = false;
        start_delta(h);
    }
}

static bool is_empty(const struct read_piece *piece)
{
    return piece->first && piece->last && !piece->delta.has_watermark;
}

static void on_delta_piece(struct loop *l, uint64_t asker, struct read_stream *s)
{
    struct http *h = id_table_get(&l->exchanges, asker);
    const struct read_piece *piece = read_stream_piece(s);
    assert(h != NULL && h->stream == s);
    if (piece->rc != SYNC_OK) {
        if (piece->first)
            read_failed(h, "GET_CHANGES_FAILED", piece);
        else
            http_break_off(h, slice_of(NULL, 0));
        return;
    }
    if (piece->first && piece->delta.pruned) {
        http_fail(h, 410, "SNAPSHOT_REQUIRED", "deletions after this watermark have been removed for good");
        return;
    }
    if (h->polling && is_empty(piece)) {
        begin_polling(h);
        return;
    }
    h->polling = false;
    hub_unsubscribe(&l->hub, &h->subscriber);
    http_send_piece(h, CONTENT_JSON);
}

static void start_delta(struct http *h)
{
    const struct delta_request request = {
        .database = database_of(h),
        .asker = h->site,
        .has_since = h->has_since,
        .since = h->since,
        .page_bytes_max = h->loop->config->limits.delta_bytes,
    };
    h->stream = read_stream_delta(h->loop, READ_HTTP_DELTA, &request, h->id, on_delta_piece);
    if (h->stream == NULL) http_fail_later(h, "GET_CHANGES_FAILED", "out of memory");
}

static void on_news(struct subscriber *s, struct frame *f)
{
    struct http *h = (struct http *)((char *)s - offsetof(struct http, subscriber));
    (void)f; /* what is new is read from the store, together with the watermark */
    if (h->stream == NULL)
        start_delta(h);
    else
        h->poll_again = true;
}

void http_poll_now(struct http *h)
{
    h->polling = false;
    h->deadline_ms = UINT64_MAX;
    hub_unsubscribe(&h->loop->hub, &h->subscriber);
    if (h->stream == NULL) start_delta(h);
}

/* Subscribed before the first look, so that nothing falls between the look and the wait. */
static bool subscribe_poll(struct http *h, uint64_t wait_ms)
{
    uint64_t wait_max_ms = h->loop->config->limits.long_poll_max_ms;
    if (wait_ms == 0) return true;
    h->subscriber.site = h->site;
    h->subscriber.deliver = on_news;
    if (!hub_subscribe(&h->loop->hub, database_of(h), &h->subscriber)) return false;
    h->polling = true;
    h->deadline_ms = loop_now_ms(h->loop) + (wait_ms < wait_max_ms ? wait_ms : wait_max_ms);
    loop_wake_at(h->loop, h->deadline_ms);
    return true;
}

bool http_read_query(struct http *h)
{
    struct err_ctx ec;
    enum sync_err rc = http_request_since(h->wsi, &h->has_since, &h->since, &ec);
    if (rc == SYNC_OK) rc = http_request_wait(h->wsi, &h->wait_ms, &ec);
    if (rc != SYNC_OK) http_fail(h, 400, "INVALID_BODY", ec.text);
    return rc == SYNC_OK;
}

void http_get_changes(struct http *h)
{
    if (h->request.method == METHOD_HEAD) {
        http_answer_head_only(h, CONTENT_JSON);
        return;
    }
    h->state = HTTP_WORKING;
    if (subscribe_poll(h, h->wait_ms))
        start_delta(h);
    else
        http_fail_later(h, "GET_CHANGES_FAILED", "out of memory");
}

/* ---- POST changes */

static void apply_finished(struct loop *l, const struct apply_job *j)
{
    struct http *h = id_table_get(&l->exchanges, j->asker);
    if (h == NULL) return;
    if (j->store.job.rc != SYNC_OK) {
        storage_failed(h, j->store.job.rc, "APPLY_CHANGES_FAILED", j->store.job.ec.text);
        return;
    }
    struct buf body = buf_make(1024 + j->extra.rejected.len);
    BUF_PUT_LIT(&body, "{\"ok\":true,\"data\":{");
    merge_result_put(&body, &j->request.result, buf_slice(&j->extra.rejected));
    BUF_PUT_LIT(&body, "}}");
    http_answer(h, 200, CONTENT_JSON, buf_slice(&body));
    buf_deinit(&body);
}

/* The body as a message; errors as message_read(), and SYNC_EBADMSG for what is wrong with its changes. */
static enum sync_err read_body(struct http *h, struct message *ret, struct err_ctx *ec)
{
    static const char padding[JSON_PADDING];
    if (h->request.encoding == BODY_GZIP) {
        enum sync_err rc = gzip_inflate(&h->body, http_body_bytes_max(h), ec);
        if (rc != SYNC_OK) return rc;
    }
    size_t len = h->body.len;
    buf_put(&h->body, padding, sizeof padding);
    enum sync_err rc = buf_check(&h->body, ec);
    if (rc != SYNC_OK) return rc;
    size_t all;
    char *text = buf_take(&h->body, &all);
    rc = message_read(h->loop->json, text, len, ret, ec);
    if (json_is_too_deep(h->loop->json)) limit_hit(h->loop->server, LIMIT_JSON_DEPTH);
    if (rc != SYNC_OK) return rc;
    if (!ret->changes_state.has) {
        rc = err_set(ec, SYNC_EBADMSG, "the body must contain a changes array");
    } else if (ret->changes_state.rc != SYNC_OK) {
        rc = ret->changes_state.rc;
        *ec = ret->changes_state.ec;
    }
    if (rc != SYNC_OK) message_deinit(ret);
    return rc;
}

static void apply_refused(struct loop *l, uint64_t asker, const struct message *m, enum sync_err rc,
                          const struct err_ctx *ec)
{
    struct http *h = id_table_get(&l->exchanges, asker);
    (void)m;
    if (h != NULL) http_refuse(h, rc, ec->text);
}

void http_apply_changes(struct http *h)
{
    struct err_ctx ec;
    const struct apply_asker who = {.asker = h->id,
                                    .identity = h->identity,
                                    .database = database_of(h),
                                    .site = h->site,
                                    .finished = apply_finished,
                                    .refused = apply_refused};
    struct message *m = malloc(sizeof *m);
    enum sync_err rc = m == NULL ? err_set(&ec, SYNC_ENOMEM, "out of memory") : read_body(h, m, &ec);
    if (rc == SYNC_OK) {
        (void)hook_apply(h->loop, &who, m);
        return;
    }
    free(m);
    http_refuse(h, rc, ec.text);
}

/* ---- GET snapshot */

static void snapshot_failed(struct http *h, const struct read_piece *piece)
{
    if (piece->first) {
        read_failed(h, "SNAPSHOT_FAILED", piece);
        return;
    }
    struct buf line = buf_make(4096);
    BUF_PUT_LIT(&line, "{\"error\":");
    json_put_text(&line, slice_str(piece->ec.text));
    BUF_PUT_LIT(&line, "}\n");
    http_break_off(h, buf_slice(&line));
    buf_deinit(&line);
}

static void on_snapshot_piece(struct loop *l, uint64_t asker, struct read_stream *s)
{
    struct http *h = id_table_get(&l->exchanges, asker);
    const struct read_piece *piece = read_stream_piece(s);
    assert(h != NULL && h->stream == s);
    if (piece->rc != SYNC_OK) {
        snapshot_failed(h, piece);
        return;
    }
    counter_add(&l->server->metrics.snapshot_chunks, piece->chunk_count);
    http_send_piece(h, CONTENT_NDJSON);
}

void http_snapshot(struct http *h)
{
    if (h->request.method == METHOD_HEAD) {
        http_answer_head_only(h, CONTENT_NDJSON);
        return;
    }
    h->state = HTTP_WORKING;
    h->stream =
        read_stream_snapshot(h->loop, READ_HTTP_SNAPSHOT, database_of(h), NULL, h->id, on_snapshot_piece);
    if (h->stream == NULL) http_fail_later(h, "SNAPSHOT_FAILED", "out of memory");
}
