/* log_proof.h -- up to where the shared log is not needed any more, and the proof of it.
 *
 * What is noted of a database's snapshots (storage/shard/snapshot_note.h) was true when it was noted. So
 * before anything of the log goes for the sake of a snapshot, it is looked for in the object store, where the
 * hooks have the database's place. Is it gone, then that is logged as `snapshot.missing`, the note goes, and
 * with it all that would have gone for its sake stays; the next snapshot is due at once.
 *
 * Threads: of the log's clean-up; blocks, also on the database's store thread. */
#ifndef SERVER_OBJECTS_LOG_PROOF_H
#define SERVER_OBJECTS_LOG_PROOF_H

#include "storage/sharedlog/log_cover.h"

struct log_cleaner;

/* The source for log_tidy.h. `c` stays where it is. */
struct log_cover_source log_proof_source(struct log_cleaner *c);

#endif
