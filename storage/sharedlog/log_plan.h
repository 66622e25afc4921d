/* log_plan.h -- which parts of the shared log are to become one segment.
 *
 * A range of level L holds fan_in^L numbers, from a multiple of that many on. It is merged when all of its
 * numbers are there, in two parts or more, that together fit into a segment. So what comes in is merged
 * fan_in objects at a time, and those segments again fan_in at a time: every byte is rewritten at most once a
 * level, and there are at most fan_in - 1 parts of each level, as long as they fit.
 *
 * fan_in is a power of two. So ranges lie within one another or apart, whatever fan_in was when they were
 * made.
 *
 * Pure. Threads: any. */
#ifndef STORAGE_SHAREDLOG_LOG_PLAN_H
#define STORAGE_SHAREDLOG_LOG_PLAN_H

#include "storage/sharedlog/log_list.h"

enum { LOG_FAN_IN_MAX = 1024 };

/* How long the pause between two objects has to be, so that they and the segments made of them take no more
 * than one request a tick: of fan_in objects, one for the segment and all that are made of it, and one for
 * what snapshots cover of it. fan_in 0: none are made. */
static inline uint64_t log_plan_pause_ms(uint64_t tick_ms, uint32_t fan_in)
{
    return fan_in < 2 ? tick_ms : tick_ms + (2 * tick_ms + fan_in - 1) / fan_in;
}

/* Goes through the ranges, the largest first. Starts as {0}. */
struct log_plan {
    uint64_t size; /* of the ranges it is at; 0: not begun */
    size_t next;   /* part */
};

/* The next range to merge: parts[*ret_first] and so many. Numbers above `until` are left alone. `weights`:
 * how many bytes of each part are to stay. False: there is no more. */
bool log_plan_next(struct log_plan *plan, const struct log_list *list, const uint64_t *weights,
                   uint32_t fan_in, uint64_t until, uint64_t bytes_max, size_t *ret_first, size_t *ret_count);

#endif
