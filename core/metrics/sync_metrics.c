#include "core/metrics/sync_metrics.h"

#include <assert.h>

/* Seconds, observed in nanoseconds: 1 ms to 10 s. */
static const uint64_t duration_bounds[] = {
    1000000,   5000000,   10000000,   25000000,   50000000,   100000000,
    250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};
static const uint64_t size_bounds[] = {1, 10, 50, 100, 500, 1000, 5000, 10000, 50000, 100000};
static const uint64_t group_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define X(constant, value) value,
static const char *const endpoint_values[] = {HTTP_ENDPOINT_MAP(X)};
static const char *const nudge_values[] = {NUDGE_MAP(X)};
static const char *const limit_values[] = {LIMIT_MAP(X)};
#undef X
#define X(status) #status,
static const char *const status_values[] = {HTTP_STATUS_MAP(X) "other"};
#undef X

/* Most combinations of endpoint and status never occur: those that have not are left out. */
#define HTTP_REQUEST_LABELS                                                                                  \
    .labels = {{"endpoint", endpoint_values, COUNT(endpoint_values)},                                        \
               {"status", status_values, COUNT(status_values)}},                                             \
    .label_count = 2, .leave_out_zero = true
#define NUDGE_LABELS .labels = {{"reason", nudge_values, COUNT(nudge_values)}}, .label_count = 1
#define LIMIT_LABELS .labels = {{"limit", limit_values, COUNT(limit_values)}}, .label_count = 1

#define COUNTER(field, metric, text)                                                                         \
    static const struct metric_desc field##_desc = {.name = metric, .help = text, .type = METRIC_COUNTER};
#define COUNTER_BY(field, metric, by, text)                                                                  \
    static const struct metric_desc field##_desc = {                                                         \
        .name = metric, .help = text, .type = METRIC_COUNTER, by##_LABELS};
#define GAUGE(field, metric, places, text)                                                                   \
    static const struct metric_desc field##_desc = {                                                         \
        .name = metric, .help = text, .type = METRIC_GAUGE, .decimals = places};
#define HISTOGRAM(field, metric, buckets, places, text)                                                      \
    static const struct metric_desc field##_desc = {.name = metric,                                          \
                                                    .help = text,                                            \
                                                    .type = METRIC_HISTOGRAM,                                \
                                                    .decimals = places,                                      \
                                                    .bounds = {buckets##_bounds, COUNT(buckets##_bounds)}};
SYNC_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, HISTOGRAM)
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef HISTOGRAM

void sync_metrics_init(struct sync_metrics *m)
{
    memset(m, 0, sizeof *m);
#define COUNTER(field, name, help) metrics_add_counter(&m->registry, &field##_desc, &m->field);
#define COUNTER_BY(field, name, by, help)                                                                    \
    assert(metric_series_count(&field##_desc) == by##_COUNT);                                                \
    metrics_add_counter(&m->registry, &field##_desc, m->field);
#define GAUGE(field, name, decimals, help) metrics_add_gauge(&m->registry, &field##_desc, &m->field);
#define HISTOGRAM(field, name, bounds, decimals, help)                                                       \
    metrics_add_histogram(&m->registry, &field##_desc, &m->field);
    SYNC_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, HISTOGRAM)
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef HISTOGRAM
    object_metrics_init(&m->object, &m->registry);
    snapshot_metrics_init(&m->snapshot, &m->registry);
    coordinator_metrics_register(&m->coordinator, &m->registry);
}

void sync_metrics_http_request(struct sync_metrics *m, enum http_endpoint endpoint, int status)
{
    static const int statuses[] = {
#define X(status) status,
        HTTP_STATUS_MAP(X)
#undef X
    };
    size_t i = 0;
    while (i < COUNT(statuses) && statuses[i] != status) i++; /* past the last one: "other" */
    assert(endpoint < HTTP_ENDPOINT_COUNT);
    counter_add(&m->http_requests[(size_t)endpoint * HTTP_STATUS_COUNT + i], 1);
}
