#include "tests/objects/fault_proxy_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- sockets */

static bool send_all(int fd, const char *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static ssize_t receive(int fd, char *bytes, size_t room)
{
    ssize_t n;
    do n = recv(fd, bytes, room, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int connect_upstream(struct fault_proxy *p)
{
    struct sockaddr_in a = loopback(p->upstream_port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* ---- heads */

/* Reads from fd until an empty line. The head goes to `head`, what came behind it to `early`. */
static bool read_head(int fd, char *head, size_t *ret_head_len, char *early, size_t *ret_early_len)
{
    size_t len = 0;
    while (len < FAULT_HEAD_MAX) {
        ssize_t n = receive(fd, head + len, FAULT_HEAD_MAX - len);
        if (n <= 0) return false;
        len += (size_t)n;
        head[len] = '\0';
        char *end = memmem(head, len, "\r\n\r\n", 4);
        if (end == NULL) continue;
        size_t head_len = (size_t)(end + 4 - head);
        *ret_early_len = len - head_len;
        memcpy(early, end + 4, *ret_early_len);
        head[head_len] = '\0';
        *ret_head_len = head_len;
        return true;
    }
    return false;
}

/* The value of a header, up to its line's end; NULL when it is not there. */
static const char *find_header(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            return line + 3 + len + strspn(line + 3 + len, " ");
    return NULL;
}

/* Takes a header out of a head in place. */
static void remove_header(char *head, size_t *len, const char *name)
{
    const char *value = find_header(head, name);
    if (value == NULL) return;
    char *start = (char *)value;
    while (start[-1] != '\n') start--;
    char *end = strstr(start, "\r\n") + 2;
    memmove(start, end, *len - (size_t)(end - head) + 1);
    *len -= (size_t)(end - start);
}

/* ---- one request */

/* Reads the request's body, and hands the first `pass` bytes on; upstream -1: nothing. False when the client
 * is gone. */
static bool move_body(struct request *r, int upstream, uint64_t pass)
{
    char bytes[COPY_BYTES];
    uint64_t done = 0;
    while (done < r->body_bytes) {
        const char *from = bytes;
        size_t n;
        if (done == 0 && r->early_len > 0) {
            from = r->early;
            n = r->early_len;
        } else {
            uint64_t left = r->body_bytes - done;
            ssize_t got = receive(r->c->fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
            if (got <= 0) return false;
            n = (size_t)got;
        }
        size_t passed = done >= pass ? 0 : pass - done < n ? (size_t)(pass - done) : n;
        /* A server that has answered already may not want the rest: its answer will tell. */
        if (upstream >= 0 && passed > 0 && !send_all(upstream, from, passed)) upstream = -1;
        done += n;
    }
    return true;
}

static bool answer_here(struct request *r)
{
    char body[512] = "", head[512], extra[160] = "";
    bool has_body = r->rule.code[0] != '\0' && strcmp(r->method, "HEAD") != 0;
    if (!move_body(r, -1, 0)) return false;
    if (has_body)
        (void)snprintf(
            body, sizeof body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>said by the fault "
            "proxy</Message></Error>",
            r->rule.code);
    if (r->rule.retry_after_s > 0)
        (void)snprintf(extra, sizeof extra, "Retry-After: %u\r\n", r->rule.retry_after_s);
    if (r->rule.content_range[0] != '\0')
        (void)snprintf(extra, sizeof extra, "Content-Range: bytes %s\r\n", r->rule.content_range);
    int n = snprintf(head, sizeof head, "HTTP/1.1 %u Told\r\nContent-Length: %zu\r\nETag: \"0\"\r\n%s\r\n",
                     r->rule.number, strlen(body), extra);
    return send_all(r->c->fd, head, (size_t)n) && send_all(r->c->fd, body, strlen(body));
}

static bool answer_stale(struct request *r)
{
    size_t len = 0;
    char *answer = fault_find_kept(r->c->proxy, r, &len);
    bool good = move_body(r, -1, 0) && answer != NULL && send_all(r->c->fd, answer, len);
    free(answer);
    return good;
}

/* Sends the request on. False when the client broke off before its end. */
static bool forward(struct request *r, int upstream, uint64_t pass)
{
    /* The server is to end its answer by closing, so that no framing has to be understood here. */
    static const char close_line[] = "Connection: close\r\n\r\n";
    (void)send_all(upstream, r->head, r->head_len - 2);
    (void)send_all(upstream, close_line, sizeof close_line - 1);
    return move_body(r, upstream, pass);
}

/* An answer on its way: to the client, and, small ones, into memory. */
struct relay {
    int to;         /* -1: nobody */
    uint64_t limit; /* body bytes that the client gets */
    uint64_t passed;
    bool cut;
    char *copy;
    size_t copy_len;
};

static void relay_bytes(struct relay *y, const char *bytes, size_t len, bool is_body)
{
    if (y->copy != NULL && len <= KEPT_BYTES_MAX - y->copy_len) {
        memcpy(y->copy + y->copy_len, bytes, len);
        y->copy_len += len;
    } else {
        free(y->copy);
        y->copy = NULL;
    }
    if (is_body && len > y->limit - y->passed) {
        len = (size_t)(y->limit - y->passed);
        y->cut = true;
    }
    if (is_body) y->passed += len;
    if (y->to >= 0 && !send_all(y->to, bytes, len)) y->to = -1;
}

/* Passes the server's answer to the client, up to the limit. False when the client's connection cannot go
 * on. */
static bool relay_answer(struct request *r, int upstream, uint64_t limit)
{
    struct fault_proxy *p = r->c->proxy;
    struct relay y = {.to = r->c->fd, .limit = limit, .copy = malloc(KEPT_BYTES_MAX)};
    char *head = malloc(FAULT_HEAD_MAX + 1), *bytes = malloc(COPY_BYTES);
    size_t head_len = 0, early_len = 0;
    bool good = head != NULL && bytes != NULL && read_head(upstream, head, &head_len, bytes, &early_len);
    if (good) {
        fault_note_answered(r);
        if (r->rule.action == FAULT_HOLD_ANSWER) fault_hold(r);
        remove_header(head, &head_len, "Connection");
        relay_bytes(&y, head, head_len, false);
        if (early_len > 0) relay_bytes(&y, bytes, early_len, true);
        for (ssize_t n; !y.cut && (n = receive(upstream, bytes, COPY_BYTES)) > 0;)
            relay_bytes(&y, bytes, (size_t)n, true);
        if (!y.cut && y.copy != NULL) {
            fault_keep(p, r, y.copy, y.copy_len);
            y.copy = NULL;
        }
    }
    /* The server broke off: so must we, or the client waits for the rest. */
    const char *length = good ? find_header(head, "Content-Length") : NULL;
    bool whole = length == NULL || strcmp(r->method, "HEAD") == 0 || y.passed == strtoull(length, NULL, 10);
    free(y.copy);
    free(head);
    free(bytes);
    return good && whole && y.to >= 0 && !y.cut;
}

static bool lose_answer(struct request *r, int upstream)
{
    char *head = malloc(FAULT_HEAD_MAX + 1), *early = malloc(COPY_BYTES);
    size_t head_len, early_len;
    if (head != NULL && early != NULL && read_head(upstream, head, &head_len, early, &early_len))
        fault_note_answered(r);
    free(head);
    free(early);
    return false;
}

/* With a connection to the server. False when the client's connection is to be closed. */
static bool exchange(struct request *r, int upstream)
{
    switch (r->rule.action) {
    case FAULT_CUT_REQUEST: (void)forward(r, upstream, r->rule.number); return false;
    case FAULT_LOSE_ANSWER: return forward(r, upstream, UINT64_MAX) && lose_answer(r, upstream);
    case FAULT_CUT_ANSWER:
        return forward(r, upstream, UINT64_MAX) && relay_answer(r, upstream, r->rule.number);
    case FAULT_STALL_ANSWER:
        if (!forward(r, upstream, UINT64_MAX)) return false;
        (void)relay_answer(r, upstream, r->rule.number);
        fault_hold(r);
        return false;
    default: return forward(r, upstream, UINT64_MAX) && relay_answer(r, upstream, UINT64_MAX);
    }
}

/* Reads all of the request before it waits, so that it can be carried out after its client has gone. */
static bool hold_and_pass(struct request *r)
{
    if (r->body_bytes > sizeof r->early) return false; /* more than a test of it needs */
    while (r->early_len < r->body_bytes) {
        ssize_t n = receive(r->c->fd, r->early + r->early_len, (size_t)r->body_bytes - r->early_len);
        if (n <= 0) return false;
        r->early_len += (size_t)n;
    }
    fault_hold(r);
    return true;
}

bool fault_handle(struct request *r)
{
    struct fault_proxy *p = r->c->proxy;
    switch (r->rule.action) {
    case FAULT_ANSWER: return answer_here(r);
    case FAULT_STALE: return answer_stale(r);
    case FAULT_DROP: (void)move_body(r, -1, 0); return false;
    case FAULT_DELAY: fault_wait_ms(p, r->rule.number); break;
    case FAULT_HOLD:
        if (!hold_and_pass(r)) return false;
        break;
    default: break;
    }
    int upstream = connect_upstream(p);
    if (upstream < 0) return false;
    fault_set_upstream(r->c, upstream);
    bool go_on = exchange(r, upstream);
    fault_set_upstream(r->c, -1);
    (void)close(upstream);
    return go_on;
}

bool fault_read_request(struct request *r)
{
    if (!read_head(r->c->fd, r->head, &r->head_len, r->early, &r->early_len)) return false;
    if (sscanf(r->head, "%15s %8191s", r->method, r->address) != 2) return false;
    const char *length = find_header(r->head, "Content-Length");
    r->body_bytes = length == NULL ? 0 : strtoull(length, NULL, 10);
    return true;
}
