#include "core/protocol/session.h"

#include "core/base/utf8.h"

#include <assert.h>
#include <stdlib.h>

enum { TEXT_BYTES_MAX = 1 << 20 }; /* of one control message: bounded by what goes into it */

/* ---- actions */

static struct session_action *add(struct session_update *u, enum session_action_type type)
{
    assert(u->count < SESSION_ACTIONS_MAX);
    struct session_action *a = &u->actions[u->count++];
    *a = (struct session_action){.type = type, .text = buf_make(TEXT_BYTES_MAX)};
    return a;
}

static struct buf *add_send(struct session_update *u)
{
    return &add(u, SESSION_SEND)->text;
}

static void add_error(struct session_update *u, const char *code, const char *text, bool fatal)
{
    message_put_error(add_send(u), code, text, fatal);
}

static void add_close(struct session *s, struct session_update *u, uint16_t code)
{
    add(u, SESSION_CLOSE)->close_code = code;
    s->state = SESSION_CLOSED;
}

static void add_ack(struct session *s, struct session_update *u)
{
    message_put_handshake_ack(add_send(u), session_database(s), &s->server_site, s->connection_id);
}

static void nudge(struct session *s, enum nudge_cause cause, struct session_update *u)
{
    add_ack(s, u);
    u->nudged = true;
    u->cause = cause;
}

/* Input is held while the database is looked up, and while as much is in flight as one session may have. */
static void settle_input(struct session *s, struct session_update *u)
{
    bool hold = s->state == SESSION_OPENING || s->expired ||
                s->applies_begun - s->applies_done >= s->config->requests_max ||
                s->read_count == SESSION_READS_MAX;
    if (hold) s->page.was_held = s->catch_up.was_held = true;
    if (s->state == SESSION_CLOSED || hold == s->holds_input) return;
    s->holds_input = hold;
    (void)add(u, hold ? SESSION_HOLD : SESSION_RELEASE);
}

void session_update_deinit(struct session_update *u)
{
    for (size_t i = 0; i < u->count; i++) {
        buf_deinit(&u->actions[i].text);
        if (u->actions[i].message != NULL) message_deinit(u->actions[i].message);
        free(u->actions[i].message);
    }
    u->count = 0;
}

static void free_message(struct message *m)
{
    if (m != NULL) message_deinit(m);
    free(m);
}

void session_init(struct session *s, const struct session_config *config, const char *connection_id,
                  uint64_t now_ms)
{
    *s = (struct session){
        .config = config, .expires_ms = UINT64_MAX, .recheck_ms = UINT64_MAX, .recheck_ends_ms = UINT64_MAX};
    assert(strlen(connection_id) <= CONNECTION_ID_TEXT);
    strcpy(s->connection_id, connection_id);
    s->handshake_deadline_ms = now_ms + config->handshake_timeout_ms;
}

void session_deinit(struct session *s)
{
    while (s->read_count > 0) {
        free_message(s->reads[s->read_first].message);
        s->read_first = (s->read_first + 1) % SESSION_READS_MAX;
        s->read_count--;
    }
    free(s->database);
    s->database = NULL;
}

bool database_id_is_valid(struct slice id)
{
    if (id.len == 0 || id.len > DATABASE_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.bytes[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '_' && c != ':' && c != '.' && c != '-') return false;
    }
    return true;
}

bool database_id_is_text(struct slice id)
{
    size_t at = 0, step = 1;
    if (id.len == 0 || id.len > DATABASE_ID_BYTES_MAX) return false;
    for (; at < id.len && step > 0; at += step) {
        unsigned char c = (unsigned char)id.bytes[at];
        if (c < ' ' || c == 0x7f) return false;
        step = utf8_len(id.bytes + at, id.len - at);
        if (step == 2 && c == 0xc2 && (unsigned char)id.bytes[at + 1] < 0xa0) return false; /* C1 controls */
    }
    return step > 0;
}

bool session_takes_pushes(const struct session *s)
{
    return s->state == SESSION_LIVE && s->reading != READING_SNAPSHOT && !s->lagging && !s->reads_denied &&
           !s->expired;
}

/* ---- reads, one at a time */

