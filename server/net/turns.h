/* turns.h -- whose turn comes when: ids that wait for a time, the earliest first.
 *
 * A heap, since many wait at once and each for a time of its own. It knows nothing of what waits: an id may
 * be of something that has gone.
 *
 * Threads: one at a time (the loop that owns what waits). */
#ifndef SERVER_NET_TURNS_H
#define SERVER_NET_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct turn {
    uint64_t due_ms;
    uint64_t id;
};

/* All-zero: nobody waits. */
struct turns {
    struct turn *heap;
    size_t count, capacity;
};

void turns_deinit(struct turns *t);

/* False: no memory. */
bool turns_add(struct turns *t, uint64_t id, uint64_t due_ms);

/* When the next turn is; UINT64_MAX: nobody waits. */
static inline uint64_t turns_due_ms(const struct turns *t)
{
    return t->count == 0 ? UINT64_MAX : t->heap[0].due_ms;
}

/* Removes the earliest, which is there, and returns its id. */
uint64_t turns_take(struct turns *t);

#endif
