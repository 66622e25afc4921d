/* object_work.h -- what the `object` commands share: the object store, stores on disk, restores between them.
 *
 * A command works on its own thread and on a store that it has opened itself, so the server must not run on
 * the same data directory. The object store may be in use by servers.
 *
 * Threads: one. */
#ifndef SERVER_COMMANDS_OBJECT_WORK_H
#define SERVER_COMMANDS_OBJECT_WORK_H

#include "core/config/config.h"
#include "server/hooks/database_place.h"
#include "storage/snapshots/restore.h"
#include "storage/store.h"

#include <limits.h>

struct object_work {
    struct loaded_config loaded;
    struct object_store *objects;
    struct object_call call;
    struct hook_gate hooks; /* those that say where a database lies */
};

/* Reads the configuration as the server does, and opens its object store; argv[0] is not looked at. */
enum sync_err object_work_open(struct object_work *w, int argc, char *const argv[], struct err_ctx *ec);
void object_work_close(struct object_work *w); /* all-zero ones too */

/* Opens a data directory: the configured one, or one of its own below the system's temporary directory, which
 * work_store_close() removes. */
struct work_store {
    struct store *store;
    bool temporary;
    char dir[PATH_MAX];
};
enum sync_err work_store_open(const struct object_work *w, const char *dir, struct work_store *ret,
                              struct err_ctx *ec);
enum sync_err work_store_temporary(struct work_store *ret, struct err_ctx *ec);
void work_store_close(struct work_store *s); /* all-zero ones too */

struct shard *work_shard(struct work_store *s, struct slice database);

/* Restores `database` into the store under the name `as`. until_ms 0: all. Warnings go to stderr.
 * Errors: SYNC_ENOTFOUND when the object store does not know it, and as restore_database(). */
enum sync_err work_restore(struct object_work *w, struct slice database, struct work_store *to,
                           struct slice as, uint64_t until_ms, struct restore_result *ret,
                           struct err_ctx *ec);

/* The shard as a target that works at once. `x` outlives it. */
struct work_target {
    struct shard *shard;
    struct slice database;
};
struct import_target work_target_of(struct work_target *x);

#endif