static void begin_delta(struct session *s, bool has_since, const struct hlc *since, struct session_update *u)
{
    assert(s->reading == READING_NONE);
    s->reading = READING_DELTA;
    s->page.state = PAGE_NONE;
    s->delta_has_since = has_since;
    if (has_since) s->delta_since = *since;
    struct session_action *a = add(u, SESSION_DELTA);
    a->has_since = has_since;
    a->since = s->delta_since;
}

/* Starts the read that waits longest, if nothing is being read and the batches before it are answered. */
static void start_read(struct session *s, struct session_update *u)
{
    struct session_read *r = &s->reads[s->read_first];
    if (s->state != SESSION_LIVE || s->expired || s->reading != READING_NONE || s->page.state != PAGE_NONE ||
        s->read_count == 0 || s->applies_done < r->after_applies)
        return;
    struct message *m = r->message;
    r->message = NULL;
    s->read_first = (s->read_first + 1) % SESSION_READS_MAX;
    s->read_count--;
    if (r->kind == READING_DELTA) {
        begin_delta(s, r->has_since, &r->since, u);
    } else {
        s->reading = READING_SNAPSHOT;
        add(u, SESSION_SNAPSHOT)->message = m;
    }
}

static void queue_read(struct session *s, const struct session_read *r)
{
    assert(s->read_count < SESSION_READS_MAX); /* input is held before it is full */
    struct session_read *slot = &s->reads[(s->read_first + s->read_count++) % SESSION_READS_MAX];
    *slot = *r;
    slot->after_applies = s->applies_begun;
}

/* Forgets deltas that wait: they are answered by pages that follow, or cancelled by a snapshot. */
static void drop_waiting_deltas(struct session *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->read_count; i++) {
        struct session_read *r = &s->reads[(s->read_first + i) % SESSION_READS_MAX];
        if (r->kind == READING_DELTA) continue;
        s->reads[(s->read_first + kept++) % SESSION_READS_MAX] = *r;
    }
    s->read_count = kept;
}

/* ---- pages and their proof */

/* Does the client say that it lacks what came before the page just sent? It may, where that page followed one
 * that it never proved. */
static bool lacks_earlier(const struct session *s)
{
    for (size_t i = 0; i < s->read_count && s->delta_has_since; i++) {
        const struct session_read *r = &s->reads[(s->read_first + i) % SESSION_READS_MAX];
        if (r->kind == READING_DELTA && (!r->has_since || hlc_cmp(&r->since, &s->delta_since) < 0))
            return true;
    }
    return false;
}

static void begin_page_wait(struct session *s, uint64_t now_ms, struct session_update *u)
{
    nudge(s, NUDGED_PAGE, u);
    s->page.state = PAGE_WAITS;
    s->page.nudges++;
    s->page.was_held = s->holds_input;
    s->page.deadline_ms = now_ms + s->config->page_proof_timeout_ms;
}

/* A get_changes while a page waits. Below the page's watermark the client has not applied it yet, or could
 * not: it is given time, asked again, and in the end sent the page once more. */
static void answer_page(struct session *s, const struct message *m, uint64_t now_ms, struct session_update *u)
{
    struct page_proof *p = &s->page;
    bool has_since = m->since_state.has;
    if (has_since && hlc_cmp(&m->since, &p->watermark) >= 0) {
        begin_delta(s, true, &m->since, u);
        return;
    }
    p->has_answer = true;
    p->answer_has_since = has_since;
    p->answer_since = m->since;
    if (p->state == PAGE_PAUSES) return;
    if (p->nudges == PAGE_NUDGES_MAX) {
        begin_delta(s, has_since, &m->since, u);
        return;
    }
    p->state = PAGE_PAUSES;
    p->deadline_ms = now_ms + ((uint64_t)PAGE_PAUSE_MS << 2 * (p->nudges - 1));
}

static void tick_page(struct session *s, uint64_t now_ms, struct session_update *u)
{
    struct page_proof *p = &s->page;
    if (p->state == PAGE_NONE || now_ms < p->deadline_ms) return;
    if (p->state == PAGE_PAUSES) {
        begin_page_wait(s, now_ms, u);
    } else if (p->was_held) { /* the answer may lie where nobody looked: only time with open ears counts */
        p->was_held = s->holds_input;
        p->deadline_ms = now_ms + s->config->page_proof_timeout_ms;
    } else if (p->has_answer) { /* it does answer, so it is owed what it last said it lacks */
        begin_delta(s, p->answer_has_since, &p->answer_since, u);
    } else { /* not a stock client: it takes pages as they come */
        begin_delta(s, true, &p->watermark, u);
    }
}

