/* store_check.h -- looks through a whole store, and mends what a bad disk left of one.
 *
 * Verifying changes nothing: each shard is opened as a copy beside it (DIR/verify.tmp, where tables are links
 * and cost no space), which is removed again. What a crash left at the end of a log is no damage: the next
 * start cuts it off.
 *
 * Repairing first puts what it is about to change into DIR/lost-N, so that no byte is gone for good, then has
 * LevelDB build each damaged shard from every table and log that can still be read, and then makes facts and
 * log entries whole from each other (shard_check.h). Databases of a shard in which bytes were unreadable, and
 * all those in which something did not agree, get a new server site id. While a repair is under way, or when
 * one was cut off, the file DIR/REPAIRING stands and the server does not start.
 *
 * Threads: any one. No server may use the directory; both lock it. */
#ifndef STORAGE_CHECK_STORE_CHECK_H
#define STORAGE_CHECK_STORE_CHECK_H

#include "core/base/err.h"
#include "storage/check/shard_check.h"

#include <stdint.h>

#define STORE_REPAIRING_NAME "REPAIRING"

/* *ret_problems: how many were found, each reported as a line, after which follows a line of counts for each
 * shard. Errors: SYNC_ENOTFOUND where there is no store, SYNC_EFORMAT for one of a format this build does not
 * know, SYNC_ESTORE while a server uses it, SYNC_EIO, SYNC_ENOMEM. */
enum sync_err store_verify(const char *dir, const struct check_report *report, uint64_t *ret_problems,
                           struct err_ctx *ec);

/* On SYNC_OK the store verifies. A store without problems is left as it is. Errors: as above, and
 * SYNC_EFORMAT where it cannot be mended; what there was is in DIR/lost-N then. */
enum sync_err store_repair(const char *dir, const struct check_report *report, struct err_ctx *ec);

#endif
