#include "server/coordinator/task_lane.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/coordinator/elector.h"
#include "server/net/job.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

bool task_may_go_on(const struct task_run *run)
{
    uint64_t epoch;
    if (atomic_load(run->stop)) return false;
    return elector_may_lead(run->elector, &epoch) && epoch == run->epoch;
}

static void keep_report(struct task_lane *l, enum sync_err rc, const char *text, uint64_t took_ms)
{
    pthread_mutex_lock(&l->lock);
    struct task_report *r = &l->report;
    bool failed = rc != SYNC_OK && rc != SYNC_ECANCELED;
    r->running = false;
    r->ever = true;
    r->rc = rc;
    r->runs++;
    r->failures += failed ? 1 : 0;
    r->ended_wall_ms = system_wall_ms();
    r->took_ms = took_ms;
    (void)snprintf(r->text, sizeof r->text, "%s", text);
    pthread_mutex_unlock(&l->lock);
    counter_add(&l->metrics->task_runs, 1);
    if (failed) counter_add(&l->metrics->task_failures, 1);
}

static void run_once(struct task_lane *l, const struct task_run *run)
{
    char text[TASK_TEXT_MAX] = "";
    struct err_ctx ec = {""};
    uint64_t began_ms = system_boot_ms();
    pthread_mutex_lock(&l->lock);
    l->report.running = true;
    pthread_mutex_unlock(&l->lock);
    enum sync_err rc = l->task.run(l->task.arg, run, text, &ec);
    uint64_t took_ms = system_boot_ms() - began_ms;
    keep_report(l, rc, rc == SYNC_OK ? text : ec.text, took_ms);
    if (rc == SYNC_OK)
        log_debug(&l->logger, LOG_SERVICE, "coordinator.task_ran", LOG_STR("task", l->task.name),
                  LOG_U64("epoch", run->epoch), LOG_U64("ms", took_ms), LOG_STR("did", text));
    else if (rc != SYNC_ECANCELED)
        log_warn(&l->logger, LOG_SERVICE, "coordinator.task_failed", LOG_STR("task", l->task.name),
                 LOG_U64("epoch", run->epoch), LOG_FAILURE(&ec),
                 LOG_STR("next", "it runs again at its usual time"));
}

/* Until it is time for the next run, or the lead is over. */
static void rest(struct task_lane *l)
{
    struct timespec until = wait_until_ms(l->task.interval_ms);
    pthread_mutex_lock(&l->lock);
    while (!atomic_load(&l->stop) && !l->closing &&
           pthread_cond_timedwait(&l->changed, &l->lock, &until) != ETIMEDOUT)
        continue;
    pthread_mutex_unlock(&l->lock);
}

/* Waits for a lead. `stop` goes down only here, so a run that was told to stop stays told, also when the next
 * election has been won meanwhile. False: the lane ends. */
static bool wait_for_lead(struct task_lane *l, struct task_run *ret)
{
    pthread_mutex_lock(&l->lock);
    while (l->epoch == 0 && !l->closing) pthread_cond_wait(&l->changed, &l->lock);
    bool go = !l->closing;
    ret->epoch = l->epoch;
    ret->elector = l->elector;
    ret->stop = &l->stop;
    atomic_store(&l->stop, !go);
    pthread_mutex_unlock(&l->lock);
    return go;
}

static void *work(void *arg)
{
    struct task_lane *l = arg;
    struct task_run run;
    while (wait_for_lead(l, &run)) {
        if (l->task.on_elected != NULL) l->task.on_elected(l->task.arg, run.epoch);
        while (!atomic_load(&l->stop)) {
            if (task_may_go_on(&run)) run_once(l, &run);
            rest(l);
        }
        if (l->task.on_demoted != NULL) l->task.on_demoted(l->task.arg, run.epoch);
    }
    return NULL;
}

enum sync_err task_lane_start(struct task_lane *l, const struct task *task, const struct logger *logger,
                              struct coordinator_metrics *metrics, struct err_ctx *ec)
{
    *l = (struct task_lane){.task = *task, .logger = *logger, .metrics = metrics};
    wait_init(&l->lock, &l->changed);
    enum sync_err rc = thread_start(&l->thread, "cluster-task", work, l, ec);
    l->started = rc == SYNC_OK;
    return rc;
}

static void tell(struct task_lane *l, struct elector *elector, uint64_t epoch, bool closing)
{
    pthread_mutex_lock(&l->lock);
    l->epoch = epoch;
    l->closing |= closing;
    if (epoch > 0)
        l->elector = elector;
    else
        atomic_store(&l->stop, true);
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void task_lane_elected(struct task_lane *l, struct elector *elector, uint64_t epoch)
{
    tell(l, elector, epoch, false);
}

void task_lane_demoted(struct task_lane *l)
{
    tell(l, NULL, 0, false);
}

void task_lane_stop(struct task_lane *l)
{
    if (!l->started) return;
    tell(l, NULL, 0, true);
    pthread_join(l->thread, NULL);
    l->started = false;
}

void task_lane_deinit(struct task_lane *l)
{
    if (l->metrics == NULL) return;
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
}

struct task_report task_lane_report(struct task_lane *l)
{
    pthread_mutex_lock(&l->lock);
    struct task_report r = l->report;
    pthread_mutex_unlock(&l->lock);
    return r;
}
