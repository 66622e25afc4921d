/* database_place.h -- where a database's snapshots lie in the object store, as the hooks have it.
 *
 * Without a hook that has storage_path it is the usual place, and nobody is asked. A hook gives the same
 * answer each time: what lies elsewhere is not found. The shared log knows databases by their names and lies
 * where it lies.
 *
 * Threads: any that may block as long as a hook may; no loop and no store thread. */
#ifndef SERVER_HOOKS_DATABASE_PLACE_H
#define SERVER_HOOKS_DATABASE_PLACE_H

#include "server/hooks/hook_gate.h"
#include "storage/snapshots/snapshot_name.h"

struct database_place {
    struct snapshot_place at; /* points at path, so this stays where it is; and at the caller's database */
    char path[STORAGE_PATH_MAX + 1];
};

/* Errors, after which nothing is to be done with the database's objects: as of hook_gate_storage_path(), and
 * SYNC_EBADMSG, SYNC_ELIMIT for a path that does not make keys. */
enum sync_err database_place_find(struct hook_gate *hooks, struct slice database, struct database_place *ret,
                                  struct err_ctx *ec);

/* For commands, which ask hooks nothing else: loads those of the configured hooks that have storage_path.
 * What they log goes to stderr. Errors: as of hook_gate_open(). hook_gate_close() is fine after a failure. */
enum sync_err database_place_open_hooks(struct hook_gate *g, const struct config *config, struct err_ctx *ec);

#endif
