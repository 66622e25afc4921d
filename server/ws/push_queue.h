/* push_queue.h -- the pushes that wait for one session's socket: bounded in frames and in bytes.
 *
 * Full is an answer: the session that cannot take more is marked lagging by its owner, its queue is dropped,
 * and it is told to ask for what it lacks once its socket has drained (protocol section 5). The slots grow
 * with use, so an idle session pays for none.
 *
 * Threads: one at a time (the loop that owns the session). */
#ifndef SERVER_WS_PUSH_QUEUE_H
#define SERVER_WS_PUSH_QUEUE_H

#include "server/ws/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct push_queue {
    struct frame **slots;
    uint32_t capacity, first, count;
    size_t bytes;
    size_t bytes_max;
    uint32_t frames_max;
};

static inline struct push_queue push_queue_make(uint32_t frames_max, size_t bytes_max)
{
    return (struct push_queue){.bytes_max = bytes_max, .frames_max = frames_max};
}

void push_queue_deinit(struct push_queue *q);

/* Other ceilings from now on; what waits already stays. */
static inline void push_queue_limit(struct push_queue *q, uint32_t frames_max, size_t bytes_max)
{
    q->frames_max = frames_max;
    q->bytes_max = bytes_max;
}

/* Takes the caller's reference on true. On false (full in frames or bytes, or no memory) it stays the
 * caller's. One frame always fits an empty queue, however large: what it holds is shared. */
bool push_queue_put(struct push_queue *q, struct frame *f);

/* The oldest frame, its reference the caller's; NULL when empty. */
struct frame *push_queue_take(struct push_queue *q);
const struct frame *push_queue_peek(const struct push_queue *q);

/* Drops all frames; returns how many bytes they had. */
size_t push_queue_drop(struct push_queue *q);

#endif
