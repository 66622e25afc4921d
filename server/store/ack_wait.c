#include "server/store/ack_wait.h"

#include "server/store/apply.h"

#include <stdlib.h>

static struct apply_job *next_of(const struct apply_job *j)
{
    return (struct apply_job *)j->store.job.next;
}

void ack_wait_hold(struct ack_wait *w, struct apply_job *j, uint64_t until_ns)
{
    j->ack_until_ns = until_ns;
    j->store.job.next = NULL;
    if (w->last == NULL)
        w->first = j;
    else
        w->last->store.job.next = &j->store.job;
    w->last = j;
    w->count++;
}

static int position_cmp(const void *left, const void *right)
{
    const struct upload_position *a = *(const struct upload_position *const *)left;
    const struct upload_position *b = *(const struct upload_position *const *)right;
    return slice_cmp(a->database, b->database);
}

/* By database, those that are complete. NULL: no memory. */
static const struct upload_position **sorted(const struct upload_position *positions, const bool *complete,
                                             size_t count, size_t *ret_count)
{
    const struct upload_position **by_name = malloc((count == 0 ? 1 : count) * sizeof *by_name);
    size_t n = 0;
    for (size_t i = 0; i < count && by_name != NULL; i++)
        if (complete[i]) by_name[n++] = &positions[i];
    if (n > 0) qsort(by_name, n, sizeof *by_name, position_cmp);
    *ret_count = n;
    return by_name;
}

static bool has_reached(const struct upload_position **by_name, size_t count, const struct apply_job *j)
{
    const struct upload_position wanted = {.database = j->request.database}, *key = &wanted;
    if (count == 0) return false;
    const struct upload_position **found = bsearch(&key, by_name, count, sizeof *by_name, position_cmp);
    return found != NULL && stamp_cmp(&(*found)->position, &j->request.last) >= 0;
}

void ack_wait_release(struct ack_wait *w, const struct upload_position *positions, const bool *complete,
                      size_t count)
{
    size_t n;
    if (w->count == 0) return;
    const struct upload_position **by_name = sorted(positions, complete, count, &n);
    if (by_name == NULL) return; /* they are refused when their time is over, and come again */
    struct apply_job *j = w->first;
    *w = (struct ack_wait){0};
    while (j != NULL) {
        struct apply_job *next = next_of(j);
        if (has_reached(by_name, n, j))
            apply_answer(j);
        else
            ack_wait_hold(w, j, j->ack_until_ns);
        j = next;
    }
    free(by_name);
}

size_t ack_wait_expire(struct ack_wait *w, uint64_t now_ns)
{
    size_t count = 0;
    while (w->first != NULL && w->first->ack_until_ns <= now_ns) {
        struct apply_job *j = w->first;
        w->first = next_of(j);
        if (w->first == NULL) w->last = NULL;
        w->count--;
        count++;
        j->store.job.rc = err_set(&j->store.job.ec, SYNC_EBUSY,
                                  "stored here, but the object store has not taken it yet: send it again");
        apply_answer(j);
    }
    return count;
}

uint32_t ack_wait_next_ms(const struct ack_wait *w, uint64_t now_ns)
{
    if (w->first == NULL) return UINT32_MAX;
    if (w->first->ack_until_ns <= now_ns) return 0;
    return (uint32_t)((w->first->ack_until_ns - now_ns) / 1000000u) + 1;
}
