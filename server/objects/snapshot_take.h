/* snapshot_take.h -- one snapshot from beginning to end: written, read back, noted, older ones thinned
 * out. */
#ifndef SERVER_OBJECTS_SNAPSHOT_TAKE_H
#define SERVER_OBJECTS_SNAPSHOT_TAKE_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"

#include <stdatomic.h>

struct server;

/* Does nothing for a database that is not here, or has not changed since its newest verified snapshot.
 * *ret_stamp: that of the newest verified one; zero: none. Blocks; on a thread that is no loop and no store
 * thread. */
enum sync_err snapshot_take(struct server *s, struct slice database, const atomic_bool *cancel,
                            struct stamp *ret_stamp, struct err_ctx *ec);

/* The note of a snapshot that was verified, as storage/shard/snapshot_note.h keeps it. */
struct snapshot_note;
enum sync_err snapshot_note_down(struct server *s, struct slice database, const struct snapshot_note *note,
                                 struct err_ctx *ec);

#endif
