/* waiting.h -- waits with an end, by the monotonic clock: no step of the wall clock makes one longer or
 * shorter.
 *
 *     while (wait_unless_stopped(&x->lock, &x->changed, &x->stopping, 500)) look_again(x);
 *
 * And where there is more to wait for than the end:
 *
 *     struct timespec until = wait_until_ms(500);
 *     pthread_mutex_lock(&x->lock);
 *     while (!x->done && pthread_cond_timedwait(&x->changed, &x->lock, &until) != ETIMEDOUT) continue;
 *
 * Threads: any. */
#ifndef SERVER_BASE_WAITING_H
#define SERVER_BASE_WAITING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Initialises both; pthread_cond_timedwait() of `changed` takes what the functions below return. */
void wait_init(pthread_mutex_t *lock, pthread_cond_t *changed);

/* Waits so long, or until another thread calls wait_stop() with the same three; nobody else signals it to any
 * effect. False: *stopping, it is time to end. */
bool wait_unless_stopped(pthread_mutex_t *lock, pthread_cond_t *changed, const atomic_bool *stopping,
                         uint64_t ms);

/* Sets *stopping, which calls may have as their cancel, and wakes all who wait. */
void wait_stop(pthread_mutex_t *lock, pthread_cond_t *changed, atomic_bool *stopping);

struct timespec wait_until_ms(uint64_t from_now_ms);
struct timespec wait_later(struct timespec t, uint64_t by_ms);

#endif
