/* The watch: the thread of a runner that sees deadlines pass. It answers for calls that did not come back,
 * and starts a thread in place of the one that is lost to the hook. */
#include "hooks/hook_runner_internal.h"

#include <stdio.h>

enum { OVERDUE_MAX = 64 }; /* handled in one go; the rest in the next */

/* A call to be answered without the lock. */
struct overdue {
    struct hook_call *call;
    struct lane *lane;
    char hook[HOOK_NAME_MAX + 1]; /* "": it waited in the queue */
    enum hook_op op;
    uint32_t timeout_ms, stuck; /* of the hook; calls in it, with this one */
};

/* Takes the worker's call from it. */
static void abandon(struct hook_runner *r, struct worker *w, struct overdue *o)
{
    struct hook *h = w->inside;
    struct err_ctx ec;
    w->abandoned = true;
    w->inside = NULL;
    h->stuck++;
    r->stuck++;
    atomic_fetch_add_explicit(&h->figures.timeouts, 1, memory_order_relaxed);
    pthread_cond_broadcast(&h->changed); /* those who wait for a serial hook need not wait any longer */
    w->lane->live--;
    pthread_cond_broadcast(&r->worker_ended);
    /* Without a replacement the lane has a thread less until this one comes back. */
    if (!r->closing || w->lane->queued > 0) (void)runner_start_worker(w->lane, &ec);
    atomic_fetch_add_explicit(&w->call->refs, 1, memory_order_relaxed);
    *o = (struct overdue){
        .call = w->call, .lane = w->lane, .op = w->op, .timeout_ms = h->timeout_ms, .stuck = h->stuck};
    hook_text_copy(o->hook, sizeof o->hook, slice_str(h->name));
}

static size_t find_workers(struct hook_runner *r, uint64_t now_ns, struct overdue *ret, uint64_t *next_ns)
{
    size_t count = 0;
    for (struct worker *w = r->workers; w != NULL; w = w->next) {
        if (w->inside == NULL) continue;
        if (w->deadline_ns <= now_ns && count < OVERDUE_MAX) {
            abandon(r, w, &ret[count++]);
            continue;
        }
        if (w->deadline_ns < *next_ns) *next_ns = w->deadline_ns;
    }
    return count;
}

/* Calls that found no free thread in time. The queue is in the order of their time. */
static size_t find_queued(struct lane *l, uint64_t now_ns, struct overdue *ret, size_t count,
                          uint64_t *next_ns)
{
    for (; l->first != NULL; count++) {
        uint64_t deadline_ns = l->first->queued_ns + l->runner->timeout_max_ns;
        if (deadline_ns > now_ns || count == OVERDUE_MAX) {
            if (deadline_ns < *next_ns) *next_ns = deadline_ns;
            break;
        }
        struct hook_call *c = l->first;
        l->first = c->next;
        if (l->first == NULL) l->end = &l->first;
        l->queued--;
        ret[count] = (struct overdue){.call = c, .lane = l};
    }
    return count;
}

/* Calls that were left to threads that are awake, and that these do not get to. */
static void find_left_waiting(struct lane *l, uint64_t now_ns, uint64_t *next_ns)
{
    if (l->first == NULL || l->idle == 0) return;
    uint64_t due_ns = l->first->queued_ns + LOOK_NS;
    if (due_ns <= now_ns) {
        runner_wake(l);
        due_ns = now_ns + LOOK_NS;
    }
    if (due_ns < *next_ns) *next_ns = due_ns;
}

static void answer(struct hook_runner *r, const struct overdue *o)
{
    const struct hook_environment *env = &r->config.env;
    char line[160];
    (void)snprintf(line, sizeof line,
                   "%s did not return within %u ms; the request is refused, stuck calls: %u",
                   hook_op_name(o->op), o->timeout_ms, o->stuck);
    if (o->hook[0] != '\0') env->log(env->log_arg, o->hook, SYNC_LOG_ERROR, line);
    hook_result_unavailable(&o->call->result, o->hook);
    runner_finish(o->lane, o->call);
    hook_call_release(o->call);
}

void *runner_watch(void *arg)
{
    struct hook_runner *r = arg;
    struct overdue found[OVERDUE_MAX];
    pthread_mutex_lock(&r->lock);
    while (!r->watch_end) {
        uint64_t now_ns = hook_now_ns(), next_ns = UINT64_MAX;
        size_t count = find_workers(r, now_ns, found, &next_ns);
        count = find_queued(&r->calls, now_ns, found, count, &next_ns);
        count = find_queued(&r->notices, now_ns, found, count, &next_ns);
        if (count > 0) {
            pthread_mutex_unlock(&r->lock);
            for (size_t i = 0; i < count; i++) answer(r, &found[i]);
            pthread_mutex_lock(&r->lock);
            if (r->closing) { /* the last call that workers waited for may have been among these */
                pthread_cond_broadcast(&r->calls.changed);
                pthread_cond_broadcast(&r->notices.changed);
                pthread_cond_broadcast(&r->worker_ended);
            }
            continue;
        }
        find_left_waiting(&r->calls, now_ns, &next_ns);
        find_left_waiting(&r->notices, now_ns, &next_ns);
        /* While calls come, it looks once in the shortest deadline, so that no call has to wake it; likewise
         * while calls are left to threads that are awake. */
        if (r->called && next_ns > now_ns + r->timeout_min_ns) next_ns = now_ns + r->timeout_min_ns;
        if (r->left_waiting && next_ns > now_ns + LOOK_NS) next_ns = now_ns + LOOK_NS;
        r->called = r->left_waiting = false;
        r->watch_next_ns = next_ns;
        hook_cond_wait(&r->watch_changed, &r->lock, next_ns);
        r->watch_next_ns = 0; /* awake: nobody need wake it */
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}
