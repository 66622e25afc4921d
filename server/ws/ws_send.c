#include "server/ws/ws_internal.h"

#include <assert.h>
#include <stdlib.h>

void ws_want_write(struct ws *w)
{
    (void)lws_callback_on_writable(w->wsi); /* fails only for a connection that is closing */
}

bool ws_queue_text(struct ws *w, struct slice text)
{
    struct ws_text *t = text.bytes == NULL ? NULL : malloc(sizeof *t + LWS_PRE + text.len);
    if (t == NULL) { /* an answer that cannot be given must not be waited for */
        w->closing = true;
        w->close_code = CLOSE_INTERNAL;
        ws_want_write(w);
        return false;
    }
    t->next = NULL;
    t->len = text.len;
    memcpy(t->bytes + LWS_PRE, text.bytes, text.len);
    *w->texts_end = t;
    w->texts_end = &t->next;
    w->texts_bytes += sizeof *t + LWS_PRE + text.len;
    ws_want_write(w);
    return true;
}

void ws_free_output(struct ws *w)
{
    while (w->texts != NULL) {
        struct ws_text *t = w->texts;
        w->texts = t->next;
        free(t);
    }
    frame_unref(w->pushing);
    w->pushing = NULL;
    push_queue_deinit(&w->pushes);
}

/* Sends len bytes that have LWS_PRE of room before them, as a whole message or a part of one. */
static int send_part(struct ws *w, unsigned char *bytes, size_t len, bool first, bool last)
{
    int flags = lws_write_ws_flags(LWS_WRITE_TEXT, first, last);
    counter_add(&w->loop->server->metrics.send_bytes, len);
    return lws_write(w->wsi, bytes, len, (enum lws_write_protocol)flags) < 0 ? -1 : 0;
}

static int send_text(struct ws *w)
{
    struct ws_text *t = w->texts;
    w->texts = t->next;
    if (w->texts == NULL) w->texts_end = &w->texts;
    bool held = ws_holds_input(w);
    w->texts_bytes -= sizeof *t + LWS_PRE + t->len;
    if (held && !ws_holds_input(w)) ws_settle(w);
    int failed = send_part(w, t->bytes + LWS_PRE, t->len, true, true);
    free(t);
    return failed;
}

/* ---- pacing */

/* A message of that many bytes has left that the client has to apply. */
static void facts_sent(struct ws *w, size_t bytes)
{
    uint32_t pause_ms = w->loop->config->sync.push_pause_ms;
    if (pause_ms > 0) push_pace_sent(&w->push_pace, push_pace_pause_ms(pause_ms, bytes));
}

static int send_ping(struct ws *w)
{
    unsigned char bytes[LWS_PRE + PACE_PING_BYTES];
    push_pace_ping(&w->push_pace, bytes + LWS_PRE);
    return lws_write(w->wsi, bytes + LWS_PRE, PACE_PING_BYTES, LWS_WRITE_PING) < 0 ? -1 : 0;
}

/* ---- deltas and snapshots */

static int send_piece(struct ws *w)
{
    struct sync_metrics *m = &w->loop->server->metrics;
    const struct read_piece *piece = read_stream_piece(w->stream);
    bool is_delta = w->session.reading == READING_DELTA, last = piece->last;
    counter_add(&m->snapshot_chunks, piece->chunk_count);
    unsigned char *bytes = (unsigned char *)piece->bytes.bytes; /* not const: room for the frame's head */
    w->stream_ready = false;
    if (is_delta) w->in_delta = !last;
    if (is_delta) w->delta_bytes = (piece->first ? 0 : w->delta_bytes) + piece->bytes.len;
    /* A delta is one message in many fragments; each chunk of a snapshot is a message of its own. */
    if ((piece->bytes.len > 0 || last) &&
        send_part(w, bytes, piece->bytes.len, !is_delta || piece->first, !is_delta || last) != 0)
        return -1;
    if (!last) {
        read_stream_next(w->stream, lws_partial_buffered(w->wsi) == 0);
        return 0;
    }
    struct session_read_result result = {.rc = SYNC_OK};
    if (is_delta) {
        result.has_more = piece->delta.has_more;
        if (result.has_more) counter_add(&m->limit_hits[LIMIT_DELTA_BYTES], 1);
        result.watermark = piece->delta.watermark;
        facts_sent(w, w->delta_bytes);
    }
    ws_read_finished(w, &result);
    return 0;
}

/* ---- pushes */

static size_t put(struct ws *w, size_t at, const char *bytes, size_t len)
{
    assert(len <= LOOP_SEND_BYTES - at);
    memcpy(w->loop->scratch + LWS_PRE + at, bytes, len);
    return at + len;
}

static void push_sent(struct ws *w, size_t bytes, bool migrations)
{
    struct loop *l = w->loop;
    counter_add(&l->server->metrics.push_messages, 1);
    facts_sent(w, bytes);
    if (migrations) push_pace_rest(&w->push_pace, l->config->sync.migration_pause_ms, loop_now_ms(l));
}

