/* task_probe.c -- for developers: a task that shows who leads when, and who takes tickets.
 *
 *   SYNC_COORDINATOR_PROBE=FILE    turns it on; every instance appends lines to FILE
 *   SYNC_COORDINATOR_PROBES=N      so many of them (default 1, at most 16): probe, probe-1, ...
 *   SYNC_COORDINATOR_PROBE_TICKETS=N    the first one hands out one round of N tickets that anybody may take
 *   SYNC_COORDINATOR_PROBE_QUIET=1 nothing is written into the object store: to count what elections cost
 *   SYNC_COORDINATOR_PROBE_HOLD=FILE    tickets are claimed and then held until there is such a file
 *
 * Lines, each appended whole:
 *
 *   lead US EPOCH WORKER      this instance could lead at US microseconds of CLOCK_BOOTTIME, in that epoch
 *   wrote EPOCH WORKER        it has written the fenced object probe.json
 *   fenced EPOCH WORKER       it was turned away there
 *   claimed TICKET WORKER, did TICKET WORKER
 *
 * A line may reach the file late, when the process was stopped in between; what it says is of the time that
 * stands in it. Harmless: it reads and writes nothing else. */
#include "server/base/system.h"
#include "server/coordinator/elector.h"
#include "server/coordinator/tasks.h"
#include "server/coordinator/ticket_round.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_INTERVAL_MS = 10, WRITE_EVERY = 10, HOLD_POLL_MS = 20 };

struct probe_task {
    const struct cluster *cluster;
    char name[TICKET_TASK_MAX + 1];
    const char *path; /* of the environment */
    uint32_t tickets;
    const char *hold; /* of the environment; NULL: it is not set */
    bool quiet, first;
    struct ticket_round round;
    struct fenced_memory memory;
    uint64_t runs;
};

static void append(const struct probe_task *t, const char *line)
{
    int fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return;
    (void)!write(fd, line, strlen(line));
    (void)close(fd);
}

static void on_elected(void *arg, uint64_t epoch)
{
    struct probe_task *t = arg;
    (void)epoch;
    t->memory = (struct fenced_memory){0};
    ticket_round_reset(&t->round);
}

/* The time is read before the question and the question asked with a time that is no earlier, so at that time
 * the answer was yes. */
static bool tell_lead(struct probe_task *t, const struct task_run *run)
{
    struct timespec now;
    char line[160];
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    if (!task_may_go_on(run)) return false;
    (void)snprintf(line, sizeof line, "lead %" PRIu64 " %" PRIu64 " %s\n",
                   (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u, run->epoch,
                   t->cluster->worker_id);
    append(t, line);
    return true;
}

static enum sync_err write_fenced(struct probe_task *t, const struct task_run *run, struct err_ctx *ec)
{
    char line[160], value[64];
    (void)snprintf(value, sizeof value, "{\"run\":%" PRIu64 "}", t->runs);
    uint64_t before = counter_value(&t->cluster->metrics->fenced_writes);
    enum sync_err rc = cluster_write(t->cluster, run, "probe.json", slice_str(value), &t->memory, ec);
    bool turned_away = counter_value(&t->cluster->metrics->fenced_writes) > before;
    if (rc != SYNC_OK && !turned_away) return rc;
    (void)snprintf(line, sizeof line, "%s %" PRIu64 " %s\n", rc == SYNC_OK ? "wrote" : "fenced", run->epoch,
                   t->cluster->worker_id);
    append(t, line);
    return rc;
}

static enum sync_err publish(struct probe_task *t, const struct task_run *run, struct err_ctx *ec)
{
    enum ticket_round_move move;
    static char workers[ELECTION_WORKERS_MAX][WORKER_ID_MAX + 1]; /* one task has tickets */
    enum sync_err rc = ticket_round_next(&t->round, t->cluster, run, &move, ec);
    for (uint32_t i = 0; i < t->tickets && rc == SYNC_OK && move != TICKET_ROUND_WAIT; i++) {
        struct ticket_id id = ticket_id_numbered(t->name, t->round.number, i);
        rc = ticket_publish(t->cluster, run, &id, ec);
    }
    if (rc != SYNC_OK || move == TICKET_ROUND_WAIT) return rc;
    size_t count = elector_live_workers(run->elector, workers, ELECTION_WORKERS_MAX);
    for (size_t i = 0; i < count; i++) t->cluster->tell_tickets(t->cluster->arg, run, workers[i]);
    return SYNC_OK;
}

static enum sync_err run_task(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX],
                              struct err_ctx *ec)
{
    struct probe_task *t = arg;
    if (!tell_lead(t, run)) return err_set(ec, SYNC_ECANCELED, "this instance leads no more");
    (void)snprintf(text, TASK_TEXT_MAX, "run %" PRIu64, t->runs);
    if (!t->first || t->quiet) return SYNC_OK;
    enum sync_err rc = SYNC_OK;
    if (t->runs++ % WRITE_EVERY == 0) rc = write_fenced(t, run, ec);
    if (rc == SYNC_OK && t->tickets > 0) rc = publish(t, run, ec);
    return rc;
}

static bool is_held(const struct probe_task *t)
{
    return t->hold != NULL && access(t->hold, F_OK) != 0;
}

static enum sync_err do_ticket(void *arg, const struct ticket_work *work, char text[TASK_TEXT_MAX],
                               struct err_ctx *ec)
{
    struct probe_task *t = arg;
    char line[256];
    (void)snprintf(line, sizeof line, "claimed %s %s\n", work->id, t->cluster->worker_id);
    append(t, line);
    while (is_held(t) && !atomic_load(work->stop)) (void)poll(NULL, 0, HOLD_POLL_MS);
    if (is_held(t)) return err_set(ec, SYNC_ECANCELED, "held until the server stopped");
    (void)snprintf(line, sizeof line, "did %s %s\n", work->id, t->cluster->worker_id);
    append(t, line);
    (void)snprintf(text, TASK_TEXT_MAX, "a line was written");
    return SYNC_OK;
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && strcmp(value, "1") == 0;
}

enum sync_err task_probe_new(const struct cluster *c, const char *log_path, uint32_t number, struct task *ret,
                             struct err_ctx *ec)
{
    const char *tickets = getenv("SYNC_COORDINATOR_PROBE_TICKETS");
    struct probe_task *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the probe task");
    t->cluster = c;
    t->path = log_path;
    t->first = number == 0;
    t->tickets = t->first && tickets != NULL ? (uint32_t)strtoul(tickets, NULL, 10) : 0;
    t->hold = getenv("SYNC_COORDINATOR_PROBE_HOLD");
    t->quiet = is_set("SYNC_COORDINATOR_PROBE_QUIET");
    if (number == 0)
        (void)snprintf(t->name, sizeof t->name, "probe");
    else
        (void)snprintf(t->name, sizeof t->name, "probe-%u", number);
    t->round = (struct ticket_round){.task = t->name, .interval_ms = ELECTION_TIME_MS_MAX};
    *ret = (struct task){.name = t->name,
                         .interval_ms = PROBE_INTERVAL_MS,
                         .arg = t,
                         .on_elected = on_elected,
                         .run = run_task,
                         .do_ticket = t->first ? do_ticket : NULL};
    return SYNC_OK;
}
