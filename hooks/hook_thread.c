#include "hooks/hook_thread.h"

#include <signal.h>
#include <string.h>
#include <time.h>

uint64_t hook_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void hook_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr); /* none of these fails on Linux */
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void hook_cond_wait(pthread_cond_t *changed, pthread_mutex_t *lock, uint64_t until_ns)
{
    if (until_ns == UINT64_MAX) {
        (void)pthread_cond_wait(changed, lock);
        return;
    }
    struct timespec t = {.tv_sec = (time_t)(until_ns / 1000000000u),
                         .tv_nsec = (long)(until_ns % 1000000000u)};
    (void)pthread_cond_timedwait(changed, lock, &t); /* callers look at the clock and the state again */
}

enum sync_err hook_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg,
                                struct err_ctx *ec)
{
    sigset_t all, before;
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(ret, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) return err_set(ec, SYNC_ENOMEM, "start thread %s: %s", name, strerror(failed));
    (void)pthread_setname_np(*ret, name); /* only for debuggers */
    return SYNC_OK;
}
