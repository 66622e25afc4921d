/* server.h -- the whole server: what its parts share, and how it starts and ends.
 *
 *     loops (N)          sockets, parsing, sessions
 *       |  apply_job          |  read jobs
 *     store threads      readers
 *     (one a shard)      (a few)
 *
 * A loop thread reads a message and makes a job of it; the store thread of the database's shard commits it
 * with all that waits, and the answer and the push come back to the loops. Deltas and snapshots are read on
 * the readers, piece by piece, as sockets drain. No lock is held across any of this.
 *
 * Threads: server_start and server_stop on the main thread; the rest as each part says. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "core/base/seldom.h"
#include "core/config/config.h"
#include "core/log/log.h"
#include "core/metrics/sync_metrics.h"
#include "server/hooks/hook_gate.h"
#include "server/net/job.h"
#include "server/net/limit.h"
#include "server/net/listen.h"
#include "server/net/receiving.h"
#include "server/objects/cleanup.h"
#include "server/objects/eviction.h"
#include "server/objects/objects.h"
#include "server/objects/shared_log.h"
#include "server/objects/snapshots.h"
#include "server/settings.h"
#include "server/store/presence.h"
#include "server/store/retention.h"
#include "storage/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct loop;
struct store_thread;

struct server {
    const struct config *config; /* of the start: for what only a restart changes (core/config/options.c) */
    struct settings *settings;   /* in force; main thread only, a loop has its own (settings.h) */
    struct logger logger;
    struct sync_metrics metrics;
    char listen_address[LISTEN_ADDRESS_MAX]; /* numeric */
    uint16_t port;
    uint64_t started_ns; /* monotonic */
    struct store *store;
    struct objects objects;
    struct presence presence;
    struct snapshots snapshots;
    struct eviction eviction;
    struct shared_log shared_log;
    struct hook_gate hooks;
    struct store_thread *store_threads; /* one a shard */
    uint32_t store_thread_count;
    struct worker_pool readers;
    struct loop *loops;
    uint32_t loop_count;
    struct retention retention;
    struct cleanup cleanup;
    struct coordinator *coordinator; /* NULL: not enabled */
    struct receiving receiving;
    struct admission *admission;
    struct limit_log limit_log;
    struct seldom apply_failures;
    _Atomic uint32_t connections; /* HTTP and WebSocket */
    _Atomic uint32_t work;        /* sessions, and exchanges that are not answered yet */
    pthread_mutex_t lock;         /* guards nothing but the wait for `idle` */
    pthread_cond_t idle;          /* work has become 0 */
    _Atomic bool ready;
    _Atomic bool draining;
};

/* Opens the store, starts all threads, listens. On failure what was started is stopped again. */
enum sync_err server_start(struct server *s, const struct config *config, struct logger logger,
                           struct err_ctx *ec);

/* Takes no more connections, answers what is in flight, closes sessions with 1001, at most for the configured
 * time; then stops every thread and closes the store, so that all that was acknowledged is on disk. False: a
 * hook did not return from a call and was left behind with what it may still touch, so the process must end
 * without freeing or unloading anything more. */
bool server_stop(struct server *s);

/* ---- any thread */

/* A session or an exchange begins and ends; stopping waits for the last one. */
void server_work_begins(struct server *s);
void server_work_ends(struct server *s);

struct shard *server_shard(struct server *s, struct slice database);
struct store_thread *server_store_thread(struct server *s, struct slice database);

/* Databases that have been written to, and those in use by the store threads. */
uint64_t server_database_count(const struct server *s);
uint64_t server_open_count(const struct server *s);

/* Has a failed write closed a part of the store that could not be opened again yet? */
bool server_store_is_closed(const struct server *s);

#endif
