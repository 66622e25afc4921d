/* bench_conn.h -- many client connections, WebSocket or HTTP, on one epoll loop.
 *
 * Made to cost little next to the server that is measured: frames are masked with a key of zeros, which
 * leaves the payload as it is, and a message that arrived in one piece is handed on without a copy. No TLS.
 *
 * What the server breaks off, or answers with an error, ends the bench (die), unless the connection says that
 * it bears with that. Threads: one. */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "core/base/buf.h"
#include "core/facts/site_id.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Which server, and how to be let in. */
struct target {
    struct sockaddr_in address;
    const char *base_path; /* "/sync" */
    const char *token;     /* NULL: none */
};

struct conn_loop {
    int epoll_fd;
    char *read_bytes;
};

void conn_loop_init(struct conn_loop *l);
void conn_loop_deinit(struct conn_loop *l);

/* Waits for events up to so long and handles them. */
void conn_loop_step(struct conn_loop *l, int timeout_ms);

enum conn_kind { CONN_WS, CONN_HTTP };

/* How far the reader is in what arrives. */
enum conn_reading {
    READING_HEAD,
    READING_FRAME_HEAD,
    READING_FRAME,
    READING_BODY,
    READING_CHUNK_SIZE,
    READING_CHUNK,
    READING_CHUNK_END,
};

struct conn;
typedef void conn_message_fn(struct conn *c, struct slice text);

struct conn {
    struct conn_loop *loop;
    const struct target *target;
    enum conn_kind kind;
    int fd;
    bool live;                   /* WebSocket: the handshake was answered; HTTP: connected */
    bool paused;                 /* takes nothing from its socket */
    bool patient;                /* set by the owner: an upgrade may be refused with 503, and comes again */
    uint64_t retry_ns;           /* of a patient one that was refused and is closed: when; else 0 */
    conn_message_fn *on_message; /* of a live one: a message, or the body of an answer */
    void *user;

    char database[64];
    char site[SITE_ID_TEXT + 1];

    enum conn_reading reading;
    struct buf head; /* HTTP head, chunk size line or frame head, as far as it came */
    uint64_t left;   /* of the frame, body or chunk */
    uint8_t opcode;  /* of the frame */
    bool final;      /* is it the last frame of its message? */
    struct buf text; /* of the message or body, as far as it came */
    int status;      /* of the HTTP answer */
    struct buf out;  /* what the socket did not take */
    size_t out_sent;
    uint64_t received; /* bytes, in all */
};

/* Starts connecting. site: 22 characters. The struct must not move. */
void conn_open(struct conn *c, struct conn_loop *l, const struct target *t, enum conn_kind kind,
               const char *database, const char *site, conn_message_fn *on_message, void *user);
void conn_close(struct conn *c); /* takes closed ones too */

/* Stops and goes on taking what arrives. A paused one notices nothing, not even its end. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* Lets the kernel hold only so much for it that it did not take yet. */
void conn_limit_receiving(struct conn *c, int bytes);

/* Steps until all of them are live; dies after 30 s. */
void conn_wait_live(struct conn_loop *l, struct conn *conns, size_t count);

void conn_send(struct conn *c, struct slice text); /* one WebSocket message */
void conn_get(struct conn *c,
              const char *resource); /* GET BASE/DATABASE/resource, or BASE/resource from '/' */

enum message_kind {
    KIND_OTHER,
    KIND_HANDSHAKE_ACK,
    KIND_APPLY_RESULT,
    KIND_CHANGES,
    KIND_PUSH,
    KIND_SNAPSHOT_CHUNK,
    KIND_SNAPSHOT_COMPLETE,
    KIND_ERROR,
};

enum message_kind message_kind(struct slice text);

#endif
