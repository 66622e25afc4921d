#include "server/ws/ws.h"

#include "server/base/system.h"
#include "server/net/limit.h"
#include "server/ws/ws_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { HANGUP_SLACK_MS = 100 };

static void deliver(struct subscriber *s, struct frame *f);
static void stop_receiving(struct receiver *r, bool stop);

static struct ws *ws_of(struct subscriber *s)
{
    return (struct ws *)((char *)s - offsetof(struct ws, subscriber));
}

int ws_open(struct loop *l, struct lws *wsi, struct ws **ret)
{
    const struct config_limits *limits = &l->config->limits;
    char id[CONNECTION_ID_TEXT + 1];
    struct ws *w = calloc(1, sizeof *w);
    if (w == NULL) return -1;
    (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)system_random_u64());
    w->loop = l;
    w->wsi = wsi;
    w->id = id_table_add(&l->sessions, w);
    w->logger = logger_for_conn(&l->server->logger, slice_str(id));
    w->receiving = buf_make(limits->message_bytes + JSON_PADDING);
    w->late_end = &w->late;
    w->texts_end = &w->texts;
    w->pushes = push_queue_make(limits->session_queue_frames, limits->session_queue_bytes);
    w->valid_ms = loop_now_ms(l);
    w->drain_at_ms = UINT64_MAX;
    w->subscriber.deliver = deliver;
    w->receiver.stop = stop_receiving;
    session_init(&w->session, &l->session, id, loop_now_ms(l));
    if (w->id == 0 || !ws_hooks_open(w)) {
        if (w->id != 0) id_table_remove(&l->sessions, w->id);
        session_deinit(&w->session);
        free(w);
        return -1;
    }
    *ret = w;
    server_work_begins(l->server);
    gauge_add(&l->server->metrics.ws_connections_active, 1);
    counter_add(&l->server->metrics.ws_connections, 1);
    log_debug(&w->logger, LOG_WS, "ws.open", LOG_U64("loop", l->index));
    loop_wake_at(l, session_deadline_ms(&w->session));
    return 0;
}

void ws_is_there(struct ws *w)
{
    w->valid_ms = loop_now_ms(w->loop);
}

void ws_pong(struct ws *w, const void *payload, size_t len)
{
    if (w == NULL) return;
    ws_is_there(w);
    /* The loop's clock stood still while others were served, and its millisecond has begun already. */
    uv_update_time(&w->loop->uv);
    push_pace_pong(&w->push_pace, payload, len, loop_now_ms(w->loop) + 1);
    if (!push_pace_is_read(&w->push_pace)) return;
    if (w->lag_counted) ws_want_write(w);
    ws_push_when_due(w);
}

/* libwebsockets closes who does not answer its pings, and does not say so. Nobody else has been silent for as
 * long as that. */
static bool has_no_pong(const struct ws *w)
{
    uint64_t hangup_ms = w->loop->keep_valid.secs_since_valid_hangup * (uint64_t)1000;
    return !w->close_sent && loop_now_ms(w->loop) - w->valid_ms + HANGUP_SLACK_MS >= hangup_ms;
}

void ws_closed(struct ws *w)
{
    if (w == NULL) return;
    struct sync_metrics *m = &w->loop->server->metrics;
    if (has_no_pong(w)) limit_hit(w->loop->server, LIMIT_PONG_TIMEOUT);
    log_debug(&w->logger, LOG_WS, "ws.closed", LOG_SLICE("db", session_database(&w->session)));
    gauge_add(&m->ws_connections_active, -1);
    if (w->lag_counted) gauge_add(&m->sessions_lagging, -1);
    id_table_remove(&w->loop->sessions, w->id);
    hub_unsubscribe(&w->loop->hub, &w->subscriber);
    receiver_ended(w->loop, &w->receiver);
    while (w->late != NULL) {
        struct ws_late *late = w->late;
        w->late = late->next;
        if (late->message != NULL) message_deinit(late->message);
        free(late->message);
        free(late);
    }
    read_stream_release(w->stream);
    ws_hooks_close(w);
    ws_free_output(w);
    buf_deinit(&w->receiving);
    if (w->inside) presence_leave(&w->loop->server->presence, session_database(&w->session));
    session_deinit(&w->session);
    server_work_ends(w->loop->server);
    free(w);
}

/* ---- in */

/* Who has not had a handshake has no reason to send much. */
enum { HANDSHAKE_BYTES_MAX = 64 << 10 };

static size_t bytes_max(const struct ws *w)
{
    size_t message_bytes = w->loop->config->limits.message_bytes;
    return w->session.state == SESSION_NEW && message_bytes > HANDSHAKE_BYTES_MAX ? HANDSHAKE_BYTES_MAX
                                                                                  : message_bytes;
}

static void too_long(struct ws *w)
{
    struct session_update u = {0};
    struct err_ctx ec;
    limit_hit(w->loop->server, LIMIT_MESSAGE_BYTES);
    log_warn(&w->logger, LOG_WS, "ws.message_too_long", LOG_U64("bytes_max", bytes_max(w)));
    (void)err_set(&ec, SYNC_ELIMIT, "a message may have up to %zu bytes here", bytes_max(w));
    session_broken_message(&w->session, &ec, &u);
    ws_carry_out(w, &u);
    w->closing = true;
    w->close_code = LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE;
    ws_want_write(w);
}

