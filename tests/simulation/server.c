#include "sim.h"

#include "core/protocol/change_set.h"
#include "storage/views/delta_reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* What server/ws/ does with a session's decisions, without a socket: queues in place of writes, events in
 * place of threads. */

static const uint64_t never = UINT64_MAX;

/* A planted bug must not be made good by it. In every fourth world no client answers as fast as is asked. */
static uint32_t catch_up_timeout_ms(const struct sim *s)
{
    if (s->bug != BUG_NONE) return UINT32_MAX;
    return s->seed % 4 == 0 ? 10 : PAGE_PROOF_TIMEOUT_MS;
}

void server_init(struct sim *s)
{
    struct sim_server *v = &s->server;
    *v = (struct sim_server){.queue_end = &v->queue};
    (void)snprintf(v->database, sizeof v->database, "sim-%llu-%u", (unsigned long long)s->seed, s->bug);
    v->config = (struct session_config){
        .nudge_facts = CLIENT_FACTS_MAX,
        .page_proof_timeout_ms = PAGE_PROOF_TIMEOUT_MS,
        .catch_up_timeout_ms = catch_up_timeout_ms(s),
        .renudge_interval_ms = sim_chance(s, 10) ? 5000 : 100000000,
        .handshake_timeout_ms = 10000,
        .requests_max = REQUESTS_MAX,
    };
}

/* ---- a socket: one thing a write, in the order of server/ws/ws_send.c */

static void write_now(struct sim *s, struct event *e);

static void want_write(struct sim *s, struct conn *c, uint32_t client)
{
    if (c->write_scheduled) return;
    c->write_scheduled = true;
    (void)sim_schedule(s, sim_between(s, 0, c->write_ms_max), write_now, client, c->epoch);
}

static struct sim_text *new_text(struct slice a, struct slice b, struct slice tail)
{
    struct sim_text *t = malloc(sizeof *t + a.len + b.len + tail.len);
    if (t == NULL) abort();
    t->next = NULL;
    t->len = a.len + b.len + tail.len;
    memcpy(t->bytes, a.bytes, a.len);
    if (b.len > 0) memcpy(t->bytes + a.len, b.bytes, b.len);
    if (tail.len > 0) memcpy(t->bytes + a.len + b.len, tail.bytes, tail.len);
    return t;
}

static struct sim_text *take_text(struct sim_text **first, struct sim_text ***end)
{
    struct sim_text *t = *first;
    *first = t->next;
    if (*first == NULL) *end = first;
    return t;
}

static void drop_texts(struct sim_text **first, struct sim_text ***end)
{
    while (*first != NULL) free(take_text(first, end));
}

static void transmit(struct sim *s, struct conn *c, uint32_t client, struct slice text, bool is_page)
{
    struct client *to = &s->clients[client];
    uint64_t at_ms = s->now_ms + sim_between(s, 1, 60);
    if (at_ms < to->receives_until_ms) at_ms = to->receives_until_ms;
    to->receives_until_ms = at_ms;
    struct event *e = sim_schedule(s, at_ms - s->now_ms, client_receive, client, c->epoch);
    e->is_page = is_page;
    sim_text(e, text);
}

static void drop_pushes(struct conn *c)
{
    drop_texts(&c->pushes, &c->pushes_end);
    c->push_count = 0;
}

/* ---- carrying out */

static void tick(struct sim *s, struct event *e);

static void settle(struct sim *s, uint32_t client);

static bool is_nudge(const struct session_action *a)
{
    return a->type == SESSION_SEND && wire_type_of(buf_slice(&a->text)) == WIRE_HANDSHAKE_ACK;
}

static bool forgets_nudge(const struct sim *s, const struct session_update *u)
{
    if (!u->nudged) return false;
    return (s->bug == BUG_NO_BULK_NUDGE && u->cause == NUDGED_BULK) ||
           (s->bug == BUG_NO_LAGGING_NUDGE && u->cause == NUDGED_LAGGING) ||
           (s->bug == BUG_NO_SNAPSHOT_NUDGE && u->cause == NUDGED_SNAPSHOT);
}

