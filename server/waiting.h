/* waiting.h -- waits with an end, by the monotonic clock: no step of the wall clock makes one longer or
 * shorter.
 *
 *     struct timespec until = wait_until_ms(500);
 *     pthread_mutex_lock(&x->lock);
 *     while (!x->done && pthread_cond_timedwait(&x->changed, &x->lock, &until) != ETIMEDOUT) continue;
 *
 * Threads: any. */
#ifndef SERVER_WAITING_H
#define SERVER_WAITING_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Initialises both; pthread_cond_timedwait() of `changed` takes what the functions below return. */
void wait_init(pthread_mutex_t *lock, pthread_cond_t *changed);

struct timespec wait_until_ms(uint64_t from_now_ms);
struct timespec wait_later(struct timespec t, uint64_t by_ms);

#endif
