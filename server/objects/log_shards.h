/* log_shards.h -- how the uploader reaches the shards: work for their own threads, waited for.
 *
 * Threads: the uploader's; blocks. */
#ifndef SERVER_OBJECTS_LOG_SHARDS_H
#define SERVER_OBJECTS_LOG_SHARDS_H

#include "storage/sharedlog/log_writer.h"

/* The callbacks of struct log_writer_config; arg is a struct log_uploader. */
enum sync_err log_shards_uploaded(void *arg, uint32_t shard, const struct upload_position *positions,
                                  const bool *complete, size_t count, const struct log_state *state,
                                  struct err_ctx *ec);
enum sync_err log_shards_put_state(void *arg, const struct log_state *state, struct err_ctx *ec);
enum sync_err log_shards_wait_from_start(void *arg, struct slice database, struct err_ctx *ec);
enum sync_err log_shards_sync(void *arg, uint32_t shard, struct err_ctx *ec);

#endif
