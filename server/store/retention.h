/* retention.h -- removes tombstones that are older than the retention horizon, little by little.
 *
 * A thread of its own walks the databases, finds old tombstones with a reader's view, and has them removed by
 * the store thread in small writes, one at a time, so that batches never wait for long. It does not go past
 * the watermark of a session that is connected: what such a client has not fetched yet stays. Whoever comes
 * back with an older watermark is told (protocol section 8.4).
 *
 * Where several instances share an object store, their leader says when it is time (server/coordinator/):
 * then this thread leaves it to the tickets, and retention_sweep() runs on theirs.
 *
 * Threads: start, take and stop on the main thread. */
#ifndef SERVER_STORE_RETENTION_H
#define SERVER_STORE_RETENTION_H

#include "core/base/err.h"
#include "core/config/config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

enum { PRUNE_STEP_MAX = 500 }; /* tombstones looked at, and removed, at a time */

struct retention {
    struct server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping, the settings and the `finished` of jobs */
    pthread_cond_t changed;
    uint64_t horizon_ms, interval_ms;
    bool stopping;
    bool started;
};

enum sync_err retention_start(struct retention *r, struct server *server, struct err_ctx *ec);

/* One walk over all databases, now, on the caller's thread; not on a loop or a store thread. *ret_pruned:
 * what was removed. SYNC_ECANCELED: `stop` was raised, or the server stops. Else the first database's error:
 * it is left for the next time, the others of its shard as well. */
enum sync_err retention_sweep(struct retention *r, const atomic_bool *stop, uint64_t *ret_pruned,
                              struct err_ctx *ec);
uint64_t retention_interval_ms(struct retention *r); /* between two sweeps, as it is set now */

void retention_take(struct retention *r, const struct config_sync *config); /* its settings, changed */
void retention_stop(struct retention *r); /* all-zero ones too; loops and store threads still run */

#endif
