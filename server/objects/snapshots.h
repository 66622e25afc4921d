/* snapshots.h -- takes snapshots of databases to the object store when they are due.
 *
 * Due is a database that has changed since its last snapshot, and
 *   - has been quiet for object.snapshotIntervalMs (a little spread), or
 *   - has had object.snapshotChanges changes, or
 *   - has waited for SNAPSHOT_WAIT_MS_MAX.
 * So what is written once a second costs a snapshot now and then, not one every few minutes: the shared log
 * has it meanwhile. After each a database rests for SNAPSHOT_REST times as long as that took, at most
 * SNAPSHOT_REST_MS_MAX, whatever is due: a snapshot has all of it, and of a large one that is written to all
 * the time they would never end. What is asked for does not rest. A few are taken at once, by threads of
 * their own, from views: writers are not stopped. A snapshot counts when it has been read back; then those
 * beyond object.snapshotsRetained are deleted, and it is noted (storage/shard/snapshot_note.h) for the log's
 * clean-up.
 *
 * Where several instances share the object store and one of them leads, it says when (server/coordinator/):
 * what is due by time then waits for the leader's next round, in which each instance takes its own,
 * snapshots_take_round(). What has had many changes does not wait for it, since a restore would have to
 * read them all again from the log; nor does what was asked for. Should no round come any more, an instance
 * takes by itself what has been due for SNAPSHOT_ROUNDS_MISSED rounds.
 *
 * Threads: start and stop on the main thread, the rest any. */
#ifndef SERVER_OBJECTS_SNAPSHOTS_H
#define SERVER_OBJECTS_SNAPSHOTS_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/hlc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct dirty;

enum {
    SNAPSHOT_THREADS = 2,
    SNAPSHOT_BUCKETS = 4096,
    SNAPSHOT_DIRTY_MAX = 200000, /* databases remembered as changed; beyond, a walk finds them later */
    SNAPSHOT_RETRY_MS = 30000,
    SNAPSHOT_REST = 19, /* so at most a twentieth of the time goes into them; eviction's come on top */
    SNAPSHOT_REST_MS_MAX = 3600000,
    SNAPSHOT_ROUNDS_MISSED = 3,
};

#define SNAPSHOT_WAIT_MS_MAX ((uint64_t)24 * 3600 * 1000)

struct snapshots {
    struct server *server;
    bool enabled;
    pthread_mutex_t lock; /* guards what is below; never held across I/O */
    pthread_cond_t changed;
    struct dirty **buckets;
    size_t count;
    uint64_t round_ms; /* what was due by then may be taken: the leader's last round; monotonic */
    uint64_t round_taken, round_failed; /* since it began */
    uint32_t taking;                    /* how many are being taken */
    bool walk_due;                      /* databases that are not in the table may have changed */
    bool walking;
    bool stopping;
    atomic_bool cancel;
    pthread_t threads[SNAPSHOT_THREADS];
    size_t thread_count;
};

/* Before the store threads start, which note what they change. Without an object store nothing is done, here
 * and in what follows. Errors: SYNC_ENOMEM. */
enum sync_err snapshots_init(struct snapshots *s, struct server *server, struct err_ctx *ec);
enum sync_err snapshots_start(struct snapshots *s, struct err_ctx *ec); /* once the store threads run */
void snapshots_stop(struct snapshots *s); /* while store threads still run; all-zero ones too */
void snapshots_free(struct snapshots *s); /* nobody notes anything any more */

/* The database has changed. Cheap. */
void snapshots_note(struct snapshots *s, struct slice database, uint64_t facts);

/* Has it taken as soon as a thread is free, if it has changed at all. */
void snapshots_take_now(struct snapshots *s, struct slice database);

/* The leader's round has come: lets the threads take what is due, waits until they have tried each of them
 * that does not rest, and says how many they took, or failed to. SYNC_ECANCELED: `stop` was raised, or the
 * server stops. */
enum sync_err snapshots_take_round(struct snapshots *s, const atomic_bool *stop, uint64_t *ret_taken,
                                   uint64_t *ret_failed, struct err_ctx *ec);

/* Up to which stamp the shared log is not needed to restore the database, as far as is known here; zero: all
 * of it is. */
enum sync_err snapshots_covered(struct server *s, struct slice database, struct stamp *ret,
                                struct err_ctx *ec);

#endif
