/* worker_rounds.h -- a task that has every instance do the same on its own, round after round.
 *
 * The leader opens a round every so often and publishes one ticket for each worker that is live then
 * (ticket_round.h). Its run looks at the clock some times a minute, and asks the store only when a round is
 * due, or when its lead has begun. What the instances did is in the tickets' results until the round after.
 *
 * Threads: as server/coordinator/task.h says. */
#ifndef SERVER_COORDINATOR_WORKER_ROUNDS_H
#define SERVER_COORDINATOR_WORKER_ROUNDS_H

#include "server/coordinator/cluster.h"

struct worker_rounds {
    const char *name;
    uint64_t (*interval_ms)(struct server *s); /* between the openings of two rounds, as it is set now */
    /* The work of one instance; as task.do_ticket. */
    enum sync_err (*work)(struct server *s, const atomic_bool *stop, char text[TASK_TEXT_MAX],
                          struct err_ctx *ec);
    /* What the leader itself does when it has opened a round; may be NULL. */
    enum sync_err (*lead)(struct server *s, const atomic_bool *stop, char text[TASK_TEXT_MAX],
                          struct err_ctx *ec);
};

/* rounds: outlives the task, whose arg is one block. */
enum sync_err worker_rounds_new(const struct worker_rounds *rounds, const struct cluster *c, struct task *ret,
                                struct err_ctx *ec);

#endif
