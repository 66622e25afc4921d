#include "hooks/hook_runner.h"

#include "hooks/hook_runner_internal.h"

#include <assert.h>
#include <stdlib.h>

static void runner_unref(struct hook_runner *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- the way of a call */

void runner_wake(struct lane *l)
{
    if (l->idle == 0 || l->waking) return;
    l->waking = true;
    pthread_cond_signal(&l->changed);
}

/* Somebody for the calls that wait. Returns by when the watch has to look whether that was enough. */
static uint64_t wake_for(struct lane *l, uint64_t now_ns)
{
    bool slow = l->slowness > SLOW_ALWAYS / 2;
    bool all_asleep = l->idle == l->live && !l->waking;
    if (!all_asleep && !slow && l->idle > 0) {
        l->runner->left_waiting = true;
        return now_ns + LOOK_NS;
    }
    runner_wake(l);
    return now_ns + l->runner->timeout_min_ns;
}

static void enqueue(struct lane *l, struct hook_call *c)
{
    c->queued_ns = hook_now_ns();
    c->next = NULL;
    *l->end = c;
    l->end = &c->next;
    struct hook_runner *r = l->runner;
    r->called = true;
    if (r->watch_next_ns > wake_for(l, c->queued_ns)) pthread_cond_signal(&r->watch_changed);
}

void runner_finish(struct lane *l, struct hook_call *c)
{
    struct hook_runner *r = l->runner;
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed); /* `post` may give away the caller's */
    if (c->post != NULL)
        c->post(c);
    else
        hook_call_release(c);
    pthread_mutex_lock(&r->lock);
    struct hook_call *next = hook_order_leave(&l->order, c);
    if (next != NULL) enqueue(l, next);
    pthread_mutex_unlock(&r->lock);
    hook_call_release(c);
}

/* Answers a call that does not even get into a queue. */
static void turn_away(struct hook_runner *r, struct hook_call *c)
{
    hook_result_unavailable(&c->result, "");
    if (c->post != NULL) {
        c->post(c);
    } else {
        atomic_fetch_add_explicit(&r->dropped_notices, 1, memory_order_relaxed);
        hook_call_release(c);
    }
    hook_call_release(c);
}

void hook_runner_submit(struct hook_runner *r, struct hook_call *c)
{
    assert((c->post == NULL) == hook_op_is_notice(c->input.op));
    struct lane *l = c->post == NULL ? &r->notices : &r->calls;
    atomic_store_explicit(&c->refs, 2, memory_order_relaxed); /* the caller's, and that of the way */
    pthread_mutex_lock(&r->lock);
    bool taken = !r->closing && l->queued < r->config.queue_max;
    if (taken) {
        l->queued++;
        if (hook_order_enter(&l->order, c)) enqueue(l, c);
    }
    pthread_mutex_unlock(&r->lock);
    if (!taken) turn_away(r, c);
}

static struct hook_call *take(struct lane *l)
{
    struct hook_call *c = l->first;
    if (c == NULL) return NULL;
    l->first = c->next;
    if (l->first == NULL) l->end = &l->first;
    l->queued--;
    return c;
}

/* ---- in and out of a hook */

bool runner_enter_alone(struct hook_runner *r, struct hook *h, uint64_t deadline_ns)
{
    while (h->busy && h->stuck == 0 && hook_now_ns() < deadline_ns)
        hook_cond_wait(&h->changed, &r->lock, deadline_ns);
    if (h->busy) return false;
    h->busy = true;
    return true;
}

void runner_leave_alone(struct hook_runner *r, struct hook *h)
{
    (void)r; /* whose lock is held */
    h->busy = false;
    pthread_cond_signal(&h->changed);
}

static bool enter(void *arg, struct hook *h, enum hook_op op, uint64_t *ret_deadline_ns, struct err_ctx *ec)
{
    struct worker *w = arg;
    struct hook_runner *r = w->lane->runner;
    uint64_t deadline_ns = hook_now_ns() + (uint64_t)h->timeout_ms * 1000000u;
    bool in = true;
    pthread_mutex_lock(&r->lock);
    if (h->stuck >= (h->serial ? 1 : r->config.stuck_max)) {
        (void)err_set(ec, SYNC_EBUSY, "%u earlier calls have not returned", h->stuck);
        in = false;
    } else if (h->serial && !runner_enter_alone(r, h, deadline_ns)) {
        (void)err_set(ec, SYNC_EBUSY, "the call before has not returned");
        in = false;
    }
    if (in && h->isolation == HOOK_IN_PROCESS) {
        w->inside = h;
        w->op = op;
        w->deadline_ns = deadline_ns;
        if (deadline_ns < r->watch_next_ns) pthread_cond_signal(&r->watch_changed);
    }
    pthread_mutex_unlock(&r->lock);
    *ret_deadline_ns = deadline_ns;
    return in;
}

