/* fenced.h -- objects that only the leader of the newest epoch can change.
 *
 * Whatever a cluster task writes over and over lies in such an object. It carries the epoch of its last
 * writer:
 *
 *   {"epoch":42,"by":"gcs-default-...","value":...}
 *
 * and is written as core/election/fence.h says: read it, turn away whoever is older than what is there,
 * replace exactly what was read. So a leader that was stopped between "may I lead" and its write, and goes on
 * an hour later, writes nothing once its successor has written; and of two writings of one object the later
 * one never has the older epoch.
 *
 * Threads: any; a fenced_memory belongs to one at a time. Every function may block, as object_store.h
 * says. */
#ifndef STORAGE_OBJECTS_FENCED_H
#define STORAGE_OBJECTS_FENCED_H

#include "storage/objects/object_store.h"

enum { FENCED_BYTES_MAX = 1 << 20 };

enum fenced_outcome {
    FENCED_WRITTEN,
    FENCED_OLD, /* a higher epoch has written: the caller leads no more, whatever it thinks */
};

/* What the caller wrote last, so that writing again costs one request, not two. Starts as {0}; of one key. */
struct fenced_memory {
    struct object_version version;
    uint64_t epoch; /* 0: nothing is remembered */
};

struct fenced_value {
    uint64_t epoch;     /* 0: there is no such object */
    struct slice value; /* JSON; of the buffer */
};

/* Reads into `bytes`, which is cleared before. Errors: SYNC_EBADMSG for an object that is none of these, else
 * as object_get_buf(); a missing object is no error. */
enum sync_err fenced_read(struct object_store *s, const struct object_call *call, struct slice key,
                          struct buf *bytes, struct fenced_value *ret, struct err_ctx *ec);

/* Writes `value`, which is JSON. memory may be NULL. Any code but SYNC_OK: it may have been written, or still
 * be, as long as nobody of a higher epoch writes. SYNC_EBUSY also when others of the same epoch keep
 * writing. */
enum sync_err fenced_write(struct object_store *s, const struct object_call *call, struct slice key,
                           uint64_t epoch, const char *by, struct slice value, struct fenced_memory *memory,
                           enum fenced_outcome *ret, struct err_ctx *ec);

#endif