static void count_nudge(struct sim_stats *stats, enum nudge_cause cause)
{
    switch (cause) {
    case NUDGED_BULK: stats->nudges_bulk++; break;
    case NUDGED_SNAPSHOT: stats->nudges_snapshot++; break;
    case NUDGED_LAGGING: stats->nudges_lagging++; break;
    case NUDGED_PERIODIC: stats->nudges_periodic++; break;
    case NUDGED_PAGE: stats->nudges_page++; break;
    }
}

static struct site_id server_site(struct sim *s)
{
    struct view *v = fixture_view(s->store, s->server.database);
    struct site_id site = view_database(v)->server_site;
    view_close(v);
    return site;
}

static void opened(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    struct session_update u;
    if (!c->open || e->epoch != c->epoch) return;
    struct site_id site = server_site(s);
    if (s->bug != BUG_LATE_SUBSCRIPTION) c->subscribed = true;
    session_opened(&c->session, SYNC_OK, NULL, &site, sim_below(s, UINT32_MAX), s->now_ms, &u);
    server_carry_out(s, e->client, &u);
}

static void store_now(struct sim *s, struct event *e);

static void begin_apply(struct sim *s, uint32_t client, struct message *m)
{
    struct sim_apply *a = calloc(1, sizeof *a);
    struct sim_server *v = &s->server;
    if (a == NULL) abort();
    a->client = client;
    a->epoch = v->conns[client].epoch;
    a->message = m;
    a->request = (struct apply_request){.database = slice_str(v->database), .batch = &m->batch, .now_ms = 1};
    *v->queue_end = a;
    v->queue_end = &a->next;
    if (!v->store_scheduled)
        (void)sim_schedule(s, sim_chance(s, 3) ? sim_between(s, 1000, 3000) : sim_between(s, 1, 40),
                           store_now, 0, 0);
    v->store_scheduled = true;
    if (s->bug != BUG_ACK_BEFORE_STORE) return;
    struct session_update u;
    const struct merge_result all = {.applied = m->batch.fact_count, .transactions = m->batch.set_count};
    a->acked = true;
    session_applied(&v->conns[client].session, m->request_id, m->batch.fact_count, SYNC_OK, NULL, &all,
                    slice_of(NULL, 0), s->now_ms, &u);
    server_carry_out(s, client, &u);
}

static void carry_out(struct sim *s, uint32_t client, struct session_action *a)
{
    struct conn *c = &s->server.conns[client];
    switch (a->type) {
    case SESSION_SEND: {
        struct sim_text *t = new_text(buf_slice(&a->text), slice_of(NULL, 0), slice_of(NULL, 0));
        *c->texts_end = t;
        c->texts_end = &t->next;
        want_write(s, c, client);
        break;
    }
    case SESSION_OPEN: (void)sim_schedule(s, sim_between(s, 1, 30), opened, client, c->epoch); break;
    case SESSION_RECHECK: break; /* nobody here has an expiry */
    case SESSION_APPLY:
        begin_apply(s, client, a->message);
        a->message = NULL;
        break;
    case SESSION_DELTA:
        if (c->session.page.nudges > 0 &&
            (!a->has_since || hlc_cmp(&a->since, &c->session.page.watermark) < 0))
            s->stats->pages_again++;
        server_begin_delta(s, c, client, a);
        break;
    case SESSION_CUT:
        s->stats->cuts++;
        if (c->delta != NULL) delta_reader_cut(c->delta);
        break;
    case SESSION_SNAPSHOT:
        drop_pushes(c);
        s->stats->snapshots++;
        server_begin_snapshot(s, c, client, a->message);
        break;
    case SESSION_HOLD: s->stats->holds++; break; /* settle() takes up again what came meanwhile */
    case SESSION_ASKED:
    case SESSION_RELEASE: break;
    case SESSION_CLOSE: sim_fail(s, "the session of client %u closes with %u", client, a->close_code); break;
    }
}

