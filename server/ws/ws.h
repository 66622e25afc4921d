/* ws.h -- a WebSocket connection: carries out what its session (core/protocol/session.h) decides.
 *
 * What leaves, in this order, one lws_write() per writeable callback: the rest of a message that has begun;
 * control messages; the next piece of a delta or snapshot; waiting pushes, merged into one message. Frames
 * leave only in the writeable callback, so the socket's room paces everything.
 *
 * Threads: the loop's. */
#ifndef SERVER_WS_WS_H
#define SERVER_WS_WS_H

#include "server/net/loop.h"

#include <libwebsockets.h>
#include <stddef.h>
#include <stdint.h>

struct ws;

/* Behind the callbacks of libwebsockets; what they return goes back to it (not 0: close). */
int ws_open(struct loop *l, struct lws *wsi, struct ws **ret);
int ws_receive(struct ws *w, const char *bytes, size_t len);
int ws_writeable(struct ws *w);
void ws_pong(struct ws *w, const void *payload, size_t len);
void ws_closed(struct ws *w); /* takes NULL; frees it */

/* Does what is due; returns when it is to be called next. */
uint64_t ws_tick(struct ws *w, uint64_t now_ms);
void ws_push_turn(struct ws *w); /* asked for by loop_push_at() */

/* Tells the hooks that the session is over, if they have not been told. */
void ws_say_goodbye(struct ws *w);
/* The loop's settings have changed. */
void ws_take_settings(struct ws *w);

/* Closes with 1001 at this time, or once the batches then in flight are answered. */
void ws_drain(struct ws *w, uint64_t at_ms);

/* Is this subscriber a session? (Long polls subscribe as well.) */
struct subscriber;
bool ws_is_session(const struct subscriber *s);

/* The watermark that the session's client is known to have; false: none yet. */
bool ws_proven_watermark(const struct subscriber *s, struct hlc *ret);

#endif
