/* pace.h -- a ceiling on bytes per second, shared by all who send.
 *
 * A bucket of tokens, one for each byte: it fills with the rate, up to a tenth of a second's worth, and who
 * sends takes out of it. So the rate holds over any time that one would notice, without bursts.
 *
 * Pure: the caller passes a monotonic clock's milliseconds. Not locked. */
#ifndef STORAGE_OBJECTS_PACE_H
#define STORAGE_OBJECTS_PACE_H

#include <stddef.h>
#include <stdint.h>

enum { PACE_BYTES_PER_S_MIN = 1024 };

struct pace {
    uint64_t bytes_per_s; /* 0: no ceiling, else at least PACE_BYTES_PER_S_MIN */
    uint64_t tokens;      /* thousandths of a byte: whole ones would lose the remainder of each filling */
    uint64_t filled_ms;
};

void pace_init(struct pace *p, uint64_t bytes_per_s, uint64_t now_ms);

/* How many of `wanted` bytes may go now; they count as gone. 0: none, ask again in pace_wait_ms(). */
size_t pace_take(struct pace *p, size_t wanted, uint64_t now_ms);
uint64_t pace_wait_ms(const struct pace *p, uint64_t now_ms);

#endif
