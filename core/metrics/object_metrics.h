/* object_metrics.h -- what is counted of the object store: its calls by operation, and the shared log.
 *
 * A part of struct sync_metrics with a table of its own, since most of it goes by operation. The operations
 * are those of the store's interface, which core does not know; who feeds them makes sure that both lists
 * agree.
 *
 * Threads: see metrics.h. */
#ifndef CORE_METRICS_OBJECT_METRICS_H
#define CORE_METRICS_OBJECT_METRICS_H

#include "core/metrics/metrics.h"

/* X(constant, label value) */
#define OBJECT_CALL_MAP(X)                                                                                   \
    X(GET, "get")                                                                                            \
    X(HEAD, "head")                                                                                          \
    X(PUT, "put")                                                                                            \
    X(PUT_IF_ABSENT, "put_if_absent")                                                                        \
    X(PUT_IF_MATCH, "put_if_match")                                                                          \
    X(DELETE, "delete")                                                                                      \
    X(LIST, "list")                                                                                          \
    X(UPLOAD_BEGIN, "upload_begin")                                                                          \
    X(UPLOAD_PART, "upload_part")                                                                            \
    X(UPLOAD_COMPLETE, "upload_complete")                                                                    \
    X(UPLOAD_ABORT, "upload_abort")                                                                          \
    X(UPLOAD_SWEEP, "upload_sweep")

#define X(constant, value) OBJECT_CALL_##constant,
enum object_call_kind { OBJECT_CALL_MAP(X) OBJECT_CALL_COUNT };
#undef X

struct object_metrics {
    struct counter requests[OBJECT_CALL_COUNT];
    struct counter errors[OBJECT_CALL_COUNT];
    struct counter unknown[OBJECT_CALL_COUNT];
    struct counter retries[OBJECT_CALL_COUNT];
    struct counter sent_bytes[OBJECT_CALL_COUNT];
    struct counter received_bytes[OBJECT_CALL_COUNT];
    struct histogram call_ns[OBJECT_CALL_COUNT];
    struct counter cost_nano_usd;
    struct gauge breaker;       /* enum breaker_state */
    struct gauge clock_skew_ms; /* the service's clock minus ours */
    struct gauge usable;        /* 1: configured and found good */

    struct counter log_objects;
    struct counter log_bytes;
    struct counter log_entries;
    struct counter log_failures;
    struct histogram log_databases; /* in one object */
    struct gauge backlog_age_ms;
    struct gauge backlog_bytes;
    struct gauge backlog_databases;
    struct gauge log_stopped; /* 1: another server writes this log */
    struct counter segments;
    struct counter log_deleted;
    struct counter ack_timeouts;
};

/* Registers them; all are zero before. */
void object_metrics_init(struct object_metrics *m, struct metrics_registry *r);

#endif
