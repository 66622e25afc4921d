/* sync_metrics.h -- every metric of this server: one table, one struct made from it.
 *
 * Names and types that the predecessor had are kept, so that its dashboards and alerts go on working; the
 * others follow its style. A part that counts something gets a pointer to the struct and adds:
 *
 *     counter_add(&m->changes_applied, result.applied);
 *     counter_add(&m->nudges[NUDGE_LAGGING], 1);
 *
 * Threads: see metrics.h; init on one thread before the others start. The struct does not move afterwards. */
#ifndef CORE_METRICS_SYNC_METRICS_H
#define CORE_METRICS_SYNC_METRICS_H

#include "core/metrics/coordinator_metrics.h"
#include "core/metrics/metrics.h"
#include "core/metrics/object_metrics.h"
#include "core/metrics/snapshot_metrics.h"

/* X(constant, label value): what was asked for over HTTP. */
#define HTTP_ENDPOINT_MAP(X)                                                                                 \
    X(STATUS, "status")                                                                                      \
    X(METRICS, "metrics")                                                                                    \
    X(HEALTHZ, "healthz")                                                                                    \
    X(READYZ, "readyz")                                                                                      \
    X(COORDINATOR, "coordinator")                                                                            \
    X(COORDINATOR_HINT, "coordinator_hint")                                                                  \
    X(GET_CHANGES, "get_changes")                                                                            \
    X(APPLY_CHANGES, "apply_changes")                                                                        \
    X(SNAPSHOT, "snapshot")                                                                                  \
    X(WS, "ws")                                                                                              \
    X(PREFLIGHT, "preflight")                                                                                \
    X(OTHER, "other") /* no route of ours */

/* X(HTTP status): what was answered; any other status counts as "other". */
#define HTTP_STATUS_MAP(X)                                                                                   \
    X(101)                                                                                                   \
    X(200)                                                                                                   \
    X(204)                                                                                                   \
    X(400) X(401) X(403) X(404) X(405) X(408) X(410) X(413) X(414) X(415) X(426) X(429) X(431) X(500) X(503)

/* X(constant, label value): why a session was sent handshake_ack again (protocol section 5). */
#define NUDGE_MAP(X)                                                                                         \
    X(BULK, "bulk")         /* its last message was a full batch: there may be more to send */               \
    X(SNAPSHOT, "snapshot") /* its snapshot is complete */                                                   \
    X(LAGGING, "lagging")   /* pushes to it were dropped and its socket has drained */                       \
    X(PERIODIC, "periodic") /* it has been connected for long */                                             \
    X(PAGE, "page")         /* the next page of its delta waits for proof of the last one */

/* X(constant, label value): which named limit refused, cut or closed something. */
#define LIMIT_MAP(X)                                                                                         \
    X(BODY_BYTES, "body_bytes")                                                                              \
    X(MESSAGE_BYTES, "message_bytes")                                                                        \
    X(DELTA_BYTES, "delta_bytes")                                                                            \
    X(SESSION_QUEUE_BYTES, "session_queue_bytes")                                                            \
    X(SESSION_QUEUE_FRAMES, "session_queue_frames")                                                          \
    X(REQUESTS_IN_FLIGHT, "requests_in_flight")                                                              \
    X(REQUESTS_IN_FLIGHT_ALL, "requests_in_flight_all")                                                      \
    X(CONNECTIONS, "connections")                                                                            \
    X(ADDRESS_CONNECTIONS, "address_connections")                                                            \
    X(UPGRADES_PER_S, "upgrades_per_s")                                                                      \
    X(SITE_CHANGES, "site_changes_per_s")                                                                    \
    X(DATABASE_CHANGES, "database_changes_per_s")                                                            \
    X(HANDSHAKE_TIMEOUT, "handshake_timeout")                                                                \
    X(HEAD_TIMEOUT, "head_timeout")                                                                          \
    X(HTTP_TIMEOUT, "http_timeout")                                                                          \
    X(BODY_RATE, "body_bytes_per_s")                                                                         \
    X(IDLE_TIMEOUT, "idle_timeout")                                                                          \
    X(PONG_TIMEOUT, "pong_timeout")                                                                          \
    X(JSON_DEPTH, "json_depth")                                                                              \
    X(RECEIVING_BYTES, "receiving_bytes")                                                                    \
    X(HOOK_HEADER_BYTES, "hook_header_bytes")                                                                \
    X(HOOK_NOTICE_BYTES, "hook_notice_bytes")

#define X(constant, value) HTTP_ENDPOINT_##constant,
enum http_endpoint { HTTP_ENDPOINT_MAP(X) HTTP_ENDPOINT_COUNT };
#undef X
#define X(constant, value) NUDGE_##constant,
enum nudge_reason { NUDGE_MAP(X) NUDGE_COUNT };
#undef X
#define X(constant, value) LIMIT_##constant,
enum limit_kind { LIMIT_MAP(X) LIMIT_COUNT };
#undef X

#define X(status) +1
enum { HTTP_STATUS_COUNT = 1 HTTP_STATUS_MAP(X) }; /* 1 for "other", the last */
#undef X
enum { HTTP_REQUEST_COUNT = HTTP_ENDPOINT_COUNT * HTTP_STATUS_COUNT };

