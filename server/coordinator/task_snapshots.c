/* task_snapshots.c -- the leader decides when snapshots are taken; each instance takes those of its own
 * databases that are due. */
#include "server/coordinator/tasks.h"
#include "server/coordinator/worker_rounds.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t interval_ms(struct server *s)
{
    return s->config->coordinator.snapshot_round_ms;
}

static enum sync_err take(struct server *s, const atomic_bool *stop, char text[TASK_TEXT_MAX],
                          struct err_ctx *ec)
{
    uint64_t taken = 0, failed = 0;
    enum sync_err rc = snapshots_take_round(&s->snapshots, stop, &taken, &failed, ec);
    (void)snprintf(text, TASK_TEXT_MAX, "%" PRIu64 " snapshots taken", taken);
    if (rc == SYNC_OK && failed > 0)
        rc = err_set(ec, SYNC_EIO, "%" PRIu64 " snapshots taken, %" PRIu64 " failed; the log says why", taken,
                     failed);
    return rc;
}

enum sync_err task_snapshots_new(const struct cluster *c, struct task *ret, struct err_ctx *ec)
{
    static const struct worker_rounds rounds = {
        .name = "snapshot-schedule", .interval_ms = interval_ms, .work = take};
    return worker_rounds_new(&rounds, c, ret, ec);
}