/* ---- who lagged */

/* Begins with what the client told last, or was pushed last. */
static void push_page(struct session *s, struct session_update *u)
{
    const struct catch_up *c = &s->catch_up;
    bool from_pushed = c->has_pushed && (!s->has_proven || hlc_cmp(&c->pushed, &s->proven) > 0);
    begin_delta(s, from_pushed || s->has_proven, from_pushed ? &c->pushed : &s->proven, u);
    u->actions[u->count - 1].as_push = true;
    s->catch_up.pushing = true;
}

static bool may_push_page(const struct session *s)
{
    return s->reading == READING_NONE && s->page.state == PAGE_NONE && s->read_count == 0;
}

static void await_answer(struct session *s, uint64_t now_ms, uint64_t timeout_ms)
{
    s->catch_up.waits = true;
    s->catch_up.was_held = s->holds_input;
    s->catch_up.deadline_ms = now_ms + timeout_ms;
}

static void tick_catch_up(struct session *s, uint64_t now_ms, struct session_update *u)
{
    struct catch_up *c = &s->catch_up;
    if (!c->waits || now_ms < c->deadline_ms) return;
    if (c->was_held || !may_push_page(s)) { /* not its silence, or it is being answered */
        await_answer(s, now_ms, s->config->catch_up_timeout_ms);
        return;
    }
    c->waits = false;
    c->deaf = true;
    push_page(s, u);
}

/* A page was handed to the socket, or could not be read. */
static void page_pushed(struct session *s, const struct session_read_result *result, uint64_t now_ms,
                        struct session_update *u)
{
    struct catch_up *c = &s->catch_up;
    if (result->rc != SYNC_OK) {
        await_answer(s, now_ms, RETRY_NUDGE_MS);
        return;
    }
    if (result->watermark.wall_ms > 0) { /* not of a page that found nothing new */
        c->has_pushed = true;
        c->pushed = result->watermark;
    }
    if (result->has_more && may_push_page(s)) push_page(s, u);
}

/* ---- messages */

static void refuse_handshake(struct session *s, const char *code, const char *text, uint16_t close_code,
                             struct session_update *u)
{
    add_error(u, code, text, true);
    add_close(s, u, close_code);
}

static void on_handshake(struct session *s, struct message **m, struct session_update *u)
{
    if (!(*m)->version_ok) {
        refuse_handshake(s, "PROTOCOL_VERSION_MISMATCH", "this server speaks protocol version 1",
                         CLOSE_VERSION, u);
        return;
    }
    if (s->state != SESSION_NEW) {
        add_error(u, "ALREADY_AUTHENTICATED", "this connection has had its handshake", true);
        return;
    }
    if (!(*m)->has_database_id) {
        refuse_handshake(s, "MISSING_DATABASE_ID", "handshake without a databaseId", CLOSE_NO_DATABASE, u);
        return;
    }
    if (!(*m)->site_state.has || (*m)->site_state.rc != SYNC_OK) {
        const char *text = (*m)->site_state.has ? (*m)->site_state.ec.text : "handshake without a siteId";
        refuse_handshake(s, "AUTH_FAILED", text, CLOSE_AUTH_FAILED, u);
        return;
    }
    struct slice id = (*m)->database_id;
    if (s->ids_by_hook ? !database_id_is_text(id) : !database_id_is_valid(id)) {
        refuse_handshake(s, "AUTH_FAILED", "invalid database id", CLOSE_AUTH_FAILED, u);
        return;
    }
    s->database = malloc((*m)->database_id.len);
    if (s->database == NULL) {
        add_error(u, "MESSAGE_ERROR", "out of memory", false);
        add_close(s, u, CLOSE_INTERNAL);
        return;
    }
    s->database_len = (*m)->database_id.len;
    memcpy(s->database, (*m)->database_id.bytes, s->database_len);
    s->site = (*m)->site;
    s->state = SESSION_OPENING;
    add(u, SESSION_OPEN)->message = *m; /* its token */
    *m = NULL;
}

