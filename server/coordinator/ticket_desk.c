#include "server/coordinator/ticket_desk.h"

#include "server/base/system.h"
#include "server/base/waiting.h"
#include "server/net/job.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static const struct task *task_named(const struct ticket_desk *d, struct slice name)
{
    for (size_t i = 0; i < d->task_count; i++)
        if (d->tasks[i].do_ticket != NULL && slice_is(name, d->tasks[i].name)) return &d->tasks[i];
    return NULL;
}

static bool handles(void *arg, struct slice name)
{
    return task_named(arg, name) != NULL;
}

/* ---- the board */

static enum sync_err list(struct ticket_desk *d, struct err_ctx *ec)
{
    const struct cluster *c = d->cluster;
    struct object_call call = {.timeout_ms = c->call_ms, .cancel = &d->stop};
    struct cluster_key prefix = cluster_key(c, TICKETS_KEY);
    struct object_query query = {.prefix = slice_str(prefix.text)};
    struct object_page page;
    size_t root_len = strlen(c->root);
    cluster_spent(c, NULL, 1);
    enum sync_err rc = object_list(c->store, &call, &query, &page, ec);
    if (rc != SYNC_OK) return rc;
    uint64_t now_ms = system_boot_ms();
    ticket_board_list_start(&d->board);
    for (size_t i = 0; i < page.count; i++) {
        struct slice key = page.entries[i].key;
        ticket_board_see(&d->board, slice_of(key.bytes + root_len, key.len - root_len), now_ms);
    }
    ticket_board_list_end(&d->board, !page.more);
    d->listed_ms = now_ms;
    object_page_deinit(&page);
    return SYNC_OK;
}

/* ---- one ticket */

static enum sync_err claim(struct ticket_desk *d, const char *id, uint32_t number, bool *ret_mine,
                           struct err_ctx *ec)
{
    struct buf bytes = buf_make(1024);
    struct ticket_stamp by = cluster_stamp(d->cluster);
    ticket_claim_put(&bytes, id, number, &by);
    enum sync_err rc = buf_check(&bytes, ec);
    if (rc == SYNC_OK)
        rc = cluster_create(d->cluster, NULL, &d->stop, ticket_claim_key(id, number).text, buf_slice(&bytes),
                            ret_mine, ec);
    buf_deinit(&bytes);
    return rc;
}

static enum sync_err put_result(struct ticket_desk *d, const char *id, uint32_t number, bool ok,
                                const char *text, bool *ret_mine, struct err_ctx *ec)
{
    struct buf bytes = buf_make(4096);
    struct ticket_stamp by = cluster_stamp(d->cluster);
    ticket_result_put(&bytes, id, number, ok, text, &by);
    enum sync_err rc = buf_check(&bytes, ec);
    if (rc == SYNC_OK)
        rc = cluster_create(d->cluster, NULL, &d->stop, ticket_result_key(id).text, buf_slice(&bytes),
                            ret_mine, ec);
    buf_deinit(&bytes);
    return rc;
}

static enum sync_err do_ticket(struct ticket_desk *d, const struct ticket_id *id, uint32_t number,
                               struct err_ctx *ec)
{
    const struct cluster *c = d->cluster;
    struct ticket_work work = {.id = id->text, .stop = &d->stop};
    char text[TASK_TEXT_MAX] = "";
    struct err_ctx why = {""};
    bool mine = false;
    enum sync_err rc = claim(d, id->text, number, &mine, ec);
    if (rc != SYNC_OK) return rc;
    ticket_board_claimed(&d->board, id->text, number, system_boot_ms());
    if (!mine || !ticket_id_parse(slice_str(id->text), &work.name)) return SYNC_OK;
    counter_add(&c->metrics->tickets_claimed, 1);

    const struct task *task = task_named(d, work.name.task);
    enum sync_err did = task->do_ticket(task->arg, &work, text, &why);
    if (did == SYNC_ECANCELED) return SYNC_OK; /* given up: its claim grows old, and somebody else takes it */
    rc = put_result(d, id->text, number, did == SYNC_OK, did == SYNC_OK ? text : why.text, &mine, ec);
    if (rc != SYNC_OK) return rc;
    ticket_board_done(&d->board, id->text);
    counter_add(mine ? &c->metrics->tickets_done : &c->metrics->tickets_redundant, 1);
    if (did == SYNC_OK)
        log_info(&c->logger, LOG_SERVICE, "coordinator.ticket_done", LOG_STR("ticket", id->text),
                 LOG_BOOL("first", mine), LOG_STR("did", text));
    else
        log_warn(&c->logger, LOG_SERVICE, "coordinator.ticket_failed", LOG_STR("ticket", id->text),
                 LOG_FAILURE(&why), LOG_STR("next", "the next round hands it out again"));
    return SYNC_OK;
}

