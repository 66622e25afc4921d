/* guest.h -- a connection from its accept to its end, below HTTP and WebSocket: where it comes from, and
 * whether it ever asked for anything.
 *
 * Who may come in is decided here, before any other memory is spent: connections in all, and of one address.
 *
 * Threads: the loop's. */
#ifndef SERVER_NET_GUEST_H
#define SERVER_NET_GUEST_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <sys/socket.h>

struct loop;

/* Takes the connection in: true when libwebsockets has it. False: to be turned away by the caller. */
bool guest_take_in(struct loop *l, int fd, const struct sockaddr *from);

/* Behind the callbacks of libwebsockets. */
void guest_created(struct loop *l);
void guest_asked(struct lws *wsi);                    /* a whole head has come */
void guest_answered(struct loop *l, struct lws *wsi); /* and may ask again */
void guest_gone(struct loop *l, struct lws *wsi);

#endif
