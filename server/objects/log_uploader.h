/* log_uploader.h -- the thread that writes one partition of the shared log.
 *
 * Threads: all but the thread's own work on the thread that starts it. */
#ifndef SERVER_OBJECTS_LOG_UPLOADER_H
#define SERVER_OBJECTS_LOG_UPLOADER_H

#include "server/objects/shared_log.h"
#include "storage/sharedlog/log_known.h"
#include "storage/sharedlog/log_writer.h"

struct log_uploader {
    struct shared_log *log;
    uint32_t partition;
    struct log_writer *writer;
    pthread_t thread;
    bool thread_started;
    bool kicked;                /* something was committed; guarded by log->lock */
    uint32_t failures;          /* in a row */
    uint64_t warned_ns;         /* when that was told last */
    uint64_t drained;           /* log->accepted when everything up to it was uploaded */
    bool idle;                  /* nothing waited at the last look */
    struct log_known *known;    /* which databases the partition may hold; NULL: nobody keeps that */
    _Atomic uint64_t number;    /* of the newest object that is confirmed and noted */
    _Atomic uint64_t oldest_ms; /* wall clock: since when what waits has been waiting; 0: nothing does */
    _Atomic uint64_t backlog_bytes;
    _Atomic uint64_t backlog_databases;
    atomic_bool lost; /* another server writes it */
};

enum sync_err log_uploader_open(struct log_uploader *u, struct shared_log *log, uint32_t partition,
                                struct err_ctx *ec);
enum sync_err log_uploader_start(struct log_uploader *u, struct err_ctx *ec);

/* log->stopping is set. A call that takes longer than patience_ms is cut short. */
void log_uploader_join(struct log_uploader *u, uint32_t patience_ms);

/* The thread has ended, and so have those of the store, so that nothing more is accepted: uploads the rest,
 * and says that it is all. */
void log_uploader_finish(struct log_uploader *u, uint32_t timeout_ms);
void log_uploader_close(struct log_uploader *u);

#endif
