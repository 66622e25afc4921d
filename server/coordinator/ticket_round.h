/* ticket_round.h -- how a leader's task hands out its work: one round of tickets after the other.
 *
 * The number of the round lies in a fenced object (rounds-<task>.json), so only the leader of the newest
 * epoch opens one. The ids of its tickets follow from the number: whoever publishes them again, an old leader
 * that comes late or a new one that makes sure, creates the same keys, once.
 *
 * When a round is due is told by the wall clock at which the last one was opened: a clock that is off opens a
 * round early or late, which harms nobody.
 *
 * Threads: a round belongs to its task's thread. */
#ifndef SERVER_COORDINATOR_TICKET_ROUND_H
#define SERVER_COORDINATOR_TICKET_ROUND_H

#include "server/coordinator/cluster.h"

struct ticket_round {
    const char *task;
    uint64_t interval_ms; /* between the openings of two rounds */
    /* what follows is of this lead; ticket_round_reset() forgets it */
    bool known;
    uint64_t number; /* 0: there was none yet */
    uint64_t due_ms; /* of system_boot_ms() */
    struct fenced_memory memory;
};

void ticket_round_reset(struct ticket_round *r);

enum ticket_round_move {
    TICKET_ROUND_WAIT,      /* nothing to do yet */
    TICKET_ROUND_REPUBLISH, /* first look of this lead: make sure that all tickets of the round are there */
    TICKET_ROUND_OPENED,    /* a new one: publish its tickets */
};

/* What is to be done now. One read when this lead looks first, one write when a round is opened. */
enum sync_err ticket_round_next(struct ticket_round *r, const struct cluster *c, const struct task_run *run,
                                enum ticket_round_move *ret, struct err_ctx *ec);

enum sync_err ticket_publish(const struct cluster *c, const struct task_run *run, const struct ticket_id *id,
                             struct err_ctx *ec);

/* Removes what lies there of earlier rounds; *ret_tickets and *ret_done are how many there were. */
enum sync_err ticket_round_sweep(const struct ticket_round *r, const struct cluster *c,
                                 const struct task_run *run, uint32_t *ret_tickets, uint32_t *ret_done,
                                 struct err_ctx *ec);

#endif
