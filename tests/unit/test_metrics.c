#include "core/metrics/metrics.h"

#include "core/metrics/sync_metrics.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct metric_desc plain_counter = {
    .name = "test_things_total", .help = "Things seen.", .type = METRIC_COUNTER};
static const struct metric_desc plain_gauge = {
    .name = "test_level", .help = "Level now.", .type = METRIC_GAUGE};

static const char *const colours[] = {"red", "green"};
static const char *const sizes[] = {"s", "m", "l"};

/* The text of a registry, zero terminated; the caller frees it. */
static char *text_of(const struct metrics_registry *r)
{
    struct buf b = buf_make(METRICS_TEXT_BYTES_MAX);
    struct err_ctx ec;
    size_t len;
    metrics_write(r, &b);
    buf_put_char(&b, '\0');
    cr_assert_eq(buf_check(&b, &ec), SYNC_OK);
    return buf_take(&b, &len);
}

static void assert_text(const struct metrics_registry *r, const char *expected)
{
    char *text = text_of(r);
    cr_assert_str_eq(text, expected);
    free(text);
}

Test(metrics, counters_and_gauges_are_written_with_help_type_and_value)
{
    struct metrics_registry r = {0};
    struct counter c = {0};
    struct gauge g = {0};
    metrics_add_counter(&r, &plain_counter, &c);
    metrics_add_gauge(&r, &plain_gauge, &g);
    counter_add(&c, 2);
    counter_add(&c, 5);
    gauge_add(&g, 3);
    gauge_add(&g, -10);
    assert_text(&r, "# HELP test_things_total Things seen.\n"
                    "# TYPE test_things_total counter\n"
                    "test_things_total 7\n"
                    "# HELP test_level Level now.\n"
                    "# TYPE test_level gauge\n"
                    "test_level -7\n");
    gauge_set(&g, INT64_MIN);
    cr_assert_eq(gauge_value(&g), INT64_MIN);
    char *text = text_of(&r);
    cr_assert_not_null(strstr(text, "\ntest_level -9223372036854775808\n"));
    free(text);
}

Test(metrics, raw_units_are_shown_as_exact_decimals)
{
    static const struct {
        uint64_t raw;
        unsigned decimals;
        const char *shown;
    } cases[] = {
        {0, 9, "0"},
        {1, 9, "0.000000001"},
        {1000000, 9, "0.001"},
        {2500000000, 9, "2.5"},
        {10000000000, 9, "10"},
        {1700000000123, 3, "1700000000.123"},
        {1700000000100, 3, "1700000000.1"},
        {UINT64_MAX, 9, "18446744073.709551615"},
        {UINT64_MAX, 0, "18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct metric_desc d = {
            .name = "t", .help = "h", .type = METRIC_COUNTER, .decimals = cases[i].decimals};
        struct metrics_registry r = {0};
        struct counter c = {0};
        char expected[100];
        metrics_add_counter(&r, &d, &c);
        counter_add(&c, cases[i].raw);
        snprintf(expected, sizeof expected, "# HELP t h\n# TYPE t counter\nt %s\n", cases[i].shown);
        assert_text(&r, expected);
    }
}

Test(metrics, an_observation_falls_into_every_bucket_at_or_above_it)
{
    static const uint64_t bounds[] = {100000000, 500000000, 1000000000};
    static const struct metric_desc d = {
        .name = "t", .help = "h", .type = METRIC_HISTOGRAM, .decimals = 9, .bounds = {bounds, 3}};
    struct metrics_registry r = {0};
    struct histogram h = {0};
    metrics_add_histogram(&r, &d, &h);
    histogram_observe(&h, 0);
    histogram_observe(&h, 100000000); /* equal to a bound: inside it */
    histogram_observe(&h, 100000001);
    histogram_observe(&h, 1000000001);
    cr_assert_eq(histogram_count(&h), 4);
    assert_text(&r, "# HELP t h\n"
                    "# TYPE t histogram\n"
                    "t_bucket{le=\"0.1\"} 2\n"
                    "t_bucket{le=\"0.5\"} 3\n"
                    "t_bucket{le=\"1\"} 3\n"
                    "t_bucket{le=\"+Inf\"} 4\n"
                    "t_sum 1.200000002\n"
                    "t_count 4\n");
}

