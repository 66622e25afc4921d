/* import_hold.h -- facts of a database that comes in, decided and not written yet.
 *
 * LevelDB sorts what it is given within a memtable only; everything else is compaction, which writes most
 * bytes many times. A fact goes into two key ranges, its own and the arrival log's, so memtables that got
 * both lie across all that came before, and all of it is compacted again and again. So an import holds facts
 * back until there are enough for a memtable of each kind, and writes them as two batches, each longer than
 * LevelDB's write buffer: the next write begins a new memtable. Those of the log never overlap and are moved
 * down without being rewritten. (docs/object-store.md has the figures.)
 *
 * Memory: IMPORT_HOLD_BYTES_MAX of records, and about as much again for the tables around short ones.
 *
 * Threads: the shard's own. */
#ifndef STORAGE_SHARD_IMPORT_HOLD_H
#define STORAGE_SHARD_IMPORT_HOLD_H

#include "core/facts/fact.h"
#include "core/facts/hlc.h"
#include "storage/shard/overlay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMPORT_HOLD_BYTES_MAX = 24 << 20 };

struct import_hold {
    struct import_hold *next;
    uint32_t number; /* of the database */
    struct overlay overlay;
    size_t log_bytes, bytes; /* of log entries; of all records */
    struct stamp last;       /* of the entry that came last */
};

/* An all-zero list is an empty one. */
struct import_holds {
    struct import_hold *first;
};

/* A new one, of a database that has none. NULL when memory is short. */
struct import_hold *import_hold_add(struct import_holds *l, uint32_t number, uint64_t hash_seed);
struct import_hold *import_hold_find(const struct import_holds *l, uint32_t number); /* NULL: none */
void import_hold_drop(struct import_holds *l, uint32_t number); /* one that is not there too */
void import_holds_deinit(struct import_holds *l);

/* What a fact will take, once it is in the overlay. */
void import_hold_count(struct import_hold *h, const struct fact *f);

/* Is there enough for a memtable of each kind? */
bool import_hold_is_full(const struct import_hold *h, size_t write_buffer_bytes);

/* It was written: begins anew. */
void import_hold_clear(struct import_hold *h);

#endif
