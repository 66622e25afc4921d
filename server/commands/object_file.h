/* object_file.h -- a database as a file: the same bytes as a stored snapshot
 * (storage/snapshots/snapshot_line.h).
 *
 * Threads: one. */
#ifndef SERVER_COMMANDS_OBJECT_FILE_H
#define SERVER_COMMANDS_OBJECT_FILE_H

#include "server/commands/object_work.h"

/* Writes all of the database to a new file; there must be none of that name. */
enum sync_err object_file_write(struct work_store *from, struct slice database, const char *path,
                                struct err_ctx *ec);

/* Makes a new database of a file, with a server site id of its own. Errors: SYNC_EBUSY when there is one of
 * that name; SYNC_EFORMAT for a file that is no such snapshot, of which nothing is kept. */
enum sync_err object_file_read(struct work_store *to, struct slice database, const char *path,
                               uint64_t *ret_facts, struct err_ctx *ec);

#endif
