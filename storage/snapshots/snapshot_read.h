/* snapshot_read.h -- reads a stored snapshot as a stream: unzips it, takes its lines apart, checks it.
 *
 * Facts are handed out before the whole is known to be good; whoever writes them somewhere throws that away
 * when the end turns out bad. SYNC_OK means that head, foot, counts, order, hash and gzip's own checks hold.
 *
 * The bytes are untrusted: whatever they are, memory is bounded by one line, and a line by
 * SNAPSHOT_LINE_BYTES_MAX.
 *
 * Threads: one at a time. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_READ_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_READ_H

#include "storage/objects/object_reader.h"
#include "storage/snapshots/snapshot_line.h"
#include "storage/snapshots/snapshot_name.h"

enum { SNAPSHOT_LINE_BYTES_MAX = 1 << 30 }; /* a record has half of that, and escapes add little */

/* Who gets what was read. Anything but SYNC_OK ends the reading with that code. */
struct snapshot_handler {
    void *arg;
    /* Where the next line's bytes and all that is made of them are to live: the handler's, at least until its
     * fact() for that line returns. */
    struct arena *(*room)(void *arg);
    enum sync_err (*head)(void *arg, const struct snapshot_head *h, struct err_ctx *ec);
    enum sync_err (*fact)(void *arg, const struct moved_entry *e, struct err_ctx *ec);
};

struct snapshot_result {
    struct snapshot_foot foot;
    bool of_later_build; /* with SYNC_EFORMAT: not damaged, but not for this build */
    bool from_handler;   /* the error is the handler's and says nothing about the snapshot */
};

struct snapshot_decoder;

/* `expected` (may be empty): the database that it must be of. */
enum sync_err snapshot_decoder_new(const struct snapshot_handler *h, struct slice expected,
                                   struct snapshot_decoder **ret, struct err_ctx *ec);
/* Takes the next bytes of the object. Errors: SYNC_EFORMAT, SYNC_ENOMEM, the handler's. */
enum sync_err snapshot_decoder_put(struct snapshot_decoder *d, struct slice bytes, struct err_ctx *ec);
/* There are no more. */
enum sync_err snapshot_decoder_end(struct snapshot_decoder *d, struct err_ctx *ec);
const struct snapshot_result *snapshot_decoder_result(const struct snapshot_decoder *d);
void snapshot_decoder_free(struct snapshot_decoder *d); /* takes NULL */

/* The whole object through a decoder. *ret is set in any case. Errors: also those of the object store. */
enum sync_err snapshot_read(struct object_store *s, const struct object_reader_config *cfg, struct slice key,
                            struct slice expected, const struct snapshot_handler *h,
                            struct snapshot_result *ret, struct err_ctx *ec);

#endif