Test(metrics, labelled_series_run_through_every_combination_the_last_label_fastest)
{
    static const struct metric_desc d = {.name = "t",
                                         .help = "h",
                                         .type = METRIC_COUNTER,
                                         .labels = {{"colour", colours, 2}, {"size", sizes, 3}},
                                         .label_count = 2};
    struct metrics_registry r = {0};
    struct counter c[6] = {0};
    cr_assert_eq(metric_series_count(&d), 6);
    metrics_add_counter(&r, &d, c);
    for (size_t i = 0; i < 6; i++) counter_add(&c[i], i);
    assert_text(&r, "# HELP t h\n"
                    "# TYPE t counter\n"
                    "t{colour=\"red\",size=\"s\"} 0\n"
                    "t{colour=\"red\",size=\"m\"} 1\n"
                    "t{colour=\"red\",size=\"l\"} 2\n"
                    "t{colour=\"green\",size=\"s\"} 3\n"
                    "t{colour=\"green\",size=\"m\"} 4\n"
                    "t{colour=\"green\",size=\"l\"} 5\n");
}

Test(metrics, labelled_histograms_carry_their_labels_on_every_line)
{
    static const uint64_t bounds[] = {10};
    static const struct metric_desc d = {.name = "t",
                                         .help = "h",
                                         .type = METRIC_HISTOGRAM,
                                         .labels = {{"colour", colours, 2}},
                                         .label_count = 1,
                                         .leave_out_zero = true,
                                         .bounds = {bounds, 1}};
    struct metrics_registry r = {0};
    struct histogram h[2] = {0};
    metrics_add_histogram(&r, &d, h);
    histogram_observe(&h[1], 4);
    assert_text(&r, "# HELP t h\n"
                    "# TYPE t histogram\n"
                    "t_bucket{colour=\"green\",le=\"10\"} 1\n"
                    "t_bucket{colour=\"green\",le=\"+Inf\"} 1\n"
                    "t_sum{colour=\"green\"} 4\n"
                    "t_count{colour=\"green\"} 1\n");
}

Test(metrics, help_and_label_values_are_escaped)
{
    static const char *const values[] = {"a\"b\\c\nd"};
    static const struct metric_desc d = {.name = "t",
                                         .help = "one \"line\" \\ only\n# TYPE x counter",
                                         .type = METRIC_COUNTER,
                                         .labels = {{"l", values, 1}},
                                         .label_count = 1};
    struct metrics_registry r = {0};
    struct counter c = {0};
    metrics_add_counter(&r, &d, &c);
    assert_text(&r, "# HELP t one \"line\" \\\\ only\\n# TYPE x counter\n"
                    "# TYPE t counter\n"
                    "t{l=\"a\\\"b\\\\c\\nd\"} 0\n");
}

Test(metrics, text_over_the_ceiling_is_an_error_not_a_cut_text)
{
    struct metrics_registry r = {0};
    struct counter c = {0};
    struct buf b = buf_make(40);
    struct err_ctx ec;
    metrics_add_counter(&r, &plain_counter, &c);
    metrics_write(&r, &b);
    cr_assert_eq(buf_check(&b, &ec), SYNC_ELIMIT);
    buf_deinit(&b);
}

Test(metrics, registering_one_name_twice_is_a_bug, .signal = SIGABRT)
{
    struct metrics_registry r = {0};
    struct counter c = {0};
    metrics_add_counter(&r, &plain_counter, &c);
    metrics_add_counter(&r, &plain_counter, &c);
}

Test(metrics, registering_a_name_that_prometheus_refuses_is_a_bug, .signal = SIGABRT)
{
    static const struct metric_desc d = {.name = "9lives", .help = "h", .type = METRIC_COUNTER};
    struct metrics_registry r = {0};
    struct counter c = {0};
    metrics_add_counter(&r, &d, &c);
}

Test(metrics, the_markdown_table_has_one_row_a_family)
{
    static const struct metric_desc d = {.name = "t_total",
                                         .help = "Things.",
                                         .type = METRIC_COUNTER,
                                         .labels = {{"colour", colours, 2}, {"size", sizes, 3}},
                                         .label_count = 2};
    struct metrics_registry r = {0};
    struct counter c[6] = {0};
    struct gauge g = {0};
    struct buf b = buf_make(1000);
    metrics_add_counter(&r, &d, c);
    metrics_add_gauge(&r, &plain_gauge, &g);
    metrics_write_markdown(&r, &b);
    buf_put_char(&b, '\0');
    cr_assert_str_eq(b.bytes, "| Metric | Type | Labels | Meaning |\n"
                              "|---|---|---|---|\n"
                              "| `t_total` | counter | `colour`: red, green; `size`: s, m, l | Things. |\n"
                              "| `test_level` | gauge |  | Level now. |\n");
    buf_deinit(&b);
}

