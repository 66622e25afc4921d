#include "sim_queue.h"

#include <stdio.h>
#include <stdlib.h>

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_queue_put(struct sim_queue *q, struct sim_event ev)
{
    if (q->count == q->capacity) {
        q->capacity = q->capacity == 0 ? 256 : q->capacity * 2;
        q->heap = realloc(q->heap, q->capacity * sizeof *q->heap);
        if (q->heap == NULL) {
            fprintf(stderr, "out of memory\n");
            abort();
        }
    }
    ev.order = q->order++;
    size_t at = q->count++;
    while (at > 0 && before(&ev, &q->heap[(at - 1) / 2])) {
        q->heap[at] = q->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    q->heap[at] = ev;
}

bool sim_queue_take(struct sim_queue *q, struct sim_event *ret)
{
    if (q->count == 0) return false;
    *ret = q->heap[0];
    struct sim_event last = q->heap[--q->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= q->count) break;
        if (child + 1 < q->count && before(&q->heap[child + 1], &q->heap[child])) child++;
        if (!before(&q->heap[child], &last)) break;
        q->heap[at] = q->heap[child];
        at = child;
    }
    if (q->count > 0) q->heap[at] = last;
    return true;
}

void sim_queue_clear(struct sim_queue *q)
{
    q->count = 0;
    q->order = 0;
}

void sim_queue_deinit(struct sim_queue *q)
{
    free(q->heap);
    *q = (struct sim_queue){0};
}
