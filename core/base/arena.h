/* arena.h -- memory that is freed all at once.
 *
 * What a request gathers while it is read and judged (resolved names, keys, earlier values) lives as long as
 * the request and dies with it. Blocks never move, so slices into an arena stay good until arena_deinit().
 *
 * Threads: one at a time. */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include "core/base/slice.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *last;
    size_t left;  /* free bytes in the last block */
    size_t bytes; /* allocated in all */
};

/* An all-zero arena is an empty one. */
void arena_deinit(struct arena *a);

/* `len` bytes aligned for any type, or NULL when memory is short. */
void *arena_get(struct arena *a, size_t len);

/* A copy of s that lives as long as the arena. bytes is NULL when memory is short (and s was not empty). */
struct slice arena_copy(struct arena *a, struct slice s);

#endif