void server_carry_out(struct sim *s, uint32_t client, struct session_update *u)
{
    if (u->nudged) count_nudge(s->stats, u->cause);
    for (size_t i = 0; i < u->count; i++)
        if (!is_nudge(&u->actions[i]) || !forgets_nudge(s, u)) carry_out(s, client, &u->actions[i]);
    session_update_deinit(u);
    settle(s, client);
}

/* ---- input */

static void process(struct sim *s, uint32_t client, struct message *m)
{
    struct session_update u;
    session_message(&s->server.conns[client].session, m, s->now_ms, &u);
    server_carry_out(s, client, &u);
}

static void work_through_late(struct sim *s, struct conn *c, uint32_t client)
{
    if (c->working) return;
    c->working = true;
    while (c->late != NULL && !c->session.holds_input) {
        struct sim_late *l = c->late;
        c->late = l->next;
        if (c->late == NULL) c->late_end = &c->late;
        process(s, client, l->message);
        free(l);
    }
    c->working = false;
}

static void settle(struct sim *s, uint32_t client)
{
    struct conn *c = &s->server.conns[client];
    work_through_late(s, c, client);
    if (s->bug == BUG_PAGE_WITHOUT_PROOF && c->session.page.state == PAGE_WAITS) {
        struct session_update u;
        c->session.page.deadline_ms = s->now_ms;
        c->session.page.has_answer = c->session.page.was_held = false;
        session_tick(&c->session, 0, s->now_ms, &u);
        server_carry_out(s, client, &u);
    }
    uint64_t deadline_ms = session_deadline_ms(&c->session);
    if (deadline_ms == never || deadline_ms >= c->tick_at_ms) return;
    c->tick_at_ms = deadline_ms;
    (void)sim_schedule(s, deadline_ms > s->now_ms ? deadline_ms - s->now_ms : 0, tick, client, c->epoch);
}

static void tick(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    struct session_update u;
    if (!c->open || e->epoch != c->epoch) return;
    c->tick_at_ms = never;
    bool held = c->session.holds_input;
    if (s->bug == BUG_PROOF_WHILE_HELD) c->session.holds_input = c->session.page.was_held = false;
    session_tick(&c->session, sim_below(s, UINT32_MAX), s->now_ms, &u);
    c->session.holds_input = held;
    server_carry_out(s, e->client, &u);
}

void server_receive(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    struct err_ctx ec;
    if (!c->open || e->epoch != c->epoch) return;
    sim_tell(s, e->client, "->", slice_of(e->text, e->len));
    char *text = malloc(e->len + JSON_PADDING);
    struct message *m = malloc(sizeof *m);
    if (text == NULL || m == NULL) abort();
    memcpy(text, e->text, e->len);
    memset(text + e->len, 0, JSON_PADDING);
    if (message_read(s->json, text, e->len, m, &ec) != SYNC_OK) {
        sim_fail(s, "the server cannot read what client %u wrote: %s", e->client, ec.text);
        free(m);
        return;
    }
    if (!c->session.holds_input && c->late == NULL) {
        process(s, e->client, m);
        return;
    }
    struct sim_late *l = malloc(sizeof *l);
    if (l == NULL) abort();
    *l = (struct sim_late){.message = m};
    *c->late_end = l;
    c->late_end = &l->next;
}

/* ---- batches: all that waits is one group, then it is answered, then it is pushed */

static void push_to(struct sim *s, uint32_t client, const struct sim_apply *a)
{
    struct conn *c = &s->server.conns[client];
    if (!c->open || !c->subscribed || client == a->client || !session_takes_pushes(&c->session)) return;
    if (c->push_count == PUSHES_MAX) {
        drop_pushes(c);
        session_lagged(&c->session);
        c->lag_counted = true;
        s->stats->pushes_dropped++;
        sim_tell(s, client, "lags", slice_of(NULL, 0));
        want_write(s, c, client);
        return;
    }
    struct buf sets = buf_make(1 << 20);
    batch_put(&sets, &a->message->batch);
    struct sim_text *t =
        new_text(slice_str(MESSAGE_PUSH_HEAD), buf_slice(&sets), slice_str(MESSAGE_SETS_TAIL));
    buf_deinit(&sets);
    *c->pushes_end = t;
    c->pushes_end = &t->next;
    c->push_count++;
    want_write(s, c, client);
}

