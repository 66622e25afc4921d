/* tasks.h -- the cluster tasks that come with the server.
 *
 *   retention        hands out, every sync.sweepIntervalMs, one ticket for each live worker: sweep your own
 *                    databases for tombstones past the retention horizon
 *   snapshot-schedule  the same every coordinator.snapshotRoundMs: take the snapshots that are due
 *   clean-up         the same every object.cleanupIntervalMs: remove what your databases in the object store
 *                    need no more; the leader also removes what is nobody's
 *   cluster-status   writes cluster.json, so that operators find the whole cluster in one object
 *   expired-workers  removes what is left of workers that are gone and of rounds that are over
 *   probe            for developers: see task_probe.c
 *
 * Threads: made and freed on one. */
#ifndef SERVER_COORDINATOR_TASKS_H
#define SERVER_COORDINATOR_TASKS_H

#include "server/coordinator/cluster.h"

enum { CLUSTER_TASKS_MAX = 32 };

struct cluster_tasks;

/* Fills tasks (room for CLUSTER_TASKS_MAX). The cluster stays the caller's. */
enum sync_err cluster_tasks_new(const struct cluster *c, struct task *tasks, size_t *ret_count,
                                struct cluster_tasks **ret, struct err_ctx *ec);
void cluster_tasks_free(struct cluster_tasks *t); /* when no task runs any more; NULL does nothing */

/* Each sets *ret up; its arg is one block, freed by cluster_tasks_free(). */
enum sync_err task_retention_new(const struct cluster *c, struct task *ret, struct err_ctx *ec);
enum sync_err task_snapshots_new(const struct cluster *c, struct task *ret, struct err_ctx *ec);
enum sync_err task_cleanup_new(const struct cluster *c, struct task *ret, struct err_ctx *ec);
enum sync_err task_cluster_status_new(const struct cluster *c, struct task *ret, struct err_ctx *ec);
enum sync_err task_expired_workers_new(const struct cluster *c, struct task *ret, struct err_ctx *ec);
enum sync_err task_probe_new(const struct cluster *c, const char *log_path, uint32_t number, struct task *ret,
                             struct err_ctx *ec);

#endif
