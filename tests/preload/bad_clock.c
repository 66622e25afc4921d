/* bad_clock.c -- LD_PRELOAD: a wall clock that the test moves while the server runs.
 *
 * The file BAD_CLOCK_FILE holds how many milliseconds to add to the wall clock, in decimal. It is read at
 * each call; monotonic clocks are left alone, as stepping the wall clock leaves them. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long offset_ms(void)
{
    char text[32] = "";
    const char *path = getenv("BAD_CLOCK_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return n > 0 ? strtoll(text, NULL, 10) : 0;
}

static void add(struct timespec *t)
{
    long long ns = t->tv_nsec + offset_ms() % 1000 * 1000000;
    t->tv_sec += offset_ms() / 1000 + ns / 1000000000 - (ns < 0);
    t->tv_nsec = (ns % 1000000000 + 1000000000) % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ret);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add(ret);
    return rc;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &t);
    *ret = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return rc;
}

time_t time(time_t *ret)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (ret != NULL) *ret = t.tv_sec;
    return t.tv_sec;
}
