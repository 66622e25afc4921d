/* shard_import.h -- a database comes in from elsewhere, or leaves: on the shard's own thread, in steps.
 *
 *     absent --begin--> RESTORING --entries*--> --finish--> LIVE
 *     LIVE --leave--> LEAVING --remove*--> absent
 *     RESTORING --remove*--> absent
 *
 * What comes in are the facts that are current, in the order of their stamps, each with its own stamp, priors
 * and createdAt. Written in that order, each in place of what stands there, they make the same cells,
 * tombstones, migrations and the same log that they were read from: a cell that a delete took away comes
 * before that delete or not at all. Facts that were replaced later may be among them; they do no harm.
 *
 * The state is in the database's record and as durable as the facts. Nobody reads or writes a database that
 * is not LIVE (view_open and shard_apply say SYNC_EBUSY), so a crash in the middle shows nobody a part: what
 * was RESTORING or LEAVING is removed and begun again from nothing.
 *
 * What comes in is held back until it is much enough to be written well (import_hold.h), so most steps write
 * nothing and some write as much as two memtables hold; each other step is one LevelDB write. Nothing of it
 * counts before shard_import_finish() has written the rest together with the state.
 *
 * Threads: the one that owns the shard. */
#ifndef STORAGE_SHARD_SHARD_IMPORT_H
#define STORAGE_SHARD_SHARD_IMPORT_H

#include "storage/records/moved.h"
#include "storage/records/record.h"
#include "storage/shard/shard.h"

enum {
    SITES_ASKED_MAX = 100000, /* remembered per database; then it asks no more */
    REMOVE_KEYS_MAX = 5000,   /* of one step: well below what a group of batches writes */
};

/* What the database is to be known by from now on. */
struct import_record {
    struct site_id server_site;
    struct stamp last, pruned; /* last: not below the last entry's, which it becomes otherwise */
    bool asks;                 /* its end may be missing: sites are asked for what they have */
};

/* Errors: SYNC_EBUSY when the database is here already, in whatever state. */
enum sync_err shard_import_begin(struct shard *sh, struct slice database, struct err_ctx *ec);

/* Entries in the order of their stamps, all of them above what came before; facts have their keys
 * (core/facts/fact.h). `pruned`: how far retention had gone where these entries were accepted. A cell that
 * came after its row's tombstone had been removed there takes that tombstone with it here; zero: none had
 * been. Errors: SYNC_EFORMAT (order, or no import has begun), SYNC_ESTORE, SYNC_ENOMEM, SYNC_ELIMIT. After
 * one the database is to be removed, and its import begun again. */
enum sync_err shard_import_entries(struct shard *sh, struct slice database, const struct moved_entry *entries,
                                   size_t count, const struct stamp *pruned, struct err_ctx *ec);

/* Makes it LIVE. Errors: as above. */
enum sync_err shard_import_finish(struct shard *sh, struct slice database, const struct import_record *record,
                                  struct err_ctx *ec);

/* The import is given up: frees what it holds back. What was written waits for shard_remove_step(). */
void shard_import_forget(struct shard *sh, struct slice database);

/* Marks it LEAVING, if it is LIVE, nothing was accepted since `last`, and nothing waits for its upload; else
 * *ret_leaving is false. The caller knows that the object store has everything up to `last`. */
enum sync_err shard_leave(struct shard *sh, struct slice database, const struct stamp *last,
                          bool *ret_leaving, struct err_ctx *ec);

/* Removes up to keys_max keys of a database that is RESTORING or LEAVING; with the last of them its record
 * goes, and *ret_gone is true; of one that was LEAVING a note stays (left_note.h). One that is not here is
 * gone. Not synced: it begins with a mark that is. Errors: SYNC_EBUSY when it is LIVE. */
enum sync_err shard_remove_step(struct shard *sh, struct slice database, size_t keys_max, bool *ret_gone,
                                struct err_ctx *ec);

/* The site has told all that it has. Does nothing where the database asks nobody. */
enum sync_err shard_site_asked(struct shard *sh, struct slice database, const struct site_id *site,
                               struct err_ctx *ec);

/* What is here of a database, also of one that is not LIVE. */
enum sync_err shard_database_state(struct shard *sh, struct slice database, bool *ret_exists,
                                   enum database_state *ret, struct err_ctx *ec);

#endif
