/* log_known.h -- which databases may occur in a partition of the shared log: a filter in memory.
 *
 * It is filled once from the heads of all that is there, and then by the server that writes the log, which is
 * the only one. So a database that it does not know is not in the log, and nobody has to look. It can err the
 * other way: a database may seem to be there that is not, or not any more, and is then looked for in vain.
 * How often depends on its size: with 10 bits for a database about one look-up in a hundred.
 *
 * Threads: fill on one; add and ask on any. */
#ifndef STORAGE_SHAREDLOG_LOG_KNOWN_H
#define STORAGE_SHAREDLOG_LOG_KNOWN_H

#include "storage/sharedlog/log_list.h"

struct log_known;

/* Takes about `bytes`, a power of two or the next lower one, at least 64. Errors: SYNC_ENOMEM. */
enum sync_err log_known_new(size_t bytes, struct log_known **ret, struct err_ctx *ec);
void log_known_free(struct log_known *k); /* takes NULL */

/* Reads all heads. From the beginning on, whatever is uploaded is added; after it the filter answers. Errors:
 * as log_part_head(), also SYNC_ENOTFOUND when the log changed meanwhile; it may be called again. */
enum sync_err log_known_fill(struct log_known *k, struct object_store *s, const struct object_call *call,
                             uint32_t partition, struct err_ctx *ec);

/* The database is in what is going to be uploaded. */
void log_known_add(struct log_known *k, struct slice database);

/* False: it is not in the log. NULL and a filter that is not filled say true. */
bool log_known_may_have(struct log_known *k, struct slice database);

#endif
