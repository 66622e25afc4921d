/* task_retention.c -- the leader decides when old tombstones are swept; each instance sweeps its own
 * databases.
 *
 * Every sync.sweepIntervalMs a round is opened, with one ticket for each worker that is live then. Its run
 * looks at the clock some times a minute, and asks the store only when a round is due, or when its lead has
 * begun. */
#include "server/coordinator/elector.h"
#include "server/coordinator/tasks.h"
#include "server/coordinator/ticket_round.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct retention_task {
    const struct cluster *cluster;
    struct ticket_round round;
    char workers[ELECTION_WORKERS_MAX][WORKER_ID_MAX + 1];
};

static void on_elected(void *arg, uint64_t epoch)
{
    struct retention_task *t = arg;
    (void)epoch;
    ticket_round_reset(&t->round);
}

static enum sync_err publish(struct retention_task *t, const struct task_run *run, size_t *ret_count,
                             struct err_ctx *ec)
{
    size_t count = elector_live_workers(run->elector, t->workers, ELECTION_WORKERS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct ticket_id id = ticket_id_for_worker(t->round.task, t->round.number, t->workers[i]);
        enum sync_err rc = ticket_publish(t->cluster, run, &id, ec);
        if (rc != SYNC_OK) return rc;
        t->cluster->tell_tickets(t->cluster->tell_arg, run, t->workers[i]);
    }
    *ret_count = count;
    return SYNC_OK;
}

static enum sync_err run_task(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX],
                              struct err_ctx *ec)
{
    struct retention_task *t = arg;
    enum ticket_round_move move;
    uint32_t tickets = 0, done = 0;
    size_t count = 0;
    t->round.interval_ms = retention_interval_ms(&t->cluster->server->retention);
    enum sync_err rc = ticket_round_next(&t->round, t->cluster, run, &move, ec);
    if (rc != SYNC_OK) return rc;
    if (move == TICKET_ROUND_WAIT) {
        (void)snprintf(text, TASK_TEXT_MAX, "round %" PRIu64 " is not over yet", t->round.number);
        return SYNC_OK;
    }
    rc = publish(t, run, &count, ec);
    if (rc != SYNC_OK) { /* the next run looks again, and publishes what is missing */
        ticket_round_reset(&t->round);
        return rc;
    }
    if (move == TICKET_ROUND_OPENED) rc = ticket_round_sweep(&t->round, t->cluster, run, &tickets, &done, ec);
    (void)snprintf(text, TASK_TEXT_MAX,
                   "round %" PRIu64 ": %zu tickets; of earlier rounds %u of %u were done", t->round.number,
                   count, done, tickets);
    return rc;
}

static enum sync_err do_ticket(void *arg, const struct ticket_work *work, char text[TASK_TEXT_MAX],
                               struct err_ctx *ec)
{
    struct retention_task *t = arg;
    uint64_t pruned = 0;
    enum sync_err rc = retention_sweep(&t->cluster->server->retention, work->stop, &pruned, ec);
    (void)snprintf(text, TASK_TEXT_MAX, "%" PRIu64 " deletion records removed", pruned);
    return rc;
}

enum sync_err task_retention_new(const struct cluster *c, struct task *ret, struct err_ctx *ec)
{
    struct retention_task *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the retention task");
    t->cluster = c;
    t->round =
        (struct ticket_round){.task = "retention", .interval_ms = c->server->config->sync.sweep_interval_ms};
    *ret = (struct task){.name = "retention",
                         .interval_ms = 4 * (uint64_t)c->beat_ms,
                         .arg = t,
                         .on_elected = on_elected,
                         .run = run_task,
                         .do_ticket = do_ticket};
    return SYNC_OK;
}
