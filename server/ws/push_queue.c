#include "server/ws/push_queue.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_FIRST = 4 };

void push_queue_deinit(struct push_queue *q)
{
    (void)push_queue_drop(q);
    free(q->slots);
    *q = push_queue_make(q->frames_max, q->bytes_max);
}

static bool grow(struct push_queue *q)
{
    uint32_t capacity = q->capacity == 0 ? SLOTS_FIRST : q->capacity * 2;
    struct frame **slots = malloc(capacity * sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < q->count; i++) slots[i] = q->slots[(q->first + i) % q->capacity];
    free(q->slots);
    q->slots = slots;
    q->capacity = capacity;
    q->first = 0;
    return true;
}

bool push_queue_put(struct push_queue *q, struct frame *f)
{
    if (q->count >= q->frames_max) return false;
    if (q->count > 0 && (q->bytes > q->bytes_max || f->sets.len > q->bytes_max - q->bytes)) return false;
    if (q->count == q->capacity && !grow(q)) return false;
    q->slots[(q->first + q->count) % q->capacity] = f;
    q->count++;
    q->bytes += f->sets.len;
    return true;
}

const struct frame *push_queue_peek(const struct push_queue *q)
{
    return q->count == 0 ? NULL : q->slots[q->first];
}

struct frame *push_queue_take(struct push_queue *q)
{
    if (q->count == 0) return NULL;
    struct frame *f = q->slots[q->first];
    q->first = (q->first + 1) % q->capacity;
    q->count--;
    assert(q->bytes >= f->sets.len);
    q->bytes -= f->sets.len;
    return f;
}

size_t push_queue_drop(struct push_queue *q)
{
    size_t bytes = q->bytes;
    struct frame *f;
    while ((f = push_queue_take(q)) != NULL) frame_unref(f);
    free(q->slots); /* it was full: give the slots back too */
    q->slots = NULL;
    q->capacity = q->first = 0;
    return bytes;
}