/* ---- the thread */

/* All that can be taken now. A claim of another that seems to have grown old is looked at once more before it
 * is passed over: its result may be there by now. */
static enum sync_err work_off(struct ticket_desk *d, struct err_ctx *ec)
{
    enum sync_err rc = list(d, ec);
    while (rc == SYNC_OK && !atomic_load(&d->stop)) {
        uint32_t number;
        uint64_t now_ms = system_boot_ms();
        const struct ticket_seen *next =
            ticket_board_next(&d->board, d->cluster->worker_id, handles, d, now_ms, d->timeout_ms, &number);
        if (next == NULL) break;
        if (number > 1 && now_ms - d->listed_ms > d->cluster->beat_ms) {
            rc = list(d, ec);
            continue;
        }
        struct ticket_id id = next->id;
        rc = do_ticket(d, &id, number, ec);
    }
    return rc;
}

/* When the oldest claim of somebody else is due, or the next look. */
static uint64_t wait_ms(const struct ticket_desk *d)
{
    uint64_t wait = (uint64_t)TICKET_POLL_BEATS * d->cluster->beat_ms, now_ms = system_boot_ms();
    for (size_t i = 0; i < d->board.count; i++) {
        const struct ticket_seen *t = &d->board.all[i];
        struct ticket_name name;
        if (t->done || t->claims == 0 || !ticket_id_parse(slice_str(t->id.text), &name)) continue;
        if (name.worker.len > 0 && !slice_is(name.worker, d->cluster->worker_id)) continue;
        uint64_t due_ms = t->since_ms + d->timeout_ms;
        uint64_t left = due_ms > now_ms ? due_ms - now_ms : d->cluster->beat_ms;
        if (left < wait) wait = left;
    }
    return wait;
}

static void rest(struct ticket_desk *d, uint64_t ms)
{
    struct timespec until = wait_until_ms(ms);
    pthread_mutex_lock(&d->lock);
    while (!d->kicked && !atomic_load(&d->stop) &&
           pthread_cond_timedwait(&d->changed, &d->lock, &until) != ETIMEDOUT)
        continue;
    d->kicked = false;
    pthread_mutex_unlock(&d->lock);
}

static void *run(void *arg)
{
    struct ticket_desk *d = arg;
    while (!atomic_load(&d->stop)) {
        struct err_ctx ec = {""};
        enum sync_err rc = work_off(d, &ec);
        if (rc != SYNC_OK && rc != SYNC_ECANCELED)
            log_debug(&d->cluster->logger, LOG_SERVICE, "coordinator.tickets_failed", LOG_FAILURE(&ec),
                      LOG_STR("next", "looked at again later"));
        rest(d, wait_ms(d));
    }
    return NULL;
}

enum sync_err ticket_desk_start(struct ticket_desk *d, const struct cluster *cluster,
                                const struct task *tasks, size_t task_count, uint32_t timeout_ms,
                                struct err_ctx *ec)
{
    *d = (struct ticket_desk){
        .cluster = cluster, .tasks = tasks, .task_count = task_count, .timeout_ms = timeout_ms};
    wait_init(&d->lock, &d->changed);
    enum sync_err rc = thread_start(&d->thread, "tickets", run, d, ec);
    d->started = rc == SYNC_OK;
    return rc;
}

void ticket_desk_kick(struct ticket_desk *d)
{
    if (!d->started) return;
    pthread_mutex_lock(&d->lock);
    d->kicked = true;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

void ticket_desk_stop(struct ticket_desk *d)
{
    if (!d->started) return;
    pthread_mutex_lock(&d->lock);
    atomic_store(&d->stop, true);
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    (void)pthread_cond_destroy(&d->changed);
    (void)pthread_mutex_destroy(&d->lock);
    ticket_board_deinit(&d->board);
    d->started = false;
}
