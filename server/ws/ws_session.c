#include "server/base/system.h"
#include "server/hooks/hook_admit.h"
#include "server/hooks/hook_apply.h"
#include "server/store/store_thread.h"
#include "server/ws/ws_internal.h"
#include "storage/shard/shard_import.h"
#include "storage/views/view.h"

#include <assert.h>
#include <stdlib.h>

/* The metrics' label for each of the session's reasons. */
static enum nudge_reason reason_of(enum nudge_cause cause)
{
    switch (cause) {
    case NUDGED_BULK: return NUDGE_BULK;
    case NUDGED_SNAPSHOT: return NUDGE_SNAPSHOT;
    case NUDGED_LAGGING: return NUDGE_LAGGING;
    case NUDGED_PERIODIC: return NUDGE_PERIODIC;
    case NUDGED_PAGE: break;
    }
    return NUDGE_PAGE;
}

/* ---- the handshake: who is it, and what is the database's site id? */

struct open_job {
    struct presence_wait wait; /* first; its job is also the one that looks the database up */
    uint64_t asker;
    struct shard *shard;
    struct site_id site, server_site;
    bool asks; /* for what the site has */
    size_t database_len;
    char database[DATABASE_ID_MAX];
};

static void open_run(struct job *job)
{
    struct open_job *j = (struct open_job *)job;
    struct view *v = NULL;
    bool asked = true;
    job->rc = view_open(j->shard, slice_of(j->database, j->database_len), &v, &job->ec);
    if (job->rc == SYNC_OK && view_database(v)->asks)
        job->rc = view_site_was_asked(v, &j->site, &asked, &job->ec);
    if (job->rc == SYNC_OK) j->server_site = view_database(v)->server_site;
    j->asks = !asked;
    view_close(v);
}

void ws_opened(struct ws *w, enum sync_err rc, struct err_ctx *ec, const struct site_id *server_site)
{
    struct session_update u;
    /* Subscribed before the client is told, so that nothing falls between its first delta and the pushes. */
    w->subscriber.site = w->session.site;
    if (rc == SYNC_OK && !hub_subscribe(&w->loop->hub, session_database(&w->session), &w->subscriber))
        rc = err_set(ec, SYNC_ENOMEM, "out of memory");
    if (rc == SYNC_EAUTH || rc == SYNC_EFORBIDDEN) {
        counter_add(&w->loop->server->metrics.auth_failures, 1);
        log_warn(&w->logger, LOG_AUTH, "auth.refused", LOG_SLICE("db", session_database(&w->session)),
                 LOG_FAILURE(ec));
    } else if (rc != SYNC_OK) {
        log_error(&w->logger, LOG_WS, "ws.open_failed", LOG_SLICE("db", session_database(&w->session)),
                  LOG_FAILURE(ec));
    } else {
        log_debug(&w->logger, LOG_WS, "ws.handshake", LOG_SLICE("db", session_database(&w->session)));
    }
    session_opened(&w->session, rc, ec, server_site, system_random_u64(), loop_now_ms(w->loop), &u);
    ws_carry_out(w, &u);
}

static void open_done(struct job *job)
{
    struct open_job *j = (struct open_job *)job;
    struct ws *w = id_table_get(&job->home->sessions, j->asker);
    if (w != NULL) {
        struct session_update u;
        bool asks = job->rc == SYNC_OK && j->asks;
        ws_opened(w, job->rc, &job->ec, &j->server_site);
        if (asks) {
            session_ask(&w->session, loop_now_ms(w->loop), &u);
            ws_carry_out(w, &u);
        }
    }
    free(j);
}

/* The database is on this machine. */
static void look_up(struct ws *w, struct open_job *j)
{
    w->inside = true;
    j->wait.job.rc = SYNC_OK;
    j->wait.job.run = open_run;
    j->wait.job.done = open_done;
    worker_pool_put(&w->loop->server->readers, &j->wait.job);
}

static void enter_done(struct job *job)
{
    struct open_job *j = (struct open_job *)job;
    struct ws *w = id_table_get(&job->home->sessions, j->asker);
    if (w != NULL && job->rc == SYNC_OK) {
        look_up(w, j);
        return;
    }
    if (w != NULL) ws_opened(w, job->rc, &job->ec, NULL);
    if (w == NULL && job->rc == SYNC_OK)
        presence_leave(&job->home->server->presence, slice_of(j->database, j->database_len));
    free(j);
}

