#include "storage/objects/object_wait.h"

#include "storage/objects/object_store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <time.h>

static struct timespec waited_until;
static int waited_rc;

int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);

int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
    waited_until = *until;
    waited_rc = __real_pthread_cond_timedwait(c, m, until);
    return waited_rc;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void)
{
    struct timespec t;
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return ns_of(t);
}

struct place {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool done;
};

static void place_init(struct place *p)
{
    *p = (struct place){.done = false};
    object_wait_init(&p->lock, &p->moved);
}

static void place_deinit(struct place *p)
{
    pthread_cond_destroy(&p->moved);
    pthread_mutex_destroy(&p->lock);
}

Test(object_wait, looks_up_in_time_to_notice_a_cancel)
{
    struct place p;
    place_init(&p);
    pthread_mutex_lock(&p.lock);
    do { /* it may wake without a reason */
        int64_t before = now_ns();
        object_wait(&p.lock, &p.moved);
        int64_t after = now_ns(), until = ns_of(waited_until), wait = (int64_t)OBJECT_CANCEL_MS_MAX * 1000000;
        cr_assert(waited_until.tv_nsec >= 0 && waited_until.tv_nsec < 1000000000);
        cr_assert(until >= before + wait && until <= after + wait);
        if (waited_rc == ETIMEDOUT) cr_assert_geq(after, until, "by the same clock");
    } while (waited_rc == 0);
    cr_assert_eq(waited_rc, ETIMEDOUT);
    pthread_mutex_unlock(&p.lock);
    place_deinit(&p);
}

static void *wake(void *arg)
{
    struct place *p = arg;
    pthread_mutex_lock(&p->lock);
    p->done = true;
    pthread_cond_signal(&p->moved);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

Test(object_wait, lets_the_lock_go_meanwhile)
{
    struct place p;
    pthread_t thread;
    place_init(&p);
    pthread_mutex_lock(&p.lock);
    cr_assert_eq(pthread_create(&thread, NULL, wake, &p), 0);
    while (!p.done) object_wait(&p.lock, &p.moved);
    pthread_mutex_unlock(&p.lock);
    pthread_join(thread, NULL);
    place_deinit(&p);
}
