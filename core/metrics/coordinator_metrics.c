#include "core/metrics/coordinator_metrics.h"

#include <assert.h>

static const char *const quantile_values[] = {"0.5", "0.95", "0.99"};
static_assert(sizeof quantile_values / sizeof quantile_values[0] == COORDINATOR_QUANTILE_COUNT, "quantiles");

/* In the order of enum election_op_kind; registering compares them with its names. */
static const char *const kind_values[] = {
    "read_state", "write_state", "create_epoch", "read_epoch", "list", "put_worker", "put_metadata", "delete",
};
static_assert(sizeof kind_values / sizeof kind_values[0] == ELECTION_OP_KINDS, "kinds");

#define LABELS_ELECTION_OP_KINDS .labels = {{"kind", kind_values, ELECTION_OP_KINDS}}, .label_count = 1
#define LABELS_COORDINATOR_QUANTILE_COUNT                                                                    \
    .labels = {{"quantile", quantile_values, COORDINATOR_QUANTILE_COUNT}}, .label_count = 1

#define COUNTER(field, metric, text)                                                                         \
    static const struct metric_desc field##_desc = {.name = metric, .help = text, .type = METRIC_COUNTER};
#define COUNTER_BY(field, metric, by, text)                                                                  \
    static const struct metric_desc field##_desc = {                                                         \
        .name = metric, .help = text, .type = METRIC_COUNTER, LABELS_##by};
#define GAUGE(field, metric, places, text)                                                                   \
    static const struct metric_desc field##_desc = {                                                         \
        .name = metric, .help = text, .type = METRIC_GAUGE, .decimals = places};
#define GAUGE_BY(field, metric, by, places, text)                                                            \
    static const struct metric_desc field##_desc = {                                                         \
        .name = metric, .help = text, .type = METRIC_GAUGE, .decimals = places, LABELS_##by};
COORDINATOR_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, GAUGE_BY)
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef GAUGE_BY

void coordinator_metrics_register(struct coordinator_metrics *m, struct metrics_registry *r)
{
    for (enum election_op_kind k = 0; k < ELECTION_OP_KINDS; k++)
        assert(strcmp(kind_values[k], election_op_name(k)) == 0);
#define COUNTER(field, name, help)                metrics_add_counter(r, &field##_desc, &m->field);
#define COUNTER_BY(field, name, by, help)         metrics_add_counter(r, &field##_desc, m->field);
#define GAUGE(field, name, decimals, help)        metrics_add_gauge(r, &field##_desc, &m->field);
#define GAUGE_BY(field, name, by, decimals, help) metrics_add_gauge(r, &field##_desc, m->field);
    COORDINATOR_METRICS_MAP(COUNTER, COUNTER_BY, GAUGE, GAUGE_BY)
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef GAUGE_BY
}

static void set(struct counter *c, uint64_t value)
{
    atomic_store_explicit(&c->value, value, memory_order_relaxed);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* All of `from` added to `to`; the members are counted one by one, so that none is forgotten silently. */
static void add_counters(struct election_counters *to, const struct election_counters *from)
{
    to->heartbeats += from->heartbeats;
    to->registrations += from->registrations;
    to->register_failures += from->register_failures;
    to->elections += from->elections;
    to->elections_failed += from->elections_failed;
    to->leader_changes += from->leader_changes;
    to->demotions += from->demotions;
    to->renewals += from->renewals;
    to->worker_joins += from->worker_joins;
    to->worker_timeouts += from->worker_timeouts;
    to->contentions += from->contentions;
    to->breaker_opened += from->breaker_opened;
    for (int k = 0; k < ELECTION_OP_KINDS; k++) {
        to->requests[k] += from->requests[k];
        to->unknowns[k] += from->unknowns[k];
    }
}

static void set_counters(struct coordinator_metrics *m, const struct election_counters *c)
{
    set(&m->heartbeats, c->heartbeats);
    set(&m->registrations, c->registrations);
    set(&m->register_failures, c->register_failures);
    set(&m->elections, c->elections);
    set(&m->elections_failed, c->elections_failed);
    set(&m->leader_changes, c->leader_changes);
    set(&m->demotions, c->demotions);
    set(&m->renewals, c->renewals);
    set(&m->worker_joins, c->worker_joins);
    set(&m->worker_timeouts, c->worker_timeouts);
    set(&m->contentions, c->contentions);
    set(&m->breaker_opened, c->breaker_opened);
    for (int k = 0; k < ELECTION_OP_KINDS; k++) {
        set(&m->requests[k], c->requests[k]);
        set(&m->requests_unknown[k], c->unknowns[k]);
    }
}

void coordinator_metrics_elections(struct coordinator_metrics *m, const struct election_status *statuses,
                                   size_t count, uint64_t now_ms)
{
    struct election_counters sum = {0};
    uint64_t led = 0, epoch = 0, lease_left = 0, workers = 0, age = 0, took = 0, breaker = 0;
    uint64_t latency[COORDINATOR_QUANTILE_COUNT] = {0};
    for (size_t i = 0; i < count; i++) {
        const struct election_status *s = &statuses[i];
        add_counters(&sum, &s->counters);
        led += election_may_lead(&s->lead, now_ms) ? 1 : 0;
        epoch = larger(epoch, s->epoch);
        lease_left = larger(lease_left, s->lease_left_ms);
        workers = larger(workers, s->workers);
        if (s->heartbeat_age_ms != UINT64_MAX) age = larger(age, s->heartbeat_age_ms);
        took = larger(took, s->election_ms);
        breaker = larger(breaker, (uint64_t)s->breaker);
        latency[0] = larger(latency[0], s->latency_ms.p50);
        latency[1] = larger(latency[1], s->latency_ms.p95);
        latency[2] = larger(latency[2], s->latency_ms.p99);
    }
    set_counters(m, &sum);
    gauge_set(&m->leader, (int64_t)led);
    gauge_set(&m->epoch, (int64_t)epoch);
    gauge_set(&m->lease_left_ms, (int64_t)lease_left);
    gauge_set(&m->workers, (int64_t)workers);
    gauge_set(&m->heartbeat_age_ms, (int64_t)age);
    gauge_set(&m->election_ms, (int64_t)took);
    gauge_set(&m->breaker_state, (int64_t)breaker);
    for (int q = 0; q < COORDINATOR_QUANTILE_COUNT; q++) gauge_set(&m->latency_ms[q], (int64_t)latency[q]);
}
