#include "sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { WALL_FIRST_MS = 1000000 };

void client_init(struct sim *s, uint32_t index)
{
    struct client *c = &s->clients[index];
    *c = (struct client){.index = index, .run_epoch = 1};
    c->site.bytes[0] = (uint8_t)('A' + index);
    c->skew_ms = (int64_t)sim_between(s, 0, 10000) - 5000;
    c->slow_ms = sim_chance(s, 30) ? 1500 : 60;
    c->fails_percent = sim_chance(s, 40) ? 40 : 0;
    (void)sim_schedule(s, sim_below(s, 1000), client_connect, index, c->run_epoch);
}

/* ---- sending */

static void send_text(struct sim *s, struct client *c, struct buf *text)
{
    struct err_ctx ec;
    if (buf_check(text, &ec) != SYNC_OK) abort();
    uint64_t at_ms = s->now_ms + sim_between(s, 1, 60);
    if (at_ms < c->sends_until_ms) at_ms = c->sends_until_ms;
    c->sends_until_ms = at_ms;
    sim_text(sim_schedule(s, at_ms - s->now_ms, server_receive, c->index, c->conn_epoch), buf_slice(text));
    buf_deinit(text);
}

static struct buf new_text(const char *head)
{
    struct buf b = buf_make(1 << 20);
    buf_put_str(&b, head);
    return b;
}

static void send_get_changes(struct sim *s, struct client *c)
{
    struct buf b = new_text("{\"type\":\"get_changes\"");
    char hlc[HLC_TEXT];
    if (c->has_watermark) {
        hlc_format(&c->watermark, hlc);
        buf_printf(&b, ",\"sinceHLC\":\"%.*s\"", HLC_TEXT, hlc);
    }
    buf_put_char(&b, '}');
    send_text(s, c, &b);
}

static struct transaction *transaction_of(struct sim *s, const struct hlc *h)
{
    for (size_t i = s->transaction_count; i-- > 0;)
        if (hlc_same_transaction(&s->facts[s->transactions[i].fact_first].hlc, h)) return &s->transactions[i];
    return NULL;
}

/* Everything that was not acknowledged, whosever it is, as far as one message goes. */
static void send_facts(struct sim *s, struct client *c)
{
    struct sim_fact facts[MODEL_FACTS_MAX];
    size_t all = model_list(&c->model, c->has_sent ? &c->sent : NULL, facts);
    size_t n = all < CLIENT_FACTS_MAX ? all : CLIENT_FACTS_MAX;
    if (n == 0) return;
    if (n < all && hlc_same_transaction(&facts[n - 1].hlc, &facts[n].hlc))
        transaction_of(s, &facts[n].hlc)->split = true;
    struct buf b = new_text("{\"type\":\"apply_changes\",\"changes\":[");
    wire_put_sets(&b, facts, n);
    size_t slot = ++c->last_request % REQUESTS_KEPT;
    c->requests[slot].id = c->last_request;
    c->requests[slot].highest = facts[n - 1].hlc;
    buf_printf(&b, "],\"requestId\":%llu}", (unsigned long long)c->last_request);
    send_text(s, c, &b);
}

static void send_snapshot_request(struct sim *s, struct client *c)
{
    c->booting = true;
    if (!c->has_header) {
        struct buf b = new_text("{\"type\":\"get_snapshot\"}");
        send_text(s, c, &b);
        return;
    }
    char site[SITE_ID_TEXT + 1], hlc[HLC_TEXT];
    struct buf b = new_text("{\"type\":\"resume_snapshot\",\"checkpoint\":{");
    site_id_format(&c->site, site);
    hlc_format(&c->snapshot_hlc, hlc);
    buf_printf(&b, "\"snapshotId\":\"%s\",\"siteId\":\"%s\",\"hlc\":\"%.*s\",", c->snapshot_id, site,
               HLC_TEXT, hlc);
    BUF_PUT_LIT(&b, "\"lastTableIndex\":0,\"lastEntryIndex\":0,\"completedTables\":[");
    for (uint32_t t = 0, n = 0; t < MODEL_TABLES; t++)
        if (c->completed[t]) buf_printf(&b, "%s\"main.t%u\"", n++ > 0 ? "," : "", t);
    BUF_PUT_LIT(&b, "],\"entriesProcessed\":0,\"createdAt\":0}}");
    s->stats->resumes++;
    send_text(s, c, &b);
}

/* ---- the connection */

void client_connect(struct sim *s, struct event *e)
{
    struct client *c = &s->clients[e->client];
    if (c->connected || e->epoch != c->run_epoch) return;
    c->connected = true;
    c->ready = false;
    c->conn_epoch++;
    c->sends_until_ms = c->receives_until_ms = 0;
    server_accept(s, c);
    char site[SITE_ID_TEXT + 1];
    site_id_format(&c->site, site);
    struct buf b = new_text("{\"type\":\"handshake\"");
    buf_printf(&b, ",\"databaseId\":\"%s\",\"siteId\":\"%s\",\"protocolVersion\":1}", s->server.database,
               site);
    send_text(s, c, &b);
}

