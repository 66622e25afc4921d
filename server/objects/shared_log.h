/* shared_log.h -- uploads what databases accept to the shared log: one thread for each partition of it.
 *
 * Every tick one object with what has come since, for all databases; with --durability object the next
 * follows as soon as the last one is there and something waits, and the tick is only the fallback. The sync
 * path never waits for it, but for acknowledgements in object mode (store/ack_wait.h). While the object store
 * is away the arrival logs on the disk are the queue: what waits is tried again with backoff and counted by
 * age and size.
 *
 * When another server turns out to write the same log, uploads stop for good, and the server is not ready.
 *
 * At a clean stop what waits is uploaded, for at most the time that stopping may take, and when that was all
 * of it the log's end says so: whoever restores from it then knows that nothing is missing.
 *
 * Threads: start and stop on the main thread, while loops and store threads run; the rest as it says. */
#ifndef SERVER_OBJECTS_SHARED_LOG_H
#define SERVER_OBJECTS_SHARED_LOG_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "server/objects/log_cleaner.h"
#include "storage/sharedlog/log_meta.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct log_uploader; /* of one partition */

struct shared_log {
    struct server *server;
    bool started;
    bool direct; /* the store has no threads any more: shards are used as they are */
    struct log_meta meta;
    uint8_t writer[16], run[8];
    char host[256];
    struct log_uploader *uploaders;
    _Atomic uint32_t uploader_count; /* 0: the log is not open yet */
    struct log_cleaner cleaner;
    pthread_t opener; /* opens it in the background, where the store may be away at first */
    bool opener_started;
    pthread_mutex_t lock; /* guards the uploaders' and the opener's waits, and their `kicked` */
    pthread_cond_t changed;
    atomic_bool stopping;      /* upload the rest, then end */
    atomic_bool canceled;      /* end now: cancels calls */
    _Atomic uint64_t accepted; /* bytes of batches that were applied, since the start */
};

/* Does nothing when no object store is configured. Errors: as log_writer_open(). With object.optional it is
 * opened in the background where it cannot be at once. */
enum sync_err shared_log_start(struct shared_log *l, struct server *server, struct err_ctx *ec);

/* Ends the threads, before those of the store end. All-zero ones too. */
void shared_log_stop_threads(struct shared_log *l);

/* The store's threads have ended: uploads the rest, for at most timeout_ms, and frees everything. All-zero
 * ones too. */
void shared_log_finish(struct shared_log *l, uint32_t timeout_ms);

/* ---- any thread */

/* A batch of so many bytes was committed. */
void shared_log_accepted(struct shared_log *l, struct slice database, size_t bytes);

/* May the server take traffic, as far as the log is concerned? If not, *ret says why, in memory that is good
 * for ever. */
bool shared_log_is_ready(struct shared_log *l, const char **ret);

/* Has the log merged and cleaned up now, where this server writes it: log_cleaner_run(). Blocks. */
enum sync_err shared_log_tidy(struct shared_log *l, struct log_tidy_result *ret, struct err_ctx *ec);

/* Ends such a round at its next request, and lets none begin: the server stops. */
void shared_log_stop_tidying(struct shared_log *l);

/* Is it open, and has no other server taken it over, as far as is known? */
bool shared_log_is_ours(struct shared_log *l);

/* Does the log hold anything of the database? False: certainly not. */
bool shared_log_may_have(struct shared_log *l, struct slice database);

/* The log's description, once it is open: restores and the tidying need it. */
bool shared_log_meta(struct shared_log *l, struct log_meta *ret);

#endif
