/* snapshot_write.h -- writes one snapshot of a database to the object store, as a stream, in constant memory.
 *
 * It is read from a view, so it is of one moment, and the database goes on meanwhile. What is under the key
 * afterwards is gzip (gzip_member.h) of snapshot_line.h's lines. Memory is that of the object writer and of
 * the packer, which is that of PACKER_TEXTS facts if they are long.
 *
 * Threads: the caller's (job threads: it blocks), which reads; the packer's compress, the writer's send. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_WRITE_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_WRITE_H

#include "storage/objects/object_writer.h"
#include "storage/snapshots/gzip_member.h"
#include "storage/snapshots/snapshot_line.h"
#include "storage/snapshots/snapshot_name.h"
#include "storage/views/view.h"

enum { SNAPSHOT_TAIL_BYTES = MEMBER_TAIL_BYTES }; /* of the last member, which has the foot with the hash */

/* What was written. */
struct snapshot_made {
    struct snapshot_id id;
    struct snapshot_foot foot;
    uint64_t bytes;     /* of the object */
    uint64_t raw_bytes; /* of the lines */
    uint8_t tail[SNAPSHOT_TAIL_BYTES];
};

/* `run`: of the server that takes it, LOG_RUN_BYTES; NULL: of none that writes the shared log.
 * Errors: those of the view and of the object store; SYNC_ECANCELED when cfg->call.cancel was raised. */
enum sync_err snapshot_write(struct object_store *s, const struct object_writer_config *cfg, struct view *v,
                             struct snapshot_place at, uint64_t made_ms, const uint8_t *run,
                             struct snapshot_made *ret, struct err_ctx *ec);

#endif
