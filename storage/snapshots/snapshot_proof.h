/* snapshot_proof.h -- is a snapshot that was verified once still in the object store?
 *
 * Whoever gives something up for its sake asks first: somebody may have deleted it since, or found it
 * damaged.
 *
 * Threads: any; blocks. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_PROOF_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_PROOF_H

#include "storage/snapshots/snapshot_name.h"

enum snapshot_state {
    SNAPSHOT_GOOD,
    SNAPSHOT_REPLACED, /* it has gone, and a newer one is there: older ones are deleted before that is
                        * noted */
    SNAPSHOT_MISSING,
    SNAPSHOT_RESIZED, /* it has another size than what was verified */
    SNAPSHOT_DAMAGED, /* it was set aside */
};

const char *snapshot_state_text(enum snapshot_state s); /* for messages: "it is not there" */

/* Looks for it where a restore would: at its place, or, as long as nothing is there, in the usual one.
 * `bytes`: its size; 0: unknown. Two requests where all is well, one for it and one for the note that sets it
 * aside. Errors: as snapshot_list(). */
enum sync_err snapshot_prove(struct object_store *s, const struct object_call *call, struct snapshot_place at,
                             const struct snapshot_id *id, uint64_t bytes, enum snapshot_state *ret,
                             struct err_ctx *ec);

#endif
