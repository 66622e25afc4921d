/* dir_copy.h -- a second directory with the content of a LevelDB's.
 *
 * Tables never change once they are written, so they are linked and cost no space; logs, MANIFEST and the
 * rest are copied, since whoever opens the copy may cut or replace them. Where the file system has no links
 * tables are copied as well.
 *
 * Threads: no other may have the LevelDB open. */
#ifndef STORAGE_LEVELDB_DIR_COPY_H
#define STORAGE_LEVELDB_DIR_COPY_H

#include "core/base/err.h"

#include <stddef.h>

/* Makes `to`, which does not exist, with all plain files of `from`. On success all of it is on disk; a
 * failure may leave a part. Errors: SYNC_EIO. */
enum sync_err dir_copy(const char *from, const char *to, struct err_ctx *ec);

/* Writes a file anew: beside, synced, then renamed. Errors: SYNC_EIO. */
enum sync_err dir_replace_file(const char *dir, const char *name, const void *bytes, size_t len,
                               struct err_ctx *ec);

/* Removes the directory with its plain files, and the directories in it that have only such. One that is not
 * there is in order. Errors: SYNC_EIO. */
enum sync_err dir_remove(const char *dir, struct err_ctx *ec);

#endif
