/* log_list.h -- what is left of a partition of the shared log: its objects and segments, in order, each
 * number once.
 *
 * Objects that a segment replaces are left out here, and named separately for whoever tidies up. The oldest
 * numbers may be gone; one that is missing between others is damage.
 *
 * Threads: any; blocks. */
#ifndef STORAGE_SHAREDLOG_LOG_LIST_H
#define STORAGE_SHAREDLOG_LOG_LIST_H

#include "core/base/arena.h"
#include "storage/objects/object_store.h"
#include "storage/sharedlog/log_names.h"
#include "storage/sharedlog/log_object.h"

struct log_part {
    uint64_t first, last; /* the numbers that it holds */
    bool is_segment;
    uint64_t generation; /* of a segment: of those for the same numbers the highest counts */
    uint64_t bytes;      /* as listed */
};

struct log_list {
    struct log_part *parts; /* by number, none missing */
    size_t count;
    struct log_part *replaced; /* objects and segments whose numbers are all in a part */
    size_t replaced_count;
};

/* Errors: as object_store.h; SYNC_EFORMAT: a number is missing, or segments overlap. */
enum sync_err log_list_read(struct object_store *s, const struct object_call *call, uint32_t partition,
                            struct log_list *ret, struct err_ctx *ec);
void log_list_deinit(struct log_list *l); /* all-zero ones too */

static inline uint64_t log_list_last(const struct log_list *l) /* 0: the log is empty */
{
    return l->count == 0 ? 0 : l->parts[l->count - 1].last;
}

/* The parts from `first` on, so many, were replaced by this segment: as a fresh reading would find it.
 * Errors: SYNC_ENOMEM; the list is then as before. */
enum sync_err log_list_replace(struct log_list *l, size_t first, size_t count, const struct log_part *segment,
                               struct err_ctx *ec);

void log_part_name(uint32_t partition, const struct log_part *p, struct log_name *ret);

/* Reads the head of a part. What is returned lives in `arena`. Errors: as object_store.h; SYNC_EFORMAT, also
 * when it says that it is another one than its name does. */
enum sync_err log_part_head(struct object_store *s, const struct object_call *call, uint32_t partition,
                            const struct log_part *p, struct arena *arena, struct log_head *ret,
                            struct log_section **ret_sections, size_t *ret_count, uint32_t *ret_head_bytes,
                            struct err_ctx *ec);

#endif