static bool leave(void *arg, struct hook *h)
{
    struct worker *w = arg;
    struct hook_runner *r = w->lane->runner;
    pthread_mutex_lock(&r->lock);
    w->inside = NULL;
    if (w->abandoned) {
        h->stuck--;
        r->stuck--;
    }
    if (h->serial) runner_leave_alone(r, h);
    bool wanted = !w->abandoned;
    pthread_mutex_unlock(&r->lock);
    if (!wanted) hook_log(h, SYNC_LOG_WARN, "a call returned after its deadline; its answer is not used");
    return wanted;
}

/* ---- workers */

/* Gives back what the thread had for one call. Called with the lock. */
static void drop_chain(struct hook_runner *r, struct hook_chain *chain)
{
    if (!hook_chain_drop(chain)) return;
    if (r->keeper_end) { /* the runner is closed: this thread is the last one to be here */
        pthread_mutex_unlock(&r->lock);
        hook_chain_free(chain);
        pthread_mutex_lock(&r->lock);
        return;
    }
    runner_retire(r, chain);
}

/* Single long ones among quick calls do not count: they may be the machine's. */
static void note_duration(struct lane *l, uint64_t took_ns)
{
    uint32_t slow = took_ns >= SLOW_CALL_NS ? SLOW_ALWAYS / 8 : 0;
    l->slowness += slow - l->slowness / 8;
    if (l->slowness > SLOW_ALWAYS) l->slowness = SLOW_ALWAYS;
}

static void make_call(struct worker *w, struct hook_call *c, struct hook_chain *chain)
{
    struct hook_runner *r = w->lane->runner;
    struct hook_door door = {.arg = w, .enter = enter, .leave = leave};
    struct hook_result result = {0};
    uint64_t began_ns = hook_now_ns();
    hook_chain_run(chain, &c->input, &door, &result);
    uint64_t took_ns = hook_now_ns() - began_ns;
    pthread_mutex_lock(&r->lock);
    note_duration(w->lane, took_ns);
    bool abandoned = w->abandoned;
    w->call = NULL;
    pthread_mutex_unlock(&r->lock);
    if (abandoned) {
        hook_result_deinit(&result);
    } else {
        c->result = result;
        runner_finish(w->lane, c);
    }
    hook_call_release(c);
}

/* A thread that came back late stays only if its replacement could not be started. */
static bool may_stay(struct worker *w)
{
    if (!w->abandoned) return true;
    w->abandoned = false;
    if (w->lane->runner->closing || w->lane->live >= w->lane->threads) return false;
    w->lane->live++;
    return true;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct lane *l = w->lane;
    struct hook_runner *r = l->runner;
    bool live = true;
    pthread_mutex_lock(&r->lock);
    while (live) {
        struct hook_call *c;
        while ((c = take(l)) == NULL && !(r->closing && l->queued == 0)) {
            l->idle++;
            hook_cond_wait(&l->changed, &r->lock, UINT64_MAX);
            l->idle--;
            l->waking = false;
        }
        if (c == NULL) {
            l->live--;
            break;
        }
        if (l->first != NULL && l->slowness > SLOW_ALWAYS / 2) runner_wake(l);
        struct hook_chain *chain = hook_chain_ref(r->chain);
        w->call = c;
        pthread_mutex_unlock(&r->lock);
        make_call(w, c, chain);
        pthread_mutex_lock(&r->lock);
        drop_chain(r, chain);
        live = may_stay(w);
        if (r->closing) pthread_cond_broadcast(&l->changed); /* a follower may have been the last one */
    }
    struct worker **at = &r->workers;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    pthread_cond_broadcast(&r->worker_ended);
    pthread_mutex_unlock(&r->lock);
    free(w);
    runner_unref(r);
    return NULL;
}

enum sync_err runner_start_worker(struct lane *l, struct err_ctx *ec)
{
    struct hook_runner *r = l->runner;
    pthread_t thread;
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a thread");
    w->lane = l;
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    enum sync_err rc = hook_thread_start(&thread, "hook", work, w, ec);
    if (rc != SYNC_OK) {
        atomic_fetch_sub_explicit(&r->refs, 1, memory_order_relaxed); /* the owner holds one as well */
        free(w);
        return rc;
    }
    (void)pthread_detach(thread);
    w->next = r->workers;
    r->workers = w;
    l->live++;
    return SYNC_OK;
}

/* ---- the whole */

void runner_use(struct hook_runner *r, struct hook_chain *c)
{
    r->timeout_min_ns = r->timeout_max_ns = (uint64_t)HOOK_TIMEOUT_MS_DEFAULT * 1000000u;
    for (size_t i = 0; i < c->count; i++) {
        uint64_t ns = (uint64_t)c->hooks[i]->timeout_ms * 1000000u;
        if (i == 0 || ns < r->timeout_min_ns) r->timeout_min_ns = ns;
        if (i == 0 || ns > r->timeout_max_ns) r->timeout_max_ns = ns;
    }
    r->chain = c;
    atomic_store_explicit(&r->ops, c->ops, memory_order_relaxed);
    pthread_cond_signal(&r->watch_changed);
}

