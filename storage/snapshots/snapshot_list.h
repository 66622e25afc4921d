/* snapshot_list.h -- the snapshots that there are of a database: listed, checked, set aside, and thinned out.
 *
 * Threads: any; blocks, so job threads only. */
#ifndef STORAGE_SNAPSHOTS_SNAPSHOT_LIST_H
#define STORAGE_SNAPSHOTS_SNAPSHOT_LIST_H

#include "storage/snapshots/snapshot_read.h"
#include "storage/snapshots/snapshot_write.h"

enum {
    SNAPSHOTS_LISTED_MAX = 10000,           /* of one database: far more than are kept */
    SNAPSHOT_VERIFY_WHOLE_BYTES = 64 << 20, /* up to this an upload is read back as a whole */
};

struct snapshot_entry {
    struct snapshot_id id;
    uint64_t bytes;
    bool damaged; /* was set aside */
};

struct snapshot_list {
    struct snapshot_entry *entries; /* the newest first */
    size_t count;
};

/* None is no error. Free it with snapshot_list_deinit(). */
enum sync_err snapshot_list(struct object_store *s, const struct object_call *call, struct snapshot_place at,
                            struct snapshot_list *ret, struct err_ctx *ec);
void snapshot_list_deinit(struct snapshot_list *l);

/* Reads back what was written: as a whole where it is small; else its beginning, its length and gzip's own
 * end, the parts having been checked by the service when they came. Errors: SYNC_EFORMAT when it is not what
 * was written. */
enum sync_err snapshot_verify(struct object_store *s, const struct object_call *call,
                              struct snapshot_place at, const struct snapshot_made *made, struct err_ctx *ec);

/* Notes that a snapshot cannot be read, so that nobody counts on it; it stays for a look at it. */
enum sync_err snapshot_set_aside(struct object_store *s, const struct object_call *call,
                                 struct snapshot_place at, const struct snapshot_id *id, const char *why,
                                 struct err_ctx *ec);

/* Deletes snapshots older than the `retained` newest good ones (at least 1), and notes about them. Called
 * after `good` was verified: it is never deleted, nor anything newer. *ret_before: the newest good one before
 * it, up to which the log can go; all zero when there is none. Errors: SYNC_ENOTFOUND when `good` is not
 * there: then nothing is deleted. Should it have been set aside since, it does not count as a good one. */
enum sync_err snapshot_thin_out(struct object_store *s, const struct object_call *call,
                                struct snapshot_place at, const struct snapshot_id *good, uint32_t retained,
                                struct snapshot_id *ret_before, struct err_ctx *ec);

#endif
