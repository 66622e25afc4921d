/* packer.h -- the second half of writing a snapshot: hashes, compresses and sends a text, on a thread of its
 * own, while the owner makes the next piece of it.
 *
 * The text goes into the object as gzip members (gzip_member.h). Memory: PACKER_TEXTS pieces, each of
 * PACKER_TEXT_BYTES or of what the owner put between two steps, one member, and the object writer's parts.
 *
 * Threads: a packer is its owner's; until packer_close() its thread is the one that uses the object
 * writer. */
#ifndef STORAGE_SNAPSHOTS_PACKER_H
#define STORAGE_SNAPSHOTS_PACKER_H

#include "core/base/buf.h"
#include "storage/objects/object_writer.h"
#include "storage/snapshots/gzip_member.h"

enum {
    PACKER_THREADS = 2,
    PACKER_TEXTS = 2 * PACKER_THREADS + 1,            /* at work, waiting, and being filled */
    PACKER_TEXT_BYTES = MEMBER_TEXT_MAX - (16 << 10), /* and a line more: mostly still one member */
    PACKER_SHA256_TEXT = 64,
};

struct packed {
    uint64_t raw_bytes;              /* of the text */
    uint64_t bytes;                  /* of the members */
    uint8_t tail[MEMBER_TAIL_BYTES]; /* how the last member ends */
};

struct packer;

/* Borrows the writer. Errors: SYNC_ENOMEM. */
enum sync_err packer_open(struct object_writer *w, struct packer **ret, struct err_ctx *ec);

/* Where the owner appends text, until the next call. */
struct buf *packer_text(struct packer *p);

/* To be called after every line: hands the text over when it is long enough, and waits while all pieces are
 * on their way. Errors: those of object_writer_put(), which may be an earlier piece's; all are final. */
enum sync_err packer_step(struct packer *p, struct err_ctx *ec);

/* Waits until everything is on its way, and tells the SHA-256 of all the text so far, in lower case hex. Text
 * put afterwards is not hashed. */
enum sync_err packer_hash(struct packer *p, char ret[PACKER_SHA256_TEXT + 1], struct err_ctx *ec);

/* Waits for the last piece. After it only packer_close() is allowed, and the writer is the owner's again. */
enum sync_err packer_finish(struct packer *p, struct packed *ret, struct err_ctx *ec);

void packer_close(struct packer *p); /* takes NULL */

#endif