void ws_find_database(struct ws *w)
{
    struct err_ctx ec;
    struct slice database = session_database(&w->session);
    struct open_job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        ws_opened(w, err_set(&ec, SYNC_ENOMEM, "out of memory"), &ec, NULL);
        return;
    }
    j->wait.job.home = w->loop;
    j->wait.job.done = enter_done;
    j->asker = w->id;
    j->site = w->session.site;
    j->shard = server_shard(w->loop->server, database);
    j->database_len = database.len;
    memcpy(j->database, database.bytes, database.len);
    if (presence_enter(&w->loop->server->presence, database, &j->wait)) look_up(w, j);
}

/* The built-in check comes first: a token that it does not know never reaches a hook. */
static void start_open(struct ws *w, const struct message *handshake)
{
    struct err_ctx ec;
    struct server *s = w->loop->server;
    counter_add(&s->metrics.auth_attempts, 1);
    enum sync_err rc = hook_check_token(w->loop, handshake->token, &ec);
    if (rc != SYNC_OK)
        ws_opened(w, rc, &ec, NULL);
    else if (hook_gate_runner(&s->hooks) != NULL)
        ws_ask_to_enter(w, handshake);
    else
        ws_find_database(w);
}

/* ---- batches */

static void applied(struct ws *w, const struct message *m, size_t fact_count, enum sync_err rc,
                    const struct err_ctx *ec, const struct merge_result *result, struct slice rejected)
{
    struct session_update u;
    if (rc != SYNC_OK && err_http_status(rc) >= 500) session_retry_later(&w->session, loop_now_ms(w->loop));
    session_applied(&w->session, m->request_id, fact_count, rc, ec, result, rejected, loop_now_ms(w->loop),
                    &u);
    ws_carry_out(w, &u);
}

/* The acknowledgement: see store/apply.h for what makes it true. */
static void apply_finished(struct loop *l, const struct apply_job *j)
{
    struct ws *w = id_table_get(&l->sessions, j->asker);
    if (w == NULL) return;
    applied(w, j->message, j->extra.fact_count, j->store.job.rc, &j->store.job.ec, &j->request.result,
            buf_slice(&j->extra.rejected));
}

static void apply_refused(struct loop *l, uint64_t asker, const struct message *m, enum sync_err rc,
                          const struct err_ctx *ec)
{
    struct ws *w = id_table_get(&l->sessions, asker);
    if (w == NULL) return;
    log_debug(&w->logger, LOG_SERVICE, "apply.refused", LOG_FAILURE(ec));
    applied(w, m, m->batch.fact_count, rc, ec, NULL, slice_of(NULL, 0));
}

static void apply_judged(struct loop *l, uint64_t asker)
{
    struct ws *w = id_table_get(&l->sessions, asker);
    if (w != NULL) w->judging--;
}

static void start_apply(struct ws *w, struct message *m)
{
    const struct apply_asker who = {
        .asker = w->id,
        .identity = ws_identity(w),
        .database = session_database(&w->session),
        .site = w->session.site,
        .behind = w->judging > 0,
        .finished = apply_finished,
        .refused = apply_refused,
        .judged = apply_judged,
    };
    w->judging++;
    if (!hook_apply(w->loop, &who, m)) apply_judged(w->loop, who.asker);
}

/* ---- deltas and snapshots */

void ws_read_finished(struct ws *w, const struct session_read_result *result)
{
    struct session_update u;
    read_stream_release(w->stream);
    w->stream = NULL;
    w->stream_ready = w->in_delta = false;
    if (err_http_status(result->rc) >= 500) session_retry_later(&w->session, loop_now_ms(w->loop));
    session_read_done(&w->session, result, loop_now_ms(w->loop), &u);
    ws_carry_out(w, &u);
}

/* A `changes` message that has begun cannot be taken back or completed: only closing tells the client that it
 * is not whole. It comes back and asks again. */
static void break_off(struct ws *w, const struct err_ctx *ec)
{
    log_error(&w->logger, LOG_WS, "delta.broken_off", LOG_SLICE("db", session_database(&w->session)),
              LOG_FAILURE(ec));
    w->closing = true;
    w->close_code = CLOSE_INTERNAL;
    w->session.state = SESSION_CLOSED;
    ws_want_write(w);
}

static void on_piece(struct loop *l, uint64_t asker, struct read_stream *s)
{
    struct ws *w = id_table_get(&l->sessions, asker);
    const struct read_piece *piece = read_stream_piece(s);
    assert(w != NULL && w->stream == s); /* a connection that goes releases its stream */
    if (piece->rc != SYNC_OK) {
        if (w->in_delta) {
            break_off(w, &piece->ec);
            return;
        }
        log_error(&w->logger, LOG_WS, "read.failed", LOG_SLICE("db", session_database(&w->session)),
                  LOG_FAILURE(&piece->ec));
        struct err_ctx ec = piece->ec; /* the piece goes with its stream */
        ws_read_finished(w, &(struct session_read_result){.rc = piece->rc, .ec = &ec});
        return;
    }
    if (piece->first && piece->delta.pruned) {
        struct session_update u;
        session_pruned(&w->session, &u);
        ws_carry_out(w, &u);
    }
    w->stream_ready = true;
    ws_want_write(w);
}

