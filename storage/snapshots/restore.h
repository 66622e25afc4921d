/* restore.h -- brings a database back from the object store: the newest snapshot that can be read, then its
 * part of the shared log after it; or the log alone.
 *
 * Everything streams: memory is the reader's pieces and two batches of facts. What is written goes to an
 * import_target, which is a shard behind its own thread in the server, and a store of one's own in commands.
 *
 * Which server site id the database has afterwards decides whether clients count on what they were told. It
 * keeps its own when the store is known to hold everything that was ever acknowledged: the log says so
 * (log_reader.h: closed, object_durable), and nothing that could be needed was unreadable; or it left this
 * very disk, and all that it had then is there (left_note.h). Otherwise it gets
 * a new one, and asks every site for what it has (protocol section 8.6).
 *
 * Threads: the caller's, which blocks; the object reader's fetch ahead. */
#ifndef STORAGE_SNAPSHOTS_RESTORE_H
#define STORAGE_SNAPSHOTS_RESTORE_H

#include "storage/objects/object_store.h"
#include "storage/shard/left_note.h"
#include "storage/shard/shard_import.h"
#include "storage/snapshots/log_source.h"
#include "storage/snapshots/snapshot_list.h"

/* Takes what comes in. Calls may return before their work is done; an error is then told by the next one. */
struct import_target {
    void *arg;
    /* Removes what an earlier attempt left, and begins. May be called again, to begin anew. */
    enum sync_err (*begin)(void *arg, struct err_ctx *ec);
    /* The batch is lent until the next call returns. */
    enum sync_err (*entries)(void *arg, const struct moved_entry *entries, size_t count,
                             const struct stamp *pruned, struct err_ctx *ec);
    enum sync_err (*finish)(void *arg, const struct import_record *record, struct err_ctx *ec);
    /* Waits until nothing is lent any more, and lets go of what is not finished. Called in any case, as the
     * last. */
    void (*settle)(void *arg);
};

struct restore_request {
    struct object_store *objects;
    const struct object_call *call; /* for each request; may be NULL */
    struct slice database;
    struct slice
        path; /* where its snapshots lie (snapshot_name.h); where none is, they are looked for without */
    uint64_t until_ms;            /* to a point in time, by the servers' wall clocks; 0: all */
    const struct log_source *log; /* NULL: there is none */
    const struct import_target *target;
    struct site_id new_site; /* random: to be used where the old one cannot be kept */
    bool always_new_site;    /* a copy beside the original, or an earlier state of it */
    const struct left_note
        *left; /* how it was when it left this disk; NULL: it did not, as far as is known */
    /* A snapshot was set aside. May be NULL. */
    void (*warn)(void *arg, struct slice key, const struct err_ctx *why);
    void *warn_arg;
};

struct restore_result {
    bool found;         /* false: the object store does not know the database, and nothing was done */
    bool from_snapshot; /* else from the log alone */
    struct snapshot_id snapshot, before; /* before: the good one before it; all zero: none */
    uint64_t snapshot_facts, log_facts;
    uint32_t set_aside; /* snapshots that could not be read */
    bool complete;      /* nothing that was acknowledged can be missing */
    bool keeps_site;    /* it has the server site id that it had before */
    struct import_record record;
};

/* Errors: those of the object store (SYNC_EBUSY: later), of the target, SYNC_EFORMAT (the log is damaged).
 * The target is then left as it is, begun and not finished. */
enum sync_err restore_database(const struct restore_request *q, struct restore_result *ret,
                               struct err_ctx *ec);

#endif
