#include "server/store/read_stream.h"

#include "server/base/system.h"
#include "server/net/admission.h"
#include "server/server.h"
#include "storage/views/snapshot_reader.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRESH_ID_BYTES = 16 };

#define HTTP_DELTA_HEAD "{\"ok\":true,\"data\":{\"changes\":["

struct slot {
    struct buf bytes; /* LWS_PRE of room, then the piece */
    struct read_piece piece;
};

struct read_stream {
    struct job job; /* first; one at a time */
    enum read_format format;
    uint64_t asker;
    read_ready_fn *ready;
    struct shard *shard;
    char database[DATABASE_ID_MAX];
    size_t database_len;
    struct delta_request request;
    struct message *checkpoint;
    char fresh_id[FRESH_ID_BYTES * 2 + 1];
    struct delta_reader *delta;
    struct snapshot_reader *snapshot;
    struct slot slots[2]; /* the connection has one, the other is read into */
    size_t shown;         /* the one that the connection has */
    uint64_t began_ns;
    _Atomic bool cut;
    bool busy;      /* a piece is being read */
    bool has_ahead; /* one was read that nobody asked for yet */
    bool waiting;   /* the connection waits for a piece */
    bool keeps_up;
    bool orphan; /* given up meanwhile */
};

static struct slot *other_slot(struct read_stream *s)
{
    return &s->slots[1 - s->shown];
}

static bool is_delta(const struct read_stream *s)
{
    return s->format == READ_WS_DELTA || s->format == READ_WS_PUSH || s->format == READ_HTTP_DELTA;
}

static const char *head_of(enum read_format format)
{
    if (format == READ_WS_PUSH) return MESSAGE_PUSH_HEAD;
    return format == READ_WS_DELTA ? MESSAGE_CHANGES_HEAD : HTTP_DELTA_HEAD;
}

static void free_stream(struct read_stream *s)
{
    admission_ends(s->job.home->server->admission);
    delta_reader_close(s->delta);
    snapshot_reader_close(s->snapshot);
    if (s->checkpoint != NULL) message_deinit(s->checkpoint);
    free(s->checkpoint);
    for (size_t i = 0; i < 2; i++) buf_deinit(&s->slots[i].bytes);
    free(s);
}

/* ---- on a reader thread */

static enum sync_err read_delta(struct read_stream *s, struct slot *slot, struct err_ctx *ec)
{
    struct buf *out = &slot->bytes;
    struct read_piece *piece = &slot->piece;
    enum sync_err rc = SYNC_OK;
    if (s->delta == NULL) {
        rc = delta_reader_open(s->shard, &s->request, &s->delta, ec);
        buf_put_str(out, head_of(s->format));
    }
    if (rc == SYNC_OK && atomic_load(&s->cut)) delta_reader_cut(s->delta);
    if (rc == SYNC_OK) rc = delta_reader_step(s->delta, out, PIECE_BYTES, ec);
    if (rc != SYNC_OK) return rc;
    piece->delta = *delta_reader_status(s->delta);
    piece->last = piece->delta.done;
    if (piece->last && s->format != READ_HTTP_DELTA) BUF_PUT_LIT(out, MESSAGE_SETS_TAIL);
    if (piece->last && s->format == READ_HTTP_DELTA)
        buf_put_str(out, piece->delta.has_more ? "],\"hasMore\":true}}" : "],\"hasMore\":false}}");
    return buf_check(out, ec);
}

static enum sync_err open_snapshot(struct read_stream *s, struct err_ctx *ec)
{
    const struct snapshot_request request = {
        .database = slice_of(s->database, s->database_len),
        .resume = s->checkpoint == NULL ? NULL : &s->checkpoint->checkpoint,
        .fresh_id = slice_str(s->fresh_id),
    };
    return snapshot_reader_open(s->shard, &request, &s->snapshot, ec);
}

static enum sync_err read_snapshot(struct read_stream *s, struct slot *slot, struct err_ctx *ec)
{
    struct buf *out = &slot->bytes;
    struct read_piece *piece = &slot->piece;
    enum sync_err rc = s->snapshot == NULL ? open_snapshot(s, ec) : SYNC_OK;
    if (s->format == READ_WS_SNAPSHOT) {
        BUF_PUT_LIT(out, MESSAGE_CHUNK_HEAD);
        if (rc == SYNC_OK) rc = snapshot_reader_step(s->snapshot, out, &piece->last, ec);
        BUF_PUT_LIT(out, MESSAGE_CHUNK_TAIL);
        piece->chunk_count = 1;
    }
    while (s->format == READ_HTTP_SNAPSHOT && rc == SYNC_OK && !piece->last && out->len < PIECE_BYTES) {
        rc = snapshot_reader_step(s->snapshot, out, &piece->last, ec);
        buf_put_char(out, '\n');
        piece->chunk_count++;
    }
    return rc == SYNC_OK ? buf_check(out, ec) : rc;
}

