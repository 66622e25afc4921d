/* coordinator_internal.h -- shared by coordinator.c (its life), coordinator_events.c (what elections tell)
 * and coordinator_status.c (what is shown), and by nothing else. */
#ifndef SERVER_COORDINATOR_COORDINATOR_INTERNAL_H
#define SERVER_COORDINATOR_COORDINATOR_INTERNAL_H

#include "core/config/coordinator_config.h"
#include "server/coordinator/cluster.h"
#include "server/coordinator/coordinator.h"
#include "server/coordinator/elector.h"
#include "server/coordinator/hints.h"
#include "server/coordinator/io_pool.h"
#include "server/coordinator/task_lane.h"
#include "server/coordinator/tasks.h"
#include "server/coordinator/ticket_desk.h"
#include "server/server.h"

enum coordinator_state {
    COORDINATOR_ASKING, /* whether the store is honest */
    COORDINATOR_RUNNING,
    COORDINATOR_REFUSED, /* to lead; `why` says why */
    COORDINATOR_STOPPED,
};

/* One election: the shared one, with all tasks, or a task's own. */
struct coordinator_election {
    struct coordinator *coordinator;
    struct elector *elector;
    const char *label;                 /* "global", or the task's name */
    size_t first, count;               /* of the tasks */
    char leader_id[WORKER_ID_MAX + 1]; /* as events told it, for hooks; the elector's thread's own */
};

struct coordinator {
    struct server *server;
    const struct config_coordinator *config;
    struct cluster cluster;
    char url[ELECTION_URL_MAX + 1];
    char host[ELECTION_HOST_MAX + 1];
    struct cluster_tasks *built_in;
    struct task tasks[CLUSTER_TASKS_MAX];
    const char *task_names[CLUSTER_TASKS_MAX];
    struct task_lane lanes[CLUSTER_TASKS_MAX];
    size_t task_count;
    struct io_pool pool;
    struct ticket_desk desk;
    pthread_t starter;
    bool starter_started;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards what follows; taken before an elector's */
    pthread_cond_t changed;
    enum coordinator_state state;
    enum coordination_mode mode; /* as it runs */
    struct coordinator_election elections[CLUSTER_TASKS_MAX];
    size_t election_count;
    struct err_ctx why;
};

/* coordinator_events.c */
struct elector_listener coordinator_listener(struct coordinator_election *e);
void coordinator_log_line(struct coordinator *c, const char *label, const char *text);
void coordinator_spent(void *arg, const struct task_run *run, uint32_t requests);
void coordinator_tell_tickets(void *arg, const struct task_run *run, const char *worker_id);

#endif
