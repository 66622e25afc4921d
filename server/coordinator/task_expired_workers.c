/* task_expired_workers.c -- removes what workers that are gone, and rounds that are over, have left behind.
 *
 * Worker records themselves are removed by the election's leader (core/election/election_lead.c), as it lists
 * them anyway. Here go tickets that only a worker could do that is not live any more: nobody will ever take
 * them, and operators would wonder. A ticket with a result stays until its task's next round sweeps it; one
 * of a live worker stays.
 *
 * Every 720 heartbeats (an hour), one list. */
#include "server/coordinator/elector.h"
#include "server/coordinator/tasks.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_BEATS = 720 };

struct expired_task {
    const struct cluster *cluster;
    char workers[ELECTION_WORKERS_MAX][WORKER_ID_MAX + 1];
    size_t worker_count;
};

static bool is_live(const struct expired_task *t, struct slice worker)
{
    for (size_t i = 0; i < t->worker_count; i++)
        if (slice_is(worker, t->workers[i])) return true;
    return false;
}

static enum sync_err run_task(void *arg, const struct task_run *run, char text[TASK_TEXT_MAX],
                              struct err_ctx *ec)
{
    struct expired_task *t = arg;
    const struct cluster *c = t->cluster;
    struct object_call call = {.timeout_ms = c->call_ms, .cancel = run->stop};
    struct cluster_key prefix = cluster_key(c, TICKETS_KEY);
    struct object_query query = {.prefix = slice_str(prefix.text)};
    struct object_page page;
    size_t root_len = strlen(c->root), removed = 0;
    t->worker_count = elector_live_workers(run->elector, t->workers, ELECTION_WORKERS_MAX);
    cluster_spent(c, run, 1);
    enum sync_err rc = object_list(c->store, &call, &query, &page, ec);
    if (rc != SYNC_OK) return rc;
    for (size_t i = 0; i < page.count && rc == SYNC_OK; i++) {
        struct slice full = page.entries[i].key, id;
        struct ticket_name name;
        enum ticket_object object;
        uint32_t claim;
        if (!ticket_key_parse(slice_of(full.bytes + root_len, full.len - root_len), &id, &object, &claim))
            continue;
        if (object != TICKET_BODY || !ticket_id_parse(id, &name)) continue;
        if (name.worker.len == 0 || is_live(t, name.worker)) continue;
        if (!task_may_go_on(run)) rc = err_set(ec, SYNC_ECANCELED, "this instance leads no more");
        if (rc == SYNC_OK) cluster_spent(c, run, 1);
        if (rc == SYNC_OK) rc = object_delete(c->store, &call, full, ec);
        removed += rc == SYNC_OK ? 1 : 0;
    }
    object_page_deinit(&page);
    (void)snprintf(text, TASK_TEXT_MAX, "%zu tickets of workers that are gone removed", removed);
    return rc;
}

enum sync_err task_expired_workers_new(const struct cluster *c, struct task *ret, struct err_ctx *ec)
{
    struct expired_task *t = calloc(1, sizeof *t);
    if (t == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for the expired workers task");
    t->cluster = c;
    *ret = (struct task){.name = "expired-workers",
                         .interval_ms = LOOK_BEATS * (uint64_t)c->beat_ms,
                         .arg = t,
                         .run = run_task};
    return SYNC_OK;
}
