#include "server/net/guest.h"

#include "server/net/admission.h"
#include "server/net/limit.h"
#include "server/net/loop.h"
#include "server/net/tls.h"
#include "server/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

enum { IDLE_SLACK_MS = 100 };

struct guest {
    struct admission_key address;
    uint64_t came_ms;
    bool asked;
    uint64_t idle_ms; /* since when it may ask again and does not; UINT64_MAX: it has asked */
};

static bool may_enter(struct loop *l, const struct admission_key *address)
{
    struct server *s = l->server;
    if (atomic_load(&s->draining)) return false;
    if (atomic_load(&s->connections) >= s->config->limits.connections) {
        limit_hit(s, LIMIT_CONNECTIONS);
        return false;
    }
    if (admission_enter(s->admission, address, l->config->limits.address_connections)) return true;
    limit_hit(s, LIMIT_ADDRESS_CONNECTIONS);
    return false;
}

bool guest_take_in(struct loop *l, int fd, const struct sockaddr *from)
{
    int one = 1;
    struct admission_key address = admission_address(l->server->admission, from);
    if (!may_enter(l, &address)) return false;
    struct guest *g = malloc(sizeof *g);
    if (g == NULL) {
        admission_leave(l->server->admission, &address);
        return false;
    }
    *g = (struct guest){.address = address, .came_ms = loop_now_ms(l), .idle_ms = UINT64_MAX};
    /* Messages are written whole: waiting for more to send would only delay them. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    unsigned type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | (tls_is_on(l->config) ? LWS_ADOPT_ALLOW_SSL : 0);
    const lws_adopt_desc_t adopt = {
        .vh = l->vhost, .type = (lws_adoption_type)type, .fd = {.sockfd = fd}, .opaque = g};
    l->guest_arrives = true;
    /* On failure libwebsockets has closed the socket, and told of its end if it told of its begin. */
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (wsi == NULL && l->guest_arrives) {
        admission_leave(l->server->admission, &address);
        free(g);
    }
    l->guest_arrives = false;
    return true;
}

void guest_created(struct loop *l)
{
    l->guest_arrives = false;
    atomic_fetch_add(&l->server->connections, 1);
}

void guest_asked(struct lws *wsi)
{
    struct guest *g = lws_get_opaque_user_data(wsi);
    if (g == NULL) return;
    g->asked = true;
    g->idle_ms = UINT64_MAX;
}

void guest_answered(struct loop *l, struct lws *wsi)
{
    struct guest *g = lws_get_opaque_user_data(wsi);
    if (g != NULL) g->idle_ms = loop_now_ms(l);
}

/* libwebsockets closes who asks nothing more, and does not say so: nobody else was idle for as long. */
static bool was_idle_too_long(const struct loop *l, const struct guest *g)
{
    return g->idle_ms != UINT64_MAX &&
           loop_now_ms(l) - g->idle_ms + IDLE_SLACK_MS >= l->server->config->limits.idle_timeout_ms;
}

void guest_gone(struct loop *l, struct lws *wsi)
{
    struct guest *g = lws_get_opaque_user_data(wsi);
    atomic_fetch_sub(&l->server->connections, 1);
    if (g == NULL) return;
    lws_set_opaque_user_data(wsi, NULL);
    /* libwebsockets gives up who sends no whole head, and does not say so. It counts in whole seconds. */
    if (!g->asked && loop_now_ms(l) - g->came_ms + 1000 > l->server->config->limits.head_timeout_ms)
        limit_hit(l->server, LIMIT_HEAD_TIMEOUT);
    if (was_idle_too_long(l, g)) limit_hit(l->server, LIMIT_IDLE_TIMEOUT);
    admission_leave(l->server->admission, &g->address);
    free(g);
}
