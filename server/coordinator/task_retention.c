/* task_retention.c -- the leader decides when old tombstones are swept; each instance sweeps its own
 * databases. */
#include "server/coordinator/tasks.h"
#include "server/coordinator/worker_rounds.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t interval_ms(struct server *s)
{
    return retention_interval_ms(&s->retention);
}

static enum sync_err sweep(struct server *s, const atomic_bool *stop, char text[TASK_TEXT_MAX],
                           struct err_ctx *ec)
{
    uint64_t pruned = 0;
    enum sync_err rc = retention_sweep(&s->retention, stop, &pruned, ec);
    (void)snprintf(text, TASK_TEXT_MAX, "%" PRIu64 " deletion records removed", pruned);
    return rc;
}

enum sync_err task_retention_new(const struct cluster *c, struct task *ret, struct err_ctx *ec)
{
    static const struct worker_rounds rounds = {
        .name = "retention", .interval_ms = interval_ms, .work = sweep};
    return worker_rounds_new(&rounds, c, ret, ec);
}
