/* object_wait.h -- waits for another thread that look up now and then, since a cancel wakes nobody.
 *
 *     pthread_mutex_lock(&x->lock);
 *     while (!x->done && !is_canceled(x)) object_wait(&x->lock, &x->moved);
 *
 * By the monotonic clock: no step of the wall clock makes a wait longer.
 *
 * Threads: any. */
#ifndef STORAGE_OBJECTS_OBJECT_WAIT_H
#define STORAGE_OBJECTS_OBJECT_WAIT_H

#include <pthread.h>

/* Initialises both. */
void object_wait_init(pthread_mutex_t *lock, pthread_cond_t *moved);

/* With the lock held: waits until `moved` is signaled, for at most OBJECT_CANCEL_MS_MAX. */
void object_wait(pthread_mutex_t *lock, pthread_cond_t *moved);

#endif
