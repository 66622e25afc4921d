/* bench_util.h -- time, giving up, and percentiles.
 *
 * A load generator has nothing to save when something fails: it says what happened and ends (die). */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S  1000000000u
#define NS_PER_MS 1000000u

uint64_t now_ns(void);         /* monotonic */
uint64_t wall_ms(void);        /* since 1970 */
uint64_t process_cpu_ns(void); /* of this process, all its threads */

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *must(void *memory); /* dies for NULL */

/* Durations of which percentiles are wanted. An all-zero struct is an empty one. */
struct samples {
    uint64_t *ns;
    size_t count, capacity;
};

void samples_add(struct samples *s, uint64_t ns);
uint64_t samples_percentile(struct samples *s, double percent); /* sorts; 0 when there are none */
void samples_deinit(struct samples *s);

#endif
