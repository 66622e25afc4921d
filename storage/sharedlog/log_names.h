/* log_names.h -- where the shared log lies in the object store, and which partition a database belongs to.
 *
 *     meta/log                                  what the log is (log_meta.h)
 *     log/PARTITION/NUMBER                      an object, numbered from 1; 20 digits, so that names sort
 *     segment/PARTITION/FIRST-LAST              what replaces the objects FIRST to LAST
 *     segment/PARTITION/FIRST-LAST-GENERATION   the same with less in it; the highest generation counts
 *
 * Pure. Threads: any. */
#ifndef STORAGE_SHAREDLOG_LOG_NAMES_H
#define STORAGE_SHAREDLOG_LOG_NAMES_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOG_NAME_MAX = 96, LOG_PARTITIONS_MAX = 64 };

#define LOG_META_NAME "meta/log"

/* Zero terminated. */
struct log_name {
    char text[LOG_NAME_MAX];
};

static inline struct slice log_name_slice(const struct log_name *n)
{
    return slice_str(n->text);
}

void log_object_name(uint32_t partition, uint64_t number, struct log_name *ret);
void log_object_prefix(uint32_t partition, struct log_name *ret);
/* generation 0: as it was made first. */
void log_segment_name(uint32_t partition, uint64_t first, uint64_t last, uint64_t generation,
                      struct log_name *ret);
void log_segment_prefix(uint32_t partition, struct log_name *ret);

/* What a key under one of the prefixes stands for. False when it is none of ours. */
bool log_object_parse(uint32_t partition, struct slice key, uint64_t *ret_number);
bool log_segment_parse(uint32_t partition, struct slice key, uint64_t *ret_first, uint64_t *ret_last,
                       uint64_t *ret_generation);

/* For good: a database's entries are looked for only there. */
uint32_t log_partition_of(struct slice database, uint32_t partitions);

#endif
