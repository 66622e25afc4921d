/* shard_check.h -- does what a shard's LevelDB holds make sense, and what of it can be made whole?
 *
 * Every fact rests in two places (records/record.h), so most of what is missing in one can be made from the
 * other:
 *
 *     found                                              mended by
 *     a record under its own key, no entry in the log    an entry made from the record
 *     an entry in the log, no record                     a record made from the entry; where the fact was
 *                                                        deleted later the entry goes
 *     both, and they differ                              the one with the later stamp counts
 *     a cell of a row that was deleted after it          the cell goes
 *     migrations and their index                         the index is made from the migrations
 *     a database's record behind its facts               raised
 *     facts whose database's record is gone              a record with a made up name, "recovered-..."
 *
 * A database in which anything was mended gets a new server site id, and so do all where `renew` says so:
 * nobody can tell what else was lost with what was found, and a client to which the site id is new gets
 * everything and sends everything it has (protocol section 8.6).
 *
 * One walk in the order of the keys, with look-ups on the way: memory is a record, and a bit for each
 * database. Keys of kinds that this build does not know are left alone.
 *
 * Threads: no other uses the instance. */
#ifndef STORAGE_CHECK_SHARD_CHECK_H
#define STORAGE_CHECK_SHARD_CHECK_H

#include "core/base/err.h"
#include "storage/leveldb/instance.h"

#include <stdbool.h>
#include <stdint.h>

enum { CHECK_PROBLEMS_SHOWN_MAX = 100 }; /* of one shard; the rest is counted */

struct check_report {
    void (*line)(void *arg, const char *text); /* without a line end */
    void *arg;
};

struct shard_check {
    struct instance *instance;
    const char *name; /* "shard-00": begins each line */
    uint32_t index, shards;
    bool repair;
    bool renew; /* every database gets a new server site id; with repair */
    const struct check_report *report;
};

struct shard_counts {
    uint64_t databases, cells, tombstones, migrations, log_entries, unknown;
    uint64_t problems; /* each was reported, up to CHECK_PROBLEMS_SHOWN_MAX */
};

/* SYNC_OK with problems counted, or mended. Errors: SYNC_EFORMAT where LevelDB itself cannot read on,
 * SYNC_ESTORE, SYNC_ENOMEM, SYNC_EIO. */
enum sync_err shard_check(const struct shard_check *c, struct shard_counts *ret, struct err_ctx *ec);

#endif
