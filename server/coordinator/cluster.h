/* cluster.h -- what every cluster task works with: the store, this instance's name, and the two ways to
 * write.
 *
 *   plg_coordinator_work/<namespace>/<name>.json      fenced objects: what only the leader writes, over and
 * over plg_coordinator_work/<namespace>/tickets/...      created once each (core/election/ticket.h)
 *
 * Threads: any; the functions block. */
#ifndef SERVER_COORDINATOR_CLUSTER_H
#define SERVER_COORDINATOR_CLUSTER_H

#include "core/log/log.h"
#include "core/metrics/coordinator_metrics.h"
#include "server/coordinator/task.h"
#include "storage/objects/fenced.h"

#define CLUSTER_WORK_ROOT_KEY "plg_coordinator_work/"

enum { CLUSTER_ROOT_MAX = 128, CLUSTER_KEY_MAX = CLUSTER_ROOT_MAX + TICKET_KEY_MAX };

struct server;

struct cluster {
    struct server *server;
    struct object_store *store;
    struct logger logger;
    struct coordinator_metrics *metrics;
    const char *namespace_name;
    char root[CLUSTER_ROOT_MAX + 1];
    char worker_id[WORKER_ID_MAX + 1];
    uint64_t incarnation; /* 64 random bits of this process */
    uint32_t call_ms;     /* time limit of a task's single call */
    uint32_t beat_ms;     /* heartbeat interval: the pace of everything that is not urgent */
    /* Tells another instance that there are tickets. Does not block. */
    void (*tell_tickets)(void *arg, const struct task_run *run, const char *worker_id);
    /* So many requests were made to the store; run NULL: for tickets. May be NULL. */
    void (*spent)(void *arg, const struct task_run *run, uint32_t requests);
    void *arg; /* of both */
};

struct cluster_key {
    char text[CLUSTER_KEY_MAX + 1];
};

/* Whoever asks something of the store without the functions below says so, so that all of a cluster's
 * requests stay within one per heartbeat interval. run NULL: it is no leader's. */
void cluster_spent(const struct cluster *c, const struct task_run *run, uint32_t requests);

struct cluster_key cluster_key(const struct cluster *c, const char *name);

/* Writes the fenced object `name`, in the run's epoch. SYNC_ECANCELED: this run's lead is over (`stop`, the
 * time, or somebody of a higher epoch has written); nothing was written then. */
enum sync_err cluster_write(const struct cluster *c, const struct task_run *run, const char *name,
                            struct slice value, struct fenced_memory *memory, struct err_ctx *ec);

/* Reads it into `bytes`; ret->epoch 0: there is none. */
enum sync_err cluster_read(const struct cluster *c, const struct task_run *run, const char *name,
                           struct buf *bytes, struct fenced_value *ret, struct err_ctx *ec);

/* run NULL, stop set: no leader's; else stop is the run's. Creates `name` with bytes that nobody else writes
 * (they carry a ticket_stamp). *ret_mine: it is there with these bytes; false: somebody else's is. Without an
 * answer it looks, and tries again. */
enum sync_err cluster_create(const struct cluster *c, const struct task_run *run, const atomic_bool *stop,
                             const char *name, struct slice bytes, bool *ret_mine, struct err_ctx *ec);

struct ticket_stamp cluster_stamp(const struct cluster *c); /* now */

#endif
