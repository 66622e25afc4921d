/* The keeper: the thread of a runner that loads new chains and closes old ones. */
#include "hooks/hook_runner_internal.h"

#include <stdlib.h>

/* Lets a hook whose file is the same read its own files again. */
static bool keep(void *arg, struct hook *h)
{
    struct hook_runner *r = arg;
    struct err_ctx ec;
    if (h->local.library.table.reload == NULL) return false;
    if (h->serial) {
        pthread_mutex_lock(&r->lock);
        bool in = runner_enter_alone(r, h, hook_now_ns() + (uint64_t)h->timeout_ms * 1000000u);
        pthread_mutex_unlock(&r->lock);
        if (!in) {
            hook_log(h, SYNC_LOG_WARN, "it does not return from a call; it is loaded anew");
            return false;
        }
    }
    enum sync_err rc = hook_local_reload(&h->local, &ec);
    if (h->serial) {
        pthread_mutex_lock(&r->lock);
        runner_leave_alone(r, h);
        pthread_mutex_unlock(&r->lock);
    }
    if (rc != SYNC_OK) hook_log(h, SYNC_LOG_ERROR, "reload: %s; it goes on as it was", ec.text);
    return true;
}

static enum sync_err lacks(uint32_t ops, struct err_ctx *ec)
{
    unsigned op = 0;
    while ((ops & 1u << op) == 0) op++;
    return err_set(ec, SYNC_ECONFIG, "no hook of the list has %s", hook_op_name((enum hook_op)op));
}

static void reload(struct hook_runner *r, struct reload *job)
{
    struct hook_chain *fresh;
    struct err_ctx ec = {""};
    /* Only this thread changes r->chain, so it may be read here without the lock. */
    enum sync_err rc =
        hook_chain_open(job->hooks, job->count, &r->config.env, r->chain, keep, r, &fresh, &ec);
    if (rc == SYNC_OK && (fresh->ops & job->needed) != job->needed) {
        rc = lacks(job->needed & ~fresh->ops, &ec);
        hook_chain_free(fresh);
    }
    if (rc == SYNC_OK) {
        pthread_mutex_lock(&r->lock);
        struct hook_chain *old = r->chain;
        runner_use(r, fresh);
        if (hook_chain_drop(old)) runner_retire(r, old);
        pthread_mutex_unlock(&r->lock);
    }
    job->done(job->arg, rc, ec.text);
    free(job);
}

void *runner_keep(void *arg)
{
    struct hook_runner *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        struct reload *job = r->reload_first;
        struct hook_chain *old = r->retired;
        if (old != NULL) {
            r->retired = old->next;
            pthread_mutex_unlock(&r->lock);
            hook_chain_free(old);
            pthread_mutex_lock(&r->lock);
        } else if (job != NULL) {
            r->reload_first = job->next;
            if (r->reload_first == NULL) r->reload_end = &r->reload_first;
            pthread_mutex_unlock(&r->lock);
            reload(r, job);
            pthread_mutex_lock(&r->lock);
        } else if (r->keeper_end) {
            break;
        } else {
            hook_cond_wait(&r->keeper_changed, &r->lock, UINT64_MAX);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static char *copy_text(char **at, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = *at;
    memcpy(copy, text, bytes);
    *at += bytes;
    return copy;
}

enum sync_err hook_runner_reload(struct hook_runner *r, const struct hook_config *hooks, size_t count,
                                 uint32_t needed, void (*done)(void *arg, enum sync_err rc, const char *text),
                                 void *arg, struct err_ctx *ec)
{
    size_t bytes = 0;
    if (count > HOOKS_MAX) return err_set(ec, SYNC_ELIMIT, "%zu hooks, over %d", count, HOOKS_MAX);
    for (size_t i = 0; i < count; i++)
        bytes += strlen(hooks[i].path) + 1 + (hooks[i].config == NULL ? 0 : strlen(hooks[i].config)) + 1;
    struct reload *job = calloc(1, sizeof *job + bytes);
    if (job == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a reload");
    char *at = job->texts;
    job->count = count;
    job->needed = needed;
    job->done = done;
    job->arg = arg;
    for (size_t i = 0; i < count; i++) {
        job->hooks[i] = hooks[i];
        job->hooks[i].path = copy_text(&at, hooks[i].path);
        job->hooks[i].config = copy_text(&at, hooks[i].config == NULL ? "" : hooks[i].config);
    }
    pthread_mutex_lock(&r->lock);
    *r->reload_end = job;
    r->reload_end = &job->next;
    pthread_cond_signal(&r->keeper_changed);
    pthread_mutex_unlock(&r->lock);
    return SYNC_OK;
}
