#include "server/http/http.h"

#include "server/base/system.h"
#include "server/http/http_internal.h"
#include "server/net/admission.h"
#include "server/net/guest.h"
#include "server/net/limit.h"

#include <assert.h>
#include <stdlib.h>

enum { SEND_BYTES_PER_MS_MIN = 16 }; /* of a client that reads, beyond limits.httpTimeoutMs */
enum { UPGRADE_RETRY_SPREAD_S = 5 }; /* so that not all come back at once */
enum { OUT_HEAD_BYTES = 4096 };      /* more than any head of ours has */

/* ---- the next request of the connection has to wait

 * While an exchange is under way libwebsockets 4.1 neither reads its socket nor stops watching it: a next
 * request that is already there, or the end of the client's side, would wake the loop without end. So we stop
 * it. Its own flow control would also hold back what we write, thus while an answer goes out only the
 * watching is off: the flow is on again, and a callback that returns 1 leaves the watching as it is. */

void http_stop_reading(struct http *h)
{
    (void)lws_rx_flow_control(h->wsi, LWS_RXFLOW_REASON_APPLIES | LWS_RXFLOW_REASON_USER_BOOL |
                                          LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
}

void http_go_on_reading(struct http *h)
{
    (void)lws_rx_flow_control(h->wsi, 1); /* fails only for a connection that is closing */
}

int http_lws_timeout_s(const struct http *h)
{
    return (int)((h->loop->config->limits.http_timeout_ms + 999) / 1000);
}

static void stop_receiving(struct receiver *r, bool stop)
{
    struct http *h = (struct http *)((char *)r - offsetof(struct http, receiver));
    http_body_stops(h, stop);
    if (stop)
        http_stop_reading(h);
    else
        http_go_on_reading(h);
    /* Its time without progress begins when it goes on. */
    lws_set_timeout(h->wsi, PENDING_TIMEOUT_HTTP_CONTENT, http_lws_timeout_s(h));
}

/* ---- life */

static struct http *http_new(struct loop *l, struct lws *wsi)
{
    struct http *h = calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->loop = l;
    h->wsi = wsi;
    h->began_ns = system_monotonic_ns();
    h->deadline_ms = h->send_ends_ms = UINT64_MAX;
    h->out = buf_make(SIZE_MAX / 4); /* a piece of a stream, or a short text */
    h->body = buf_make(l->config->limits.body_bytes + JSON_PADDING);
    h->receiver.stop = stop_receiving;
    h->id = id_table_add(&l->exchanges, h);
    if (h->id == 0) {
        free(h);
        return NULL;
    }
    server_work_begins(l->server);
    return h;
}

static void count_answer(struct http *h)
{
    struct sync_metrics *m = &h->loop->server->metrics;
    uint64_t took_ns = system_monotonic_ns() - h->began_ns;
    sync_metrics_http_request(m, h->request.endpoint, h->status);
    histogram_observe(&m->http_request_ns, took_ns);
    log_debug(&h->loop->server->logger, LOG_HTTP, "http.request", LOG_U64("exchange", h->id),
              LOG_U64("status", (uint64_t)h->status), LOG_U64("us", took_ns / 1000),
              LOG_SLICE("db", slice_of(h->request.database, h->request.database_len)));
}

static void http_free(struct http *h)
{
    id_table_remove(&h->loop->exchanges, h->id);
    hub_unsubscribe(&h->loop->hub, &h->subscriber);
    read_stream_release(h->stream);
    hook_identity_unref(h->identity);
    receiver_ended(h->loop, &h->receiver);
    if (h->inside)
        presence_leave(&h->loop->server->presence, slice_of(h->request.database, h->request.database_len));
    buf_deinit(&h->body);
    buf_deinit(&h->out);
    server_work_ends(h->loop->server);
    free(h);
}

void http_closed(struct http *h)
{
    if (h != NULL) http_free(h);
}

/* ---- routing */

static bool is_database_route(enum http_endpoint e)
{
    return e == HTTP_ENDPOINT_GET_CHANGES || e == HTTP_ENDPOINT_APPLY_CHANGES || e == HTTP_ENDPOINT_SNAPSHOT;
}

static bool method_fits(const struct http_request *r)
{
    if (r->endpoint == HTTP_ENDPOINT_APPLY_CHANGES) return true; /* POST made it that */
    if (r->endpoint == HTTP_ENDPOINT_COORDINATOR_HINT) return r->method == METHOD_POST;
    return r->method == METHOD_GET || r->method == METHOD_HEAD;
}

/* What can be refused before the body has come. False: the answer is under way. */
static bool check_body(struct http *h)
{
    const struct http_request *r = &h->request;
    if (!r->is_json) {
        http_fail(h, 415, "UNSUPPORTED_MEDIA_TYPE", "the body is application/json");
    } else if (r->encoding == BODY_UNKNOWN) {
        http_fail(h, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding is gzip or none");
    } else if (!r->has_length && !r->is_chunked) {
        http_fail(h, 411, "LENGTH_REQUIRED", "a body needs Content-Length, or Transfer-Encoding: chunked");
    } else if (r->length > http_body_bytes_max(h)) {
        limit_hit(h->loop->server, LIMIT_BODY_BYTES);
        http_fail(h, 413, "PAYLOAD_TOO_LARGE", "the body is larger than this server takes");
    } else {
        return true;
    }
    return false;
}

/* Who asks? False: the answer is under way. The token is kept for the hooks. */
static bool check_asker(struct http *h, char token[TOKEN_BYTES_MAX], size_t *ret_token_len)
{
    struct sync_metrics *m = &h->loop->server->metrics;
    struct err_ctx ec;
    counter_add(&m->auth_attempts, 1);
    enum sync_err rc = http_request_site(h->wsi, &h->site, &ec);
    if (rc == SYNC_OK) rc = http_request_token(h->wsi, token, ret_token_len, &ec);
    if (rc == SYNC_OK) rc = hook_check_token(h->loop, slice_of(token, *ret_token_len), &ec);
    if (rc == SYNC_OK) return true;
    counter_add(&m->auth_failures, 1);
    log_warn(&h->loop->server->logger, LOG_AUTH, "auth.refused", LOG_U64("exchange", h->id),
             LOG_SLICE("db", slice_of(h->request.database, h->request.database_len)), LOG_FAILURE(&ec));
    http_fail(h, 401, "AUTH_FAILED", ec.text);
    return false;
}

static void preflight(struct http *h)
{
    h->request.endpoint = HTTP_ENDPOINT_PREFLIGHT;
    http_answer(h, 204, NULL, slice_of(NULL, 0));
}

static void serve(struct http *h)
{
    if (h->request.endpoint == HTTP_ENDPOINT_GET_CHANGES) http_enter(h, http_get_changes);
    if (h->request.endpoint == HTTP_ENDPOINT_SNAPSHOT) http_enter(h, http_snapshot);
    /* a batch waits for its body */
}

static void database_request(struct http *h)
{
    const struct http_request *r = &h->request;
    const struct hook_gate *hooks = &h->loop->server->hooks;
    char token[TOKEN_BYTES_MAX];
    size_t token_len = 0;
    struct err_ctx ec;
    if (hook_gate_has(hooks, HOOK_VALID_DATABASE_ID) ? !r->database_is_text : !r->database_valid) {
        (void)err_set(&ec, SYNC_EBADMSG, "Invalid database ID: %.*s", (int)r->database_len, r->database);
        http_fail(h, 400, "INVALID_DATABASE_ID", ec.text);
        return;
    }
    if (r->endpoint == HTTP_ENDPOINT_APPLY_CHANGES && !check_body(h)) return;
    if (!check_asker(h, token, &token_len)) return;
    if (h->loop->draining) {
        http_fail_later(h, "UNAVAILABLE", "the server is stopping");
        return;
    }
    if (!http_admits(h)) return;
    if (r->endpoint == HTTP_ENDPOINT_GET_CHANGES && !http_read_query(h)) return;
    if (hook_gate_runner(hooks) != NULL)
        http_ask_hooks(h, slice_of(token, token_len));
    else
        serve(h);
}

static void route(struct http *h)
{
    const struct http_request *r = &h->request;
    if (!r->framing_valid || r->is_chunked) h->close = true; /* where the next request begins is not known */
    if (!r->framing_valid) {
        http_fail(h, 400, "INVALID_BODY",
                  "Content-Length or Transfer-Encoding is malformed, or both are given");
    } else if (r->method == METHOD_OPTIONS) {
        preflight(h);
    } else if (r->endpoint == HTTP_ENDPOINT_OTHER) {
        http_fail(h, 404, "NOT_FOUND", "no such route");
    } else if (!method_fits(r)) {
        http_fail(h, 405, "METHOD_NOT_ALLOWED", "the route does not take this method");
    } else if (is_database_route(r->endpoint)) {
        database_request(h);
    } else {
        http_info(h);
    }
    /* A body that nobody wants is passed over by the library, unless that would take too long. */
    if (h->state == HTTP_ANSWERING && r->length > HTTP_PASSED_OVER_BYTES_MAX) h->close = true;
}

/* The client waits for a word before it sends its body. */
int http_say_continue(struct http *h)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned char bytes[LWS_PRE + sizeof line];
    memcpy(bytes + LWS_PRE, line, sizeof line - 1);
    return lws_write(h->wsi, bytes + LWS_PRE, sizeof line - 1, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

/* ---- behind the callbacks */

int http_begin(struct loop *l, struct lws *wsi, struct http **ret, const char *path, size_t path_len)
{
    if (*ret != NULL) http_free(*ret); /* the connection's exchange before this one */
    struct http *h = *ret = http_new(l, wsi);
    if (h == NULL) return -1;
    http_request_read(wsi, l->config->server.base_path, slice_of(path, path_len), &h->request);
    bool has_body = h->request.method == METHOD_POST || h->request.length > 0;
    if (!has_body) lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0); /* none but ours from here on */
    route(h);
    if (h->state == HTTP_WORKING || h->asking) http_stop_reading(h);
    if (h->state == HTTP_READING && !h->asking) http_body_begins(h);
    return h->state == HTTP_READING && h->request.expects_continue && !h->asking ? http_say_continue(h) : 0;
}

void http_take_body(struct http *h)
{
    if (h->asking) {
        h->body_came = true;
        return;
    }
    lws_set_timeout(h->wsi, NO_PENDING_TIMEOUT, 0);
    h->state = HTTP_WORKING;
    receiver_ended(h->loop, &h->receiver);
    http_enter(h, http_apply_changes);
    if (h->state == HTTP_WORKING) http_stop_reading(h);
}

static void chunked_body(struct http *h, const char *bytes, size_t len)
{
    struct err_ctx ec;
    size_t bytes_max = http_body_bytes_max(h);
    enum sync_err rc = chunked_decode(&h->chunked_body, bytes, len, bytes_max, &h->body, &ec);
    if (rc == SYNC_ELIMIT)
        http_fail(h, 413, "PAYLOAD_TOO_LARGE", ec.text);
    else if (rc != SYNC_OK)
        http_fail(h, 400, "INVALID_BODY", ec.text);
    else if (chunked_is_done(&h->chunked_body))
        http_take_body(h);
    else
        receiver_grew(h->loop, &h->receiver, h->body.len);
}

int http_body(struct http *h, const char *bytes, size_t len)
{
    if (h == NULL || h->state != HTTP_READING) return 0; /* refused already: passed over */
    counter_add(&h->loop->server->metrics.receive_bytes, len);
    h->body_received += len;
    if (h->request.is_chunked) {
        chunked_body(h, bytes, len);
        return 0;
    }
    if (len > http_body_bytes_max(h) - h->body.len) return -1; /* beyond Content-Length */
    buf_put(&h->body, bytes, len);
    if (h->body.len < h->request.length) receiver_grew(h->loop, &h->receiver, h->body.len);
    return 0;
}

/* For a body that comes with its head behind an earlier request, libwebsockets 4.1 takes the head for the
 * body, and then reports the end of the body again and again without ever returning to the loop. Only
 * closing ends that. A few reports more than one are normal, where a further request waits. */
enum { BODY_ENDS_MAX = 100 };

int http_body_complete(struct http *h)
{
    if (h == NULL) return 0;
    if (h->body_ends++ == BODY_ENDS_MAX) return -1;
    if (h->state == HTTP_READING && !h->request.is_chunked) http_take_body(h);
    return 0;
}

/* The answer has been handed over. The library may now read the next request of the connection. */
static int end_exchange(struct http **exchange)
{
    struct http *h = *exchange;
    struct loop *l = h->loop;
    struct lws *wsi = h->wsi;
    bool close = h->close;
    count_answer(h);
    http_go_on_reading(h);
    http_free(h);
    *exchange = NULL;
    if (close) return -1;
    guest_answered(l, wsi);
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* The socket has taken all that was written: not earlier, so that a slow client costs one piece, and that
 * closing cuts nothing off. */
static int sent(struct http **exchange, bool keeps_up)
{
    struct http *h = *exchange;
    if (h->state == HTTP_ANSWERED) return end_exchange(exchange);
    h->state = HTTP_WORKING;
    h->send_ends_ms = UINT64_MAX;
    http_stop_reading(h);
    read_stream_next(h->stream, keeps_up);
    return 0;
}

int http_writeable(struct http **exchange)
{
    struct http *h = *exchange;
    if (h != NULL && (h->state == HTTP_ANSWERED || h->state == HTTP_SENT)) return sent(exchange, false);
    if (h == NULL || h->state != HTTP_ANSWERING) return 0;
    size_t len = h->out.len - LWS_PRE;
    if (h->out.failed != SYNC_OK) return -1;
    http_stop_reading(h);
    counter_add(&h->loop->server->metrics.send_bytes, len);
    if (len > 0 && lws_write(h->wsi, (unsigned char *)h->out.bytes + LWS_PRE, len, LWS_WRITE_HTTP) < 0)
        return -1;
    h->state = h->ends ? HTTP_ANSWERED : HTTP_SENT;
    if (!lws_partial_buffered(h->wsi)) return sent(exchange, true);
    http_go_on_reading(h); /* only the flow: see above */
    (void)lws_callback_on_writable(h->wsi);
    return 1;
}

void http_begin_sending(struct http *h)
{
    uint64_t patience_ms = h->loop->config->limits.http_timeout_ms;
    h->send_ends_ms = loop_now_ms(h->loop) + patience_ms + h->out.len / SEND_BYTES_PER_MS_MIN;
    loop_wake_at(h->loop, h->send_ends_ms);
}

/* Ends the connection; http_closed() follows when the loop comes round. */
static void cut_off(struct http *h)
{
    limit_hit(h->loop->server, LIMIT_HTTP_TIMEOUT);
    h->send_ends_ms = UINT64_MAX;
    lws_set_timeout(h->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

uint64_t http_tick(struct http *h, uint64_t now_ms)
{
    if (h->polling && now_ms >= h->deadline_ms) http_poll_now(h);
    if (h->waiting && now_ms >= h->deadline_ms) http_wait_is_over(h);
    if (now_ms >= h->send_ends_ms || receiver_is_stuck(h->loop, &h->receiver, now_ms)) cut_off(h);
    uint64_t next_ms = receiver_check_ms(h->loop, &h->receiver, now_ms), body_ms = http_body_tick(h, now_ms);
    if (body_ms < next_ms) next_ms = body_ms;
    if (h->deadline_ms < next_ms) next_ms = h->deadline_ms;
    return h->send_ends_ms < next_ms ? h->send_ends_ms : next_ms;
}

void http_drain(struct http *h)
{
    if (h->polling) http_poll_now(h);
    if (h->waiting) http_wait_is_over(h);
}

int http_confirm_upgrade(struct loop *l, struct lws *wsi, const char *protocol)
{
    char *path;
    int path_len;
    struct slice base = slice_str(l->config->server.base_path);
    const char *refusal = NULL;
    struct http_request request;
    struct http_head head = {.close = true, .content_type = CONTENT_JSON};
    int method = lws_http_get_uri_and_method(wsi, &path, &path_len);
    if (method < 0) return -1;
    struct slice rest = slice_of(path, (size_t)path_len);
    bool ours =
        slice_starts_with(rest, base) && slice_is(slice_of(path + base.len, rest.len - base.len), "/ws");
    const char *code = "NOT_FOUND";
    if (strcasecmp(protocol, "websocket") != 0) {
        head.status = 400;
        code = "UPGRADE_REFUSED";
        refusal = "only websocket can be upgraded to";
    } else if (!ours) {
        head.status = 404;
        refusal = "no such route";
    } else if (method != LWSHUMETH_GET) { /* libwebsockets upgrades any */
        head.status = 400;
        code = "UPGRADE_REFUSED";
        refusal = "only GET can be upgraded";
    } else if (hook_gate_has(&l->server->hooks, HOOK_AUTHENTICATE) &&
               !claim_headers_fit(wsi, &l->config->hooks)) {
        limit_hit(l->server, LIMIT_HOOK_HEADER_BYTES);
        head.status = 431;
        code = "HEADERS_TOO_LARGE";
        refusal = "the headers are larger than this server takes";
    } else if (l->draining) {
        head.status = 503;
        head.retry_after_s = 1;
        code = "UNAVAILABLE";
        refusal = "the server is stopping";
    } else if (!admission_upgrade(l->server->admission, l->config->limits.upgrades_per_s,
                                  system_monotonic_ns())) {
        limit_hit(l->server, LIMIT_UPGRADES_PER_S);
        head.status = 503;
        head.retry_after_s = 1 + (uint32_t)(system_random_u64() % UPGRADE_RETRY_SPREAD_S);
        code = "UNAVAILABLE";
        refusal = "too many connections at once";
    }
    if (refusal == NULL) return 0;

    http_request_read(wsi, l->config->server.base_path, rest, &request);
    struct buf body = buf_make(OUT_HEAD_BYTES), out = buf_make(2 * OUT_HEAD_BYTES);
    static const char room[LWS_PRE];
    http_error_put(&body, code, refusal);
    head.content_length = body.len;
    buf_put(&out, room, sizeof room);
    http_head_put(&out, &head, &request, &l->config->cors);
    buf_put_slice(&out, buf_slice(&body));
    if (out.failed == SYNC_OK)
        (void)lws_write(wsi, (unsigned char *)out.bytes + LWS_PRE, out.len - LWS_PRE, LWS_WRITE_HTTP);
    sync_metrics_http_request(&l->server->metrics, HTTP_ENDPOINT_WS, head.status);
    buf_deinit(&body);
    buf_deinit(&out);
    return -1; /* and close */
}
