/* read_stream.h -- a delta or a snapshot on its way to one connection, piece by piece.
 *
 * A piece is read on a reader thread and announced on the loop; the connection takes it when its socket has
 * room and asks for the next. While the socket takes pieces whole, the next one is read before it is asked
 * for; a slow client costs one piece. Pieces come ready to send:
 *
 *     READ_WS_DELTA       fragments of one `changes` message
 *     READ_WS_PUSH        likewise of one `push_changes` message
 *     READ_WS_SNAPSHOT    one `snapshot_chunk` message each
 *     READ_HTTP_DELTA     parts of the answer's body
 *     READ_HTTP_SNAPSHOT  lines of NDJSON
 *
 * Threads: the connection's loop. */
#ifndef SERVER_STORE_READ_STREAM_H
#define SERVER_STORE_READ_STREAM_H

#include "core/base/buf.h"
#include "core/protocol/message.h"
#include "server/net/loop.h"
#include "storage/views/delta_reader.h"

#include <stdbool.h>
#include <stdint.h>

enum { PIECE_BYTES = 128 << 10 };

enum read_format { READ_WS_DELTA, READ_WS_PUSH, READ_WS_SNAPSHOT, READ_HTTP_DELTA, READ_HTTP_SNAPSHOT };

struct read_stream;

/* The piece that was read last. */
struct read_piece {
    enum sync_err rc; /* when not SYNC_OK there are no bytes, and no further piece */
    struct err_ctx ec;
    struct slice bytes; /* LWS_PRE writable bytes stand before them; may be empty */
    bool first, last;
    struct delta_status delta; /* of deltas */
    uint64_t chunk_count;      /* of snapshots: chunks in this piece */
};

/* Called once for each piece, on the loop. `asker` may be gone. */
typedef void read_ready_fn(struct loop *l, uint64_t asker, struct read_stream *s);

/* Starts reading the first piece. NULL when memory is short. Names are copied; `checkpoint` (NULL: none) is a
 * message that holds one, malloc'ed, taken in any case. */
struct read_stream *read_stream_delta(struct loop *l, enum read_format format,
                                      const struct delta_request *request, uint64_t asker,
                                      read_ready_fn *ready);
struct read_stream *read_stream_snapshot(struct loop *l, enum read_format format, struct slice database,
                                         struct message *checkpoint, uint64_t asker, read_ready_fn *ready);

/* Valid from `ready` until read_stream_next(). */
const struct read_piece *read_stream_piece(const struct read_stream *s);

/* Asks for the next piece; the last one was not the end. `keeps_up`: the socket took all of that. Calls
 * `ready` before it returns where the piece is there already. */
void read_stream_next(struct read_stream *s, bool keeps_up);

/* Deltas: lets the page end at the next end of a transaction. At any time. */
void read_stream_cut(struct read_stream *s);

/* Gives it up; a piece that is being read is thrown away when it comes. Takes NULL. */
void read_stream_release(struct read_stream *s);

#endif
