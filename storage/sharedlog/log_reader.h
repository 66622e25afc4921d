/* log_reader.h -- one database's part of the shared log: every entry behind a stamp, one after the other.
 *
 * The log's objects and segments are listed once; of each only its index and the database's own section are
 * read, by range. What is handed out comes in the order of stamps, each stamp once: a section that was
 * written twice (by a server that crashed before it had noted the first one) shows only once, and an object
 * that a segment replaces is not looked at. When objects go into a segment or are deleted while this reads,
 * it lists again and goes on where it was. A number that is missing between two that are there is damage:
 * SYNC_EFORMAT.
 *
 * An entry is what the server accepted with that stamp, so it replaces whatever stands under its identity: a
 * delete takes its row's cells along. What was overwritten before it was uploaded never came into the log.
 * Retention leaves no entry; a section's `pruned` tells how far it had gone when the section was written: a
 * cell of a row whose tombstone has a stamp <= `pruned` of the cell's section proves that the tombstone had
 * been removed before the cell came (unless the server allows resurrection).
 *
 * Memory: one index and one piece of a section (LOG_READER_PIECE_BYTES, or a single larger entry).
 *
 * Threads: one at a time; blocks, so job threads only. */
#ifndef STORAGE_SHAREDLOG_LOG_READER_H
#define STORAGE_SHAREDLOG_LOG_READER_H

#include "core/facts/site_id.h"
#include "storage/objects/object_store.h"
#include "storage/records/moved.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOG_READER_PIECE_BYTES = 1 << 20 };

struct log_reader;

/* What the log says about the database, with what has been read so far; final once the end was reached. */
struct log_summary {
    bool found; /* any section of the database in what is left of the log, old ones included */
    struct site_id server_site; /* of its newest section */
    struct stamp last;   /* up to where its newest section is complete: the stamp of the newest batch that
                            reached the log. Can be above the last entry's, whose fact was overwritten */
    struct stamp pruned; /* of its newest section */
    uint64_t wall_ms;    /* when the newest section was written, by that server's clock */
    bool gap;            /* not everything behind `after` is in what is left of the log */
    uint64_t sequence;   /* of the log's newest object, whichever database it is of */

    /* `closed`: every server that wrote the log since the database's newest section or its snapshot
     * (log_reader_has_snapshot()), and the one that wrote that, has stopped cleanly, when everything that it
     * ever accepted had been uploaded; or it is the very one that reads (log_reader_is_of()).
     * `object_durable`: every server that wrote the log, or where there is a snapshot: since that,
     * acknowledged only what was in the log (--durability object). Where neither is set, the database's tail
     * may be lost, and it needs a new server site id (protocol section 8.6). */
    bool closed;
    bool object_durable;
};

/* `after` NULL: everything that is left of the log. until_ms 0: no limit; else only what was written into the
 * log up to that wall time (of the servers that wrote it): for restores to a point in time.
 * Errors: as object_store.h, SYNC_EFORMAT (no log, damaged, of another format). A database that the log does
 * not know is no error. `partitions` comes from log_meta_read(). `call` may be NULL; its time is for each
 * request, and it outlives the reader. */
enum sync_err log_reader_open(struct object_store *s, const struct object_call *call, uint32_t partitions,
                              struct slice database, const struct stamp *after, uint64_t until_ms,
                              struct log_reader **ret, struct err_ctx *ec);
void log_reader_close(struct log_reader *r); /* takes NULL */

/* This start of a server reads, LOG_RUN_BYTES: what it has written and not closed is no loss, since what it
 * accepted of a database that is restored it accepted before that left. Called before the first entry. */
void log_reader_is_of(struct log_reader *r, const uint8_t *run);

/* The database is restored from a snapshot that this start of a server took, so it was there: what went
 * before is in the snapshot. The log may hold no section any more that says so. NULL: it is not known. Called
 * before the first entry. */
void log_reader_has_snapshot(struct log_reader *r, const uint8_t *run);

/* The next entry, good until the next call, and `pruned` of its section. *ret_found is false at the end. */
enum sync_err log_reader_next(struct log_reader *r, struct moved_entry *ret, struct stamp *ret_pruned,
                              bool *ret_found, struct err_ctx *ec);

void log_reader_summary(const struct log_reader *r, struct log_summary *ret);

#endif
