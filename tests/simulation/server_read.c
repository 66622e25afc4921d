#include "sim.h"

#include "core/protocol/change_set.h"
#include "core/protocol/delta_writer.h"
#include "storage/views/delta_reader.h"
#include "storage/views/snapshot_reader.h"

#include <stdio.h>
#include <stdlib.h>

/* What reader threads do: one piece a time. And the deltas of planted bugs, made here, since the real reader
 * has none of them. */

enum { PIECE_BYTES = 300 };

static bool has_own_delta(enum sim_bug bug)
{
    return bug == BUG_DELTA_BY_FACT_HLC || bug == BUG_CUT_IN_TRANSACTION || bug == BUG_PAGE_CLAIMS_ALL;
}

/* A delta with the bug, in one piece. */
static void write_wrong_delta(struct sim *s, struct conn *c, uint32_t client, const struct session_action *a)
{
    struct view *v = fixture_view(s->store, s->server.database);
    struct log_cursor *cursor = NULL;
    struct log_entry e;
    struct delta_writer w;
    struct err_ctx ec;
    struct stamp floor, position = {0};
    bool found, by_hlc = s->bug == BUG_DELTA_BY_FACT_HLC;
    bool has_floor =
        a->has_since && !by_hlc && stamp_floor(&a->since, &view_database(v)->server_site, &floor);
    size_t count = 0;
    delta_writer_init(&w);
    BUF_PUT_LIT(&c->piece, MESSAGE_CHANGES_HEAD);
    if (log_cursor_open(v, has_floor ? &floor : NULL, &cursor, &ec) != SYNC_OK) abort();
    while (log_cursor_next(cursor, &e, &found, &ec) == SYNC_OK && found) {
        if (s->bug == BUG_CUT_IN_TRANSACTION && c->piece.len >= s->page_bytes_max) break;
        if (s->bug == BUG_PAGE_CLAIMS_ALL && c->piece.len >= s->page_bytes_max &&
            !delta_writer_continues(&w, &e.fact))
            break;
        position = e.stamp;
        if (site_id_eq(&e.fact.hlc.site, &s->clients[client].site)) continue;
        if (by_hlc && a->has_since && hlc_cmp(&e.fact.hlc, &a->since) <= 0) continue;
        delta_writer_add(&w, &c->piece, &e.fact);
        count++;
        found = false;
    }
    delta_writer_finish(&w, &c->piece);
    c->read_result = (struct session_read_result){.rc = SYNC_OK, .has_more = found};
    if (!found) position = view_database(v)->last;
    if (s->bug == BUG_PAGE_CLAIMS_ALL) position = view_database(v)->last;
    c->read_result.watermark = stamp_to_hlc(&position, &view_database(v)->server_site);
    if (!by_hlc && (count > 0 || found)) delta_writer_watermark(&w, &c->piece, &c->read_result.watermark);
    BUF_PUT_LIT(&c->piece, MESSAGE_SETS_TAIL);
    delta_writer_deinit(&w);
    log_cursor_close(cursor);
    view_close(v);
}

static void delta_piece(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    struct err_ctx ec;
    if (!c->open || e->epoch != c->epoch) return;
    if (c->piece.len == 0)
        buf_put_str(&c->piece, c->session.catch_up.pushing ? MESSAGE_PUSH_HEAD : MESSAGE_CHANGES_HEAD);
    if (delta_reader_step(c->delta, &c->piece, PIECE_BYTES, &ec) != SYNC_OK)
        sim_fail(s, "delta: %s", ec.text);
    const struct delta_status *status = delta_reader_status(c->delta);
    c->piece_last = status->done;
    if (status->pruned) sim_fail(s, "client %u is told that something was pruned", e->client);
    if (status->done) BUF_PUT_LIT(&c->piece, MESSAGE_SETS_TAIL);
    c->read_result = (struct session_read_result){
        .rc = SYNC_OK, .has_more = status->has_more, .watermark = status->watermark};
    if (status->has_more) s->stats->pages++;
    server_piece_came(s, e->client);
}

static void wrong_delta_came(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    if (c->open && e->epoch == c->epoch) server_piece_came(s, e->client);
}

