#include "core/metrics/object_metrics.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define X(constant, value) value,
static const char *const call_values[] = {OBJECT_CALL_MAP(X)};
#undef X

/* Seconds, observed in nanoseconds: 1 ms to a minute. */
static const uint64_t call_bounds[] = {
    1000000,   5000000,    10000000,   25000000,   50000000,    100000000,
    250000000, 1000000000, 2500000000, 5000000000, 15000000000, 60000000000,
};
static const uint64_t database_bounds[] = {1, 2, 5, 10, 50, 100, 500, 1000, 5000, 10000};

/* A server without an object store shows none of the calls. */
#define BY_CALL                                                                                              \
    .labels = {{"operation", call_values, COUNT(call_values)}}, .label_count = 1, .leave_out_zero = true

#define COUNTER_BY_CALL(field, text)                                                                         \
    {                                                                                                        \
        .name = "sync_object_" field "_total", .help = text, .type = METRIC_COUNTER, BY_CALL                 \
    }
#define COUNTER(metric, text)                                                                                \
    {                                                                                                        \
        .name = "sync_" metric, .help = text, .type = METRIC_COUNTER                                         \
    }
#define GAUGE(metric, places, text)                                                                          \
    {                                                                                                        \
        .name = "sync_" metric, .help = text, .type = METRIC_GAUGE, .decimals = places                       \
    }

static const struct metric_desc requests =
    COUNTER_BY_CALL("requests", "Requests to the object store, repeats included.");
static const struct metric_desc errors = COUNTER_BY_CALL("errors", "Calls of the object store that failed.");
static const struct metric_desc unknown =
    COUNTER_BY_CALL("unknown_outcomes", "Conditional writes without an answer to trust.");
static const struct metric_desc retries = COUNTER_BY_CALL("retries", "Requests that were repeats.");
static const struct metric_desc sent_bytes =
    COUNTER_BY_CALL("sent_bytes", "Bytes sent to the object store, headers not counted.");
static const struct metric_desc received_bytes =
    COUNTER_BY_CALL("received_bytes", "Bytes received from it, headers not counted.");
static const struct metric_desc call_ns = {.name = "sync_object_call_duration_seconds",
                                           .help = "Time of one call, repeats and waiting included.",
                                           .type = METRIC_HISTOGRAM,
                                           .decimals = 9,
                                           .bounds = {call_bounds, COUNT(call_bounds)},
                                           BY_CALL};
static const struct metric_desc cost_nano_usd = {
    .name = "sync_object_cost_usd_total",
    .help = "What the requests cost by the prices of AWS, in US dollars; storage and traffic not counted.",
    .type = METRIC_COUNTER,
    .decimals = 9};
static const struct metric_desc breaker = GAUGE(
    "object_breaker_state", 0, "Circuit breaker of the object store: 0 closed, 1 open, 2 trying one call.");
static const struct metric_desc clock_skew_ms = GAUGE(
    "object_clock_skew_seconds", 3, "The object store's clock minus this machine's, where it was corrected.");
static const struct metric_desc usable =
    GAUGE("object_store_usable", 0, "1: there is an object store, and it was found good.");
static const struct metric_desc log_objects =
    COUNTER("log_objects_total", "Objects written to the shared log.");
static const struct metric_desc log_bytes = COUNTER("log_bytes_total", "Their bytes.");
static const struct metric_desc log_entries = COUNTER("log_entries_total", "Changes in them.");
static const struct metric_desc log_failures =
    COUNTER("log_failures_total", "Attempts to write one that failed, and were or will be repeated.");
static const struct metric_desc log_databases = {.name = "sync_log_object_databases",
                                                 .help = "Databases in one object of the shared log.",
                                                 .type = METRIC_HISTOGRAM,
                                                 .bounds = {database_bounds, COUNT(database_bounds)}};
static const struct metric_desc backlog_age_ms =
    GAUGE("log_backlog_age_seconds", 3, "How long the oldest change has been waiting for its upload, about.");
static const struct metric_desc backlog_bytes =
    GAUGE("log_backlog_bytes", 0, "Changes that wait for their upload, about.");
static const struct metric_desc backlog_databases =
    GAUGE("log_backlog_databases", 0, "Databases with changes that wait for their upload.");
static const struct metric_desc log_stopped =
    GAUGE("log_stopped", 0, "1: uploads have stopped for good, since another server writes the same log.");
static const struct metric_desc segments =
    COUNTER("log_segments_total", "Segments that objects of the shared log were merged into.");
static const struct metric_desc log_deleted =
    COUNTER("log_objects_deleted_total", "Objects and segments of the shared log that were deleted.");
static const struct metric_desc ack_timeouts = COUNTER(
    "object_ack_timeouts_total", "Batches refused for now, since their upload took longer than may be.");

void object_metrics_init(struct object_metrics *m, struct metrics_registry *r)
{
    metrics_add_counter(r, &requests, m->requests);
    metrics_add_counter(r, &errors, m->errors);
    metrics_add_counter(r, &unknown, m->unknown);
    metrics_add_counter(r, &retries, m->retries);
    metrics_add_counter(r, &sent_bytes, m->sent_bytes);
    metrics_add_counter(r, &received_bytes, m->received_bytes);
    metrics_add_histogram(r, &call_ns, m->call_ns);
    metrics_add_counter(r, &cost_nano_usd, &m->cost_nano_usd);
    metrics_add_gauge(r, &breaker, &m->breaker);
    metrics_add_gauge(r, &clock_skew_ms, &m->clock_skew_ms);
    metrics_add_gauge(r, &usable, &m->usable);
    metrics_add_counter(r, &log_objects, &m->log_objects);
    metrics_add_counter(r, &log_bytes, &m->log_bytes);
    metrics_add_counter(r, &log_entries, &m->log_entries);
    metrics_add_counter(r, &log_failures, &m->log_failures);
    metrics_add_histogram(r, &log_databases, &m->log_databases);
    metrics_add_gauge(r, &backlog_age_ms, &m->backlog_age_ms);
    metrics_add_gauge(r, &backlog_bytes, &m->backlog_bytes);
    metrics_add_gauge(r, &backlog_databases, &m->backlog_databases);
    metrics_add_gauge(r, &log_stopped, &m->log_stopped);
    metrics_add_counter(r, &segments, &m->segments);
    metrics_add_counter(r, &log_deleted, &m->log_deleted);
    metrics_add_counter(r, &ack_timeouts, &m->ack_timeouts);
}
