/* log_source.h -- where a restore gets from what came after a snapshot: the shared log, by its reader
 * (sharedlog/log_reader.h), or a list in a test.
 *
 * Threads: one at a time; blocks. */
#ifndef STORAGE_SNAPSHOTS_LOG_SOURCE_H
#define STORAGE_SNAPSHOTS_LOG_SOURCE_H

#include "storage/sharedlog/log_reader.h"

struct log_source {
    void *arg;
    /* Begins behind `after` (NULL: at the beginning). Errors as log_reader_open(). */
    enum sync_err (*open)(void *arg, struct slice database, const struct stamp *after, uint64_t until_ms,
                          struct err_ctx *ec);
    enum sync_err (*next)(void *arg, struct moved_entry *ret, struct stamp *ret_pruned, bool *ret_found,
                          struct err_ctx *ec);
    /* Told after open(), where the facts come from a snapshot: log_reader_has_snapshot(). May be NULL. */
    void (*has_snapshot)(void *arg, const uint8_t *run);
    void (*summary)(void *arg, struct log_summary *ret);
    void (*close)(void *arg); /* also what was not opened */
};

/* The shared log of an object store, as a source; `s` outlives it. A store without a log has nothing to
 * tell. */
struct shared_log_source {
    struct object_store *objects;
    const struct object_call *call; /* may be NULL */
    const uint8_t *run;             /* of the server that restores (log_reader_is_of()); NULL: none does */
    /* May be NULL. False: the log holds nothing of the database, as the server that writes it knows. */
    bool (*may_have)(void *arg, struct slice database);
    void *may_have_arg;
    struct log_reader *reader;
};

struct log_source shared_log_source(struct shared_log_source *s, struct object_store *objects,
                                    const struct object_call *call, const uint8_t *run);

#endif