static void on_get_changes(struct session *s, const struct message *m, uint64_t now_ms,
                           struct session_update *u)
{
    if (m->since_state.rc != SYNC_OK) {
        add_error(u, "GET_CHANGES_ERROR", m->since_state.ec.text, false);
        return;
    }
    s->has_proven = m->since_state.has;
    s->proven = m->since;
    s->catch_up.waits = s->catch_up.deaf = false;
    if (s->page.state != PAGE_NONE) {
        answer_page(s, m, now_ms, u);
        return;
    }
    queue_read(
        s, &(struct session_read){.kind = READING_DELTA, .has_since = m->since_state.has, .since = m->since});
}

static void on_apply_changes(struct session *s, struct message **m, struct session_update *u)
{
    const struct member_state *c = &(*m)->changes_state;
    if (!c->has || c->rc != SYNC_OK) {
        add_error(u, "APPLY_CHANGES_ERROR", c->has ? c->ec.text : "changes is missing", false);
        return;
    }
    if ((*m)->request_id.len > REQUEST_ID_BYTES_MAX) {
        add_error(u, "APPLY_CHANGES_ERROR", "requestId is over 64 KiB", false);
        return;
    }
    if ((*m)->request_id.len == 0) site_ask_answered(&s->ask, (*m)->batch.fact_count, &(*m)->batch.highest);
    s->applies_begun++;
    add(u, SESSION_APPLY)->message = *m;
    *m = NULL;
}

static void on_snapshot(struct session *s, struct message **m, struct session_update *u)
{
    struct session_read r = {.kind = READING_SNAPSHOT};
    if ((*m)->type == MESSAGE_RESUME_SNAPSHOT) {
        const struct member_state *c = &(*m)->checkpoint_state;
        if (!c->has || c->rc != SYNC_OK) {
            add_error(u, "SNAPSHOT_ERROR", c->has ? c->ec.text : "checkpoint is missing", false);
            return;
        }
        r.message = *m;
        *m = NULL;
    }
    drop_waiting_deltas(s);
    s->page.state = PAGE_NONE;
    if (s->reading == READING_DELTA) (void)add(u, SESSION_CUT);
    queue_read(s, &r);
}

void session_message(struct session *s, struct message *m, uint64_t now_ms, struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (s->state == SESSION_CLOSED) {
        free_message(m);
        return;
    }
    if (m->type == MESSAGE_HANDSHAKE) {
        on_handshake(s, &m, ret);
    } else if (m->type == MESSAGE_PING) {
        message_put_pong(add_send(ret));
    } else if (s->state != SESSION_LIVE) {
        add_error(ret, "NOT_AUTHENTICATED", "handshake first", false);
    } else {
        switch (m->type) {
        case MESSAGE_GET_CHANGES: on_get_changes(s, m, now_ms, ret); break;
        case MESSAGE_APPLY_CHANGES: on_apply_changes(s, &m, ret); break;
        case MESSAGE_GET_SNAPSHOT:
        case MESSAGE_RESUME_SNAPSHOT: on_snapshot(s, &m, ret); break;
        default: add_error(ret, "UNKNOWN_MESSAGE", "unknown message type", false);
        }
        start_read(s, ret);
    }
    settle_input(s, ret);
    free_message(m);
}

void session_broken_message(struct session *s, const struct err_ctx *ec, struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (s->state != SESSION_CLOSED) add_error(ret, "MESSAGE_ERROR", ec->text, false);
}

/* ---- what the server reports */

/* A tenth earlier or later, so that sessions that came together do not all ask together. */
static uint64_t spread_out(uint64_t interval_ms, uint64_t spread)
{
    uint64_t tenth = interval_ms / 10;
    return interval_ms - tenth + (tenth == 0 ? 0 : spread % (2 * tenth));
}

void session_identified(struct session *s, uint64_t recheck_ms, uint64_t expires_ms, uint64_t now_ms)
{
    uint64_t soonest_ms = now_ms + RECHECK_PAUSE_MS;
    s->expires_ms = expires_ms;
    s->recheck_ms = recheck_ms > soonest_ms ? recheck_ms : soonest_ms;
    if (s->recheck_ms > expires_ms) s->recheck_ms = expires_ms;
    s->recheck_ends_ms = UINT64_MAX;
}

void session_recheck_at(struct session *s, uint64_t recheck_ms)
{
    if (recheck_ms < s->recheck_ms) s->recheck_ms = recheck_ms;
}

