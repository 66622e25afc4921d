/* log_cleaner.h -- the thread that keeps the shared log short, on the server that writes it.
 *
 * In the background and with low priority: whenever object.segmentObjects more objects are there they become
 * a segment, and every object.logCleanMs it looks for what snapshots cover (storage/sharedlog/log_tidy.h).
 * Only this server knows which of its databases' snapshots are verified, so nobody else does it; whoever else
 * decides when (the coordinator's tasks) calls log_cleaner_run().
 *
 * First of all it fills the filters that say which databases the log holds (log_known.h).
 *
 * Threads: start and stop on the thread that starts the log; run on any that may block. */
#ifndef SERVER_OBJECTS_LOG_CLEANER_H
#define SERVER_OBJECTS_LOG_CLEANER_H

#include "storage/sharedlog/log_tidy.h"

#include <pthread.h>
#include <stdatomic.h>

struct shared_log;

/* Of one partition. */
struct log_cleaner_part {
    struct log_tidy *tidy; /* NULL: nothing is merged */
    bool filled;           /* the uploader's filter */
    uint64_t number;       /* up to which the last round went */
    uint32_t waiting;      /* parts that go when their grace time is over */
};

struct log_cleaner {
    struct shared_log *log;
    struct log_cleaner_part *parts;
    uint32_t count;
    uint32_t fan_in; /* 0: nothing is merged */
    struct object_call call;
    atomic_bool cancel;
    pthread_mutex_t lock; /* held during a round */
    bool has_lock;
    pthread_t thread;
    bool thread_started;
    uint64_t deleted_ms; /* when the last deletion was let through */
    uint32_t failures;   /* in a row */
};

/* The log is open. Where object.segmentObjects is 0 nothing is merged, and only the filters are filled.
 * Errors: SYNC_ENOMEM. */
enum sync_err log_cleaner_start(struct log_cleaner *c, struct shared_log *log, struct err_ctx *ec);

/* Ends the thread; log->stopping is set, and those of the store still run. All-zero ones too. */
void log_cleaner_stop(struct log_cleaner *c);
void log_cleaner_free(struct log_cleaner *c); /* all-zero ones too */

/* One round over all partitions, now; *ret is their sum. Errors: SYNC_EBUSY where this server does not write
 * the log, or does not merge; else as log_tidy_round(). */
enum sync_err log_cleaner_run(struct log_cleaner *c, struct log_tidy_result *ret, struct err_ctx *ec);

#endif
