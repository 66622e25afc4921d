/* database_cache.h -- the records of the databases that a shard used last.
 *
 * Bounded: the one used longest ago goes first, but none that the group under way has touched.
 *
 * Threads: one at a time. */
#ifndef STORAGE_SHARD_DATABASE_CACHE_H
#define STORAGE_SHARD_DATABASE_CACHE_H

#include "core/base/slice.h"
#include "storage/records/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATABASE_CACHE_MAX = 4096 };

struct database {
    struct database *chain;         /* of its bucket */
    struct database *newer, *older; /* by last use */
    struct database *touched_next;  /* of the group */
    uint64_t hash;
    bool exists;                   /* has a record in LevelDB, or will have with the group */
    bool touched;                  /* by the group: linked by touched_next, not to be dropped */
    bool changed;                  /* by the group: the record is to be written */
    uint32_t rows_generation;      /* the row filter's, if it has all its rows (row_filter.h) */
    uint32_t misses;               /* look-ups for which LevelDB had nothing (row_learner.h) */
    bool waiting;                  /* for its upload: has a mark (shard_upload.h) */
    struct database_record record; /* as the group sees it */
    size_t name_len;
    char name[];
};

struct database_cache {
    uint64_t seed;
    size_t count;
    size_t count_max;
    struct database **buckets;
    size_t bucket_count; /* a power of two */
    struct database *newest, *oldest;
};

/* False when memory is short. */
bool database_cache_init(struct database_cache *c, size_t count_max, uint64_t seed);
void database_cache_deinit(struct database_cache *c);

/* NULL when it is not here. Good until it is dropped; a touched one is not. */
struct database *database_cache_find(struct database_cache *c, struct slice name);

/* A new entry, with everything but the name zero; the name is not here yet. NULL when memory is short. */
struct database *database_cache_add(struct database_cache *c, struct slice name);

void database_cache_drop(struct database_cache *c, struct database *d);
void database_cache_clear(struct database_cache *c); /* drops all, touched or not */

static inline struct slice database_name(const struct database *d)
{
    return slice_of(d->name, d->name_len);
}

#endif
