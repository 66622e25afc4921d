/* snapshot_sweep.h -- thins out the snapshots of all databases, wherever there are more than are kept.
 *
 * Taking a snapshot thins out its database's older ones. What is left for a sweep: databases that do not
 * change any more when fewer are to be kept than before, and those where a process died in between.
 *
 * Nothing is deleted but what is older than the newest snapshot that the caller knows to be verified, and
 * beyond those that are kept; of what the caller knows nothing all snapshots stay. So the last good one is
 * never deleted, and neither is anything of a database that somebody else keeps.
 *
 * Threads: any; blocks, so job threads only. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_SWEEP_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_SWEEP_H

#include "storage/snapshots/snapshot_name.h"

struct snapshot_sweep {
    uint32_t retained; /* at least 1 */
    /* The newest snapshot of the database that the caller has read back; false: it knows of none. */
    bool (*verified)(void *arg, struct slice database, struct snapshot_id *ret);
    void *arg;
};

struct snapshot_swept {
    uint64_t snapshots; /* that were listed */
    uint64_t databases; /* they are of */
    uint64_t thinned;   /* databases that had too many */
};

/* One list for every thousand snapshots, three requests and a delete or more for each database thinned.
 * Trouble with one database is kept for the end, *ec with it, and the others go on; SYNC_ECANCELED ends
 * it. */
enum sync_err snapshot_sweep(struct object_store *s, const struct object_call *call,
                             const struct snapshot_sweep *sweep, struct snapshot_swept *ret,
                             struct err_ctx *ec);

#endif
