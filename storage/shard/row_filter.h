/* row_filter.h -- which rows have nothing stored: a Bloom filter that grows.
 *
 * The merge asks for every cell of a new row and its tombstone, and mostly nothing is there. LevelDB answers
 * that dearly: it looks into each table whose range holds the key, charges the first of them for it, and
 * after some hundred such look-ups compacts that table, however little there is to gain. A filter answers in
 * memory.
 *
 * It can say "nothing is there" only of a database all of whose rows were put in. Which ones these are is
 * remembered elsewhere, together with the `generation`: when the filter is full it is emptied and gets
 * another one.
 *
 * Memory: ROW_FILTER_BYTES_MAX at most, none before the first row. Threads: one at a time. */
#ifndef STORAGE_SHARD_ROW_FILTER_H
#define STORAGE_SHARD_ROW_FILTER_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ROW_FILTER_STAGES = 6,
    ROW_FILTER_FIRST_BYTES = 4 << 10, /* each stage has four times as many as the one before */
    ROW_FILTER_BYTES_MAX = ROW_FILTER_FIRST_BYTES * ((1 << 2 * ROW_FILTER_STAGES) - 1) / 3, /* of all */
};

struct row_filter {
    uint64_t seed;
    uint32_t generation; /* never 0 */
    size_t stage_count;  /* those that exist; rows are added to the last one */
    size_t row_count;    /* in the last one */
    uint64_t *stages[ROW_FILTER_STAGES];
};

void row_filter_init(struct row_filter *f, uint64_t seed);
void row_filter_deinit(struct row_filter *f);

/* `key` is of a cell or a tombstone, with its row's prefix at least; other keys have no row and are passed
 * over. Adding to a full filter, or when memory is short, empties it. */
void row_filter_add(struct row_filter *f, struct slice key);

/* False: neither a cell nor a tombstone of the row was ever added. */
bool row_filter_may_have(const struct row_filter *f, struct slice key);

#endif
