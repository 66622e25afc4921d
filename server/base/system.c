#include "server/base/system.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* cannot fail for these clocks */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t system_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000u;
}

uint64_t system_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t system_monotonic_ms(void)
{
    return system_monotonic_ns() / 1000000;
}

uint64_t system_boot_ms(void)
{
    return clock_ns(CLOCK_BOOTTIME) / 1000000u;
}

void system_random(void *ret, size_t len)
{
    if (getrandom(ret, len, 0) != (ssize_t)len) abort(); /* up to 256 bytes it cannot fall short */
}

uint64_t system_random_u64(void)
{
    uint64_t n;
    system_random(&n, sizeof n);
    return n;
}

uint64_t system_resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL) return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1) pages = 0;
    (void)fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
