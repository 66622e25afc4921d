/* snapshot_note.h -- what is known here of a database's snapshots in the object store: which ones are
 * verified.
 *
 * The note lies beside the databases' records, by name, so it also speaks for a database that has left this
 * disk. The log's clean-up goes by it, and so does eviction; both look for the snapshot before anything
 * goes. */
#ifndef STORAGE_SHARD_SNAPSHOT_NOTE_H
#define STORAGE_SHARD_SNAPSHOT_NOTE_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"
#include "storage/shard/shard.h"

#include <stdbool.h>

enum { SNAPSHOT_NOTE_BYTES = 1 + 14 + 8 + 14 + 8 };

struct snapshot_note {
    struct stamp newest; /* of the newest verified one */
    uint64_t made_ms;    /* when it was made; with `newest` that is its key */
    struct stamp before; /* of the good one before it; zero: none */
    uint64_t bytes;      /* of the newest one; 0: unknown, it was noted by an older build or at a restore */
};

void snapshot_note_put(const struct snapshot_note *n, uint8_t ret[SNAPSHOT_NOTE_BYTES]);
enum sync_err snapshot_note_get(struct slice bytes, struct snapshot_note *ret, struct err_ctx *ec);

/* On the shard's own thread. Errors: SYNC_ESTORE, SYNC_ENOMEM, SYNC_ELIMIT (name). */
enum sync_err shard_note_snapshot(struct shard *sh, struct slice database, const struct snapshot_note *note,
                                  struct err_ctx *ec);

/* Any thread. Errors: SYNC_ESTORE, SYNC_EFORMAT, SYNC_ENOMEM, SYNC_ELIMIT. */
enum sync_err shard_snapshot_note(struct shard *sh, struct slice database, bool *ret_found,
                                  struct snapshot_note *ret, struct err_ctx *ec);

/* Up to this stamp a restore needs nothing of the shared log: there is the newest snapshot, and one to fall
 * back to should it turn out damaged. With one snapshot only there is no other choice. */
static inline struct stamp snapshot_note_covered(const struct snapshot_note *n)
{
    return n->before.wall_ms != 0 ? n->before : n->newest;
}

/* Of the same snapshots? */
static inline bool snapshot_note_eq(const struct snapshot_note *a, const struct snapshot_note *b)
{
    return stamp_cmp(&a->newest, &b->newest) == 0 && a->made_ms == b->made_ms &&
           stamp_cmp(&a->before, &b->before) == 0;
}

#endif
