/* Many threads count while one scrapes; nothing is lost, and no scrape contradicts itself. A plain program,
 * so that it also runs under ThreadSanitizer. */
#include "core/metrics/sync_metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITERS = 4, ROUNDS = 50000, SCRAPES = 50 };

static struct sync_metrics metrics;

static void check(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void *count_up(void *arg)
{
    uint64_t observed = *(const uint64_t *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        counter_add(&metrics.changes_applied, 3);
        gauge_add(&metrics.ws_connections_active, i % 2 == 0 ? 1 : -1);
        histogram_observe(&metrics.apply_changes_ns, observed);
        sync_metrics_http_request(&metrics, HTTP_ENDPOINT_STATUS, 200);
    }
    return NULL;
}

static uint64_t value_of(const char *text, const char *series)
{
    const char *at = strstr(text, series);
    check(at != NULL, series);
    return strtoull(at + strlen(series), NULL, 10);
}

int main(void)
{
    static const uint64_t observed[WRITERS] = {1, 2000000, 300000000, 20000000000};
    pthread_t threads[WRITERS];
    sync_metrics_init(&metrics);
    for (int i = 0; i < WRITERS; i++)
        check(pthread_create(&threads[i], NULL, count_up, (void *)&observed[i]) == 0, "pthread_create");

    uint64_t last = 0;
    for (int i = 0; i < SCRAPES; i++) {
        struct buf b = buf_make(METRICS_TEXT_BYTES_MAX);
        struct err_ctx ec;
        metrics_write(&metrics.registry, &b);
        buf_put_char(&b, '\0');
        check(buf_check(&b, &ec) == SYNC_OK, "a scrape fits");
        uint64_t now = value_of(b.bytes, "\nsync_changes_applied_total ");
        check(now >= last, "a counter never goes back");
        last = now;
        check(value_of(b.bytes, "\nsync_apply_changes_duration_seconds_count ") ==
                  value_of(b.bytes, "\nsync_apply_changes_duration_seconds_bucket{le=\"+Inf\"} "),
              "_count equals +Inf");
        buf_deinit(&b);
    }

    for (int i = 0; i < WRITERS; i++) check(pthread_join(threads[i], NULL) == 0, "pthread_join");
    check(counter_value(&metrics.changes_applied) == 3ull * WRITERS * ROUNDS, "no addition is lost");
    check(gauge_value(&metrics.ws_connections_active) == 0, "a gauge comes back to where it was");
    check(histogram_count(&metrics.apply_changes_ns) == 1ull * WRITERS * ROUNDS, "no observation is lost");
    uint64_t sum = 0;
    for (int i = 0; i < WRITERS; i++) sum += observed[i] * ROUNDS;
    check(atomic_load(&metrics.apply_changes_ns.sum) == sum, "the sum is exact");
    return 0;
}