void server_begin_delta(struct sim *s, struct conn *c, uint32_t client, const struct session_action *a)
{
    struct err_ctx ec;
    s->stats->deltas++;
    buf_clear(&c->piece);
    if (has_own_delta(s->bug)) {
        write_wrong_delta(s, c, client, a);
        c->piece_last = true;
        (void)sim_schedule(s, sim_between(s, 1, 20), wrong_delta_came, client, c->epoch);
        return;
    }
    const struct delta_request request = {
        .database = slice_str(s->server.database),
        .asker = s->clients[client].site,
        .has_since = a->has_since,
        .since = a->since,
        .page_bytes_max = s->page_bytes_max,
        .bare = a->as_push,
    };
    if (a->as_push) s->stats->pages_pushed++;
    if (delta_reader_open(fixture_shard(s->store, s->server.database), &request, &c->delta, &ec) != SYNC_OK)
        sim_fail(s, "delta: %s", ec.text);
    server_next_piece(s, c, client);
}

static void snapshot_piece(struct sim *s, struct event *e)
{
    struct conn *c = &s->server.conns[e->client];
    struct err_ctx ec;
    if (!c->open || e->epoch != c->epoch) return;
    buf_clear(&c->piece);
    BUF_PUT_LIT(&c->piece, MESSAGE_CHUNK_HEAD);
    if (snapshot_reader_step(c->snapshot, &c->piece, &c->piece_last, &ec) != SYNC_OK)
        sim_fail(s, "snapshot: %s", ec.text);
    BUF_PUT_LIT(&c->piece, MESSAGE_CHUNK_TAIL);
    c->read_result = (struct session_read_result){.rc = SYNC_OK};
    server_piece_came(s, e->client);
}

void server_begin_snapshot(struct sim *s, struct conn *c, uint32_t client, struct message *checkpoint)
{
    char id[32];
    struct err_ctx ec;
    (void)snprintf(id, sizeof id, "snapshot-%llu", (unsigned long long)s->order);
    const struct snapshot_request request = {
        .database = slice_str(s->server.database),
        .resume = checkpoint == NULL ? NULL : &checkpoint->checkpoint,
        .fresh_id = slice_str(id),
    };
    if (snapshot_reader_open(fixture_shard(s->store, s->server.database), &request, &c->snapshot, &ec) !=
        SYNC_OK)
        sim_fail(s, "snapshot: %s", ec.text);
    server_next_piece(s, c, client);
}

void server_next_piece(struct sim *s, struct conn *c, uint32_t client)
{
    (void)sim_schedule(s, sim_between(s, 1, 20), c->delta != NULL ? delta_piece : snapshot_piece, client,
                       c->epoch);
}

void server_end_read(struct conn *c)
{
    delta_reader_close(c->delta);
    snapshot_reader_close(c->snapshot);
    c->delta = NULL;
    c->snapshot = NULL;
    c->piece_ready = c->piece_last = c->in_delta = false;
    buf_clear(&c->piece);
}

void server_check(struct sim *s)
{
    struct delta_reader *r = NULL;
    struct err_ctx ec;
    struct model got = {0};
    struct sim_fact place;
    struct buf text = buf_make(1 << 24);
    const struct delta_request stranger = {.database = slice_str(s->server.database),
                                           .page_bytes_max = SIZE_MAX};
    if (delta_reader_open(fixture_shard(s->store, s->server.database), &stranger, &r, &ec) != SYNC_OK)
        abort();
    BUF_PUT_LIT(&text, MESSAGE_CHANGES_HEAD);
    while (!delta_reader_status(r)->done)
        if (delta_reader_step(r, &text, SIZE_MAX / 2, &ec) != SYNC_OK) abort();
    BUF_PUT_LIT(&text, MESSAGE_SETS_TAIL);
    delta_reader_close(r);
    wire_read(s->json, buf_slice(&text), s->wire);
    buf_deinit(&text);
    for (size_t i = 0; i < s->wire->fact_count; i++) model_take(&got, &s->wire->facts[i]);
    if (!model_equal(&got, &s->truth, &place))
        sim_fail(s, "the server differs at t%u row %u column %u%s", place.table, place.row, place.column,
                 place.is_delete ? " (tombstone)" : "");
}