void session_rechecked(struct session *s, enum sync_err rc, const struct err_ctx *ec, uint64_t recheck_ms,
                       uint64_t expires_ms, uint64_t now_ms, struct session_update *ret)
{
    *ret = (struct session_update){0};
    s->rechecking = false;
    if (s->state != SESSION_LIVE) return;
    bool undecided = rc == SYNC_EBUSY || rc == SYNC_ENOMEM;
    if (rc == SYNC_OK) {
        if (s->expired) s->renudge_ms = now_ms; /* pushes were kept from it meanwhile */
        s->expired = false;
        session_identified(s, recheck_ms, expires_ms, now_ms);
        start_read(s, ret);
    } else if (undecided && now_ms < s->recheck_ends_ms) {
        s->recheck_ms = now_ms + RECHECK_RETRY_MS;
    } else { /* not fatal: the client may come again with another token */
        add_error(ret, "AUTH_EXPIRED", ec->text, false);
        add_close(s, ret, CLOSE_AUTH_FAILED);
    }
    settle_input(s, ret);
}

void session_opened(struct session *s, enum sync_err rc, const struct err_ctx *ec,
                    const struct site_id *server_site, uint64_t spread, uint64_t now_ms,
                    struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (s->state != SESSION_OPENING) return;
    if (rc == SYNC_EAUTH || rc == SYNC_EFORBIDDEN) {
        refuse_handshake(s, "AUTH_FAILED", ec->text, CLOSE_AUTH_FAILED, ret);
        return;
    }
    if (rc != SYNC_OK) { /* ours, not the client's: it may come again */
        add_error(ret, "MESSAGE_ERROR", ec->text, false);
        add_close(s, ret, rc == SYNC_EBUSY ? CLOSE_TRY_AGAIN : CLOSE_INTERNAL);
        return;
    }
    s->state = SESSION_LIVE;
    s->server_site = *server_site;
    s->renudge_ms = now_ms + spread_out(s->config->renudge_interval_ms, spread);
    add_ack(s, ret);
    settle_input(s, ret);
}

void session_ask(struct session *s, uint64_t now_ms, struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (s->state == SESSION_LIVE) site_ask_begin(&s->ask, &s->server_site, now_ms, add_send(ret));
}

void session_applied(struct session *s, struct slice request_id, size_t fact_count, enum sync_err rc,
                     const struct err_ctx *ec, const struct merge_result *result, struct slice rejected,
                     uint64_t now_ms, struct session_update *ret)
{
    *ret = (struct session_update){0};
    assert(s->applies_done < s->applies_begun);
    s->applies_done++;
    if (s->state != SESSION_LIVE) return;
    if (rc != SYNC_OK) {
        add_error(ret, "APPLY_CHANGES_ERROR", ec->text, false);
    } else {
        message_put_apply_result(add_send(ret), request_id, result, rejected);
        /* A full message means that the client has more; it sends the next only when nudged. */
        if (fact_count >= s->config->nudge_facts) nudge(s, NUDGED_BULK, ret);
    }
    if (request_id.len == 0) {
        struct buf question = buf_make(TEXT_BYTES_MAX);
        if (site_ask_applied(&s->ask, fact_count, rc == SYNC_OK, &s->server_site, now_ms, &question))
            *add_send(ret) = question;
    }
    start_read(s, ret);
    settle_input(s, ret);
}

void session_pruned(struct session *s, struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (s->state != SESSION_LIVE) return;
    add_error(ret, "SNAPSHOT_REQUIRED",
              "SNAPSHOT_REQUIRED: deletions after this watermark have been removed for good", false);
}

