/* restoring.h -- has a database that is not on this disk brought back from the object store. */
#ifndef SERVER_OBJECTS_RESTORING_H
#define SERVER_OBJECTS_RESTORING_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdatomic.h>

struct server;

/* SYNC_OK: it is here now, or it is new. Blocks; on a thread for the object store. What happened is logged
 * and counted. Errors: SYNC_EBUSY (later: the object store cannot be reached), SYNC_ECANCELED, SYNC_EFORMAT
 * (the log is damaged), and what else the object store and the shard say. */
enum sync_err restoring_run(struct server *s, struct slice database, const atomic_bool *cancel,
                            struct err_ctx *ec);

#endif
