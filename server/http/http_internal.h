/* http_internal.h -- the state of an exchange, shared by http.c (in), http_send.c (out), http_hooks.c
 * (hooks asked), http_changes.c and http_info.c (routes), and by nothing else. */
#ifndef SERVER_HTTP_HTTP_INTERNAL_H
#define SERVER_HTTP_HTTP_INTERNAL_H

#include "core/log/log.h"
#include "server/hooks/hook_admit.h"
#include "server/http/chunked.h"
#include "server/http/http.h"
#include "server/http/http_request.h"
#include "server/http/http_response.h"
#include "server/server.h"
#include "server/store/read_stream.h"

enum { HTTP_PASSED_OVER_BYTES_MAX = 256 << 20 }; /* of a body that was refused; then the connection is cut */

enum http_state {
    HTTP_READING,   /* its body is coming */
    HTTP_WORKING,   /* a job or a long poll is under way */
    HTTP_ANSWERING, /* `out` waits to be sent, maybe more follows */
    HTTP_SENT,      /* a piece was handed over, the socket has not taken all of it yet */
    HTTP_ANSWERED,  /* likewise, and it was the last */
};

struct http {
    struct loop *loop;
    struct lws *wsi;
    uint64_t id;
    uint64_t began_ns;
    enum http_state state;
    struct http_request request;
    struct site_id site;
    bool has_since;
    struct hlc since;
    struct buf body;
    struct receiver receiver; /* of the body */
    uint64_t body_received;   /* as it came, packed or chunked */
    uint64_t body_began_ms;
    uint64_t body_stopped_ms; /* reading is stopped since then; 0: it is not */
    struct chunked chunked_body;
    uint64_t wait_ms;               /* of a long poll */
    struct hook_identity *identity; /* whom the hooks take the asker for; NULL: there are no hooks */
    bool asking;                    /* the hooks are asked who it is, before its body is read */
    bool body_came;                 /* meanwhile */
    uint32_t body_ends;             /* how often the end of the body was reported */

    int status;
    bool close;     /* after the answer */
    struct buf out; /* LWS_PRE of room, then what is sent next */
    struct read_stream *stream;
    bool chunked;
    bool ends; /* nothing follows `out` */

    uint64_t send_ends_ms; /* then the socket must have taken what is written; UINT64_MAX: nothing is */

    struct subscriber subscriber; /* of a long poll */
    uint64_t deadline_ms;         /* of a long poll, or of waiting for the database; UINT64_MAX: none */
    bool polling;
    bool waiting;                    /* for the database to be on this machine */
    bool inside;                     /* of it (store/presence.h) */
    void (*entered)(struct http *h); /* what goes on then */
    bool poll_again;                 /* something came while its delta was being read */
};

/* limits.bodyBytes as it was when the exchange began. */
static inline size_t http_body_bytes_max(const struct http *h)
{
    return h->body.bytes_max - JSON_PADDING;
}

/* http_send.c: each ends the exchange's work; the answer goes out when the socket is writeable. */
void http_answer(struct http *h, int status, const char *content_type, struct slice body);
void http_fail(struct http *h, int status, const char *code, const char *message);
void http_fail_later(struct http *h, const char *code, const char *message); /* 503 with Retry-After */
void http_fail_busy(struct http *h, uint64_t retry_after_s);                 /* 429 */
void http_answer_head_only(struct http *h, const char *content_type);
/* A piece of the stream is ready: the first brings the head along. */
void http_send_piece(struct http *h, const char *content_type);
/* The stream failed in the middle: `line` is sent (may be empty), then the connection is cut. */
void http_break_off(struct http *h, struct slice line);

/* http.c: the connection's input, while an exchange is under way */
void http_stop_reading(struct http *h);
void http_go_on_reading(struct http *h);
void http_begin_sending(struct http *h); /* `out` */

/* http_enter.c: calls `next` once the database is here; or the exchange is told to come again. */
void http_enter(struct http *h, void (*next)(struct http *h));
void http_wait_is_over(struct http *h); /* its time is up, or the server stops */

void http_take_body(struct http *h); /* the whole body has come */
int http_say_continue(struct http *h);
int http_lws_timeout_s(const struct http *h);

/* http_hooks.c */
struct hook_identity;
/* Asks whether the request may be served, and then serves it. There are hooks; the built-in checks are
 * done. */
void http_ask_hooks(struct http *h, struct slice token);
/* The hooks, or what comes before the store, refused a batch. */
void http_refuse(struct http *h, enum sync_err rc, const char *text);

/* http_limits.c */
bool http_admits(struct http *h); /* false: the answer is under way */
void http_body_begins(struct http *h);
void http_body_stops(struct http *h, bool stop); /* reading it stops, or goes on */
uint64_t http_body_tick(struct http *h, uint64_t now_ms);

/* http_changes.c */
bool http_read_query(struct http *h); /* of GET changes; false: it is answered */
void http_get_changes(struct http *h);
void http_apply_changes(struct http *h);
void http_snapshot(struct http *h);
void http_poll_now(struct http *h); /* a long poll's time is up, or it has to end */

/* http_info.c */
void http_info(struct http *h);

#endif
