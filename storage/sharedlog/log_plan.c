#include "storage/sharedlog/log_plan.h"

#include <assert.h>

/* The largest size of ranges of which the list may hold one. */
static uint64_t largest(const struct log_list *l, uint32_t fan_in)
{
    uint64_t numbers = log_list_last(l), size = 1;
    while (size <= numbers / fan_in) size *= fan_in;
    return size;
}

/* Do the parts from `first` on make up the range that begins there? */
static bool is_whole(const struct log_list *l, const uint64_t *weights, size_t first, uint64_t size,
                     uint64_t until, uint64_t bytes_max, size_t *ret_count)
{
    const struct log_part *from = &l->parts[first];
    uint64_t bytes = 0;
    if ((from->first - 1) % size != 0 || from->last - from->first >= size) return false;
    const uint64_t end = from->first + (size - 1);
    if (end > until) return false;
    for (size_t i = first; i < l->count && l->parts[i].last <= end; i++) {
        if (weights[i] > bytes_max - bytes) return false;
        bytes += weights[i];
        *ret_count = i + 1 - first;
        if (l->parts[i].last == end) return *ret_count > 1;
    }
    return false;
}

bool log_plan_next(struct log_plan *plan, const struct log_list *list, const uint64_t *weights,
                   uint32_t fan_in, uint64_t until, uint64_t bytes_max, size_t *ret_first, size_t *ret_count)
{
    assert(fan_in >= 2 && (fan_in & (fan_in - 1)) == 0);
    if (plan->size == 0) plan->size = largest(list, fan_in);
    for (; plan->size > 1; plan->size /= fan_in, plan->next = 0) {
        while (plan->next < list->count) {
            size_t first = plan->next++, count;
            if (!is_whole(list, weights, first, plan->size, until, bytes_max, &count)) continue;
            *ret_first = first;
            *ret_count = count;
            return true;
        }
    }
    return false;
}
