#include "server/base/waiting.h"

#include "storage/objects/object_wait.h"

#include <errno.h>

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

void wait_init(pthread_mutex_t *lock, pthread_cond_t *changed)
{
    object_wait_init(lock, changed);
}

bool wait_unless_stopped(pthread_mutex_t *lock, pthread_cond_t *changed, const atomic_bool *stopping,
                         uint64_t ms)
{
    struct timespec until = wait_until_ms(ms);
    pthread_mutex_lock(lock);
    while (!atomic_load(stopping) && pthread_cond_timedwait(changed, lock, &until) != ETIMEDOUT) continue;
    pthread_mutex_unlock(lock);
    return !atomic_load(stopping);
}

void wait_stop(pthread_mutex_t *lock, pthread_cond_t *changed, atomic_bool *stopping)
{
    pthread_mutex_lock(lock);
    atomic_store(stopping, true);
    pthread_cond_broadcast(changed);
    pthread_mutex_unlock(lock);
}

struct timespec wait_until_ms(uint64_t from_now_ms)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* there is one */
    return wait_later(now, from_now_ms);
}

struct timespec wait_later(struct timespec t, uint64_t by_ms)
{
    t.tv_sec += (time_t)(by_ms / 1000);
    t.tv_nsec += (long)(by_ms % 1000) * NS_PER_MS;
    t.tv_sec += t.tv_nsec / NS_PER_S;
    t.tv_nsec %= NS_PER_S;
    return t;
}
