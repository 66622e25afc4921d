#include "bench_conn.h"

#include "bench_util.h"
#include "bench_wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, EVENTS_MAX = 512, LIVE_WAIT_S = 30 };

void conn_loop_init(struct conn_loop *l)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) die("epoll_create1: %s", strerror(errno));
    l->read_bytes = must(malloc(READ_BYTES));
}

void conn_loop_deinit(struct conn_loop *l)
{
    (void)close(l->epoll_fd);
    free(l->read_bytes);
}

/* ---- out */

static void watch(struct conn *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(c->loop->epoll_fd, op, c->fd, &e) != 0) die("epoll_ctl: %s", strerror(errno));
}

void conn_pause(struct conn *c)
{
    if (!c->paused && epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL) != 0)
        die("epoll_ctl: %s", strerror(errno));
    c->paused = true;
}

void conn_resume(struct conn *c)
{
    if (c->paused) watch(c, EPOLL_CTL_ADD, c->out.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    c->paused = false;
}

void conn_limit_receiving(struct conn *c, int bytes)
{
    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0)
        die("SO_RCVBUF: %s", strerror(errno));
}

static size_t write_now(struct conn *c, const struct iovec *pieces, size_t count)
{
    struct msghdr m = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = count};
    ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    if (n >= 0) return (size_t)n;
    if (errno != EAGAIN && errno != ENOTCONN) die("send: %s", strerror(errno));
    return 0;
}

void conn_put(struct conn *c, struct slice head, struct slice body)
{
    const struct iovec pieces[2] = {{.iov_base = (char *)head.bytes, .iov_len = head.len},
                                    {.iov_base = (char *)body.bytes, .iov_len = body.len}};
    bool waits = c->out.len > 0;
    size_t sent = waits ? 0 : write_now(c, pieces, 2);
    if (sent < head.len) buf_put(&c->out, head.bytes + sent, head.len - sent);
    size_t body_sent = sent > head.len ? sent - head.len : 0;
    if (body_sent < body.len) buf_put(&c->out, body.bytes + body_sent, body.len - body_sent);
    if (c->out.failed != SYNC_OK) die("out of memory");
    if (!waits && c->out.len > 0 && !c->paused) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void flush(struct conn *c)
{
    const struct iovec piece = {.iov_base = c->out.bytes + c->out_sent, .iov_len = c->out.len - c->out_sent};
    c->out_sent += piece.iov_len == 0 ? 0 : write_now(c, &piece, 1);
    if (c->out_sent < c->out.len) return;
    buf_deinit(&c->out);
    c->out_sent = 0;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* ---- events */

static void on_readable(struct conn *c)
{
    ssize_t n = recv(c->fd, c->loop->read_bytes, READ_BYTES, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) die("receive from %s's connection: %s", c->database, strerror(errno));
    if (n == 0) die("the server closed a connection to %s", c->database);
    c->received += (uint64_t)n;
    wire_take(c, slice_of(c->loop->read_bytes, (size_t)n));
}

void conn_loop_step(struct conn_loop *l, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(l->epoll_fd, events, EVENTS_MAX, timeout_ms);
    if (count < 0 && errno != EINTR) die("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct conn *c = events[i].data.ptr;
        if (c->fd >= 0 && (events[i].events & EPOLLOUT) != 0) flush(c);
        if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) on_readable(c);
    }
}

/* ---- life */

void conn_open(struct conn *c, struct conn_loop *l, const struct target *t, enum conn_kind kind,
               const char *database, const char *site, conn_message_fn *on_message, void *user)
{
    int one = 1;
    *c = (struct conn){.loop = l, .target = t, .kind = kind, .on_message = on_message, .user = user};
    c->head = buf_make(64 << 10);
    c->text = c->out = buf_make(SIZE_MAX / 4);
    if (strlen(database) >= sizeof c->database) die("database id %s is too long for the bench", database);
    memcpy(c->database, database, strlen(database) + 1);
    memcpy(c->site, site, SITE_ID_TEXT);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s", strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)&t->address, sizeof t->address) != 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    if (kind == CONN_WS)
        wire_ask_upgrade(c);
    else
        c->live = true;
}

void conn_close(struct conn *c)
{
    if (c->loop == NULL || c->fd < 0) return;
    (void)close(c->fd);
    c->fd = -1;
    c->live = false;
    buf_deinit(&c->head);
    buf_deinit(&c->text);
    buf_deinit(&c->out);
}

void conn_wait_live(struct conn_loop *l, struct conn *conns, size_t count)
{
    uint64_t deadline_ns = now_ns() + (uint64_t)LIVE_WAIT_S * NS_PER_S;
    for (size_t i = 0; i < count; i++) {
        while (!conns[i].live) {
            if (now_ns() > deadline_ns)
                die("%zu of %zu connections are not live after 30 s", count - i, count);
            conn_loop_step(l, 100);
        }
    }
}
