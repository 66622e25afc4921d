/* Messages that ask for work wait while too much is under way, or while their site or database has written
 * more than its share: then the answer waits, since a stock client has no use for a refusal. */
#include "server/base/system.h"
#include "server/net/admission.h"
#include "server/net/limit.h"
#include "server/ws/ws_internal.h"

enum { NS_PER_MS = 1000000, FULL_RETRY_MS = 100, STILL_THERE_MS = 1000 };

static bool asks_for_work(const struct message *m)
{
    switch (m->type) {
    case MESSAGE_GET_CHANGES:
    case MESSAGE_APPLY_CHANGES:
    case MESSAGE_GET_SNAPSHOT:
    case MESSAGE_RESUME_SNAPSHOT: return true;
    default: return false;
    }
}

static uint64_t wait_ms(const struct ws *w, const struct message *m, enum limit_kind *ret)
{
    const struct config_limits *limits = &w->loop->config->limits;
    const struct admission *a = w->loop->server->admission;
    if (admission_is_full(a, limits)) {
        *ret = LIMIT_REQUESTS_IN_FLIGHT_ALL;
        return FULL_RETRY_MS;
    }
    if (m->type != MESSAGE_APPLY_CHANGES) return 0;
    uint64_t wait_ns = admission_batch_wait_ns(a, limits, session_database(&w->session), &w->session.site,
                                               system_monotonic_ns(), ret);
    return wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0);
}

static uint64_t next_ms(const struct ws *w, uint64_t now_ms)
{
    return w->paced_until_ms < now_ms + STILL_THERE_MS ? w->paced_until_ms : now_ms + STILL_THERE_MS;
}

bool ws_must_wait(struct ws *w, const struct message *m)
{
    enum limit_kind kind;
    uint64_t now_ms = loop_now_ms(w->loop);
    if (w->paced && now_ms < w->paced_until_ms) return true;
    bool works = m != NULL && w->session.state == SESSION_LIVE && asks_for_work(m);
    uint64_t ms = works ? wait_ms(w, m, &kind) : 0;
    if (ms > 0 && !w->paced) limit_hit(w->loop->server, kind);
    w->paced = ms > 0;
    w->paced_until_ms = now_ms + ms;
    if (w->paced) loop_wake_at(w->loop, next_ms(w, now_ms));
    return w->paced;
}

/* That its answers to pings are not read is our doing, not a sign that it has gone. */
uint64_t ws_pace_tick(struct ws *w, uint64_t now_ms)
{
    if (!w->paced) return UINT64_MAX;
    lws_validity_confirmed(w->wsi);
    ws_is_there(w);
    if (now_ms >= w->paced_until_ms) ws_settle(w); /* tries again */
    return w->paced ? next_ms(w, now_ms) : UINT64_MAX;
}
