#include "server/net/limit.h"

#include "server/base/system.h"
#include "server/server.h"

static const char *name_of(enum limit_kind kind)
{
#define X(constant, value) value,
    static const char *const names[] = {LIMIT_MAP(X)};
#undef X
    return names[kind];
}

void limit_hit(struct server *s, enum limit_kind kind)
{
    uint64_t now_ns = system_monotonic_ns();
    counter_add(&s->metrics.limit_hits[kind], 1);
    uint64_t next_ns = atomic_load(&s->limit_log.next_ns[kind]);
    if (now_ns < next_ns) return;
    uint64_t later_ns = now_ns + LIMIT_LOG_INTERVAL_S * UINT64_C(1000000000);
    if (!atomic_compare_exchange_strong(&s->limit_log.next_ns[kind], &next_ns, later_ns)) return;
    log_warn(&s->logger, LOG_SERVER, "limit.hit", LOG_STR("limit", name_of(kind)),
             LOG_U64("since_start", counter_value(&s->metrics.limit_hits[kind])),
             LOG_STR("next", "counted in sync_limit_hits_total; logged again in 10 s at the earliest"));
}
