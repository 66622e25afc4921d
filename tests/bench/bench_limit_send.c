#include "bench_limit.h"
#include "bench_util.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DRAIN_BYTES = 256 << 10, EVENTS_MAX = 512 };

struct drain {
    int epoll_fd;
    char *bytes;
    uint64_t received; /* read after the thread has ended */
    _Atomic uint64_t expected;
};

/* Reads until what was sent has arrived. */
static void *run_drain(void *arg)
{
    struct drain *d = arg;
    struct epoll_event events[EVENTS_MAX];
    while (d->received < atomic_load(&d->expected)) {
        int count = epoll_wait(d->epoll_fd, events, EVENTS_MAX, 10);
        for (int i = 0; i < count; i++) {
            ssize_t n = recv(events[i].data.fd, d->bytes, DRAIN_BYTES, MSG_DONTWAIT);
            if (n > 0) d->received += (uint64_t)n;
        }
    }
    return NULL;
}

static void connect_pair(int listener, const struct sockaddr_in *address, int *ret_sender, int *ret_reader)
{
    int one = 1;
    *ret_reader = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*ret_reader < 0 || connect(*ret_reader, (const struct sockaddr *)address, sizeof *address) != 0)
        die("connect: %s", strerror(errno));
    *ret_sender = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*ret_sender < 0) die("accept: %s", strerror(errno));
    (void)setsockopt(*ret_sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int listen_here(struct sockaddr_in *ret)
{
    socklen_t len = sizeof *ret;
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)ret, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)ret, &len) != 0)
        die("listen: %s", strerror(errno));
    return fd;
}

static uint64_t send_rounds(struct slice text, const int *senders, size_t sockets, size_t rounds,
                            uint64_t deadline_ns)
{
    uint64_t sent = 0;
    for (size_t round = 0; round < rounds && now_ns() < deadline_ns; round++) {
        for (size_t i = 0; i < sockets; i++, sent++) /* blocking: a full socket waits for the reader */
            if (send(senders[i], text.bytes, text.len, MSG_NOSIGNAL) != (ssize_t)text.len)
                die("send: %s", strerror(errno));
    }
    return sent;
}

double limit_send(struct slice text, size_t sockets, size_t rounds, double seconds)
{
    struct sockaddr_in address;
    pthread_t thread;
    struct drain d = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .bytes = must(malloc(DRAIN_BYTES))};
    int *senders = must(malloc(sockets * sizeof *senders)),
        *readers = must(malloc(sockets * sizeof *readers));
    int listener = listen_here(&address);
    for (size_t i = 0; i < sockets; i++) {
        connect_pair(listener, &address, &senders[i], &readers[i]);
        struct epoll_event e = {.events = EPOLLIN, .data.fd = readers[i]};
        if (epoll_ctl(d.epoll_fd, EPOLL_CTL_ADD, readers[i], &e) != 0) die("epoll_ctl: %s", strerror(errno));
    }
    atomic_store(&d.expected, UINT64_MAX);
    uint64_t began_ns = now_ns();
    if (pthread_create(&thread, NULL, run_drain, &d) != 0) die("no thread");
    uint64_t sent = send_rounds(text, senders, sockets, rounds, began_ns + (uint64_t)(seconds * NS_PER_S));
    atomic_store(&d.expected, sent * text.len);
    pthread_join(thread, NULL); /* a send counts once its bytes have arrived, as with the server */
    double took_s = (double)(now_ns() - began_ns) / NS_PER_S;
    for (size_t i = 0; i < sockets; i++) {
        (void)close(senders[i]);
        (void)close(readers[i]);
    }
    (void)close(listener);
    (void)close(d.epoll_fd);
    free(d.bytes);
    free(senders);
    free(readers);
    return (double)sent / took_s;
}
