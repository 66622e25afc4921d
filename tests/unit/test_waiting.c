#include "server/base/waiting.h"

#include <criterion/criterion.h>
#include <errno.h>

static void assert_is(struct timespec t, time_t s, long ns)
{
    cr_assert_eq(t.tv_sec, s);
    cr_assert_eq(t.tv_nsec, ns);
}

Test(waiting, milliseconds_carry_into_seconds)
{
    const struct timespec t = {.tv_sec = 7, .tv_nsec = 999000000};
    assert_is(wait_later(t, 0), 7, 999000000);
    assert_is(wait_later(t, 1), 8, 0);
    assert_is(wait_later(t, 2002), 10, 1000000);
    assert_is(wait_later((struct timespec){.tv_sec = 1}, 86400000), 86401, 0);
}

Test(waiting, a_wait_ends_by_the_monotonic_clock)
{
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct timespec now;
    wait_init(&lock, &changed);
    struct timespec until = wait_until_ms(20);
    pthread_mutex_lock(&lock);
    while (pthread_cond_timedwait(&changed, &lock, &until) != ETIMEDOUT) continue;
    pthread_mutex_unlock(&lock);
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    cr_assert(now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec));
    pthread_cond_destroy(&changed);
    pthread_mutex_destroy(&lock);
}

struct sleeper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool stopping;
    bool went_on;
};

static void *sleep_long(void *arg)
{
    struct sleeper *s = arg;
    s->went_on = wait_unless_stopped(&s->lock, &s->changed, &s->stopping, 600000);
    return NULL;
}

Test(waiting, whoever_waits_is_told_when_it_is_time_to_end)
{
    struct sleeper s = {.went_on = true};
    pthread_t thread;
    wait_init(&s.lock, &s.changed);
    cr_assert(wait_unless_stopped(&s.lock, &s.changed, &s.stopping, 1), "only the time has passed");
    cr_assert_eq(pthread_create(&thread, NULL, sleep_long, &s), 0);
    wait_stop(&s.lock, &s.changed, &s.stopping); /* before it waits, or while it does */
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_not(s.went_on);
    cr_assert_not(wait_unless_stopped(&s.lock, &s.changed, &s.stopping, 600000), "nor afterwards");
    pthread_cond_destroy(&s.changed);
    pthread_mutex_destroy(&s.lock);
}
