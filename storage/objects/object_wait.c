#include "storage/objects/object_wait.h"

#include "storage/objects/object_store.h"

#include <time.h>

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

void object_wait_init(pthread_mutex_t *lock, pthread_cond_t *moved)
{
    /* None of these fails on Linux with such attributes. */
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(moved, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void object_wait(pthread_mutex_t *lock, pthread_cond_t *moved)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* there is one */
    until.tv_nsec += (long)OBJECT_CANCEL_MS_MAX * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    (void)pthread_cond_timedwait(moved, lock, &until); /* the caller looks either way */
}
