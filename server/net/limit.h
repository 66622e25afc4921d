/* limit.h -- tells that a limit was reached: in the metrics each time, in the log now and then, since who
 * runs into limits tends to do it often.
 *
 * Threads: any. */
#ifndef SERVER_NET_LIMIT_H
#define SERVER_NET_LIMIT_H

#include "core/metrics/sync_metrics.h"

#include <stdatomic.h>
#include <stdint.h>

struct server;

enum { LIMIT_LOG_INTERVAL_S = 10 };

/* When each was logged last. All zero to begin with. */
struct limit_log {
    _Atomic uint64_t next_ns[LIMIT_COUNT];
};

void limit_hit(struct server *s, enum limit_kind kind);

#endif
