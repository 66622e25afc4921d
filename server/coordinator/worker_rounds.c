#include "server/coordinator/worker_rounds.h"

#include "server/coordinator/elector.h"
#include "server/coordinator/ticket_round.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_BEATS = 4 };

struct rounds_task {
    const struct worker_rounds *rounds;
    const struct cluster *cluster;
    struct ticket_round round;
    char workers[ELECTION_WORKERS_MAX][WORKER_ID_MAX + 1];
};

static void on_elected(void *arg, uint64_t epoch)
{
    struct rounds_task *t = arg;
    (void)epoch;
    ticket_round_reset(&t->round);
}

static enum sync_err publish(struct rounds_task *t, const struct task_run *run, size_t *ret_count,
                             struct err_ctx *ec)
{
    size_t count = elector_live_workers(run->elector, t->workers, ELECTION_WORKERS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct ticket_id id = ticket_id_for_worker(t->round.task, t->round.number, t->workers[i]);
        enum sync_err rc = ticket_publish(t->cluster, run, &id, ec);
        if (rc != SYNC_OK) return rc;
        t->cluster->tell_tickets(t->cluster->arg, run, t->workers[i]);
    }
    *ret_count = count;
    return SYNC_OK;
}

/* The tickets are out: what is left to do of a round that was just opened. */
static enum sync_err go_on(struct rounds_task *t, const struct task_run *run, char *text, struct err_ctx *ec)
{
    char did[TASK_TEXT_MAX] = "";
    uint32_t tickets = 0, done = 0;
    enum sync_err rc = ticket_round_sweep(&t->round, t->cluster, run, &tickets, &done, ec);
    if (rc == SYNC_OK && t->rounds->lead != NULL && task_may_go_on(run))
        rc = t->rounds->lead(t->cluster->server, run->stop, did, ec);
    size_t len = strlen(text);
    (void)snprintf(text + len, TASK_TEXT_MAX - len, "; of earlier rounds %u of %u were done%s%s", done,
                   tickets, did[0] != '\0' ? "; " : "", did);
    return rc;
}

static enum sync_err run_task(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX],
                              struct err_ctx *ec)
{
    struct rounds_task *t = arg;
    enum ticket_round_move move;
    size_t count = 0;
    t->round.interval_ms = t->rounds->interval_ms(t->cluster->server);
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
    (void)snprintf(text, TASK_TEXT_MAX, "round %" PRIu64 ": %zu tickets", t->round.number, count);
    return move == TICKET_ROUND_OPENED ? go_on(t, run, text, ec) : SYNC_OK;
}

static enum sync_err do_ticket(void *arg, const struct ticket_work *work, char text[TASK_TEXT_MAX],
                               struct err_ctx *ec)
{
    struct rounds_task *t = arg;
    return t->rounds->work(t->cluster->server, work->stop, text, ec);
}

enum sync_err worker_rounds_new(const struct worker_rounds *rounds, const struct cluster *c, struct task *ret,
                                struct err_ctx *ec)
{
    struct rounds_task *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the task %s", rounds->name);
    t->rounds = rounds;
    t->cluster = c;
    t->round = (struct ticket_round){.task = rounds->name};
    *ret = (struct task){.name = rounds->name,
                         .interval_ms = LOOK_BEATS * (uint64_t)c->beat_ms,
                         .arg = t,
                         .on_elected = on_elected,
                         .run = run_task,
                         .do_ticket = do_ticket};
    return SYNC_OK;
}
