/* task.h -- work of the whole cluster: what a task is, and what it may ask while it runs.
 *
 * A task runs on the leader only, again and again while it leads, on a thread of its own. When the lead ends
 * it is told to stop: `stop` is raised, and task_may_go_on() says no (that one also when nobody could raise
 * anything, because the whole process was stopped). It asks before each thing it does, and what it writes it
 * writes by cluster_write(), so that what comes late all the same is turned away.
 *
 * Work that each instance has to do on what only it has is handed out as tickets (core/election/ticket.h):
 * `run` publishes them, do_ticket is called on whichever instance holds one, leader or not.
 *
 * Threads: on_elected, run and on_demoted on the task's thread, in this order, never two at once; do_ticket
 * on the thread of tickets. */
#ifndef SERVER_COORDINATOR_TASK_H
#define SERVER_COORDINATOR_TASK_H

#include "core/base/err.h"
#include "core/election/ticket.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct elector;

/* One run, in one epoch. */
struct task_run {
    uint64_t epoch;
    struct elector *elector; /* whose lead it is */
    const atomic_bool *stop; /* also good as the cancel flag of an object_call */
};

bool task_may_go_on(const struct task_run *run);

struct ticket_work {
    const char *id;
    struct ticket_name name;
    const atomic_bool *stop; /* the server ends: give up, SYNC_ECANCELED; somebody else will take it */
};

enum { TASK_TEXT_MAX = 160 };

struct task {
    const char *name;     /* ticket_task_ok() */
    uint64_t interval_ms; /* from the end of a run to the next; the first one is at once */
    void *arg;
    void (*on_elected)(void *arg, uint64_t epoch); /* may be NULL */
    void (*on_demoted)(void *arg, uint64_t epoch); /* may be NULL */
    /* text: what it did, for people; zero terminated. Errors are told and change nothing: it runs again. */
    enum sync_err (*run)(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX], struct err_ctx *ec);
    enum sync_err (*do_ticket)(void *arg, const struct ticket_work *work, char text[TASK_TEXT_MAX],
                               struct err_ctx *ec); /* NULL: it has no tickets */
};

#endif
