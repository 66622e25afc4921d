/* leftovers.h -- small objects that live for seconds, and were left behind by whoever died meanwhile.
 *
 * Old is what two looks have shown, unchanged, at least so long apart by the caller's own monotonic clock: no
 * clock is compared with the store's. So the first look deletes nothing.
 *
 * Threads: one at a time; blocks, so job threads only. */
#ifndef STORAGE_OBJECTS_LEFTOVERS_H
#define STORAGE_OBJECTS_LEFTOVERS_H

#include "storage/objects/object_store.h"

/* What the last look showed; starts as {0}. */
struct leftovers {
    struct object_page page;
    uint64_t *since_ms; /* of each entry: when a look showed it first as it is */
};

void leftovers_deinit(struct leftovers *l); /* all-zero ones too */

/* Looks at the first page of keys below `prefix`; what is there since at least age_ms goes. *ret_removed may
 * count some although an error ended it. */
enum sync_err leftovers_sweep(struct leftovers *l, struct object_store *s, const struct object_call *call,
                              struct slice prefix, uint64_t now_ms, uint64_t age_ms, uint32_t *ret_removed,
                              struct err_ctx *ec);

#endif
