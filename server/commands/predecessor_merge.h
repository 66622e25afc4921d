/* predecessor_merge.h -- texts of the predecessor, merged into a database: what its batches and the chunks of
 * its snapshots have in common.
 *
 * Threads: one. */
#ifndef SERVER_COMMANDS_PREDECESSOR_MERGE_H
#define SERVER_COMMANDS_PREDECESSOR_MERGE_H

#include "core/json/json.h"
#include "server/commands/predecessor.h"

/* Applies ChangeSets. SYNC_EBADMSG and SYNC_ELIMIT say that they are at fault; other errors are the
 * shard's. */
enum sync_err predecessor_apply(const struct predecessor_import *p, const struct json_value *sets,
                                struct predecessor_result *result, struct err_ctx *ec);

/* One chunk of a snapshot, JSON_PADDING readable bytes behind it. *ret_end: it was the last one. */
enum sync_err predecessor_chunk(const struct predecessor_import *p, struct json_reader *reader,
                                struct slice chunk, struct predecessor_result *result, bool *ret_end,
                                struct err_ctx *ec);

/* The whole snapshot under the key, as a stream. SYNC_EBADMSG, SYNC_ELIMIT: it is at fault, and what came
 * before that is merged. */
enum sync_err predecessor_snapshot(const struct predecessor_import *p, struct slice key,
                                   struct predecessor_result *result, struct err_ctx *ec);

#endif