/* Makes a message of what has come. */
static void read_message(struct ws *w)
{
    struct err_ctx ec;
    size_t len = w->receiving.len;
    static const char padding[JSON_PADDING];
    buf_put(&w->receiving, padding, sizeof padding); /* its ceiling has room for it */
    struct message *m = malloc(sizeof *m);
    enum sync_err rc = m == NULL ? err_set(&ec, SYNC_ENOMEM, "out of memory") : buf_check(&w->receiving, &ec);
    if (rc == SYNC_OK && w->receiving_binary)
        rc = err_set(&ec, SYNC_EBADMSG, "messages are text, not binary");
    if (rc == SYNC_OK) {
        size_t all;
        char *text = buf_take(&w->receiving, &all);
        rc = message_read(w->loop->json, text, len, m, &ec);
        if (json_is_too_deep(w->loop->json)) limit_hit(w->loop->server, LIMIT_JSON_DEPTH);
    }
    buf_deinit(&w->receiving);
    receiver_ended(w->loop, &w->receiver);
    if (rc != SYNC_OK) {
        free(m);
        m = NULL;
    }
    ws_take_message(w, m, &ec);
}

int ws_receive(struct ws *w, const char *bytes, size_t len)
{
    if (w->closing) return 0;
    size_t text_max = bytes_max(w);
    counter_add(&w->loop->server->metrics.receive_bytes, len);
    if (lws_is_first_fragment(w->wsi)) w->receiving_binary = lws_frame_is_binary(w->wsi) != 0;
    if (w->receiving.len > text_max || len > text_max - w->receiving.len) {
        buf_deinit(&w->receiving);
        receiver_ended(w->loop, &w->receiver);
        too_long(w);
        return 0;
    }
    buf_put(&w->receiving, bytes, len);
    if (lws_is_final_fragment(w->wsi) && lws_remaining_packet_payload(w->wsi) == 0)
        read_message(w);
    else
        receiver_grew(w->loop, &w->receiver, w->receiving.len);
    return 0;
}

static void stop_receiving(struct receiver *r, bool stop)
{
    struct ws *w = (struct ws *)((char *)r - offsetof(struct ws, receiver));
    /* That its answer to a ping is not read is our doing, not a sign that it has gone. */
    if (stop) {
        lws_validity_confirmed(w->wsi);
        ws_is_there(w);
    }
    ws_settle(w);
}

/* It holds memory that others wait for. */
static void cut_off(struct ws *w)
{
    log_warn(&w->logger, LOG_WS, "ws.receiving_stuck", LOG_U64("bytes", w->receiver.bytes),
             LOG_STR("next", "cut off, others wait for the memory"));
    buf_deinit(&w->receiving);
    receiver_ended(w->loop, &w->receiver);
    w->closing = true;
    w->close_code = CLOSE_TRY_AGAIN;
    ws_want_write(w);
}

/* ---- pushes */

static void deliver(struct subscriber *s, struct frame *f)
{
    struct ws *w = ws_of(s);
    if (w->closing || !session_takes_pushes(&w->session)) return;
    if (!push_queue_put(&w->pushes, frame_ref(f))) {
        frame_unref(f);
        ws_overflowed(w);
        return;
    }
    counter_add(&w->loop->server->metrics.changes_broadcast, f->fact_count);
    ws_push_when_due(w);
}

/* ---- time */

uint64_t ws_tick(struct ws *w, uint64_t now_ms)
{
    struct session_update u;
    if (receiver_is_stuck(w->loop, &w->receiver, now_ms)) cut_off(w);
    if (now_ms >= w->drain_at_ms) {
        w->drain_at_ms = UINT64_MAX;
        w->draining = true;
        ws_settle(w);
    }
    if (session_deadline_ms(&w->session) <= now_ms) {
        bool was_new = w->session.state == SESSION_NEW;
        session_tick(&w->session, system_random_u64(), now_ms, &u);
        if (was_new && w->session.state == SESSION_CLOSED)
            limit_hit(w->loop->server, LIMIT_HANDSHAKE_TIMEOUT);
        ws_carry_out(w, &u);
    }
    uint64_t deadline_ms = session_deadline_ms(&w->session);
    uint64_t pace_ms = ws_pace_tick(w, now_ms);
    if (pace_ms < deadline_ms) deadline_ms = pace_ms;
    ws_push_when_due(w); /* where there was no memory to wait for its turn */
    if (w->drain_at_ms < deadline_ms) deadline_ms = w->drain_at_ms;
    uint64_t check_ms = receiver_check_ms(w->loop, &w->receiver, now_ms);
    return check_ms < deadline_ms ? check_ms : deadline_ms;
}

void ws_take_settings(struct ws *w)
{
    const struct config_limits *limits = &w->loop->config->limits;
    w->receiving.bytes_max = limits->message_bytes + JSON_PADDING;
    push_queue_limit(&w->pushes, limits->session_queue_frames, limits->session_queue_bytes);
    ws_recheck_soon(w); /* whoever was let in by other rules */
}

void ws_drain(struct ws *w, uint64_t at_ms)
{
    w->drain_at_ms = at_ms;
    loop_wake_at(w->loop, at_ms);
}

bool ws_is_session(const struct subscriber *s)
{
    return s->deliver == deliver;
}

bool ws_proven_watermark(const struct subscriber *s, struct hlc *ret)
{
    assert(ws_is_session(s));
    const struct ws *w = (const struct ws *)((const char *)s - offsetof(struct ws, subscriber));
    *ret = w->session.proven;
    return w->session.has_proven;
}
