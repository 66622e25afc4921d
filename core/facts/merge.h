/* merge.h -- what a batch changes: the rules of protocol section 3, and nothing else.
 *
 * merge_batch() judges every fact of a batch against the state before it, settles facts of the batch that
 * meet each other, and says which are to be written, in which order. It reads through a merge_source and
 * writes nothing: storage carries out the plan. Any order of the batch's facts gives the same plan, but for
 * facts that agree in key and HLC, which are copies of one another.
 *
 * Pure: the same batch and the same answers of the source give the same plan. */
#ifndef CORE_FACTS_MERGE_H
#define CORE_FACTS_MERGE_H

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/facts/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict { VERDICT_APPLIED, VERDICT_SKIPPED, VERDICT_CONFLICT };

/* What is stored under a key, as far as a judgement needs it. */
struct stored_fact {
    bool found;
    struct hlc hlc;
    struct stamp stamp; /* of its entry in the arrival log */
    struct slice value; /* a cell's JSON value; lives as long as the arena given to the source */
};

/* Access to the state before the batch. Errors of the source end the merge. */
struct merge_source {
    void *state;
    /* The stored fact with f's type and key: cell, tombstone or migration. */
    enum sync_err (*find)(void *state, const struct fact *f, struct arena *arena, struct stored_fact *ret,
                          struct err_ctx *ec);
    /* The tombstone of the row that the cell f belongs to. */
    enum sync_err (*find_tombstone)(void *state, const struct fact *f, struct stored_fact *ret,
                                    struct err_ctx *ec);
};

struct merge_rules {
    struct site_id server_site; /* facts that carry it are skipped */
    bool allow_resurrection;
};

struct judgement {
    enum verdict verdict;
    bool write;                /* applied, and the highest of its key in the batch */
    struct stored_fact before; /* what stood there before the batch; looked up only where the verdict needs
                                  it, and always where write is set */
};

struct merge_result {
    uint64_t applied, skipped, conflicts; /* facts, migrations included */
    uint64_t transactions;                /* ChangeSets in the batch */
};

struct merge_plan {
    struct judgement *judgements; /* one per fact of the batch, in its order */
    uint32_t *writes;             /* indices of the facts to write, in HLC order: the order of the log */
    size_t write_count;
    struct merge_result result;
};

/* The plan's arrays and the slices in it live in `arena`, which outlives the plan.
 * Errors: SYNC_ENOMEM, or what the source returned. */
enum sync_err merge_batch(const struct batch *b, const struct merge_rules *rules,
                          const struct merge_source *source, struct arena *arena, struct merge_plan *ret,
                          struct err_ctx *ec);

#endif
