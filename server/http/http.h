/* http.h -- one HTTP exchange: a request and its answer (protocol section 4).
 *
 * libwebsockets reads the request; the answer, head and body, is written by us as one text where it fits,
 * chunked where its length is not known ahead. An exchange ends when its answer has been handed over; the
 * connection may then carry another.
 *
 * Only HTTP/1.1 is spoken: ALPN offers nothing else and an upgrade to h2c is refused, because protocol and
 * clients need no more and each further protocol is surface to attack.
 *
 * Threads: the loop's. */
#ifndef SERVER_HTTP_HTTP_H
#define SERVER_HTTP_HTTP_H

#include "server/net/loop.h"

#include <libwebsockets.h>
#include <stddef.h>
#include <stdint.h>

struct http;

/* Behind the callbacks of libwebsockets; what they return goes back to it (not 0: close). */
int http_confirm_upgrade(struct loop *l, struct lws *wsi, const char *protocol);
int http_begin(struct loop *l, struct lws *wsi, struct http **ret, const char *path, size_t path_len);
int http_body(struct http *h, const char *bytes, size_t len);
int http_body_complete(struct http *h);
int http_writeable(struct http **h);
void http_closed(struct http *h); /* takes NULL; frees it */

/* Does what is due; returns when it is to be called next. */
uint64_t http_tick(struct http *h, uint64_t now_ms);

/* A long poll is answered now, with what there is. */
void http_drain(struct http *h);

#endif
