/* overlay.h -- what a group of requests has decided and LevelDB does not hold yet.
 *
 * A map from keys to puts and deletes. The state that a request is judged against is LevelDB with this in
 * front. It is written as one batch at the end, each key once however often the group changed it.
 *
 * A request that fails half way is undone: overlay_mark() before it, overlay_rollback() after.
 *
 * All memory comes from one arena that grows with the group and goes with it; who forms groups bounds them.
 *
 * Threads: one at a time. */
#ifndef STORAGE_SHARD_OVERLAY_H
#define STORAGE_SHARD_OVERLAY_H

#include "core/base/arena.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum overlay_state {
    OVERLAY_UNTOUCHED, /* LevelDB knows */
    OVERLAY_PUT,
    OVERLAY_DELETE, /* LevelDB may have it: to be deleted there */
    OVERLAY_ABSENT, /* put and deleted within the group: LevelDB never had it */
};

struct overlay_entry {
    struct overlay_entry *chain;    /* of its bucket */
    struct overlay_entry *next;     /* in the order of first touch */
    struct overlay_entry *row_next; /* of a row's anchor: the first cell; of a cell: the next of its row */
    uint64_t hash;
    struct slice key, value;
    enum overlay_state state;
    bool fresh;  /* LevelDB does not have the key */
    bool in_row; /* row_next is set */
};

struct overlay_undo;

struct overlay {
    struct arena arena;
    uint64_t seed;
    struct overlay_entry **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
    struct overlay_entry *first, *last;
    struct overlay_entry *anchor; /* used last: cells of one row mostly come together */
    struct overlay_undo *undo;
};

void overlay_init(struct overlay *o, uint64_t seed);
void overlay_deinit(struct overlay *o);

/* NULL or OVERLAY_UNTOUCHED: LevelDB knows. */
const struct overlay_entry *overlay_find(const struct overlay *o, struct slice key);

/* The value lives as long as the overlay (o->arena); the key is copied. row_len > 0: a cell, with so much of
 * its key being its row's. fresh: LevelDB has nothing under the key. False when memory is short. */
bool overlay_put(struct overlay *o, struct slice key, size_t row_len, struct slice value, bool fresh);

/* Deleting what is not there is fine. False when memory is short. */
bool overlay_delete(struct overlay *o, struct slice key);

/* The cells of a row that the group put once, whatever they are now, linked by row_next; NULL: none. */
const struct overlay_entry *overlay_row(const struct overlay *o, struct slice row_prefix);

void overlay_mark(struct overlay *o);
void overlay_rollback(struct overlay *o); /* back to how it was at the last mark */

#endif
