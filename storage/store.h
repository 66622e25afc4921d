/* store.h -- where facts rest: a directory with a fixed number of LevelDB instances, the shards.
 *
 * All databases share the shards; a database belongs to the shard its name hashes to, for good, since the
 * number of shards is fixed when the directory is first used. So a million small databases cost no file
 * handle, no open and no eviction, and one sync serves all writers that wait for a shard.
 *
 * The directory holds a file FORMAT (format version, number of shards, the store's random identity) and one
 * LevelDB a shard. An unknown format is refused and nothing is touched. docs/storage-format.md describes
 * every record.
 *
 * Threads: open and close from one; the rest as shard/shard.h and views/view.h say. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_SHARDS_MAX = 64,
    STORE_SHARD_NAME_MAX = sizeof "shard-00",
    STORE_BLOOM_BITS_PER_KEY = 10, /* 1 % of the look-ups of what is not there read a block */
};

#define STORE_SHARD_NAME_FORMAT "shard-%02u"

struct shard;
struct store;

struct store_config {
    const char *dir;           /* made when missing, with its parents */
    uint32_t shards;           /* for a new directory; an existing one keeps its own number */
    bool sync;                 /* does a write return only when the disk has it? */
    bool allow_resurrection;   /* protocol section 3, rule 3 */
    size_t write_buffer_bytes; /* LevelDB's, per shard */
    size_t block_cache_bytes;  /* shared by all shards */
};

#define STORE_CONFIG_DEFAULT                                                                                 \
    {                                                                                                        \
        .shards = 2, .sync = true, .write_buffer_bytes = 4u << 20, .block_cache_bytes = 8u << 20             \
    }

/* Errors: SYNC_EFORMAT (unknown or damaged FORMAT, a shard or acknowledged records damaged), SYNC_ESTORE
 * (LevelDB: also when another process has it open), SYNC_EIO, SYNC_ENOMEM. */
enum sync_err store_open(const struct store_config *cfg, struct store **ret, struct err_ctx *ec);

/* Before a clean end: LevelDB's logs become tables, so that the next start, which would replay them, is quick
 * whatever was written last. Blocks for as long as some MiB take. */
void store_flush(struct store *s);

void store_close(struct store *s); /* takes NULL; no view may be open and no call under way */

/* 32 random bytes that tell this store from every other. */
const uint8_t *store_identity(const struct store *s);

uint32_t store_shard_count(const struct store *s);
struct shard *store_shard(struct store *s, uint32_t index);

/* The shard that a database belongs to. Any thread. */
uint32_t store_shard_of(const struct store *s, struct slice database);

/* The same for a store of so many shards. */
uint32_t store_hash(struct slice database, uint32_t shards);

#endif
