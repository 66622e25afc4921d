/* presence.h -- is the database on this machine? Who uses one enters it first, and leaves it after.
 *
 *     unknown --enter--> looking --here--> here <--------.
 *                           |                 \--evicting--> unknown
 *                           `--> restoring --> here (restored, or new: in no object store either)
 *
 * Without an object store every database is here, and none of this costs anything. With one, the first who
 * enters has it looked for: in the shard, and if it is not there in the object store, from where it is
 * restored while others go on. Whoever enters meanwhile waits for the same. When the object store cannot be
 * reached they are refused: a database that is not here may be there, and must not begin anew.
 *
 * A database that somebody is in is not evicted. A batch is in it by itself, from when it is given to hooks
 * or the shard until it is answered: it may outlive the exchange or the session that brought it, and must not
 * reach the shard after the database has left that, where it would begin anew.
 *
 * Memory: an entry for each database in use, and for up to PRESENCE_IDLE_MAX that were.
 *
 * Threads: any, unless a function says otherwise. */
#ifndef SERVER_STORE_PRESENCE_H
#define SERVER_STORE_PRESENCE_H

#include "core/base/slice.h"
#include "server/net/job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

enum {
    PRESENCE_IDLE_MAX = 65536, /* entries kept of databases that nobody is in */
    PRESENCE_BUCKETS = 16384,
};

/* Embedded in whoever may have to wait, malloc'ed as a whole. */
struct presence_wait {
    struct job job; /* first; home and done are set by the waiter. rc SYNC_OK: it has entered */
};

struct presence_entry;

struct presence {
    struct server *server;
    bool enabled;
    pthread_mutex_t lock; /* guards the table; never held across I/O */
    struct presence_entry **buckets;
    struct presence_entry *newest, *oldest; /* of those that nobody is in, by last use */
    size_t idle_count;
    uint64_t forgotten_ms; /* monotonic: those without an entry were last used no later than that */
    atomic_bool stopping;  /* cancels restores */
};

enum sync_err presence_start(struct presence *p, struct server *server, struct err_ctx *ec);
void presence_cancel(struct presence *p); /* restores end soon, and who waits is refused */
void presence_stop(struct presence *p);   /* nobody waits any more; all-zero ones too */

/* True: the database is here, and the caller is in it; `w` stays the caller's. False: `w` was taken and comes
 *
 * home. */
bool presence_enter(struct presence *p, struct slice database, struct presence_wait *w);
void presence_leave(struct presence *p, struct slice database);

/* The caller, or whom it works for, is in the database: enters it once more. */
void presence_hold(struct presence *p, struct slice database);

/* ---- eviction, on a thread of its own. now_ms is monotonic. */

/* Is nobody in the database, and was nobody for idle_ms? */
bool presence_is_idle(struct presence *p, struct slice database, uint64_t now_ms, uint64_t idle_ms);
/* The same; and whoever enters from then on waits until presence_evicted(). */
bool presence_begin_evicting(struct presence *p, struct slice database, uint64_t now_ms, uint64_t idle_ms);
/* Does somebody wait for it? Then it is better given up. */
bool presence_is_wanted(struct presence *p, struct slice database);
/* It is gone, or stays after all. */
void presence_evicted(struct presence *p, struct slice database, bool gone);

#endif
