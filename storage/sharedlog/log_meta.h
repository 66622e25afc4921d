/* log_meta.h -- what a shared log is: written when an object store is first used, never changed.
 *
 *     sync-coordinator log
 *     format 1
 *     partitions 1
 *     identity 32 hexadecimal digits
 *
 * Threads: any; both block. */
#ifndef STORAGE_SHAREDLOG_LOG_META_H
#define STORAGE_SHAREDLOG_LOG_META_H

#include "storage/objects/object_store.h"
#include "storage/shard/shard_upload.h"

struct log_meta {
    uint32_t partitions;
    uint8_t identity[LOG_IDENTITY_BYTES]; /* random; tells this log from every other */
};

/* *ret_found is false when the store holds no log. Errors: as object_store.h, SYNC_EFORMAT. */
enum sync_err log_meta_read(struct object_store *s, const struct object_call *call, struct log_meta *ret,
                            bool *ret_found, struct err_ctx *ec);

/* Reads it, or makes one with `partitions` (0: one) and `identity`; of two that make one at the same time
 * both get the same. Errors: also SYNC_ECONFIG when it has another number of partitions than the one asked
 * for. */
enum sync_err log_meta_open(struct object_store *s, const struct object_call *call, uint32_t partitions,
                            const uint8_t identity[LOG_IDENTITY_BYTES], struct log_meta *ret,
                            struct err_ctx *ec);

#endif