void client_lost(struct sim *s, struct client *c)
{
    if (!c->connected) return;
    sim_tell(s, c->index, "lost its connection", slice_of(NULL, 0));
    c->connected = c->ready = false;
    (void)sim_schedule(s, sim_between(s, 20, 800), client_connect, c->index, c->run_epoch);
}

void client_restart(struct sim *s, struct client *c)
{
    server_hang_up(s, c->index);
    s->stats->client_restarts++;
    sim_tell(s, c->index, "restarts", slice_of(NULL, 0));
    c->run_epoch++; /* what it was applying is gone */
    c->connected = c->ready = c->has_sent = c->booting = c->has_header = c->wants_boot = false;
    (void)sim_schedule(s, sim_between(s, 20, 800), client_connect, c->index, c->run_epoch);
}

void client_boot(struct sim *s, struct client *c)
{
    if (c->booting) return;
    c->has_header = false;
    memset(c->completed, 0, sizeof c->completed);
    if (c->ready)
        send_snapshot_request(s, c);
    else
        c->wants_boot = true;
}

/* ---- writing */

static struct hlc tick(struct sim *s, struct client *c)
{
    uint64_t wall_ms = (uint64_t)((int64_t)(WALL_FIRST_MS + s->now_ms) + c->skew_ms);
    if (wall_ms > c->clock.wall_ms) {
        c->clock.wall_ms = wall_ms;
        c->clock.counter = 0;
    } else {
        c->clock.counter++; /* never near 65535 here */
    }
    c->clock.site = c->site;
    return c->clock;
}

static void receive_clock(struct client *c, const struct hlc *remote)
{
    if (remote->wall_ms > c->clock.wall_ms) {
        c->clock.wall_ms = remote->wall_ms;
        c->clock.counter = 0;
    }
    if (remote->wall_ms == c->clock.wall_ms && remote->counter >= c->clock.counter)
        c->clock.counter = (uint16_t)(remote->counter + 1);
}

static void write_transaction(struct sim *s, struct client *c)
{
    if (s->transaction_count == TRANSACTIONS_MAX) return;
    struct hlc h = tick(s, c);
    struct transaction *t = &s->transactions[s->transaction_count++];
    *t = (struct transaction){.fact_first = s->fact_count,
                              .fact_count = sim_between(s, 1, TRANSACTION_FACTS_MAX)};
    for (uint32_t i = 0; i < t->fact_count; i++) {
        struct sim_fact *f = &s->facts[s->fact_count++];
        *f = (struct sim_fact){.is_delete = sim_chance(s, 4), .hlc = h};
        f->hlc.op_seq = i;
        f->table = (uint32_t)sim_below(s, MODEL_TABLES);
        f->row = (uint32_t)sim_below(s, MODEL_ROWS);
        /* A replica does not write to a row that it knows to be gone. */
        f->is_delete = f->is_delete || c->model.rows[f->table][f->row].tombstone.has;
        if (!f->is_delete) {
            f->column = (uint32_t)sim_below(s, MODEL_COLUMNS);
            f->value = s->fact_count;
        }
        model_take(&c->model, f);
        model_take(&s->truth, f);
    }
    s->stats->edits++;
}

void client_edit(struct sim *s, struct client *c, bool bulk)
{
    for (uint64_t n = bulk ? sim_between(s, 3, 8) : 1; n > 0; n--) write_transaction(s, c);
    if (c->ready) send_facts(s, c);
}

/* ---- receiving */

/* All of a transaction that arrived at the server at once and is still current there came with its
 * message. */
static void check_whole(struct sim *s, const struct client *c, const struct wire_message *m)
{
    for (size_t i = 0; i < m->fact_count; i++) {
        if (i > 0 && hlc_same_transaction(&m->facts[i].hlc, &m->facts[i - 1].hlc)) continue;
        const struct transaction *t = transaction_of(s, &m->facts[i].hlc);
        assert(t != NULL);
        for (size_t k = 0; k < t->fact_count && !t->split; k++) {
            const struct sim_fact *f = &s->facts[t->fact_first + k];
            if (!model_has_current(&s->server.model, f) || model_knows(&c->model, f)) continue;
            sim_fail(s, "client %u got a part of a transaction", c->index);
        }
    }
}

/* `changes` or a push that was long enough in the works. Nothing waits for anything else here, so a later
 * message may be through before an earlier one. */