static void no_stream(struct ws *w)
{
    struct err_ctx ec;
    enum sync_err rc = err_set(&ec, SYNC_ENOMEM, "out of memory");
    ws_read_finished(w, &(struct session_read_result){.rc = rc, .ec = &ec});
}

void ws_begin_read(struct ws *w)
{
    struct ws_read *r = &w->read;
    const struct delta_request request = {
        .database = session_database(&w->session),
        .asker = w->session.site,
        .has_since = r->has_since,
        .since = r->since,
        .page_bytes_max = w->loop->config->limits.delta_bytes,
        .bare = r->as_push,
    };
    if (r->as_push) {
        counter_add(&w->loop->server->metrics.catch_ups, 1);
        log_info(&w->logger, LOG_WS, "session.catch_up", LOG_SLICE("db", request.database),
                 LOG_STR("why", "it did not ask for what it lacks"));
    }
    struct message *checkpoint = r->checkpoint;
    r->checkpoint = NULL;
    w->session.reads_denied = false; /* from here on a push that it is not sent would be missed */
    w->stream =
        r->kind == READING_DELTA
            ? read_stream_delta(w->loop, r->as_push ? READ_WS_PUSH : READ_WS_DELTA, &request, w->id, on_piece)
            : read_stream_snapshot(w->loop, READ_WS_SNAPSHOT, request.database, checkpoint, w->id, on_piece);
    if (w->stream == NULL)
        no_stream(w);
    else if (r->cut)
        read_stream_cut(w->stream);
}

static void start_read(struct ws *w, enum session_reading kind, struct session_action *a)
{
    w->read = (struct ws_read){.kind = kind,
                               .has_since = a->has_since,
                               .since = a->since,
                               .as_push = a->as_push,
                               .checkpoint = a->message};
    a->message = NULL;
    if (hook_gate_has(&w->loop->server->hooks, HOOK_AUTHORIZE))
        ws_ask_to_read(w);
    else
        ws_begin_read(w);
}

/* ---- a site that was asked for what it has */

struct asked_job {
    struct store_job store; /* first */
    struct site_id site;
    size_t database_len;
    char database[DATABASE_ID_MAX];
};

static void asked_run(struct job *job)
{
    struct asked_job *j = (struct asked_job *)job;
    job->rc = shard_site_asked(j->store.shard, slice_of(j->database, j->database_len), &j->site, &job->ec);
}

static void asked_done(struct job *job)
{
    struct asked_job *j = (struct asked_job *)job;
    if (job->rc != SYNC_OK)
        log_warn(&job->home->server->logger, LOG_WS, "ws.asked_not_noted",
                 LOG_SLICE("db", slice_of(j->database, j->database_len)), LOG_FAILURE(&job->ec),
                 LOG_STR("next", "the site is asked once more when it connects again"));
    free(j);
}

static void site_asked(struct ws *w)
{
    struct slice database = session_database(&w->session);
    struct asked_job *j = calloc(1, sizeof *j);
    if (j == NULL) return; /* it is asked once more */
    j->store.job.home = w->loop;
    j->store.job.run = asked_run;
    j->store.job.done = asked_done;
    j->site = w->session.site;
    j->database_len = database.len;
    memcpy(j->database, database.bytes, database.len);
    database = slice_of(j->database, j->database_len); /* the job outlives the session */
    store_thread_put(server_store_thread(w->loop->server, database), database, &j->store);
}

/* ---- what the session decided */

static void hold_input(struct ws *w, bool hold)
{
    if (w->held == hold) return;
    w->held = hold;
    (void)lws_rx_flow_control(w->wsi, hold ? 0 : 1); /* fails only for a connection that is closing */
}

