/* Three electors in one process over one directory: one leads, leaves, the next one leads, and never two at a
 * time, asked by many threads. A plain program: it also runs under ThreadSanitizer. */
#include "server/base/system.h"
#include "server/coordinator/elector.h"
#include "server/coordinator/task_lane.h"
#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { ELECTORS = 3, WAIT_MS = 60000 };

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

struct instance {
    struct elector *elector;
    struct io_pool pool;
    struct task_lane lane;
    struct coordinator_metrics metrics;
    atomic_uint runs, elected, demoted, hints;
    atomic_bool left;
};

static struct instance instances[ELECTORS];
static struct object_store *store;
static _Atomic uint64_t highest_epoch;

/* ---- a task that checks that epochs never go back, whoever runs it */

static void on_elected(void *arg, uint64_t epoch)
{
    struct instance *n = arg;
    (void)epoch;
    atomic_fetch_add(&n->elected, 1);
}

static void on_demoted(void *arg, uint64_t epoch)
{
    struct instance *n = arg;
    (void)epoch;
    atomic_fetch_add(&n->demoted, 1);
}

static enum sync_err run_task(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX],
                              struct err_ctx *ec)
{
    struct instance *n = arg;
    uint64_t seen = atomic_load(&highest_epoch);
    (void)ec;
    /* All electors are in one process and nothing stops it between these two lines for a lease. */
    if (!task_may_go_on(run)) return err_set(ec, SYNC_ECANCELED, "stopped");
    check(run->epoch >= seen, "an epoch that is led is not older than one that was");
    while (seen < run->epoch && !atomic_compare_exchange_weak(&highest_epoch, &seen, run->epoch)) continue;
    atomic_fetch_add(&n->runs, 1);
    text[0] = '\0';
    return SYNC_OK;
}

static void happened(void *arg, const struct election_event *ev)
{
    struct instance *n = arg;
    if (ev->kind == ELECTION_EVENT_ELECTED) task_lane_elected(&n->lane, n->elector, ev->epoch);
    if (ev->kind == ELECTION_EVENT_DEMOTED) task_lane_demoted(&n->lane);
}

static void hint(void *arg, const char *worker_id)
{
    struct instance *n = arg;
    for (int i = 0; i < ELECTORS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "worker-%d", i);
        if (strcmp(id, worker_id) == 0 && !atomic_load(&instances[i].left))
            elector_ask(instances[i].elector, ELECTION_HINT);
    }
    atomic_fetch_add(&n->hints, 1);
}

/* ---- */

static void nothing(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

static uint64_t wall(void *arg)
{
    (void)arg;
    return system_wall_ms();
}

static void start_one(int i, const struct logger *logger)
{
    struct instance *n = &instances[i];
    struct err_ctx ec;
    struct task task = {.name = "checks",
                        .interval_ms = 1,
                        .arg = n,
                        .on_elected = on_elected,
                        .on_demoted = on_demoted,
                        .run = run_task};
    struct elector_config cfg = {
        .election = ELECTION_CONFIG_DEFAULT, .listener = {happened, hint, n}, .pool = &n->pool};
    cfg.election.heartbeat_interval_ms = 500;
    cfg.election.heartbeat_jitter_ms = 50;
    cfg.election.lease_timeout_ms = 4000;
    cfg.election.worker_timeout_ms = 5000;
    cfg.election.cold_start.skip = true;
    cfg.site = (struct election_site){
        .store = store, .self = {.incarnation = system_random_u64()}, .url = "", .host = "", .version = "1"};
    (void)snprintf(cfg.site.self.worker_id, sizeof cfg.site.self.worker_id, "worker-%d", i);
    election_site_root(&cfg.site, "default", NULL);
    check(io_pool_start(&n->pool, 2, &ec) == SYNC_OK, "the pool starts");
    check(task_lane_start(&n->lane, &task, logger, &n->metrics, &ec) == SYNC_OK, "the lane starts");
    check(elector_start(&cfg, &n->elector, &ec) == SYNC_OK, "the elector starts");
}

/* Who leads; waits until somebody of those who are there does. */
static int leader(uint64_t above)
{
    uint64_t end_ms = system_boot_ms() + WAIT_MS, epoch;
    while (system_boot_ms() < end_ms) {
        for (int i = 0; i < ELECTORS; i++)
            if (!atomic_load(&instances[i].left) && elector_may_lead(instances[i].elector, &epoch) &&
                epoch > above)
                return i;
        (void)poll(NULL, 0, 1);
    }
    check(false, "somebody leads");
    return -1;
}

static void wait_for_runs(struct instance *n)
{
    uint64_t end_ms = system_boot_ms() + WAIT_MS;
    while (atomic_load(&n->runs) < 3 && system_boot_ms() < end_ms) (void)poll(NULL, 0, 1);
    check(atomic_load(&n->runs) >= 3, "the leader's task runs");
}

int main(void)
{
    struct temp_dir dir;
    struct err_ctx ec;
    struct log_output output;
    uint64_t epoch = 0;
    temp_dir_make(&dir);
    log_output_init(&output, (struct log_sink){.write = nothing, .now_ms = wall});
    struct logger logger = logger_of(&output);
    struct object_dir_config cfg = {.path = dir.path};
    check(object_dir_open(&cfg, &store, &ec) == SYNC_OK, "the directory opens");
    for (int i = 0; i < ELECTORS; i++) start_one(i, &logger);

    for (int gone = 0; gone < ELECTORS; gone++) {
        struct election_status status;
        int who = leader(epoch);
        struct instance *n = &instances[who];
        wait_for_runs(n);
        elector_status(n->elector, &status);
        check(status.epoch > epoch, "each one leads in a higher epoch");
        epoch = status.epoch;
        atomic_store(&n->left, true);
        task_lane_stop(&n->lane);
        elector_leave(n->elector, WAIT_MS);
        check(!elector_may_lead(n->elector, &status.epoch), "who has left leads no more");
        check(atomic_load(&n->elected) == atomic_load(&n->demoted),
              "each lead that began for the task has ended");
    }
    for (int i = 0; i < ELECTORS; i++) {
        io_pool_stop(&instances[i].pool);
        elector_free(instances[i].elector);
        task_lane_deinit(&instances[i].lane);
    }
    object_store_close(store);
    temp_dir_remove(&dir);
    return 0;
}