static void applied(struct sim *s, struct event *e)
{
    struct client *c = &s->clients[e->client];
    struct wire_message *m = s->wire;
    if (e->epoch != c->run_epoch) return;
    wire_read(s->json, slice_of(e->text, e->len), m);
    for (size_t i = 0; i < m->fact_count; i++) {
        receive_clock(c, &m->facts[i].hlc);
        model_take(&c->model, &m->facts[i]);
    }
    sim_tell_facts(s, c, m);
    if (m->type == WIRE_CHANGES) check_whole(s, c, m);
    if (m->set_count == 0) return;
    if (m->type == WIRE_PUSH_CHANGES && s->bug != BUG_PUSH_WITH_WATERMARK) return;
    if (c->has_watermark && hlc_cmp(&m->highest, &c->watermark) < 0) s->stats->overtaken++;
    c->watermark = m->highest; /* without comparing */
    c->has_watermark = true;
}

static void hang_up_later(struct sim *s, struct event *e)
{
    struct client *c = &s->clients[e->client];
    if (e->epoch != c->conn_epoch || !c->connected) return;
    server_hang_up(s, c->index);
    client_lost(s, c);
}

/* Its store does not take the message. Of a page it may hope that the server notices; of anything else it
 * learns again when it comes back. */
static bool store_fails(struct sim *s, struct client *c, bool is_page)
{
    if (s->calm || !sim_chance(s, c->fails_percent)) return false;
    sim_tell(s, c->index, is_page ? "fails to store a page" : "fails to store", slice_of(NULL, 0));
    if (is_page)
        s->stats->pages_lost++;
    else
        (void)sim_schedule(s, sim_between(s, 1, 500), hang_up_later, c->index, c->conn_epoch);
    return true;
}

static void on_changes(struct sim *s, struct client *c, struct event *e)
{
    if (c->booting || store_fails(s, c, e->is_page)) return;
    uint64_t work_ms = sim_between(s, 1, e->len > 400 && sim_chance(s, 30) ? c->slow_ms : 30);
    sim_text(sim_schedule(s, work_ms, applied, c->index, c->run_epoch), slice_of(e->text, e->len));
}

static void answer_ack(struct sim *s, struct event *e)
{
    struct client *c = &s->clients[e->client];
    if (!c->connected || e->epoch != c->conn_epoch) return;
    bool first = !c->ready;
    c->ready = true;
    send_get_changes(s, c);
    send_facts(s, c);
    if (first && (c->booting || c->wants_boot)) send_snapshot_request(s, c);
    c->wants_boot = false;
}

static void on_result(struct sim *s, struct client *c, uint64_t request_id)
{
    size_t slot = request_id % REQUESTS_KEPT;
    if (c->requests[slot].id != request_id)
        sim_fail(s, "client %u got an answer it did not ask for", c->index);
    if (!c->has_sent || hlc_cmp(&c->requests[slot].highest, &c->sent) > 0)
        c->sent = c->requests[slot].highest;
    c->has_sent = true;
}

static void on_chunk(struct client *c, const struct wire_message *m)
{
    if (!c->booting) return;
    if (m->chunk == CHUNK_HEADER) {
        if (!c->has_header || strcmp(c->snapshot_id, m->id) != 0)
            memset(c->completed, 0, sizeof c->completed);
        memcpy(c->snapshot_id, m->id, sizeof c->snapshot_id);
        c->snapshot_hlc = m->hlc;
        c->has_header = true;
    }
    if (m->chunk == CHUNK_TABLE_END) c->completed[m->table[1] - '0'] = true;
    for (size_t i = 0; i < m->fact_count; i++) {
        receive_clock(c, &m->facts[i].hlc);
        model_take(&c->model, &m->facts[i]);
    }
}

static void on_complete(struct client *c)
{
    if (!c->booting) return;
    c->booting = false;
    c->watermark = c->snapshot_hlc;
    c->has_watermark = true;
    c->has_header = false;
}

void client_receive(struct sim *s, struct event *e)
{
    struct client *c = &s->clients[e->client];
    struct slice text = slice_of(e->text, e->len);
    if (!c->connected || e->epoch != c->conn_epoch) return;
    sim_tell(s, c->index, "<-", text);
    switch (wire_type_of(text)) {
    case WIRE_HANDSHAKE_ACK:
        (void)sim_schedule(s, sim_below(s, 20), answer_ack, c->index,
                           c->conn_epoch); /* reads its watermark */
        break;
    case WIRE_CHANGES:
    case WIRE_PUSH_CHANGES: on_changes(s, c, e); break;
    case WIRE_APPLY_RESULT:
        wire_read(s->json, text, s->wire);
        on_result(s, c, s->wire->request_id);
        break;
    case WIRE_SNAPSHOT_CHUNK:
        wire_read(s->json, text, s->wire);
        on_chunk(c, s->wire);
        break;
    case WIRE_SNAPSHOT_COMPLETE: on_complete(c); break;
    case WIRE_ERROR:
        if (!s->refuses) sim_fail(s, "client %u was told %.*s", c->index, SLICE_ARG(text));
        break;
    case WIRE_OTHER: sim_fail(s, "client %u got %.*s", c->index, SLICE_ARG(text));
    }
}