void session_read_done(struct session *s, const struct session_read_result *result, uint64_t now_ms,
                       struct session_update *ret)
{
    enum session_reading kind = s->reading;
    bool was_pushed = s->catch_up.pushing;
    *ret = (struct session_update){0};
    assert(kind != READING_NONE);
    s->reading = READING_NONE;
    s->catch_up.pushing = false;
    if (s->state != SESSION_LIVE) return;
    bool snapshot_waits = s->read_count > 0 && s->reads[s->read_first].kind == READING_SNAPSHOT;
    if (was_pushed) {
        page_pushed(s, result, now_ms, ret);
    } else if (result->rc != SYNC_OK) {
        add_error(ret, kind == READING_DELTA ? "GET_CHANGES_ERROR" : "SNAPSHOT_ERROR", result->ec->text,
                  false);
        if (kind == READING_SNAPSHOT) nudge(s, NUDGED_SNAPSHOT, ret); /* pushes were kept from it meanwhile */
    } else if (kind == READING_SNAPSHOT) {
        message_put_snapshot_complete(add_send(ret));
        nudge(s, NUDGED_SNAPSHOT, ret);
    } else if (result->has_more && !snapshot_waits && !lacks_earlier(s)) {
        drop_waiting_deltas(s);
        s->page = (struct page_proof){.watermark = result->watermark};
        begin_page_wait(s, now_ms, ret);
    }
    start_read(s, ret);
    settle_input(s, ret);
}

void session_retry_later(struct session *s, uint64_t now_ms)
{
    if (s->renudge_ms > now_ms + RETRY_NUDGE_MS) s->renudge_ms = now_ms + RETRY_NUDGE_MS;
}

void session_lagged(struct session *s)
{
    s->lagging = true;
}

void session_drained(struct session *s, uint64_t now_ms, struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (!s->lagging) return;
    s->lagging = false;
    if (s->state != SESSION_LIVE) return;
    if (s->catch_up.deaf && may_push_page(s)) {
        push_page(s, ret);
        return;
    }
    /* Whoever owes an answer to the last nudge gets all of it with that answer: a second one says nothing
     * new. */
    if (!s->catch_up.deaf && !s->catch_up.waits) nudge(s, NUDGED_LAGGING, ret);
    await_answer(s, now_ms, s->config->catch_up_timeout_ms);
}

/* ---- time */

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t identity_deadline_ms(const struct session *s)
{
    return earliest(s->expired ? UINT64_MAX : s->expires_ms, s->rechecking ? UINT64_MAX : s->recheck_ms);
}

/* At its expiry an identity is asked for again, and until there is an answer nothing is done for it. */
static void tick_identity(struct session *s, uint64_t now_ms, struct session_update *u)
{
    bool was_expired = s->expired;
    if (now_ms >= s->expires_ms) s->expired = true;
    if (now_ms >= s->recheck_ms && !s->rechecking) {
        if (s->recheck_ends_ms == UINT64_MAX) s->recheck_ends_ms = now_ms + RECHECK_PATIENCE_MS;
        s->rechecking = true;
        (void)add(u, SESSION_RECHECK);
    }
    if (s->expired && !was_expired) settle_input(s, u);
}

uint64_t session_deadline_ms(const struct session *s)
{
    switch (s->state) {
    case SESSION_NEW: return s->handshake_deadline_ms;
    case SESSION_LIVE:
        if (s->expired) return identity_deadline_ms(s);
        return earliest(earliest(s->page.state == PAGE_NONE ? UINT64_MAX : s->page.deadline_ms,
                                 earliest(s->catch_up.waits ? s->catch_up.deadline_ms : UINT64_MAX,
                                          site_ask_deadline_ms(&s->ask))),
                        earliest(s->renudge_ms, identity_deadline_ms(s)));
    default: return UINT64_MAX;
    }
}

void session_tick(struct session *s, uint64_t spread, uint64_t now_ms, struct session_update *ret)
{
    *ret = (struct session_update){0};
    if (s->state == SESSION_NEW && now_ms >= s->handshake_deadline_ms) {
        add_error(ret, "HANDSHAKE_TIMEOUT", "no handshake in time", false);
        add_close(s, ret, CLOSE_POLICY);
    }
    if (s->state != SESSION_LIVE) return;
    tick_identity(s, now_ms, ret);
    if (s->expired) return;
    tick_page(s, now_ms, ret);
    tick_catch_up(s, now_ms, ret);
    if (site_ask_is_over(&s->ask, now_ms)) (void)add(ret, SESSION_ASKED);
    if (now_ms < s->renudge_ms) return;
    s->renudge_ms = now_ms + spread_out(s->config->renudge_interval_ms, spread);
    if (s->reading == READING_NONE && s->page.state == PAGE_NONE)
        nudge(s, NUDGED_PERIODIC, ret);
    else
        session_retry_later(s, now_ms);
}
