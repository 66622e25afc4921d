/* Limits of an exchange beyond its size: what is under way, how fast a site writes, how slowly a body
 * comes. */
#include "server/base/system.h"
#include "server/http/http_internal.h"
#include "server/net/admission.h"
#include "server/net/limit.h"

enum { NS_PER_S = 1000000000 };

bool http_admits(struct http *h)
{
    struct server *s = h->loop->server;
    const struct config_limits *limits = &h->loop->config->limits;
    struct slice database = slice_of(h->request.database, h->request.database_len);
    if (admission_is_full(s->admission, limits)) {
        limit_hit(s, LIMIT_REQUESTS_IN_FLIGHT_ALL);
        http_fail_later(h, "UNAVAILABLE", "too many requests are under way");
        return false;
    }
    if (h->request.endpoint != HTTP_ENDPOINT_APPLY_CHANGES) return true;
    enum limit_kind kind;
    uint64_t wait_ns =
        admission_batch_wait_ns(s->admission, limits, database, &h->site, system_monotonic_ns(), &kind);
    if (wait_ns == 0) return true;
    limit_hit(s, kind);
    http_fail_busy(h, (wait_ns + NS_PER_S - 1) / NS_PER_S);
    return false;
}

/* When the body is too slow, as far as it has come. The first limits.httpTimeoutMs are free; while reading is
 * stopped, which is our doing, no time passes. */
static uint64_t body_ends_ms(const struct http *h)
{
    const struct config_limits *limits = &h->loop->config->limits;
    if (h->state != HTTP_READING || h->asking || limits->body_bytes_per_s == 0 || h->receiver.waiting)
        return UINT64_MAX;
    return h->body_began_ms + limits->http_timeout_ms + h->body_received * 1000 / limits->body_bytes_per_s;
}

void http_body_begins(struct http *h)
{
    h->body_began_ms = loop_now_ms(h->loop);
    uint64_t ends_ms = body_ends_ms(h);
    if (ends_ms != UINT64_MAX) loop_wake_at(h->loop, ends_ms);
}

void http_body_stops(struct http *h, bool stop)
{
    uint64_t now_ms = loop_now_ms(h->loop);
    if (stop && h->body_stopped_ms == 0) h->body_stopped_ms = now_ms;
    if (stop || h->body_stopped_ms == 0) return;
    h->body_began_ms += now_ms - h->body_stopped_ms;
    h->body_stopped_ms = 0;
    loop_wake_at(h->loop, body_ends_ms(h));
}

uint64_t http_body_tick(struct http *h, uint64_t now_ms)
{
    uint64_t ends_ms = body_ends_ms(h);
    if (now_ms < ends_ms) return ends_ms;
    limit_hit(h->loop->server, LIMIT_BODY_RATE);
    h->close = true; /* the rest of the body may never come */
    http_fail(h, 408, "REQUEST_TIMEOUT", "the body comes too slowly");
    return UINT64_MAX;
}
