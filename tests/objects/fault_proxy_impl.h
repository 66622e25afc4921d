/* fault_proxy_impl.h -- what the two halves of the fault proxy share: fault_proxy.c keeps rules, connections
 * and what is held, fault_relay.c moves one request and its answer. */
#ifndef TESTS_OBJECTS_FAULT_PROXY_IMPL_H
#define TESTS_OBJECTS_FAULT_PROXY_IMPL_H

#include "tests/objects/fault_proxy.h"
#include "tests/objects/fault_rule.h"

#include <pthread.h>

enum { COPY_BYTES = 64 * 1024, KEPT_ANSWERS = 16, KEPT_BYTES_MAX = 256 * 1024 };

/* The last answer to a request, for `stale`. */
struct kept {
    char *request; /* method and address */
    char *answer;
    size_t len;
};

struct connection {
    struct fault_proxy *proxy;
    struct connection *next;
    int fd;       /* the client's */
    int upstream; /* the server's, during one request; -1 */
};

struct fault_proxy {
    int listen_fd;
    uint16_t port, upstream_port;
    pthread_t accepting;
    pthread_mutex_t lock; /* guards what is below */
    pthread_cond_t moved;
    bool stopping;
    struct connection *connections; /* those whose threads run */
    uint32_t open_count, open_most, opened, requests;
    uint64_t releases;
    struct fault_rule rules[FAULT_RULES_MAX];
    int rules_count;
    struct kept kept[KEPT_ANSWERS];
    unsigned kept_next;
    char last_head[FAULT_HEAD_MAX + 1];
};

/* A request, from its head to the end of its answer. */
struct request {
    struct connection *c;
    char head[FAULT_HEAD_MAX + 1]; /* zero terminated, with the empty line */
    size_t head_len;
    char early[COPY_BYTES]; /* bytes of the body that came with the head */
    size_t early_len;
    char method[16];
    char address[8192];
    uint64_t body_bytes;
    struct fault_rule rule; /* a copy; FAULT_PASS when none applies */
    int rule_id;            /* -1 */
    uint64_t releases_seen;
};

/* ---- fault_proxy.c */

void fault_note_answered(struct request *r);            /* the server has answered */
void fault_wait_ms(struct fault_proxy *p, uint32_t ms); /* or until the proxy stops */

/* Waits to be let go: by a release after the request, or its answer if that was noted, came. A release that
 * comes before the wait has begun counts too. */
void fault_hold(struct request *r);

/* Keeps an answer for `stale`; takes its bytes over. And a copy of the one that was kept, to be freed; NULL:
 * none. */
void fault_keep(struct fault_proxy *p, const struct request *r, char *answer, size_t len);
char *fault_find_kept(struct fault_proxy *p, const struct request *r, size_t *ret_len);

/* Notes which connection to the server the request uses now; -1: none. */
void fault_set_upstream(struct connection *c, int fd);

/* ---- fault_relay.c */

/* Reads the next request's head from the client. False when there is none, or none that is HTTP. */
bool fault_read_request(struct request *r);

/* Does with it what its rule says. False when the client's connection is to be closed. */
bool fault_handle(struct request *r);

#endif
