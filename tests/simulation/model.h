/* model.h -- what a replica holds, in a form small enough to compare: a few tables, rows and columns.
 *
 * Merging follows protocol section 3: the highest HLC wins a cell, a deleted row stays deleted. So all that
 * took the same facts, in whatever order, are equal. */
#ifndef TESTS_SIMULATION_MODEL_H
#define TESTS_SIMULATION_MODEL_H

#include "core/facts/hlc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_TABLES = 2,
    MODEL_ROWS = 10, /* of a table */
    MODEL_COLUMNS = 2,
    MODEL_FACTS_MAX = MODEL_TABLES * MODEL_ROWS * (MODEL_COLUMNS + 1),
};

/* A cell's new value, or (is_delete) the end of its row. */
struct sim_fact {
    bool is_delete;
    uint32_t table, row, column;
    uint64_t value;
    struct hlc hlc;
};

struct model_slot {
    bool has;
    uint64_t value;
    struct hlc hlc;
};

struct model_row {
    struct model_slot tombstone;
    struct model_slot cells[MODEL_COLUMNS];
};

struct model {
    struct model_row rows[MODEL_TABLES][MODEL_ROWS];
};

void model_take(struct model *m, const struct sim_fact *f);

/* Is the fact itself what stands there now? */
bool model_has_current(const struct model *m, const struct sim_fact *f);

/* Did the model take the fact, or what replaces it? */
bool model_knows(const struct model *m, const struct sim_fact *f);

/* The facts above `after` (NULL: all), in HLC order. Returns their number. */
size_t model_list(const struct model *m, const struct hlc *after, struct sim_fact ret[MODEL_FACTS_MAX]);

/* Is everything equal? If not, *ret tells a place. */
bool model_equal(const struct model *a, const struct model *b, struct sim_fact *ret);

#endif
