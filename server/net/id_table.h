/* id_table.h -- names for things that may be gone by the time they are asked for.
 *
 * A job that speaks for a connection keeps the connection's id, not a pointer. An id is never used again: its
 * upper half counts how often its slot has changed hands.
 *
 * Threads: one at a time. */
#ifndef SERVER_NET_ID_TABLE_H
#define SERVER_NET_ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct id_slot {
    void *item; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct id_table {
    struct id_slot *slots;
    uint32_t capacity, first_free;
    uint32_t count;
};

/* An all-zero table is an empty one. */
void id_table_deinit(struct id_table *t);

/* The id of a new item; 0, which is no id, when memory is short. */
uint64_t id_table_add(struct id_table *t, void *item);
void *id_table_get(const struct id_table *t, uint64_t id); /* NULL: gone */
void id_table_remove(struct id_table *t, uint64_t id);

/* Walks all items: start with *cursor 0; NULL at the end. Items may be removed meanwhile. */
void *id_table_next(const struct id_table *t, uint32_t *cursor);

#endif
