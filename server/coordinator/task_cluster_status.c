/* task_cluster_status.c -- cluster.json: the whole cluster in one object, as its leader sees it.
 *
 *   {"epoch":3,"by":"...","value":{"namespace":"default","leader":"...","updatedAt":...,"workers":["..."]}}
 *
 * Written every 120 heartbeats (10 minutes), and when the workers are others than last time, which costs the
 * store nothing to find out. */
#include "server/base/system.h"
#include "server/coordinator/elector.h"
#include "server/coordinator/tasks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RENEW_BEATS = 120, LOOK_BEATS = 2 };

struct status_task {
    const struct cluster *cluster;
    struct fenced_memory memory;
    uint64_t written_ms; /* 0: not in this lead */
    char workers[ELECTION_WORKERS_MAX][WORKER_ID_MAX + 1];
    char last_workers[ELECTION_WORKERS_MAX][WORKER_ID_MAX + 1];
    size_t last_count;
};

static void on_elected(void *arg, uint64_t epoch)
{
    struct status_task *t = arg;
    (void)epoch;
    t->written_ms = 0;
    t->memory = (struct fenced_memory){0};
}

static bool is_due(const struct status_task *t, size_t count)
{
    uint64_t age_ms = system_boot_ms() - t->written_ms;
    if (t->written_ms == 0 || age_ms >= RENEW_BEATS * (uint64_t)t->cluster->beat_ms) return true;
    return count != t->last_count || memcmp(t->workers, t->last_workers, count * sizeof t->workers[0]) != 0;
}

static void put_value(struct buf *out, const struct status_task *t, size_t count)
{
    const struct cluster *c = t->cluster;
    buf_printf(out, "{\"namespace\":\"%s\",\"leader\":\"%s\",\"updatedAt\":%" PRIu64 ",\"workers\":[",
               c->namespace_name, c->worker_id, system_wall_ms());
    for (size_t i = 0; i < count; i++) buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", t->workers[i]);
    BUF_PUT_LIT(out, "]}");
}

static enum sync_err run_task(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX],
                              struct err_ctx *ec)
{
    struct status_task *t = arg;
    struct buf value = buf_make(FENCED_BYTES_MAX);
    memset(t->workers, 0, sizeof t->workers);
    size_t count = elector_live_workers(run->elector, t->workers, ELECTION_WORKERS_MAX);
    (void)snprintf(text, TASK_TEXT_MAX, "%zu workers", count);
    if (!is_due(t, count)) return SYNC_OK;
    put_value(&value, t, count);
    enum sync_err rc = buf_check(&value, ec);
    if (rc == SYNC_OK) rc = cluster_write(t->cluster, run, "cluster.json", buf_slice(&value), &t->memory, ec);
    buf_deinit(&value);
    if (rc != SYNC_OK) return rc;
    t->written_ms = system_boot_ms();
    memcpy(t->last_workers, t->workers, sizeof t->workers);
    t->last_count = count;
    return SYNC_OK;
}

enum sync_err task_cluster_status_new(const struct cluster *c, struct task *ret, struct err_ctx *ec)
{
    struct status_task *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the cluster status task");
    t->cluster = c;
    *ret = (struct task){.name = "cluster-status",
                         .interval_ms = LOOK_BEATS * (uint64_t)c->beat_ms,
                         .arg = t,
                         .on_elected = on_elected,
                         .run = run_task};
    return SYNC_OK;
}
