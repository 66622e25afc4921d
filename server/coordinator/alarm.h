/* alarm.h -- a thread's sleep that ends at a time of CLOCK_BOOTTIME, or when somebody rings.
 *
 * A condition variable cannot wait on that clock, and one that waits on CLOCK_MONOTONIC sleeps longer by
 * every suspend of the machine; an alarm goes off as soon as the machine is up again.
 *
 * Threads: one waits, any may ring. */
#ifndef SERVER_COORDINATOR_ALARM_H
#define SERVER_COORDINATOR_ALARM_H

#include "core/base/err.h"

#include <stdint.h>

#define ALARM_NEVER UINT64_MAX

struct wake_alarm {
    int timer_fd;
    int bell_fd;
};

enum sync_err alarm_open(struct wake_alarm *a, struct err_ctx *ec);
void alarm_close(struct wake_alarm *a);

/* Until until_ms of system_boot_ms() (ALARM_NEVER: no time) or a ring. A ring before the wait ends it at
 * once. */
void alarm_wait(struct wake_alarm *a, uint64_t until_ms);
void alarm_ring(struct wake_alarm *a);

#endif
