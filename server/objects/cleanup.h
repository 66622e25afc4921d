/* cleanup.h -- removes from the object store what nobody needs any more.
 *
 *   of its own databases (cleanup_own)    snapshots beyond the kept ones, never the last good one; what
 * verified snapshots cover of the shared log, where this server writes it of nobody (cleanup_common) uploads
 * of snapshots that were begun long ago and not finished; what probes of the store have left behind
 *
 * Where several instances share an object store, their leader says when, hands the first part out to each of
 * them, and does the second one itself (server/coordinator/task_cleanup.c). Else a server that keeps its
 * databases in the object store has a thread for both here.
 *
 * Threads: start and stop on the main thread; the others block, on threads that are no loop and no store
 * thread. */
#ifndef SERVER_OBJECTS_CLEANUP_H
#define SERVER_OBJECTS_CLEANUP_H

#include "core/base/err.h"
#include "storage/objects/leftovers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct server;

/* So old an upload is dropped, or an object of a probe. The longest upload of a snapshot has to be done by
 * then, or it begins again; a probe takes a minute or two at most, and one whose object vanished would take
 * an honest store for a dishonest one. */
#define CLEANUP_UPLOAD_AGE_MS ((uint64_t)7 * 24 * 3600 * 1000)
#define CLEANUP_PROBE_AGE_MS  ((uint64_t)3600 * 1000)

struct cleanup {
    struct server *server;
    pthread_t thread;
    bool thread_started;
    atomic_bool stopping; /* cancels calls of the thread */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool common_runs;           /* cleanup_common(), on some thread: the next one is that one's alone */
    struct leftovers leftovers; /* as it saw them last time */
};

/* text: what was done, for people, zero terminated. Does nothing on a server that does not keep its databases
 * there. Errors: as the object store's; what was not reached is for the next time. */
enum sync_err cleanup_own(struct server *s, const atomic_bool *cancel, char *text, size_t text_bytes,
                          struct err_ctx *ec);

/* Does nothing while another thread is at it. */
enum sync_err cleanup_common(struct server *s, const atomic_bool *cancel, char *text, size_t text_bytes,
                             struct err_ctx *ec);

enum sync_err cleanup_start(struct cleanup *c, struct server *server, struct err_ctx *ec);
void cleanup_stop(
    struct cleanup *c); /* all-zero ones too; after the coordinator's, before the object store's */

#endif
