/* ws_internal.h -- the state of a WebSocket connection, shared by ws.c (in), ws_session.c (decisions carried
 * out), ws_hooks.c (hooks asked) and ws_send.c (out), and by nothing else. */
#ifndef SERVER_WS_WS_INTERNAL_H
#define SERVER_WS_WS_INTERNAL_H

#include "core/protocol/session.h"
#include "server/net/claim.h"
#include "server/server.h"
#include "server/store/read_stream.h"
#include "server/ws/push_pace.h"
#include "server/ws/push_queue.h"
#include "server/ws/ws.h"

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

/* The delta or snapshot under way, from the session's decision to its first piece. */
struct ws_read {
    enum session_reading kind;
    bool has_since;
    struct hlc since;
    struct message *checkpoint; /* of resume_snapshot, or NULL */
    bool as_push;               /* in push_changes: nobody asked for it */
    bool cut;                   /* the session wants it to end early */
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
    size_t texts_bytes;             /* what they hold in memory; past WS_TEXTS_BYTES_MAX nothing is read */
    struct claim *claim;            /* what it said of itself; NULL: there were no hooks yet */
    struct hook_identity *identity; /* whom the hooks take it for; NULL likewise */
    bool let_in;                    /* by client_connect: client_disconnect is owed */
    uint32_t judging;               /* batches that are with the hooks */

    struct ws_read read;
    struct read_stream *stream;
    bool stream_ready;  /* its piece can be sent */
    bool in_delta;      /* the `changes` message has begun and not ended */
    size_t delta_bytes; /* of it, so far */
    struct push_queue pushes;
    struct frame *pushing; /* a frame too long for one write: the rest of it is next */
    size_t pushed_bytes;   /* of it */
    struct push_pace push_pace;
    bool has_turn; /* ws_push_turn() will be called */
    bool inside;   /* of its database (store/presence.h) */
    bool lag_counted;
    uint64_t drain_at_ms; /* UINT64_MAX: not to be closed */
    bool draining;        /* that time has come */
    bool closing;         /* with close_code, after the texts */
    bool close_sent;      /* nothing is sent any more */
    uint16_t close_code;
};

/* ws.c */
void ws_is_there(struct ws *w); /* its silence ended, or is our doing */

/* ws_session.c */
void ws_carry_out(struct ws *w, struct session_update *u);                       /* empties u */
void ws_take_message(struct ws *w, struct message *m, const struct err_ctx *ec); /* m NULL: unreadable */
void ws_read_finished(struct ws *w, const struct session_read_result *result);
void ws_overflowed(struct ws *w);
void ws_settle(struct ws *w); /* after anything changed: deadlines, draining */

void ws_find_database(struct ws *w); /* the second half of the handshake */
void ws_opened(struct ws *w, enum sync_err rc, struct err_ctx *ec, const struct site_id *server_site);
void ws_begin_read(struct ws *w); /* w->read, which may be done */

bool ws_holds_input(const struct ws *w); /* what has come waits in `late` */

/* ws_hooks.c */
bool ws_hooks_open(struct ws *w); /* keeps what the upgrade's head says; false: no memory */
void ws_hooks_close(struct ws *w);
void ws_ask_to_enter(struct ws *w, const struct message *handshake); /* then ws_find_database() */
void ws_ask_to_read(struct ws *w);                                   /* then ws_begin_read() */
void ws_recheck(struct ws *w);
void ws_recheck_soon(struct ws *w); /* where hooks authenticate; spread, so that not all are asked together */
struct hook_identity *ws_identity(struct ws *w); /* made when there is none; NULL: no memory */
/* ws_pace.c */
bool ws_must_wait(struct ws *w, const struct message *m); /* before it is worked on; m NULL: unreadable */
uint64_t ws_pace_tick(struct ws *w, uint64_t now_ms);     /* returns when to call it next */

/* ws_send.c */
bool ws_queue_text(struct ws *w, struct slice text); /* false: no memory; the connection closes */
void ws_want_write(struct ws *w);
void ws_push_when_due(struct ws *w); /* what waits is sent when its time has come */
void ws_free_output(struct ws *w);

#endif
