/* shard_internal.h -- the parts of a shard, and the group of changes that its public functions are made of.
 *
 * A group: begin, find databases and decide (into the overlay), commit. Whatever fails on the way is undone
 * by overlay_rollback(); commit writes all of it or nothing.
 *
 * Threads: the shard's own. */
#ifndef STORAGE_SHARD_SHARD_INTERNAL_H
#define STORAGE_SHARD_SHARD_INTERNAL_H

#include "storage/format_file.h"
#include "storage/leveldb/instance.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"
#include "storage/shard/database_cache.h"
#include "storage/shard/import_hold.h"
#include "storage/shard/overlay.h"
#include "storage/shard/row_filter.h"
#include "storage/shard/row_learner.h"
#include "storage/shard/shard.h"

struct shard_config {
    const char *dir;
    const leveldb_options_t *options; /* outlives the shard */
    bool sync;
    bool allow_resurrection;
    size_t write_buffer_bytes;              /* as in options */
    uint8_t identity[STORE_IDENTITY_BYTES]; /* of the store */
    uint64_t hash_seed;
    size_t database_cache_max;
};

struct shard {
    struct shard_config config;
    struct instance *instance;
    struct database_cache cache;
    struct row_filter rows; /* of what LevelDB holds; the group's own are in its overlay */
    struct row_learner learner;
    struct import_holds holds; /* of the databases that come in */
    _Atomic bool closed;       /* a write failed, and opening LevelDB again did not work out yet */
    uint32_t number_last;      /* given to a database, as LevelDB knows it */
    _Atomic uint64_t database_count;
    _Atomic uint64_t open_count;
};

enum sync_err shard_open(const struct shard_config *cfg, struct shard **ret, struct err_ctx *ec);
void shard_close(struct shard *sh); /* takes NULL */

/* The server site id that a database begins with: the first 16 bytes of SHA-256(store identity, name). It
 * follows from the store and the name alone, so that a handshake, which tells it, needs no write and does not
 * have to wait for one; and it differs from store to store, so that a client that is moved to another server
 * does not take that one's watermarks for this one's. Once written, the record's own counts.
 * Errors: SYNC_ENOMEM. */
enum sync_err shard_first_site(const struct shard *sh, struct slice database, struct site_id *ret,
                               struct err_ctx *ec);

struct group {
    struct shard *sh;
    struct overlay overlay;
    struct database *touched; /* linked by touched_next */
    uint32_t number_last;     /* with the group's new databases */
    bool lazy;                /* its write need not be synced */
    /* The cells of one database, opened when the first delete looks for its row's. */
    struct reader *reader;
    struct scan *scan;
    uint32_t scan_number;
};

/* Opens LevelDB again when an earlier failure left it closed. Errors: SYNC_ESTORE. The group is to be ended
 * in any case. */
enum sync_err group_begin(struct group *g, struct shard *sh, struct err_ctx *ec);
void group_end(struct group *g);

/* The database's record, touched by the group; one never written to has exists false, number 0 and its first
 * site id. Errors: SYNC_ELIMIT (name), SYNC_ESTORE, SYNC_EFORMAT, SYNC_ENOMEM. */
enum sync_err group_database(struct group *g, struct slice name, struct database **ret, struct err_ctx *ec);

/* Sets d->waiting as LevelDB says. */
enum sync_err database_load_waiting(struct shard *sh, struct database *d, struct err_ctx *ec);

/* The database waits for its upload from now on, if it does not yet: up to `position` it needs none. */
enum sync_err group_wait(struct group *g, struct database *d, const struct stamp *position, uint64_t now_ms,
                         struct err_ctx *ec);

/* SYNC_EBUSY unless it is live: for whoever writes on behalf of clients. One that does not exist is. */
enum sync_err database_check_live(const struct database *d, struct err_ctx *ec);

/* Writes what the group decided, if anything. A changed database that does not exist any more loses its
 * record. On failure nothing of it is remembered, and a failed write makes the shard open its LevelDB again.
 * Errors: SYNC_ESTORE, SYNC_ENOMEM. */
enum sync_err group_commit(struct group *g, struct err_ctx *ec);

/* The same in two writes, each synced as the store is: first everything but log entries, then these. Only for
 * what counts for nothing until something else is written; no database's record may have changed. */
enum sync_err group_commit_apart(struct group *g, struct err_ctx *ec);

#endif
