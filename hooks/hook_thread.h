/* hook_thread.h -- the monotonic clock, conditions that wait by it, and threads without signals. */
#ifndef HOOKS_HOOK_THREAD_H
#define HOOKS_HOOK_THREAD_H

#include "core/base/err.h"

#include <pthread.h>
#include <stdint.h>

uint64_t hook_now_ns(void); /* the monotonic clock */

void hook_cond_init(pthread_cond_t *c);

/* Waits until the condition changes, or the time has come (UINT64_MAX: never). May return early. */
void hook_cond_wait(pthread_cond_t *changed, pthread_mutex_t *lock, uint64_t until_ns);

/* Errors: SYNC_ENOMEM. */
enum sync_err hook_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg,
                                struct err_ctx *ec);

#endif
