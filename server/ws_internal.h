/* ws_internal.h -- the state of a WebSocket connection, shared by ws.c (in), ws_session.c (decisions carried
 * out) and ws_send.c (out), and by nothing else. */
#ifndef SERVER_WS_INTERNAL_H
#define SERVER_WS_INTERNAL_H

#include "core/session.h"
#include "server/push_queue.h"
#include "server/read_stream.h"
#include "server/server.h"
#include "server/ws.h"

/* A control message that waits to be sent. */
struct ws_text {
    struct ws_text *next;
    size_t len;
    unsigned char bytes[]; /* LWS_PRE of room, then len */
};

/* A message that came while the session held its input back. */
struct ws_late {
    struct ws_late *next;
    struct message *message; /* NULL: it could not be read, and ec says why */
    struct err_ctx ec;
};

/* Answers that wait for a client that sends and does not read. Past this its input is held back; what is in
 * flight by then may still add its answers. */
enum { WS_TEXTS_BYTES_MAX = 256 << 10 };

struct ws {
    struct loop *loop;
    struct lws *wsi;
    uint64_t id;
    struct logger logger;
    struct session session;
    struct subscriber subscriber;

    struct buf receiving; /* the message that is coming in */
    bool receiving_binary;
    struct receiver receiver;
    struct ws_late *late, **late_end;
    bool paced; /* the first of `late` waits at least until */
    uint64_t paced_until_ms;
    uint64_t valid_ms; /* when the client was last known to be there */
    bool held;         /* the library was told to read no more */
    bool working;      /* through `late`, guards against doing it from within */

    struct ws_text *texts, **texts_end;
    size_t texts_bytes; /* what they hold in memory; past WS_TEXTS_BYTES_MAX nothing is read */
    struct read_stream *stream;
    bool stream_ready; /* its piece can be sent */
    bool in_delta;     /* the `changes` message has begun and not ended */
    struct push_queue pushes;
    struct frame *pushing;  /* a frame too long for one write: the rest of it is next */
    size_t pushed_bytes;    /* of it */
    uint64_t push_after_ms; /* after a push with migrations the next one waits */
    bool lag_counted;
    uint64_t drain_at_ms; /* UINT64_MAX: not to be closed */
    bool draining;        /* that time has come */
    bool closing;         /* with close_code, after the texts */
    bool close_sent;      /* nothing is sent any more */
    uint16_t close_code;
};

/* ws_session.c */
void ws_carry_out(struct ws *w, struct session_update *u);                       /* empties u */
void ws_take_message(struct ws *w, struct message *m, const struct err_ctx *ec); /* m NULL: unreadable */
void ws_read_finished(struct ws *w, const struct session_read_result *result);
void ws_overflowed(struct ws *w);
void ws_settle(struct ws *w); /* after anything changed: deadlines, draining */

bool ws_holds_input(const struct ws *w); /* what has come waits in `late` */

/* ws_pace.c */
bool ws_must_wait(struct ws *w, const struct message *m); /* before it is worked on; m NULL: unreadable */
uint64_t ws_pace_tick(struct ws *w, uint64_t now_ms);     /* returns when to call it next */

/* ws_send.c */
bool ws_queue_text(struct ws *w, struct slice text); /* false: no memory; the connection closes */
void ws_want_write(struct ws *w);
void ws_free_output(struct ws *w);

#endif