static void carry_out(struct ws *w, struct session_action *a)
{
    switch (a->type) {
    case SESSION_SEND: /* a text that found no room for all of it is none */
        (void)ws_queue_text(w, a->text.failed == SYNC_OK ? buf_slice(&a->text) : slice_of(NULL, 0));
        break;
    case SESSION_OPEN: start_open(w, a->message); break;
    case SESSION_RECHECK: ws_recheck(w); break;
    case SESSION_APPLY:
        start_apply(w, a->message);
        a->message = NULL;
        break;
    case SESSION_DELTA: start_read(w, READING_DELTA, a); break;
    case SESSION_CUT:
        w->read.cut = true;
        if (w->stream != NULL) read_stream_cut(w->stream);
        break;
    case SESSION_SNAPSHOT: start_read(w, READING_SNAPSHOT, a); break;
    case SESSION_HOLD:
        if (w->session.state == SESSION_LIVE)
            counter_add(&w->loop->server->metrics.limit_hits[LIMIT_REQUESTS_IN_FLIGHT], 1);
        hold_input(w, true);
        break;
    case SESSION_ASKED: site_asked(w); break;
    case SESSION_RELEASE: break; /* ws_settle() works through what came meanwhile */
    case SESSION_CLOSE:
        w->closing = true;
        w->close_code = a->close_code;
        ws_want_write(w);
        break;
    }
}

void ws_carry_out(struct ws *w, struct session_update *u)
{
    if (u->nudged) {
        counter_add(&w->loop->server->metrics.nudges[reason_of(u->cause)], 1);
        log_debug(&w->logger, LOG_WS, "ws.nudge", LOG_U64("cause", u->cause));
    }
    for (size_t i = 0; i < u->count; i++) carry_out(w, &u->actions[i]);
    session_update_deinit(u);
    ws_settle(w);
}

static void process(struct ws *w, struct message *m, const struct err_ctx *ec)
{
    struct session_update u;
    if (m == NULL) {
        log_debug(&w->logger, LOG_WS, "ws.unreadable", LOG_FAILURE(ec));
        session_broken_message(&w->session, ec, &u);
    } else {
        session_message(&w->session, m, loop_now_ms(w->loop), &u);
    }
    ws_carry_out(w, &u);
}

bool ws_holds_input(const struct ws *w)
{
    return w->session.holds_input || w->texts_bytes > WS_TEXTS_BYTES_MAX;
}

/* Input that is held back may still bring what the library had already read: it waits here, bounded by one
 * read of the socket. */
void ws_take_message(struct ws *w, struct message *m, const struct err_ctx *ec)
{
    if (!ws_holds_input(w) && w->late == NULL && !ws_must_wait(w, m)) {
        process(w, m, ec);
        return;
    }
    struct ws_late *late = malloc(sizeof *late);
    if (late == NULL) {
        if (m != NULL) message_deinit(m);
        free(m);
        w->closing = true;
        w->close_code = CLOSE_INTERNAL;
        ws_want_write(w);
        return;
    }
    *late = (struct ws_late){.message = m};
    if (m == NULL) late->ec = *ec;
    *w->late_end = late;
    w->late_end = &late->next;
    if (w->paced) ws_settle(w); /* which holds the input back */
}

static void work_through_late(struct ws *w)
{
    if (w->working) return;
    w->working = true;
    while (w->late != NULL && !ws_holds_input(w) && !w->closing && !ws_must_wait(w, w->late->message)) {
        struct ws_late *late = w->late;
        w->late = late->next;
        if (w->late == NULL) w->late_end = &w->late;
        process(w, late->message, &late->ec);
        free(late);
    }
    w->working = false;
    hold_input(w, ws_holds_input(w) || w->paced || w->draining || w->receiver.waiting);
}

void ws_overflowed(struct ws *w)
{
    struct sync_metrics *m = &w->loop->server->metrics;
    bool in_frames = w->pushes.count >= w->pushes.frames_max;
    size_t dropped = push_queue_drop(&w->pushes);
    session_lagged(&w->session);
    hub_mute(&w->loop->hub, &w->subscriber, true); /* it takes no pushes until it has drained */
    if (!w->lag_counted) gauge_add(&m->sessions_lagging, 1);
    w->lag_counted = true;
    counter_add(&m->session_overflows, 1);
    counter_add(&m->limit_hits[in_frames ? LIMIT_SESSION_QUEUE_FRAMES : LIMIT_SESSION_QUEUE_BYTES], 1);
    log_warn(&w->logger, LOG_WS, "session.lagging", LOG_SLICE("db", session_database(&w->session)),
             LOG_U64("dropped_bytes", dropped), LOG_STR("next", "nudged when its socket has drained"));
    ws_want_write(w); /* called back when there is room: then it has drained */
}

void ws_settle(struct ws *w)
{
    if (!w->closing) work_through_late(w);
    if (w->draining && !w->closing && w->session.applies_begun == w->session.applies_done) {
        w->closing = true;
        w->close_code = CLOSE_GOING_AWAY;
        w->session.state = SESSION_CLOSED;
        ws_want_write(w);
    }
    loop_wake_at(w->loop, session_deadline_ms(&w->session));
}
