#include "server/coordinator/tasks.h"

#include <stdio.h>
#include <stdlib.h>

struct cluster_tasks {
    void *states[CLUSTER_TASKS_MAX]; /* the tasks' args */
    size_t count;
};

enum { PROBES_MAX = 16 };

/* For developers, see task_probe.c. */
static enum sync_err add_probes(const struct cluster *c, struct task *tasks, struct cluster_tasks *t,
                                struct err_ctx *ec)
{
    const char *path = getenv("SYNC_COORDINATOR_PROBE"), *count_text = getenv("SYNC_COORDINATOR_PROBES");
    uint32_t count = count_text == NULL ? 1 : (uint32_t)strtoul(count_text, NULL, 10);
    enum sync_err rc = SYNC_OK;
    if (path == NULL || path[0] == '\0') return SYNC_OK;
    if (count > PROBES_MAX) count = PROBES_MAX;
    for (uint32_t i = 0; i < count && rc == SYNC_OK; i++) {
        rc = task_probe_new(c, path, i, &tasks[t->count], ec);
        if (rc == SYNC_OK) t->count++;
    }
    return rc;
}

enum sync_err cluster_tasks_new(const struct cluster *c, struct task *tasks, size_t *ret_count,
                                struct cluster_tasks **ret, struct err_ctx *ec)
{
    static enum sync_err (*const built_in[])(const struct cluster *, struct task *, struct err_ctx *) = {
        task_retention_new, task_snapshots_new, task_cleanup_new, task_cluster_status_new,
        task_expired_workers_new};
    struct cluster_tasks *t = calloc(1, sizeof *t);
    enum sync_err rc = t == NULL ? err_set(ec, SYNC_ENOMEM, "no memory for the cluster's tasks") : SYNC_OK;
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0] && rc == SYNC_OK; i++) {
        rc = built_in[i](c, &tasks[t->count], ec);
        if (rc == SYNC_OK) t->count++;
    }
    if (rc == SYNC_OK) rc = add_probes(c, tasks, t, ec);
    for (size_t i = 0; t != NULL && i < t->count; i++) t->states[i] = tasks[i].arg;
    if (rc != SYNC_OK) {
        cluster_tasks_free(t);
        return rc;
    }
    *ret_count = t->count;
    *ret = t;
    return SYNC_OK;
}

void cluster_tasks_free(struct cluster_tasks *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->count; i++) free(t->states[i]);
    free(t);
}
