/* eviction.h -- idle databases leave the disk, once the object store provably has all of them.
 *
 * Idle: no session, no request, nothing on its way to the shard, for diskEviction.idleMs (store/presence.h).
 * Such a one goes like this:
 *
 *   1. prove    nothing of it waits for its upload, a verified snapshot has everything up to its last stamp
 *               (one is taken if need be), and that object is there when asked for now, and not set aside
 *   2. close    whoever comes from here on waits (presence_begin_evicting); this fails when somebody came
 *   3. leave    on the shard's own thread, in one step: the last stamp and the note of the snapshot are still
 *               those of the proof, and nothing waits; only then it is marked LEAVING
 *   4. remove   a few keys at a time, between the batches of others, until it is gone or somebody waits
 *
 * Before step 3 giving up costs nothing. A write that comes before it makes it refuse; one that comes after
 * it waits in step 2's line, and then for the restore. After it the database counts as not here: a crash in
 * step 4 leaves a rest that nobody is served, which the next who asks, or the next round, removes. With the
 * last key a note of how it was is written (storage/shard/left_note.h), so that it keeps its server site id.
 *
 * One at a time, on a thread of its own, which also removes what interrupted restores and removals left.
 * Without diskEviction.enabled it does only that, once.
 *
 * Threads: start and stop on the main thread. */
#ifndef SERVER_OBJECTS_EVICTION_H
#define SERVER_OBJECTS_EVICTION_H

#include "core/base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct server;

enum {
    EVICT_KEYS_MAX = 1000,           /* removed in one step: a few ms of the shard's thread */
    EVICT_ROUND_MS_MIN = 250,        /* between two looks at all databases; else a quarter of the idle time */
    EVICT_ROUND_MS_MAX = 15 * 60000, /* so a database may stay for that much longer */
    EVICT_FAILURES_MAX = 3,          /* in a row end a round: the object store is away, probably */
};

struct eviction {
    struct server *server;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards nothing but the wait for `stopping` */
    pthread_cond_t changed;
    atomic_bool stopping; /* cancels calls */
};

/* Once store threads, presence and snapshots run. Does nothing where databases do not go to the object
 * store. */
enum sync_err eviction_start(struct eviction *e, struct server *server, struct err_ctx *ec);

/* Soon, while the store threads still run; all-zero ones too. */
void eviction_stop(struct eviction *e);

#endif
