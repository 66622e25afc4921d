#include "server/net/turns.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_FIRST = 64 };

void turns_deinit(struct turns *t)
{
    free(t->heap);
    *t = (struct turns){0};
}

static bool grow(struct turns *t)
{
    size_t capacity = t->capacity == 0 ? CAPACITY_FIRST : t->capacity * 2;
    struct turn *heap = realloc(t->heap, capacity * sizeof *heap);
    if (heap == NULL) return false;
    t->heap = heap;
    t->capacity = capacity;
    return true;
}

bool turns_add(struct turns *t, uint64_t id, uint64_t due_ms)
{
    if (t->count == t->capacity && !grow(t)) return false;
    size_t at = t->count++;
    while (at > 0 && t->heap[(at - 1) / 2].due_ms > due_ms) {
        t->heap[at] = t->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    t->heap[at] = (struct turn){.due_ms = due_ms, .id = id};
    return true;
}

uint64_t turns_take(struct turns *t)
{
    assert(t->count > 0);
    uint64_t id = t->heap[0].id;
    struct turn last = t->heap[--t->count];
    size_t at = 0;
    for (size_t child = 1; child < t->count; child = 2 * at + 1) {
        if (child + 1 < t->count && t->heap[child + 1].due_ms < t->heap[child].due_ms) child++;
        if (t->heap[child].due_ms >= last.due_ms) break;
        t->heap[at] = t->heap[child];
        at = child;
    }
    t->heap[at] = last;
    return id;
}
