#include "server/net/id_table.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_FIRST = 64 };
static const uint32_t none = UINT32_MAX;

void id_table_deinit(struct id_table *t)
{
    free(t->slots);
    *t = (struct id_table){0};
}

static int grow(struct id_table *t)
{
    uint32_t capacity = t->capacity == 0 ? SLOTS_FIRST : t->capacity * 2;
    struct id_slot *slots = realloc(t->slots, capacity * sizeof *slots);
    if (slots == NULL) return -1;
    for (uint32_t i = t->capacity; i < capacity; i++)
        slots[i] = (struct id_slot){.generation = 1, .next_free = i + 1 < capacity ? i + 1 : none};
    t->first_free = t->capacity;
    t->slots = slots;
    t->capacity = capacity;
    return 0;
}

uint64_t id_table_add(struct id_table *t, void *item)
{
    assert(item != NULL);
    if (t->count == t->capacity && grow(t) != 0) return 0;
    uint32_t index = t->first_free;
    struct id_slot *s = &t->slots[index];
    t->first_free = s->next_free;
    s->item = item;
    t->count++;
    return (uint64_t)s->generation << 32 | index;
}

static struct id_slot *slot_of(const struct id_table *t, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= t->capacity) return NULL;
    struct id_slot *s = &t->slots[index];
    return s->item != NULL && s->generation == id >> 32 ? s : NULL;
}

void *id_table_get(const struct id_table *t, uint64_t id)
{
    struct id_slot *s = slot_of(t, id);
    return s == NULL ? NULL : s->item;
}

void id_table_remove(struct id_table *t, uint64_t id)
{
    struct id_slot *s = slot_of(t, id);
    if (s == NULL) return;
    s->item = NULL;
    if (++s->generation == 0) s->generation = 1; /* slot 0 of generation 0 would have the id 0 */
    s->next_free = t->first_free;
    t->first_free = (uint32_t)id;
    t->count--;
}

void *id_table_next(const struct id_table *t, uint32_t *cursor)
{
    while (*cursor < t->capacity) {
        void *item = t->slots[(*cursor)++].item;
        if (item != NULL) return item;
    }
    return NULL;
}
