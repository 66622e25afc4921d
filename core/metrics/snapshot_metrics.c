#include "core/metrics/snapshot_metrics.h"

/* Seconds, observed in nanoseconds: 10 ms to an hour. */
static const uint64_t bounds[] = {
    10000000,    100000000,   500000000,    1000000000,   5000000000,
    15000000000, 60000000000, 300000000000, 900000000000, 3600000000000,
};

#define COUNTER(field, text, words)                                                                          \
    static const struct metric_desc field##_desc = {                                                         \
        .name = "sync_" text, .help = words, .type = METRIC_COUNTER};
#define GAUGE(field, text, words)                                                                            \
    static const struct metric_desc field##_desc = {                                                         \
        .name = "sync_" text, .help = words, .type = METRIC_GAUGE};
#define HISTOGRAM(field, text, words)                                                                        \
    static const struct metric_desc field##_desc = {.name = "sync_" text,                                    \
                                                    .help = words,                                           \
                                                    .type = METRIC_HISTOGRAM,                                \
                                                    .decimals = 9,                                           \
                                                    .bounds = {bounds, sizeof bounds / sizeof bounds[0]}};
SNAPSHOT_METRICS_MAP(COUNTER, GAUGE, HISTOGRAM)
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM

void snapshot_metrics_init(struct snapshot_metrics *m, struct metrics_registry *r)
{
#define COUNTER(field, text, words)   metrics_add_counter(r, &field##_desc, &m->field);
#define GAUGE(field, text, words)     metrics_add_gauge(r, &field##_desc, &m->field);
#define HISTOGRAM(field, text, words) metrics_add_histogram(r, &field##_desc, &m->field);
    SNAPSHOT_METRICS_MAP(COUNTER, GAUGE, HISTOGRAM)
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
}
