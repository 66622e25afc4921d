#include "tests/objects/fault_proxy.h"

#include "tests/objects/fault_proxy_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- rules */

static void apply_rules(struct fault_proxy *p, struct request *r)
{
    r->rule_id = -1;
    r->rule.action = FAULT_PASS;
    pthread_mutex_lock(&p->lock);
    p->requests++;
    r->releases_seen = p->releases;
    memcpy(p->last_head, r->head, r->head_len + 1);
    for (int i = 0; i < p->rules_count; i++) {
        struct fault_rule *rule = &p->rules[i];
        if (rule->times == 0 || !fault_rule_matches(rule, r->method, r->address)) continue;
        if (rule->after > 0) {
            rule->after--;
            continue;
        }
        if (rule->times != UINT32_MAX) rule->times--;
        rule->hits++;
        r->rule = *rule;
        r->rule_id = i;
        break;
    }
    (void)pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
}

void fault_note_answered(struct request *r)
{
    struct fault_proxy *p = r->c->proxy;
    pthread_mutex_lock(&p->lock);
    if (r->rule_id >= 0) p->rules[r->rule_id].answered++;
    r->releases_seen = p->releases;
    (void)pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
}

void fault_hold(struct request *r)
{
    struct fault_proxy *p = r->c->proxy;
    pthread_mutex_lock(&p->lock);
    while (p->releases == r->releases_seen && !p->stopping) (void)pthread_cond_wait(&p->moved, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void fault_wait_ms(struct fault_proxy *p, uint32_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping && pthread_cond_timedwait(&p->moved, &p->lock, &until) == 0) continue;
    pthread_mutex_unlock(&p->lock);
}

/* ---- answers kept for `stale` */

static char *request_name(const struct request *r)
{
    char *name = NULL;
    return asprintf(&name, "%s %s", r->method, r->address) < 0 ? NULL : name;
}

void fault_keep(struct fault_proxy *p, const struct request *r, char *answer, size_t len)
{
    char *name = request_name(r);
    pthread_mutex_lock(&p->lock);
    struct kept *slot = &p->kept[p->kept_next++ % KEPT_ANSWERS];
    for (size_t i = 0; i < KEPT_ANSWERS; i++)
        if (name != NULL && p->kept[i].request != NULL && strcmp(p->kept[i].request, name) == 0)
            slot = &p->kept[i];
    free(slot->request);
    free(slot->answer);
    *slot = (struct kept){.request = name, .answer = answer, .len = len};
    pthread_mutex_unlock(&p->lock);
}

char *fault_find_kept(struct fault_proxy *p, const struct request *r, size_t *ret_len)
{
    char *name = request_name(r), *copy = NULL;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < KEPT_ANSWERS && name != NULL; i++) {
        struct kept *k = &p->kept[i];
        if (k->request == NULL || strcmp(k->request, name) != 0) continue;
        copy = malloc(k->len);
        if (copy != NULL) memcpy(copy, k->answer, k->len);
        *ret_len = k->len;
    }
    pthread_mutex_unlock(&p->lock);
    free(name);
    return copy;
}

/* ---- connections */

/* Closes so that the other side sees a broken connection, not an end. */
static void reset(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

void fault_set_upstream(struct connection *c, int fd)
{
    pthread_mutex_lock(&c->proxy->lock);
    c->upstream = fd;
    if (c->proxy->stopping && fd >= 0) (void)shutdown(fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->proxy->lock);
}

static void leave(struct connection *c)
{
    struct fault_proxy *p = c->proxy;
    pthread_mutex_lock(&p->lock);
    for (struct connection **at = &p->connections; *at != NULL; at = &(*at)->next) {
        if (*at != c) continue;
        *at = c->next;
        break;
    }
    p->open_count--;
    (void)close(c->fd);
    (void)pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
    free(c);
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    struct request *r = calloc(1, sizeof *r);
    bool go_on = r != NULL;
    while (go_on) {
        r->c = c;
        if (!fault_read_request(r)) break;
        apply_rules(c->proxy, r);
        go_on = fault_handle(r);
        if (!go_on) reset(c->fd);
    }
    free(r);
    leave(c);
    return NULL;
}

static void take_connection(struct fault_proxy *p, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    pthread_attr_t attr;
    pthread_t thread;
    int one = 1;
    if (c == NULL) {
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *c = (struct connection){.proxy = p, .fd = fd, .upstream = -1};
    pthread_mutex_lock(&p->lock);
    c->next = p->connections;
    p->connections = c;
    p->opened++;
    p->open_count++;
    if (p->open_count > p->open_most) p->open_most = p->open_count;
    pthread_mutex_unlock(&p->lock);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, serve, c) != 0) leave(c);
    (void)pthread_attr_destroy(&attr);
}

