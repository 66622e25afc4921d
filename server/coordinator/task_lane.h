/* task_lane.h -- the thread that runs one task while this instance leads.
 *
 * Threads: start and stop on one; the rest from any. */
#ifndef SERVER_COORDINATOR_TASK_LANE_H
#define SERVER_COORDINATOR_TASK_LANE_H

#include "core/log/log.h"
#include "core/metrics/coordinator_metrics.h"
#include "server/coordinator/task.h"

#include <pthread.h>

/* What is known of a task's runs on this instance. */
struct task_report {
    uint64_t runs, failures;
    bool running;
    bool ever;        /* the three below are of the last run that ended */
    enum sync_err rc; /* SYNC_ECANCELED: it was told to stop */
    uint64_t ended_wall_ms;
    uint64_t took_ms;
    char text[ERR_TEXT_MAX]; /* what it did, or why it failed */
};

struct task_lane {
    struct task task;
    struct logger logger;
    struct coordinator_metrics *metrics;
    struct elector *elector; /* set when the first election is won at the latest */
    pthread_t thread;
    bool started;
    atomic_bool stop;     /* of the run under way */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint64_t epoch; /* that is led; 0: none */
    bool closing;
    struct task_report report;
};

enum sync_err task_lane_start(struct task_lane *l, const struct task *task, const struct logger *logger,
                              struct coordinator_metrics *metrics, struct err_ctx *ec);
void task_lane_elected(struct task_lane *l, struct elector *elector, uint64_t epoch);
void task_lane_demoted(struct task_lane *l);

/* Tells a run to stop, waits until it has, joins. Its report stays. All-zero lanes too, as the next. */
void task_lane_stop(struct task_lane *l);
void task_lane_deinit(struct task_lane *l);

struct task_report task_lane_report(struct task_lane *l);

#endif
