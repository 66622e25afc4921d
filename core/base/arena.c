#include "core/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

enum { ARENA_BLOCK_BYTES = 4096 };

struct arena_block {
    struct arena_block *before;
    alignas(max_align_t) char bytes[];
};

void arena_deinit(struct arena *a)
{
    while (a->last != NULL) {
        struct arena_block *b = a->last;
        a->last = b->before;
        free(b);
    }
    *a = (struct arena){0};
}

/* Blocks double with what is already there, so a large request makes few of them. */
static char *new_block(struct arena *a, size_t len)
{
    size_t room = a->bytes > ARENA_BLOCK_BYTES ? a->bytes : ARENA_BLOCK_BYTES;
    if (room < len) room = len;
    if (room > SIZE_MAX - sizeof(struct arena_block)) return NULL;
    struct arena_block *b = malloc(sizeof *b + room);
    if (b == NULL) return NULL;
    b->before = a->last;
    a->last = b;
    a->left = room;
    a->bytes += room;
    return b->bytes;
}

void *arena_get(struct arena *a, size_t len)
{
    static const size_t align = alignof(max_align_t);
    if (len > SIZE_MAX - align) return NULL;
    len = (len + align - 1) / align * align;
    if (a->last == NULL || len > a->left) {
        if (new_block(a, len) == NULL) return NULL;
    }
    /* The free part is the block's head: what is handed out is cut off its end. */
    a->left -= len;
    return a->last->bytes + a->left;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    if (s.len == 0) return slice_of(NULL, 0);
    char *bytes = arena_get(a, s.len);
    if (bytes == NULL) return slice_of(NULL, 0);
    memcpy(bytes, s.bytes, s.len);
    return slice_of(bytes, s.len);
}
