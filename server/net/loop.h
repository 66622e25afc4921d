/* loop.h -- one event loop: a thread, a libwebsockets context, and the connections that belong to it.
 *
 * Every loop listens on the same port (SO_REUSEPORT), so the kernel spreads connections over them. A loop
 * owns its connections and makes every libwebsockets call about them; nothing else does. What other threads
 * have for it comes as jobs through loop_post().
 *
 * libwebsockets is driven by libuv (its event library plug-in), since its own poll() loop walks all sockets
 * at each wake-up, and idle connections must cost nothing.
 *
 * Threads: everything runs on the loop's own, but loop_post() and what says otherwise. */
#ifndef SERVER_NET_LOOP_H
#define SERVER_NET_LOOP_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/json/json.h"
#include "core/protocol/session.h"
#include "server/net/id_table.h"
#include "server/net/job.h"
#include "server/net/listen.h"
#include "server/net/receiving.h"
#include "server/net/turns.h"
#include "server/ws/hub.h"

#include <libwebsockets.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct settings;

enum {
    LOOP_READ_BYTES = 32 << 10, /* taken from a socket at once */
    LOOP_SEND_BYTES = 64 << 10, /* handed to a socket at once, where pieces are put together */
};

struct loop {
    struct server *server;
    uint32_t index;
    pthread_t thread;
    bool thread_started;
    struct settings *settings;     /* that it works with */
    const struct config *config;   /* of these */
    struct session_config session; /* likewise; sessions keep a pointer to it */

    uv_loop_t uv;
    uv_async_t wake;  /* there is something in the inbox */
    uv_timer_t timer; /* the nearest deadline of any connection */
    uint64_t timer_ms;
    uv_timer_t push_timer;   /* the first of push_turns */
    struct turns push_turns; /* of sessions, whose pushes wait for a time */
    bool uv_open;
    struct listener listener;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    void *idle_tls;            /* tls_idle_context_new(), where TLS is on */
    bool guest_arrives;        /* guest.c: libwebsockets has not told of it yet */
    lws_retry_bo_t keep_valid; /* when to ping, when to give up; lws keeps a pointer to it */

    pthread_mutex_t lock; /* guards inbox, inbox_end */
    struct job *inbox;
    struct job **inbox_end;

    struct hub hub;
    struct id_table sessions;  /* struct ws */
    struct id_table exchanges; /* struct http */
    struct receiver_list receivers;
    struct json_reader *json;
    uint8_t *scratch; /* LWS_PRE + LOOP_SEND_BYTES, for messages put together while they are sent */
    bool draining;
    bool stopping;
};

/* Opens the listening socket. Called on the main thread, before loop_start(). */
enum sync_err loop_open(struct loop *l, struct server *server, uint32_t index, struct err_ctx *ec);
enum sync_err loop_start(struct loop *l, struct err_ctx *ec);

/* Main thread: asks the loop to end, waits for it, frees everything. Also for loops that never started. */
void loop_stop(struct loop *l);
void loop_close(struct loop *l);

/* Any thread: j->done will be called on the loop's. Takes ownership. */
void loop_post(struct loop *l, struct job *j);

/* Milliseconds on a clock that only goes forward. */
uint64_t loop_now_ms(const struct loop *l);

/* A connection will be looked at (ws_tick, http_tick) at this time or earlier. */
void loop_wake_at(struct loop *l, uint64_t deadline_ms);

/* ws_push_turn() will be called for the session at this time, to the millisecond. False: no memory. */
bool loop_push_at(struct loop *l, uint64_t session_id, uint64_t due_ms);

/* Tells the hooks of the sessions that are still there. After loop_stop(). */
void loop_say_goodbye(struct loop *l);
/* Changes over to other settings. */
void loop_take_settings(struct loop *l, struct settings *fresh);

/* Lets nobody in any more, and ends what is there: exchanges at once, sessions spread over some time. */
void loop_drain(struct loop *l);

#endif
