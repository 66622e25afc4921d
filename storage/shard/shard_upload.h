/* shard_upload.h -- how far a database's arrival log has been uploaded to the shared log.
 *
 * The arrival log is the queue: what waits are its entries behind the database's position. A database that
 * has any has a mark, a small key of the shard that holds its name and the position, so that the databases
 * that wait are found without looking at the others. A batch that makes a database wait puts the mark in its
 * own write; the mark goes when an upload has reached the database's newest stamp. No mark: all of it is
 * uploaded, or came from there (shard_import.h).
 *
 * Positions may be lost by a crash, since they are written without a sync: then what they stood for is
 * uploaded once more. They are never ahead of what is in the shared log.
 *
 * Threads: as each function says. */
#ifndef STORAGE_SHARD_SHARD_UPLOAD_H
#define STORAGE_SHARD_SHARD_UPLOAD_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"
#include "storage/shard/shard.h"
#include "storage/views/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- any thread: which databases wait, as of one point in time */

struct waiting_database {
    uint32_t number; /* of the database, in the order of which they are scanned */
    char name[DATABASE_ID_MAX];
    size_t name_len;
    struct stamp position; /* everything up to it is uploaded */
    uint64_t since_ms;     /* wall clock: when it began to wait */
};

struct waiting_scan;

/* Those with this number and above. Errors: SYNC_ESTORE, SYNC_ENOMEM. */
enum sync_err waiting_scan_open(struct shard *sh, uint32_t from, struct waiting_scan **ret,
                                struct err_ctx *ec);
void waiting_scan_close(struct waiting_scan *s); /* takes NULL */

/* *ret_found is false at the end. Errors: SYNC_ESTORE, SYNC_EFORMAT. */
enum sync_err waiting_scan_next(struct waiting_scan *s, struct waiting_database *ret, bool *ret_found,
                                struct err_ctx *ec);

/* Does this database wait? *ret_position (may be NULL) is set if so. */
enum sync_err shard_is_waiting(struct shard *sh, struct slice database, bool *ret, struct stamp *ret_position,
                               struct err_ctx *ec);

/* ---- the shard's own thread */

struct upload_position {
    struct slice database;
    struct stamp position;
};

/* What the shard knows of the shared log: shard 0 keeps it, for each partition. */
enum { LOG_IDENTITY_BYTES = 16 };
struct log_state {
    uint8_t identity[LOG_IDENTITY_BYTES]; /* of the log that the positions are about */
    uint64_t sequence;                    /* of the newest object that is confirmed */
};

/* Moves the positions, and the state of the partition where one is given, in one write without a sync. A
 * database that is not here is left out, and a position never goes back. */
enum sync_err shard_uploaded(struct shard *sh, const struct upload_position *positions, size_t count,
                             uint32_t partition, const struct log_state *state, struct err_ctx *ec);

/* The same for the state alone, as durable as any batch. */
enum sync_err shard_put_log_state(struct shard *sh, uint32_t partition, const struct log_state *state,
                                  struct err_ctx *ec);

/* Has everything of the database uploaded (again): what was brought in from elsewhere than the shared log. */
enum sync_err shard_wait_from_start(struct shard *sh, struct slice database, uint64_t now_ms,
                                    struct err_ctx *ec);

/* Everything written so far is on the disk, where a batch is not synced by itself. */
enum sync_err shard_sync(struct shard *sh, struct err_ctx *ec);

/* ---- any thread */

enum sync_err shard_get_log_state(struct shard *sh, uint32_t partition, struct log_state *ret,
                                  bool *ret_found, struct err_ctx *ec);

#endif
