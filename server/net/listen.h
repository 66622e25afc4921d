/* listen.h -- listening sockets, one a loop, and what comes in through them.
 *
 * libwebsockets 4.1 shares a port only between the threads of one context, and Debian builds it for one, so
 * the sockets are ours: each loop has its own, bound with SO_REUSEPORT, and hands what it accepts to
 * libwebsockets. That also decides who comes in before any memory is spent on them.
 *
 * Threads: listen_resolve on the main thread; the rest on the loop's. */
#ifndef SERVER_NET_LISTEN_H
#define SERVER_NET_LISTEN_H

#include "core/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct loop;

enum { LISTEN_ADDRESS_MAX = 64, LISTEN_BACKLOG = 4096 };

/* Resolves `host` to a numeric address and makes sure the port is free: SO_REUSEPORT would let a second
 * server join in unnoticed and get half of the connections. Port 0 becomes a free port.
 * Errors: SYNC_EIO, naming host and port. */
enum sync_err listen_resolve(const char *host, uint16_t port, char ret_address[LISTEN_ADDRESS_MAX],
                             uint16_t *ret_port, struct err_ctx *ec);

struct listener {
    struct loop *loop;
    uv_poll_t poll;
    int fd;
    bool open;
    bool paused; /* no file descriptor was left; tried again a little later */
};

/* Binds and begins to accept. `address` and `port` as listen_resolve() gave them. */
enum sync_err listener_open(struct listener *n, struct loop *l, const char *address, uint16_t port,
                            struct err_ctx *ec);
void listener_close(struct listener *n); /* also one that is not open */

/* Accepts again after a pause. */
void listener_resume(struct listener *n);

#endif