/* The table. Durations are observed in nanoseconds and shown in seconds.
 *   COUNTER(field, name, help)
 *   COUNTER_BY(field, name, labels, help)        `labels`_COUNT counters, one per label value or combination
 *   GAUGE(field, name, decimals, help)           the raw unit is 10^-decimals of the shown one
 *   HISTOGRAM(field, name, bounds, decimals, help)  */
#define SYNC_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, HISTOGRAM)                                              \
    GAUGE(ws_connections_active, "sync_websocket_connections_active", 0, "WebSocket connections open now.")  \
    COUNTER(ws_connections, "sync_websocket_connections_total", "WebSocket connections since the start.")    \
    COUNTER_BY(http_requests, "sync_http_requests_total", HTTP_REQUEST,                                      \
               "HTTP requests answered, by what was asked for and the status of the answer.")                \
    HISTOGRAM(http_request_ns, "sync_http_request_duration_seconds", duration, 9,                            \
              "Time from an HTTP request to the end of its answer.")                                         \
    COUNTER(changes_applied, "sync_changes_applied_total", "Changes that won and were stored.")              \
    COUNTER(changes_received, "sync_changes_received_total", "Changes that clients sent.")                   \
    COUNTER(changes_rejected, "sync_changes_rejected_total", "Changes that validation refused.")             \
    COUNTER(changes_broadcast, "sync_changes_broadcast_total",                                               \
            "Changes pushed to other clients, counted once for each receiver.")                              \
    COUNTER(broadcast_errors, "sync_broadcast_errors_total", "Pushes that could not be handed to a client.") \
    COUNTER(snapshot_requests, "sync_snapshot_requests_total", "Snapshots asked for.")                       \
    COUNTER(snapshot_chunks, "sync_snapshot_chunks_total", "Snapshot chunks sent.")                          \
    HISTOGRAM(apply_changes_ns, "sync_apply_changes_duration_seconds", duration, 9,                          \
              "Time to apply one batch of changes, until it is durable.")                                    \
    HISTOGRAM(get_changes_ns, "sync_get_changes_duration_seconds", duration, 9,                              \
              "Time to read the changes that one request asked for.")                                        \
    HISTOGRAM(change_batch_size, "sync_change_batch_size", size, 0, "Changes in one received batch.")        \
    COUNTER(auth_attempts, "sync_auth_attempts_total", "Times a client had to be authenticated.")            \
    COUNTER(auth_failures, "sync_auth_failures_total", "Times a client was not authenticated.")              \
    GAUGE(databases, "sync_databases", 0, "Databases that this server holds.")                               \
    GAUGE(sessions_lagging, "sync_sessions_lagging", 0,                                                      \
          "Sessions whose pushes were dropped and that have not been told yet.")                             \
    COUNTER(session_overflows, "sync_session_overflows_total",                                               \
            "Times a session's push queue was full and was dropped.")                                        \
    COUNTER_BY(nudges, "sync_nudges_total", NUDGE,                                                           \
               "Times a session was asked to fetch and send what is missing, by reason.")                    \
    COUNTER(catch_ups, "sync_catch_ups_total",                                                               \
            "Pages pushed to sessions that did not ask for what they lacked.")                               \
    COUNTER(push_messages, "sync_push_messages_total", "Push messages sent, merged ones counted once.")      \
    COUNTER(store_groups, "sync_store_groups_total", "Group commits written to the store.")                  \
    HISTOGRAM(store_group_requests, "sync_store_group_requests", group, 0, "Requests in one group commit.")  \
    HISTOGRAM(store_commit_ns, "sync_store_commit_duration_seconds", duration, 9,                            \
              "Time of one group commit's write, the sync included.")                                        \
    COUNTER(store_errors, "sync_store_errors_total", "Reads and writes that the store failed.")              \
    COUNTER(delta_pages, "sync_delta_pages_total", "Pages of changes sent to clients that caught up.")       \
    COUNTER_BY(limit_hits, "sync_limit_hits_total", LIMIT, "Times a limit was reached, by limit.")           \
    COUNTER(receive_bytes, "sync_receive_bytes_total", "Bytes of bodies and messages received.")             \
    COUNTER(send_bytes, "sync_send_bytes_total", "Bytes of bodies and messages sent.")                       \
    COUNTER(tombstones_pruned, "sync_tombstones_pruned_total",                                               \
            "Deletion records removed because they were older than the retention horizon.")                  \
    GAUGE(process_start_ms, "process_start_time_seconds", 3,                                                 \
          "Start of the process, seconds since 1970 UTC.")                                                   \
    GAUGE(process_resident_bytes, "process_resident_memory_bytes", 0, "Resident memory of the process.")

struct sync_metrics {
#define COUNTER(field, name, help)                     struct counter field;
#define COUNTER_BY(field, name, labels, help)          struct counter field[labels##_COUNT];
#define GAUGE(field, name, decimals, help)             struct gauge field;
#define HISTOGRAM(field, name, bounds, decimals, help) struct histogram field;
    SYNC_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, HISTOGRAM)
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef HISTOGRAM
    struct coordinator_metrics coordinator;
    struct object_metrics object;
    struct snapshot_metrics snapshot;
    struct metrics_registry registry; /* of all of the above; further families may be added to it */
};

/* Sets everything to zero and registers it. */
void sync_metrics_init(struct sync_metrics *m);

/* Counts one answered request. Any status is fine. */
void sync_metrics_http_request(struct sync_metrics *m, enum http_endpoint endpoint, int status);

#endif