void runner_retire(struct hook_runner *r, struct hook_chain *c)
{
    c->next = r->retired;
    r->retired = c;
    pthread_cond_signal(&r->keeper_changed);
}

static void init_lane(struct lane *l, struct hook_runner *r, uint32_t threads)
{
    l->runner = r;
    l->threads = threads;
    l->end = &l->first;
    hook_cond_init(&l->changed);
}

static enum sync_err start_threads(struct hook_runner *r, struct err_ctx *ec)
{
    enum sync_err rc = hook_thread_start(&r->watch, "hook-watch", runner_watch, r, ec);
    if (rc != SYNC_OK) return rc;
    r->watching = true;
    rc = hook_thread_start(&r->keeper, "hook-keeper", runner_keep, r, ec);
    if (rc != SYNC_OK) return rc;
    r->keeping = true;
    pthread_mutex_lock(&r->lock);
    while (rc == SYNC_OK && r->calls.live < r->calls.threads) rc = runner_start_worker(&r->calls, ec);
    while (rc == SYNC_OK && r->notices.live < r->notices.threads) rc = runner_start_worker(&r->notices, ec);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

enum sync_err hook_runner_open(const struct hook_runner_config *config, const struct hook_config *hooks,
                               size_t count, struct hook_runner **ret, struct err_ctx *ec)
{
    struct hook_chain *chain;
    enum sync_err rc = hook_chain_open(hooks, count, &config->env, NULL, NULL, NULL, &chain, ec);
    if (rc != SYNC_OK) return rc;
    struct hook_runner *r = calloc(1, sizeof *r);
    if (r == NULL) {
        hook_chain_free(chain);
        return err_set(ec, SYNC_ENOMEM, "no memory for hooks");
    }
    atomic_init(&r->refs, 1);
    r->config = *config;
    (void)pthread_mutex_init(&r->lock, NULL);
    init_lane(&r->calls, r, config->threads);
    init_lane(&r->notices, r, config->notice_threads);
    hook_cond_init(&r->worker_ended);
    hook_cond_init(&r->watch_changed);
    hook_cond_init(&r->keeper_changed);
    r->reload_end = &r->reload_first;
    r->watch_next_ns = UINT64_MAX;
    runner_use(r, chain);
    rc = start_threads(r, ec);
    if (rc != SYNC_OK) {
        (void)hook_runner_close(r, 0);
        return rc;
    }
    *ret = r;
    return SYNC_OK;
}

bool hook_runner_has(const struct hook_runner *r, enum hook_op op)
{
    return (atomic_load_explicit(&r->ops, memory_order_relaxed) & 1u << op) != 0;
}

void hook_runner_each(struct hook_runner *r, void (*each)(void *arg, const struct hook *h), void *arg)
{
    pthread_mutex_lock(&r->lock);
    struct hook_chain *c = hook_chain_ref(r->chain);
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < c->count; i++) each(arg, c->hooks[i]);
    pthread_mutex_lock(&r->lock);
    drop_chain(r, c);
    pthread_mutex_unlock(&r->lock);
}

uint64_t hook_runner_dropped_notices(const struct hook_runner *r)
{
    return atomic_load_explicit(&r->dropped_notices, memory_order_relaxed);
}

uint32_t hook_runner_stuck(struct hook_runner *r)
{
    pthread_mutex_lock(&r->lock);
    uint32_t n = r->stuck;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* Waits until no worker is left but stuck ones, then for those until the time is over. */
static bool end_workers(struct hook_runner *r, uint32_t wait_ms)
{
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_broadcast(&r->calls.changed);
    pthread_cond_broadcast(&r->notices.changed);
    while (r->calls.live + r->notices.live + r->calls.queued + r->notices.queued > 0)
        hook_cond_wait(&r->worker_ended, &r->lock, UINT64_MAX);
    uint64_t until_ns = hook_now_ns() + (uint64_t)wait_ms * 1000000u;
    while (r->workers != NULL && hook_now_ns() < until_ns)
        hook_cond_wait(&r->worker_ended, &r->lock, until_ns);
    bool all = r->workers == NULL;
    pthread_mutex_unlock(&r->lock);
    return all;
}

static void end_thread(struct hook_runner *r, bool *end, pthread_cond_t *changed, pthread_t thread)
{
    pthread_mutex_lock(&r->lock);
    *end = true;
    pthread_cond_broadcast(changed);
    pthread_mutex_unlock(&r->lock);
    (void)pthread_join(thread, NULL);
}

bool hook_runner_close(struct hook_runner *r, uint32_t wait_ms)
{
    if (r == NULL) return true;
    bool all = end_workers(r, wait_ms);
    if (r->watching) end_thread(r, &r->watch_end, &r->watch_changed, r->watch);
    if (r->keeping) end_thread(r, &r->keeper_end, &r->keeper_changed, r->keeper);
    if (hook_chain_drop(r->chain)) hook_chain_free(r->chain);
    runner_unref(r);
    return all;
}