static void *accept_all(void *arg)
{
    struct fault_proxy *p = arg;
    for (;;) {
        int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) return NULL; /* the proxy is stopped: its listening socket was shut down */
        take_connection(p, fd);
    }
}

/* ---- for the tests */

struct fault_proxy *fault_proxy_start(uint16_t listen_port, uint16_t upstream_port)
{
    struct fault_proxy *p = calloc(1, sizeof *p);
    struct sockaddr_in a = loopback(listen_port);
    socklen_t len = sizeof a;
    pthread_condattr_t attr;
    int one = 1;
    if (p == NULL) return NULL;
    p->upstream_port = upstream_port;
    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(p->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(p->listen_fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(p->listen_fd, 128) != 0 ||
        getsockname(p->listen_fd, (struct sockaddr *)&a, &len) != 0) {
        (void)close(p->listen_fd);
        free(p);
        return NULL;
    }
    p->port = ntohs(a.sin_port);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->moved, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (pthread_create(&p->accepting, NULL, accept_all, p) != 0) abort();
    return p;
}

void fault_proxy_stop(struct fault_proxy *p)
{
    (void)shutdown(p->listen_fd, SHUT_RDWR);
    (void)pthread_join(p->accepting, NULL);
    (void)close(p->listen_fd);
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->moved);
    for (struct connection *c = p->connections; c != NULL; c = c->next) {
        (void)shutdown(c->fd, SHUT_RDWR);
        if (c->upstream >= 0) (void)shutdown(c->upstream, SHUT_RDWR);
    }
    while (p->open_count > 0) (void)pthread_cond_wait(&p->moved, &p->lock);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < KEPT_ANSWERS; i++) {
        free(p->kept[i].request);
        free(p->kept[i].answer);
    }
    (void)pthread_cond_destroy(&p->moved);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

uint16_t fault_proxy_port(const struct fault_proxy *p)
{
    return p->port;
}

int fault_proxy_rule(struct fault_proxy *p, const char *line)
{
    struct fault_rule rule;
    int id = -1;
    if (!fault_rule_parse(line, &rule)) return -1;
    pthread_mutex_lock(&p->lock);
    if (p->rules_count < FAULT_RULES_MAX) {
        id = p->rules_count++;
        p->rules[id] = rule;
    }
    pthread_mutex_unlock(&p->lock);
    return id;
}

void fault_proxy_clear(struct fault_proxy *p)
{
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->rules_count; i++) p->rules[i].times = 0; /* their numbers are not given again */
    pthread_mutex_unlock(&p->lock);
}

void fault_proxy_release(struct fault_proxy *p)
{
    pthread_mutex_lock(&p->lock);
    p->releases++;
    (void)pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
}

static bool wait_count(struct fault_proxy *p, const uint32_t *count, uint32_t wanted, uint32_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&p->lock);
    int rc = 0;
    while (*count < wanted && rc == 0) rc = pthread_cond_timedwait(&p->moved, &p->lock, &until);
    bool reached = *count >= wanted;
    pthread_mutex_unlock(&p->lock);
    return reached;
}

bool fault_proxy_wait_hits(struct fault_proxy *p, int rule, uint32_t hits, uint32_t ms)
{
    return wait_count(p, &p->rules[rule].hits, hits, ms);
}

bool fault_proxy_wait_answered(struct fault_proxy *p, int rule, uint32_t answered, uint32_t ms)
{
    return wait_count(p, &p->rules[rule].answered, answered, ms);
}

static uint32_t read_count(struct fault_proxy *p, const uint32_t *count)
{
    pthread_mutex_lock(&p->lock);
    uint32_t n = *count;
    pthread_mutex_unlock(&p->lock);
    return n;
}

uint32_t fault_proxy_hits(struct fault_proxy *p, int rule)
{
    return read_count(p, &p->rules[rule].hits);
}

uint32_t fault_proxy_requests(struct fault_proxy *p)
{
    return read_count(p, &p->requests);
}

uint32_t fault_proxy_connections(struct fault_proxy *p)
{
    return read_count(p, &p->opened);
}

uint32_t fault_proxy_connections_at_once(struct fault_proxy *p)
{
    return read_count(p, &p->open_most);
}

void fault_proxy_last_head(struct fault_proxy *p, char *ret, size_t size)
{
    pthread_mutex_lock(&p->lock);
    (void)snprintf(ret, size, "%s", p->last_head);
    pthread_mutex_unlock(&p->lock);
}
