/* object_walk.h -- everything that a list has, page after page.
 *
 * What is created or deleted meanwhile may be in it or not, as the service has it; what is there all the time
 * is in it once. Memory: one page.
 *
 * Threads: any; blocks. */
#ifndef STORAGE_OBJECTS_OBJECT_WALK_H
#define STORAGE_OBJECTS_OBJECT_WALK_H

#include "storage/objects/object_store.h"

/* Calls `each` for every entry, in key order; the entry is borrowed until it returns. Anything but SYNC_OK of
 * it ends the walk, which returns that code. `query`: its continuation is none of the caller's. Errors: as
 * object_list(), as `each`. */
enum sync_err object_walk(struct object_store *s, const struct object_call *call,
                          const struct object_query *query,
                          enum sync_err (*each)(void *arg, const struct object_entry *e, struct err_ctx *ec),
                          void *arg, struct err_ctx *ec);

#endif