static void run(struct job *job)
{
    struct read_stream *s = (struct read_stream *)job;
    struct slot *slot = other_slot(s); /* the loop leaves it alone while it is busy */
    struct read_piece *piece = &slot->piece;
    static const char room[LWS_PRE];
    buf_put(&slot->bytes, room, sizeof room);
    piece->rc = is_delta(s) ? read_delta(s, slot, &piece->ec) : read_snapshot(s, slot, &piece->ec);
    piece->bytes = slice_of(NULL, 0);
    if (piece->rc == SYNC_OK) piece->bytes = slice_of(slot->bytes.bytes + LWS_PRE, slot->bytes.len - LWS_PRE);
}

/* ---- on the loop */

static void submit(struct read_stream *s)
{
    assert(!s->busy && !s->has_ahead);
    struct slot *slot = other_slot(s);
    if (!s->keeps_up || slot->bytes.capacity > 2 * PIECE_BYTES) /* one long fact must not stay for good */
        buf_deinit(&slot->bytes);
    buf_clear(&slot->bytes);
    slot->piece = (struct read_piece){.first = s->delta == NULL && s->snapshot == NULL};
    s->busy = true;
    worker_pool_put(&s->job.home->server->readers, &s->job);
}

static bool is_end(const struct read_piece *piece)
{
    return piece->rc != SYNC_OK || piece->last;
}

/* What was read last is what the connection waits for. */
static void show(struct read_stream *s)
{
    s->shown = 1 - s->shown;
    s->waiting = s->has_ahead = false;
    if (s->keeps_up && !is_end(&s->slots[s->shown].piece)) submit(s);
    s->ready(s->job.home, s->asker, s);
}

static void done(struct job *job)
{
    struct read_stream *s = (struct read_stream *)job;
    struct sync_metrics *m = &job->home->server->metrics;
    const struct read_piece *piece = &other_slot(s)->piece;
    s->busy = false;
    s->has_ahead = true;
    if (piece->rc != SYNC_OK) counter_add(&m->store_errors, 1);
    if (piece->rc == SYNC_OK && piece->last && is_delta(s)) {
        histogram_observe(&m->get_changes_ns, system_monotonic_ns() - s->began_ns);
        counter_add(&m->delta_pages, 1);
    }
    if (s->orphan)
        free_stream(s);
    else if (s->waiting)
        show(s);
}

static struct read_stream *start(struct loop *l, enum read_format format, struct slice database,
                                 uint64_t asker, read_ready_fn *ready)
{
    struct read_stream *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    assert(database.len <= sizeof s->database);
    memcpy(s->database, database.bytes, database.len);
    s->database_len = database.len;
    s->format = format;
    s->asker = asker;
    s->ready = ready;
    s->shard = server_shard(l->server, database);
    s->job.home = l;
    s->job.run = run;
    s->job.done = done;
    for (size_t i = 0; i < 2; i++) /* a piece, or one fact where that is longer: what a client once sent */
        s->slots[i].bytes = buf_make(SIZE_MAX / 4);
    s->waiting = true;
    s->began_ns = system_monotonic_ns();
    admission_begins(l->server->admission);
    return s;
}

struct read_stream *read_stream_delta(struct loop *l, enum read_format format,
                                      const struct delta_request *request, uint64_t asker,
                                      read_ready_fn *ready)
{
    struct read_stream *s = start(l, format, request->database, asker, ready);
    if (s == NULL) return NULL;
    s->request = *request;
    s->request.database = slice_of(s->database, s->database_len);
    submit(s);
    return s;
}

struct read_stream *read_stream_snapshot(struct loop *l, enum read_format format, struct slice database,
                                         struct message *checkpoint, uint64_t asker, read_ready_fn *ready)
{
    struct read_stream *s = start(l, format, database, asker, ready);
    if (s == NULL) {
        if (checkpoint != NULL) message_deinit(checkpoint);
        free(checkpoint);
        return NULL;
    }
    unsigned char random[FRESH_ID_BYTES];
    system_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) (void)snprintf(s->fresh_id + 2 * i, 3, "%02x", random[i]);
    s->checkpoint = checkpoint;
    counter_add(&l->server->metrics.snapshot_requests, 1);
    submit(s);
    return s;
}

const struct read_piece *read_stream_piece(const struct read_stream *s)
{
    assert(!s->waiting);
    return &s->slots[s->shown].piece;
}

void read_stream_next(struct read_stream *s, bool keeps_up)
{
    assert(!s->waiting && !is_end(&s->slots[s->shown].piece));
    s->waiting = true;
    s->keeps_up = keeps_up;
    if (!keeps_up) buf_deinit(&s->slots[s->shown].bytes); /* it may be long until the next */
    if (s->has_ahead)
        show(s);
    else if (!s->busy)
        submit(s);
}

void read_stream_cut(struct read_stream *s)
{
    atomic_store(&s->cut, true);
}

void read_stream_release(struct read_stream *s)
{
    if (s == NULL) return;
    if (s->busy)
        s->orphan = true;
    else
        free_stream(s);
}