static void take_into_model(struct sim *s, const struct batch *b)
{
    struct buf sets = buf_make(1 << 20);
    BUF_PUT_LIT(&sets, MESSAGE_CHANGES_HEAD);
    batch_put(&sets, b);
    BUF_PUT_LIT(&sets, MESSAGE_SETS_TAIL);
    wire_read(s->json, buf_slice(&sets), s->wire);
    for (size_t i = 0; i < s->wire->fact_count; i++) model_take(&s->server.model, &s->wire->facts[i]);
    buf_deinit(&sets);
}

static void answer(struct sim *s, const struct sim_apply *a)
{
    struct conn *c = &s->server.conns[a->client];
    struct session_update u;
    if (a->acked || !c->open || c->epoch != a->epoch) return;
    session_applied(&c->session, a->message->request_id, a->message->batch.fact_count, a->request.rc,
                    &a->request.ec, &a->request.result, slice_of(NULL, 0), s->now_ms, &u);
    server_carry_out(s, a->client, &u);
}

static void free_apply(struct sim_apply *a)
{
    message_deinit(a->message);
    free(a->message);
    free(a);
}

static struct sim_apply *commit(struct sim *s)
{
    struct sim_apply *first = s->server.queue;
    struct apply_request *group = NULL, **end = &group;
    for (struct sim_apply *a = first; a != NULL; a = a->next) {
        *end = &a->request;
        end = &a->request.next;
    }
    s->server.queue = NULL;
    s->server.queue_end = &s->server.queue;
    if (group == NULL) return NULL;
    if (!s->calm && s->refuses && sim_chance(s, 10)) { /* the write fails, and all of the group with it */
        s->stats->refused_applies++;
        for (struct sim_apply *a = first; a != NULL; a = a->next)
            a->request.rc = err_set(&a->request.ec, SYNC_ESTORE, "no space");
        return first;
    }
    shard_apply(fixture_shard(s->store, s->server.database), group);
    for (struct sim_apply *a = first; a != NULL; a = a->next) {
        if (a->request.rc != SYNC_OK) sim_fail(s, "apply: %s", a->request.ec.text);
        take_into_model(s, &a->message->batch);
    }
    return first;
}

/* Who was refused tells the server again when it comes back. */
static void refused(struct sim *s, struct event *e)
{
    struct client *c = &s->clients[e->client];
    if (!c->connected || e->epoch != c->conn_epoch) return;
    server_hang_up(s, e->client);
    client_lost(s, c);
}

static void store_now(struct sim *s, struct event *e)
{
    (void)e;
    s->server.store_scheduled = false;
    struct sim_apply *a = commit(s);
    while (a != NULL) {
        struct sim_apply *next = a->next;
        answer(s, a);
        for (uint32_t i = 0; i < s->client_count && a->request.rc == SYNC_OK && a->request.result.applied > 0;
             i++)
            push_to(s, i, a);
        if (a->request.rc != SYNC_OK)
            (void)sim_schedule(s, sim_between(s, 1, 500), refused, a->client, a->epoch);
        free_apply(a);
        a = next;
    }
}

/* ---- writes */

static void send_piece(struct sim *s, struct conn *c, uint32_t client)
{
    bool is_delta = c->session.reading == READING_DELTA;
    c->piece_ready = false;
    if (is_delta) c->in_delta = !c->piece_last;
    if (!is_delta || c->piece_last) {
        transmit(s, c, client, buf_slice(&c->piece), c->read_result.has_more);
        buf_clear(&c->piece);
    }
    if (!c->piece_last) {
        server_next_piece(s, c, client);
        return;
    }
    struct session_update u;
    struct session_read_result result = c->read_result;
    server_end_read(c);
    c->subscribed = true; /* had it not been already: BUG_LATE_SUBSCRIPTION */
    session_read_done(&c->session, &result, s->now_ms, &u);
    server_carry_out(s, client, &u);
}

