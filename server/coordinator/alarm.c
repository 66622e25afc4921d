#include "server/coordinator/alarm.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum sync_err alarm_open(struct wake_alarm *a, struct err_ctx *ec)
{
    *a = (struct wake_alarm){.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK),
                             .bell_fd = -1};
    if (a->timer_fd >= 0) a->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->bell_fd >= 0) return SYNC_OK;
    enum sync_err rc = err_set(ec, SYNC_EIO, "make a timer: %s", strerror(errno));
    alarm_close(a);
    return rc;
}

void alarm_close(struct wake_alarm *a)
{
    if (a->timer_fd >= 0) (void)close(a->timer_fd);
    if (a->bell_fd >= 0) (void)close(a->bell_fd);
    a->timer_fd = a->bell_fd = -1;
}

void alarm_wait(struct wake_alarm *a, uint64_t until_ms)
{
    struct itimerspec at = {0};
    struct pollfd fds[2] = {{.fd = a->timer_fd, .events = POLLIN}, {.fd = a->bell_fd, .events = POLLIN}};
    uint64_t count;
    if (until_ms != ALARM_NEVER) {
        at.it_value.tv_sec = (time_t)(until_ms / 1000);
        at.it_value.tv_nsec = (long)(until_ms % 1000) * 1000000 + 1; /* all zero would mean never */
    }
    (void)timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &at, NULL); /* a valid time cannot fail */
    while (poll(fds, 2, -1) < 0 && errno == EINTR) continue;
    (void)!read(a->bell_fd, &count, sizeof count); /* empty when it was the time */
}

void alarm_ring(struct wake_alarm *a)
{
    uint64_t one = 1;
    (void)!write(a->bell_fd, &one, sizeof one); /* a full counter rings as well */
}
