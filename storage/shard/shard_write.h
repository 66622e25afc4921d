/* shard_write.h -- what one fact puts and deletes (docs/storage-format.md), into the overlay of a group.
 *
 * Shared by those who write facts: shard_apply.c, where the merge has decided, and shard_import.c, where the
 * machine that the facts come from had. So there is one place that knows which keys belong to a fact.
 *
 * Threads: the shard's own. */
#ifndef STORAGE_SHARD_SHARD_WRITE_H
#define STORAGE_SHARD_SHARD_WRITE_H

#include "storage/shard/shard_internal.h"

struct writing {
    struct group *g;
    struct database *database; /* touched by the group */
    uint64_t created_ms;       /* wall clock: the createdAt of tombstones */
};

/* The stored fact with f's type and key, as the group sees it; a cell's value is copied into arena. */
enum sync_err writing_find(const struct writing *w, const struct fact *f, struct arena *arena,
                           struct stored_fact *ret, struct err_ctx *ec);
/* The tombstone of the row that the cell f belongs to. */
enum sync_err writing_find_tombstone(const struct writing *w, const struct fact *f, struct stored_fact *ret,
                                     struct err_ctx *ec);

/* Gives the database its number, if it has none. Errors: SYNC_ELIMIT. */
enum sync_err writing_begin_database(struct writing *w, struct err_ctx *ec);

/* Puts the fact, as it is, in place of `before`, which is what stands under its key now. A delete takes the
 * cells of its row with it. Errors: SYNC_ELIMIT (too large), SYNC_ENOMEM, SYNC_ESTORE, SYNC_EFORMAT. */
enum sync_err writing_put(struct writing *w, const struct fact *f, const struct stored_fact *before,
                          const struct stamp *s, struct err_ctx *ec);

/* Removes the tombstone of the row that the cell f belongs to, as retention does. */
enum sync_err writing_drop_tombstone(struct writing *w, const struct fact *f,
                                     const struct stored_fact *tombstone, struct err_ctx *ec);

#endif