static void caught_up(struct sim *s, struct conn *c, uint32_t client)
{
    struct session_update u;
    c->lag_counted = false;
    session_drained(&c->session, s->now_ms, &u);
    server_carry_out(s, client, &u);
}

static void write_now(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    if (!c->open || e->epoch != c->epoch) return;
    c->write_scheduled = false;
    if (c->in_delta) {
        if (c->piece_ready) send_piece(s, c, e->client);
    } else if (c->texts != NULL) {
        struct sim_text *t = take_text(&c->texts, &c->texts_end);
        transmit(s, c, e->client, slice_of(t->bytes, t->len), false);
        free(t);
    } else if (c->piece_ready) {
        send_piece(s, c, e->client);
    } else if (c->lag_counted) {
        caught_up(s, c, e->client);
    } else if (c->pushes != NULL) {
        struct sim_text *t = take_text(&c->pushes, &c->pushes_end);
        c->push_count--;
        transmit(s, c, e->client, slice_of(t->bytes, t->len), false);
        free(t);
    }
    bool waits_for_piece = c->in_delta && !c->piece_ready;
    bool more = c->texts != NULL || c->piece_ready || c->lag_counted || c->pushes != NULL;
    if (more && !waits_for_piece) want_write(s, c, e->client);
}

void server_piece_came(struct sim *s, uint32_t client)
{
    s->server.conns[client].piece_ready = true;
    want_write(s, &s->server.conns[client], client);
}

/* ---- connections */

void server_accept(struct sim *s, struct client *c)
{
    struct conn *n = &s->server.conns[c->index];
    char id[CONNECTION_ID_TEXT + 1];
    assert(!n->open);
    *n = (struct conn){.open = true, .epoch = c->conn_epoch, .tick_at_ms = never};
    n->late_end = &n->late;
    n->texts_end = &n->texts;
    n->pushes_end = &n->pushes;
    n->piece = buf_make(1 << 24);
    n->write_ms_max = sim_chance(s, 30) ? 120 : 10;
    (void)snprintf(id, sizeof id, "%u-%llu", c->index, (unsigned long long)c->conn_epoch);
    session_init(&n->session, &s->server.config, id, s->now_ms);
    settle(s, c->index);
}

void server_hang_up(struct sim *s, uint32_t client)
{
    struct conn *c = &s->server.conns[client];
    if (!c->open) return;
    c->open = false;
    while (c->late != NULL) {
        struct sim_late *l = c->late;
        c->late = l->next;
        message_deinit(l->message);
        free(l->message);
        free(l);
    }
    drop_texts(&c->texts, &c->texts_end);
    drop_pushes(c);
    server_end_read(c);
    buf_deinit(&c->piece);
    session_deinit(&c->session);
}

void server_restart(struct sim *s)
{
    s->stats->server_restarts++;
    if (s->tells) printf("%6llu the server restarts\n", (unsigned long long)s->now_ms);
    for (uint32_t i = 0; i < s->client_count; i++) {
        server_hang_up(s, i);
        client_lost(s, &s->clients[i]);
    }
    /* It died before its group was written, or after that and before the answers. */
    struct sim_apply *a = s->server.queue;
    if (sim_chance(s, 50)) a = commit(s);
    s->server.queue = NULL;
    s->server.queue_end = &s->server.queue;
    while (a != NULL) {
        struct sim_apply *next = a->next;
        free_apply(a);
        a = next;
    }
    if (sim_chance(s, 5)) fixture_reopen(s->store);
}

void server_deinit(struct sim *s)
{
    for (uint32_t i = 0; i < s->client_count; i++) server_hang_up(s, i);
    while (s->server.queue != NULL) {
        struct sim_apply *a = s->server.queue;
        s->server.queue = a->next;
        free_apply(a);
    }
}