/* Every name and type that a dashboard made for the predecessor may ask for. */
Test(sync_metrics, the_predecessors_names_and_types_are_there)
{
    static const char *const types[] = {
        "sync_websocket_connections_active gauge",
        "sync_websocket_connections_total counter",
        "sync_http_requests_total counter",
        "sync_http_request_duration_seconds histogram",
        "sync_changes_applied_total counter",
        "sync_changes_received_total counter",
        "sync_changes_rejected_total counter",
        "sync_changes_broadcast_total counter",
        "sync_broadcast_errors_total counter",
        "sync_snapshot_requests_total counter",
        "sync_snapshot_chunks_total counter",
        "sync_apply_changes_duration_seconds histogram",
        "sync_get_changes_duration_seconds histogram",
        "sync_change_batch_size histogram",
        "sync_auth_attempts_total counter",
        "sync_auth_failures_total counter",
    };
    struct sync_metrics m;
    sync_metrics_init(&m);
    char *text = text_of(&m.registry);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char line[100];
        snprintf(line, sizeof line, "\n# TYPE %s\n", types[i]);
        cr_assert_not_null(strstr(text, line), "%s", types[i]);
    }
    static const char *const series[] = {
        "\nsync_websocket_connections_active 0\n",
        "\nsync_apply_changes_duration_seconds_bucket{le=\"0.005\"} 0\n",
        "\nsync_http_request_duration_seconds_bucket{le=\"2.5\"} 0\n",
        "\nsync_change_batch_size_bucket{le=\"100000\"} 0\n",
        "\nsync_nudges_total{reason=\"lagging\"} 0\n",
        "\nsync_limit_hits_total{limit=\"connections\"} 0\n",
    };
    for (size_t i = 0; i < sizeof series / sizeof series[0]; i++)
        cr_assert_not_null(strstr(text, series[i]), "%s", series[i]);
    free(text);
}

Test(sync_metrics, http_requests_count_under_their_endpoint_and_status)
{
    struct sync_metrics m;
    sync_metrics_init(&m);
    sync_metrics_http_request(&m, HTTP_ENDPOINT_GET_CHANGES, 200);
    sync_metrics_http_request(&m, HTTP_ENDPOINT_GET_CHANGES, 200);
    sync_metrics_http_request(&m, HTTP_ENDPOINT_STATUS, 101);
    sync_metrics_http_request(&m, HTTP_ENDPOINT_OTHER, 503);
    sync_metrics_http_request(&m, HTTP_ENDPOINT_OTHER, 299);
    sync_metrics_http_request(&m, HTTP_ENDPOINT_OTHER, -1);
    char *text = text_of(&m.registry);
    const char *at = strstr(text, "# TYPE sync_http_requests_total counter\n");
    static const char expected[] = "# TYPE sync_http_requests_total counter\n"
                                   "sync_http_requests_total{endpoint=\"status\",status=\"101\"} 1\n"
                                   "sync_http_requests_total{endpoint=\"get_changes\",status=\"200\"} 2\n"
                                   "sync_http_requests_total{endpoint=\"other\",status=\"503\"} 1\n"
                                   "sync_http_requests_total{endpoint=\"other\",status=\"other\"} 2\n"
                                   "# HELP ";
    cr_assert_not_null(at);
    cr_assert_eq(strncmp(at, expected, sizeof expected - 1), 0, "%.400s", at);
    free(text);
}

/* A line of the text format: a comment, or a series, a blank, a number. */
static bool line_is_well_formed(const char *line, size_t len)
{
    if (len > 7 && memcmp(line, "# HELP ", 7) == 0) return true;
    if (len > 7 && memcmp(line, "# TYPE ", 7) == 0) return true;
    size_t i = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    if (i == 0) return false;
    if (line[i] == '{') {
        const char *close = memchr(line, '}', len);
        if (close == NULL) return false;
        i = (size_t)(close + 1 - line);
    }
    return i < len && line[i] == ' ' && i + 1 + strspn(line + i + 1, "0123456789.-") == len;
}

Test(sync_metrics, the_whole_text_is_well_formed_and_fits_its_ceiling_when_everything_moved)
{
    struct sync_metrics m;
    sync_metrics_init(&m);
    for (int e = 0; e < HTTP_ENDPOINT_COUNT; e++)
        for (int status = 100; status < 600; status++)
            sync_metrics_http_request(&m, (enum http_endpoint)e, status);
    histogram_observe(&m.apply_changes_ns, UINT64_MAX);
    gauge_set(&m.process_start_ms, 1700000000123);
    char *text = text_of(&m.registry);
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; lines++) {
        const char *end = strchr(at, '\n');
        cr_assert_not_null(end, "the last line ends too");
        cr_assert(line_is_well_formed(at, (size_t)(end - at)), "%.*s", (int)(end - at), at);
        at = end + 1;
    }
    cr_assert_gt(lines, HTTP_REQUEST_COUNT);
    cr_assert_not_null(strstr(text, "\nprocess_start_time_seconds 1700000000.123\n"));
    free(text);
}
