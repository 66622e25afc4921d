/* metrics.h -- numbers that the server shows of itself: counters, gauges, histograms, and the Prometheus
 * text.
 *
 * The values live in whatever struct their owner likes (sync_metrics.h); the registry only knows where they
 * are and what they mean. Everything is declared up front: a name, a help text, and for each label the few
 * values that it can have, so that a client can never make a series appear, and an update is an addition to a
 * place known while compiling, without a lookup.
 *
 * Values are whole numbers in a raw unit; `decimals` says how many decimal places of the shown unit that is
 * (9: observed in nanoseconds, shown in seconds). So sums are exact, and adding never needs a loop.
 *
 * Threads: counter_add, gauge_*, histogram_observe and metrics_write from any thread at any time, without a
 * lock. Registering happens on one thread, before the others start. A scrape is not one instant: two values
 * in it may be some additions apart; within one histogram, _count always equals the +Inf bucket.
 *
 * Pure: no allocation but the caller's buffer, no clock (durations are arguments). */
#ifndef CORE_METRICS_METRICS_H
#define CORE_METRICS_METRICS_H

#include "core/base/buf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    METRIC_FAMILIES_MAX = 192,
    METRIC_LABELS_MAX = 2,
    HISTOGRAM_BOUNDS_MAX = 12,
    METRICS_TEXT_BYTES_MAX = 1 << 20, /* a good ceiling for the buffer of metrics_write */
};

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct counter {
    _Atomic uint64_t value;
};

struct gauge {
    _Atomic int64_t value;
};

struct histogram_bounds {
    const uint64_t *at; /* raw unit, ascending; an observation belongs to the first bound >= it */
    size_t count;       /* at most HISTOGRAM_BOUNDS_MAX; the +Inf bucket comes on its own */
};

struct histogram {
    const struct histogram_bounds *bounds;               /* set by metrics_add_histogram */
    _Atomic uint64_t observed[HISTOGRAM_BOUNDS_MAX + 1]; /* each bucket on its own; the writer adds them up */
    _Atomic uint64_t sum;
};

static inline void counter_add(struct counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}

static inline uint64_t counter_value(const struct counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

static inline void gauge_set(struct gauge *g, int64_t value)
{
    atomic_store_explicit(&g->value, value, memory_order_relaxed);
}

static inline void gauge_add(struct gauge *g, int64_t n) /* a negative n subtracts */
{
    atomic_fetch_add_explicit(&g->value, n, memory_order_relaxed);
}

static inline int64_t gauge_value(const struct gauge *g)
{
    return atomic_load_explicit(&g->value, memory_order_relaxed);
}

/* `value` in the raw unit, for instance nanoseconds. The histogram must have been registered. */
static inline void histogram_observe(struct histogram *h, uint64_t value)
{
    size_t i = 0;
    while (i < h->bounds->count && value > h->bounds->at[i]) i++;
    atomic_fetch_add_explicit(&h->observed[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

/* How many observations there were. */
uint64_t histogram_count(const struct histogram *h);

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

const char *metric_type_name(enum metric_type type); /* "counter", ... */

struct metric_label {
    const char *name;
    const char *const *values;
    size_t value_count;
};

/* What one family of series is. Constant; outlives the registry. */
struct metric_desc {
    const char *name;
    const char *help; /* one line */
    enum metric_type type;
    unsigned decimals; /* 0 to 9 */
    /* The family has one series per combination of label values, the last label running fastest. */
    struct metric_label labels[METRIC_LABELS_MAX];
    size_t label_count;
    bool leave_out_zero;            /* series that never moved are not written: for many combinations */
    struct histogram_bounds bounds; /* histograms only */
};

/* Number of series: 1 without labels. */
size_t metric_series_count(const struct metric_desc *d);

struct metric_family {
    const struct metric_desc *desc;
    union {
        const struct counter *counters;
        const struct gauge *gauges;
        const struct histogram *histograms;
    };
};

/* Plain data; starts as {0}. */
struct metrics_registry {
    struct metric_family families[METRIC_FAMILIES_MAX];
    size_t family_count;
};

/* Adds a family, shown in the order of adding. `first` points to metric_series_count(d) values, which stay
 * the caller's and outlive the registry. A bad or repeated name, or one family too many, is a bug: assert. */
void metrics_add_counter(struct metrics_registry *r, const struct metric_desc *d, struct counter *first);
void metrics_add_gauge(struct metrics_registry *r, const struct metric_desc *d, struct gauge *first);
void metrics_add_histogram(struct metrics_registry *r, const struct metric_desc *d, struct histogram *first);

/* Appends everything in Prometheus text format 0.0.4. The caller asks buf_check() at the end. */
void metrics_write(const struct metrics_registry *r, struct buf *ret);

/* Appends a Markdown table of the families: name, type, labels, help. */
void metrics_write_markdown(const struct metrics_registry *r, struct buf *ret);

#endif
