#include "server/net/listen.h"

#include "server/net/guest.h"
#include "server/net/loop.h"
#include "server/net/tls.h"
#include "server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t port_of(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
    return ntohs(((const struct sockaddr_in *)a)->sin_port);
}

/* Binds without SO_REUSEPORT, which succeeds only where nobody listens, and lets go again. */
static enum sync_err probe(const struct addrinfo *a, const char *host, uint16_t port, uint16_t *ret_port,
                           struct err_ctx *ec)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    int one = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return err_set(ec, SYNC_EIO, "make a socket: %s", strerror(errno));
    /* Connections of a server that just ended may linger; they are no obstacle. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    enum sync_err rc = SYNC_OK;
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
        rc = err_set(ec, SYNC_EIO, "listen on %s port %u: %s", host, (unsigned)port, strerror(errno));
    else
        *ret_port = port_of(&bound);
    (void)close(fd);
    return rc;
}

static enum sync_err find(const char *host, uint16_t port, int flags, struct addrinfo **ret,
                          struct err_ctx *ec)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | flags};
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    int failed = getaddrinfo(host, service, &hints, ret);
    return failed == 0 ? SYNC_OK : err_set(ec, SYNC_EIO, "find host %s: %s", host, gai_strerror(failed));
}

enum sync_err listen_resolve(const char *host, uint16_t port, char ret_address[LISTEN_ADDRESS_MAX],
                             uint16_t *ret_port, struct err_ctx *ec)
{
    struct addrinfo *list;
    enum sync_err rc = find(host, port, 0, &list, ec);
    if (rc != SYNC_OK) return rc;
    int failed = getnameinfo(list->ai_addr, list->ai_addrlen, ret_address, LISTEN_ADDRESS_MAX, NULL, 0,
                             NI_NUMERICHOST);
    if (failed != 0) rc = err_set(ec, SYNC_EIO, "find host %s: %s", host, gai_strerror(failed));
    if (rc == SYNC_OK) rc = probe(list, host, port, ret_port, ec);
    freeaddrinfo(list);
    return rc;
}

/* ---- accepting */

enum { ACCEPTS_MAX = 64 }; /* at one wake-up: those who are in must not wait for all who come */
enum { PAUSE_MS = 100 };

/* What the kernel may hold of a connection beyond what is on its way. Without this it takes megabytes for a
 * client that does not read, copied for each, before the session's queue, which shares them, has to. */
enum { UNSENT_BYTES_MAX = 128 << 10 };

/* Said before any memory is spent on the connection; where TLS would have to be agreed on first, closing says
 * it. Its request is not read, so the client may see the connection break instead; either way it comes again
 * later. */
static void turn_away(const struct loop *l, int fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n"
                                 "connection: close\r\n\r\n";
    if (!tls_is_on(l->config)) (void)send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *n = poll->data;
    struct server *s = n->loop->server;
    (void)events;
    if (status < 0) return;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage from = {0};
        socklen_t from_len = sizeof from;
        int fd = accept4(n->fd, (struct sockaddr *)&from, &from_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            log_warn(&s->logger, LOG_SERVER, "server.accept_failed", LOG_STR("error", strerror(errno)),
                     LOG_STR("next", "tried again in 100 ms"));
            n->paused = true;
            (void)uv_poll_stop(&n->poll);
            loop_wake_at(n->loop, loop_now_ms(n->loop) + PAUSE_MS);
            return;
        }
        if (fd < 0) return; /* nobody left, or gone again */
        if (!guest_take_in(n->loop, fd, (const struct sockaddr *)&from)) turn_away(n->loop, fd);
    }
}

void listener_resume(struct listener *n)
{
    if (!n->open || !n->paused) return;
    n->paused = false;
    (void)uv_poll_start(&n->poll, UV_READABLE, on_readable);
}

static enum sync_err bind_shared(struct listener *n, const struct addrinfo *a, struct err_ctx *ec)
{
    int one = 1, unsent = UNSENT_BYTES_MAX;
    n->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (n->fd < 0) return err_set(ec, SYNC_EIO, "make a socket: %s", strerror(errno));
    if (setsockopt(n->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(n->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0 ||
        bind(n->fd, a->ai_addr, a->ai_addrlen) != 0 || listen(n->fd, LISTEN_BACKLOG) != 0) {
        enum sync_err rc = err_set(ec, SYNC_EIO, "%s", strerror(errno));
        (void)close(n->fd);
        return rc;
    }
    /* Accepted sockets inherit it. Where the kernel does not know it there is more memory at stake, no
     * more. */
    (void)setsockopt(n->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    return SYNC_OK;
}

enum sync_err listener_open(struct listener *n, struct loop *l, const char *address, uint16_t port,
                            struct err_ctx *ec)
{
    struct addrinfo *list;
    *n = (struct listener){.loop = l, .fd = -1};
    enum sync_err rc = find(address, port, AI_NUMERICHOST, &list, ec);
    if (rc != SYNC_OK) return rc;
    rc = bind_shared(n, list, ec);
    freeaddrinfo(list);
    if (rc != SYNC_OK) {
        err_wrap(ec, "listen on %s port %u", address, (unsigned)port);
        return rc;
    }
    n->poll.data = n;
    if (uv_poll_init(&l->uv, &n->poll, n->fd) != 0 ||
        uv_poll_start(&n->poll, UV_READABLE, on_readable) != 0) {
        (void)close(n->fd);
        return err_set(ec, SYNC_EIO, "watch the listening socket");
    }
    n->open = true;
    return SYNC_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *n = handle->data;
    (void)close(n->fd);
}

void listener_close(struct listener *n)
{
    if (!n->open) return;
    n->open = false;
    (void)uv_poll_stop(&n->poll);
    uv_close((uv_handle_t *)&n->poll, on_closed);
}
