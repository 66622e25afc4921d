/* log_check.h -- what a crash left of a LevelDB's logs, looked at before LevelDB reads them.
 *
 * A power cut can leave anything in the bytes that were on their way to the disk: nothing, a part, zeros, a
 * hole in the middle. Those bytes are the end of the newest log (or of the MANIFEST), and none of them was
 * acknowledged where every group is synced. LevelDB opens over some such ends and fails at others, and where
 * acknowledged records in the middle are damaged it drops them without a word in some cases. So:
 *
 *     torn end      behind the last whole record there is no whole one any more, neither in this log nor in a
 *                   later one. It is copied into the file TORN beside the log, replacing an older one there,
 *                   and cut off. Then LevelDB opens.
 *     damage        something is not whole and whole records stand behind it. Refused: nothing is changed.
 *
 * A damaged last record that was once whole cannot be told from a torn one; TORN keeps it.
 *
 * Logs that the MANIFEST says are no longer read are not looked at: they may be in any state. A directory
 * with data and without CURRENT is refused, since LevelDB would begin anew there and sweep the data away.
 *
 * Threads: no other may have the LevelDB open. */
#ifndef STORAGE_LEVELDB_LOG_CHECK_H
#define STORAGE_LEVELDB_LOG_CHECK_H

#include "core/base/err.h"

#include <stdint.h>

/* *ret_torn_bytes: how many were cut off. A directory that does not exist is in order.
 * Errors: SYNC_EFORMAT (damage), SYNC_EIO, SYNC_ENOMEM. */
enum sync_err log_check(const char *dir, uint64_t *ret_torn_bytes, struct err_ctx *ec);

#endif
