/* log_merge.h -- makes one segment of parts of the shared log that follow one another.
 *
 * The segment is sorted by database, so that one is read in one range. Sections that verified snapshots cover
 * are left out, once it is proved that these are still there (log_cover.h); everything else of the parts is
 * in it, and which servers wrote them and how they ended. It is created once under a name that says which
 * numbers it holds: from then on every reader takes it in place of the parts, and the parts may go. Whatever
 * happens before leaves the log as it was.
 *
 * Only ranges that are aligned (log_plan.h) are ever merged: two of them lie within one another or apart, so
 * not even a server that has lost the log and does not know it yet can make segments that overlap.
 *
 * Memory: the segment, at most `bytes_max`, and the parts' heads, together at most as much again. The parts'
 * sections go from the store right to their place in the segment.
 *
 * Threads: any; blocks. */
#ifndef STORAGE_SHAREDLOG_LOG_MERGE_H
#define STORAGE_SHAREDLOG_LOG_MERGE_H

#include "storage/sharedlog/log_cover.h"
#include "storage/sharedlog/log_list.h"

struct log_merge_config {
    struct object_store *objects;
    const struct object_call *call; /* for each request; may be NULL */
    uint32_t partition;
    size_t bytes_max;        /* of a segment; at most OBJECT_PUT_BYTES_MAX */
    struct log_cover *cover; /* NULL: no snapshot covers anything */
};

enum log_merged {
    LOG_MERGED,    /* the segment is there, of this call or an earlier one */
    LOG_UNCHANGED, /* a part alone of which nothing goes after all: it stays as it is */
    LOG_TOO_LARGE, /* it would be, or have too many runs: the parts stay as they are */
    LOG_UNSURE,    /* no answer to trust; ec says why. Later */
};

/* What is known of a part by its head. */
struct log_weight {
    uint64_t bytes;         /* that it would have without what is covered */
    uint64_t covered_bytes; /* that would go */
    bool all_covered;       /* no section would stay */
};

/* Reads the part's head; covered is what is noted. Errors: as log_part_head(), as log_cover_noted(). */
enum sync_err log_merge_weigh(const struct log_merge_config *cfg, const struct log_part *part,
                              struct log_weight *ret, struct err_ctx *ec);

/* `parts` without a gap. *ret_part is the segment, with LOG_MERGED; `generation` is its name's. Errors: as
 * object_store.h (SYNC_ENOTFOUND: a part has gone, list again), SYNC_EFORMAT (a part is damaged, and stays),
 * as log_cover_proved(), SYNC_ENOMEM. */
enum sync_err log_merge(const struct log_merge_config *cfg, const struct log_part *parts, size_t count,
                        uint64_t generation, enum log_merged *ret, struct log_part *ret_part,
                        struct err_ctx *ec);

#endif
