/* log_salvage.h -- makes whole logs of damaged ones: what can still be read, and nothing else.
 *
 * LevelDB's own repair reads logs without looking at their checksums, and so would store whatever the damage
 * left. So before it looks, each log is written anew with those records alone that are write batches with a
 * good checksum; their sequence numbers, by which LevelDB orders what it finds, are in them.
 *
 * Threads: no other may have the LevelDB open. */
#ifndef STORAGE_LEVELDB_LOG_SALVAGE_H
#define STORAGE_LEVELDB_LOG_SALVAGE_H

#include "core/base/err.h"

#include <stdint.h>

/* Rewrites the logs of the directory. *ret_bytes: how many bytes were no whole record. The caller keeps a
 * copy. Memory: twice the longest log. Errors: SYNC_EIO, SYNC_ENOMEM. */
enum sync_err log_salvage(const char *dir, uint64_t *ret_bytes, struct err_ctx *ec);

#endif
