/* ticket_desk.h -- where an instance takes tickets and does them, whether it leads or not.
 *
 * Its thread lists the tickets now and then, and at once when the leader hints; claims what it may take
 * (core/election/ticket.h), has the task do it, and writes the result. It works on one ticket at a time.
 *
 * Threads: start and stop on one; kick from any. */
#ifndef SERVER_COORDINATOR_TICKET_DESK_H
#define SERVER_COORDINATOR_TICKET_DESK_H

#include "server/coordinator/cluster.h"

#include <pthread.h>

enum {
    TICKET_POLL_BEATS = 120, /* a look so many heartbeats after the last: 6 an hour by default */
};

struct ticket_desk {
    const struct cluster *cluster;
    const struct task *tasks;
    size_t task_count;
    uint32_t timeout_ms;       /* after which somebody else may take a ticket */
    struct ticket_board board; /* the thread's own, as the next one */
    uint64_t listed_ms;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool kicked;
};

/* cluster and tasks stay the caller's. */
enum sync_err ticket_desk_start(struct ticket_desk *d, const struct cluster *cluster,
                                const struct task *tasks, size_t task_count, uint32_t timeout_ms,
                                struct err_ctx *ec);
void ticket_desk_kick(struct ticket_desk *d); /* there may be tickets */
void ticket_desk_stop(struct ticket_desk *d); /* all-zero ones too */

#endif
