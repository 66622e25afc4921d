/* row_learner.h -- puts the rows of a database that was there before into the row filter, bit by bit.
 *
 * What a group writes is added as it is written. So once all that lay on disk before was walked through, the
 * filter knows every row of the database, and `struct database` says so. One database at a time; a step is
 * short, and is taken behind a group that was written anyway.
 *
 * Threads: the shard's own. */
#ifndef STORAGE_SHARD_ROW_LEARNER_H
#define STORAGE_SHARD_ROW_LEARNER_H

#include "storage/leveldb/instance.h"
#include "storage/records/keys.h"
#include "storage/shard/database_cache.h"
#include "storage/shard/row_filter.h"
#include "storage/views/view.h"

struct row_learner {
    uint32_t number;     /* of the database; 0: none */
    uint32_t generation; /* of the filter when it began */
    struct slice name;   /* in name_bytes */
    char name_bytes[DATABASE_ID_MAX];
    struct key position; /* the next entry is at or behind it */
};

/* LevelDB had nothing to say about d: begins with its rows when that happens often. */
void row_learner_missed(struct row_learner *l, const struct row_filter *f, struct database *d);

/* One step, if there is something to learn. What fails on the way is given up: nobody needs to know. */
void row_learner_step(struct row_learner *l, struct row_filter *f, struct database_cache *c,
                      struct instance *in);

#endif