/* Puts as many waiting frames as fit into one message. */
static int send_merged(struct ws *w)
{
    static const size_t tail_len = sizeof MESSAGE_SETS_TAIL - 1;
    size_t at = put(w, 0, MESSAGE_PUSH_HEAD, sizeof MESSAGE_PUSH_HEAD - 1);
    bool first = true, migrations = false;
    const struct frame *f;
    while (!migrations && (f = push_queue_peek(&w->pushes)) != NULL &&
           f->sets.len + tail_len + 1 <= LOOP_SEND_BYTES - at) {
        if (!first) at = put(w, at, ",", 1);
        at = put(w, at, f->sets.bytes, f->sets.len);
        migrations = f->has_migrations;
        first = false;
        frame_unref(push_queue_take(&w->pushes));
    }
    assert(!first); /* a frame that is longer goes out in parts */
    at = put(w, at, MESSAGE_SETS_TAIL, tail_len);
    push_sent(w, at, migrations);
    return send_part(w, w->loop->scratch + LWS_PRE, at, true, true);
}

/* A frame longer than the scratch buffer: a message of its own, in fragments. */
static int send_part_of_frame(struct ws *w)
{
    static const size_t tail_len = sizeof MESSAGE_SETS_TAIL - 1;
    struct frame *f = w->pushing;
    bool first = w->pushed_bytes == 0;
    size_t at = first ? put(w, 0, MESSAGE_PUSH_HEAD, sizeof MESSAGE_PUSH_HEAD - 1) : 0;
    size_t left = f->sets.len - w->pushed_bytes, room = LOOP_SEND_BYTES - at - tail_len;
    size_t len = left < room ? left : room;
    at = put(w, at, f->sets.bytes + w->pushed_bytes, len);
    w->pushed_bytes += len;
    bool last = w->pushed_bytes == f->sets.len;
    if (last) {
        at = put(w, at, MESSAGE_SETS_TAIL, tail_len);
        push_sent(w, f->sets.len, f->has_migrations);
        w->pushing = NULL;
        frame_unref(f);
    }
    return send_part(w, w->loop->scratch + LWS_PRE, at, first, last);
}

static int send_push(struct ws *w)
{
    const struct frame *f = push_queue_peek(&w->pushes);
    if (f->sets.len + sizeof MESSAGE_PUSH_HEAD + sizeof MESSAGE_SETS_TAIL < LOOP_SEND_BYTES)
        return send_merged(w);
    w->pushing = push_queue_take(&w->pushes);
    w->pushed_bytes = 0;
    return send_part_of_frame(w);
}

static bool may_push(const struct ws *w)
{
    return w->pushes.count > 0 && loop_now_ms(w->loop) >= push_pace_due_ms(&w->push_pace);
}

void ws_push_when_due(struct ws *w)
{
    uint64_t due_ms = push_pace_due_ms(&w->push_pace);
    if (w->pushes.count == 0 || w->has_turn) return;
    if (loop_now_ms(w->loop) >= due_ms) {
        ws_want_write(w);
    } else if (due_ms != UINT64_MAX) { /* else its pong is waited for */
        w->has_turn = loop_push_at(w->loop, w->id, due_ms);
        if (!w->has_turn) loop_wake_at(w->loop, due_ms);
    }
}

void ws_push_turn(struct ws *w)
{
    w->has_turn = false;
    ws_push_when_due(w); /* a later time may hold by now */
}

/* ---- one write */

/* Begins the closing handshake. Returning -1 from the callback would do the same, but libwebsockets 4.1
 * closes twice there, and the second time cuts the connection before its close frame has left. */
static int close_now(struct ws *w)
{
    if (w->close_sent) return 0;
    w->close_sent = true;
    lws_close_reason(w->wsi, (enum lws_close_status)w->close_code, NULL, 0);
    lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    return 0;
}

static void caught_up(struct ws *w)
{
    struct session_update u;
    gauge_add(&w->loop->server->metrics.sessions_lagging, -1);
    w->lag_counted = false;
    hub_mute(&w->loop->hub, &w->subscriber, false);
    session_drained(&w->session, loop_now_ms(w->loop), &u);
    ws_carry_out(w, &u);
}

int ws_writeable(struct ws *w)
{
    int failed = 0;
    if (w->close_sent) return 0;
    if (w->pushing != NULL) {
        failed = send_part_of_frame(w);
    } else if (w->in_delta) {
        if (w->closing) return close_now(w); /* its message can never be completed */
        if (w->stream_ready) failed = send_piece(w);
    } else if (push_pace_asks(&w->push_pace)) {
        failed = send_ping(w);
    } else if (w->texts != NULL) {
        failed = send_text(w);
    } else if (w->closing) {
        return close_now(w);
    } else if (w->stream_ready) {
        failed = send_piece(w);
    } else if (w->lag_counted && push_pace_is_read(&w->push_pace)) {
        caught_up(w); /* called back with nothing left to send: the socket has taken it all */
    } else if (may_push(w)) {
        failed = send_push(w);
        /* A callback of its own would cost more than the ping does. */
        bool may_ping = failed == 0 && w->pushing == NULL && push_pace_asks(&w->push_pace);
        if (may_ping && !lws_partial_buffered(w->wsi)) failed = send_ping(w);
    }
    if (failed != 0) return -1;
    bool waits_for_piece = w->in_delta && !w->stream_ready && !w->closing;
    bool more = w->pushing != NULL || push_pace_asks(&w->push_pace) || w->texts != NULL || w->closing ||
                w->stream_ready || (w->lag_counted && push_pace_is_read(&w->push_pace)) || may_push(w);
    if (more && !waits_for_piece) ws_want_write(w);
    if (!may_push(w)) ws_push_when_due(w);
    return 0;
}
