/* coordinator.h -- the part of a server that takes part in elections and does the work of the cluster.
 *
 *     election thread(s) -- io threads -- object store
 *        | elected, demoted
 *     one thread a task      tickets' thread
 *
 * A thread of its own first asks the store whether its conditional writes are honest, as often as it takes
 * until the store answers; a store that is not is never led on, which the log says. Then the elections start.
 * The server serves meanwhile: nothing of syncing waits for any of this.
 *
 * Threads: new, start, stop and free on the main thread; the rest from any. */
#ifndef SERVER_COORDINATOR_COORDINATOR_H
#define SERVER_COORDINATOR_COORDINATOR_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct server;

enum {
    COORDINATOR_STATUS_BYTES_MAX = 4 << 20
}; /* a thousand workers in each of the most elections there are */

/* Before the loops open, since they show it; coordinator_free() is the caller's. */
enum sync_err coordinator_new(struct server *s, struct coordinator **ret, struct err_ctx *ec);

/* When the server listens; its object store stays open until coordinator_stop() has returned. */
enum sync_err coordinator_start(struct coordinator *c, struct err_ctx *ec);

/* Stops the tasks, then leaves the elections, which lets the next instance lead at once; at most for about
 * within_ms. NULL does nothing. */
void coordinator_stop(struct coordinator *c, uint32_t within_ms);
void coordinator_free(struct coordinator *c); /* when nobody asks any more */

/* Does the leader say when tombstones are swept, snapshots taken and the object store cleaned up? Else each
 * instance does that when it thinks fit. c may be NULL. */
bool coordinator_hands_out_work(struct coordinator *c);

/* A hint came in; false: it is not for this process. */
bool coordinator_hint(struct coordinator *c, struct slice header_value);

/* GET coordinator: everything this instance knows, as the answer's data. c may be NULL. */
void coordinator_status_put(struct coordinator *c, struct buf *out);

/* Brings the metrics of elections up to date. c may be NULL. */
void coordinator_scrape(struct coordinator *c);

#endif
