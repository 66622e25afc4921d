#include "bench_fanout.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STALLED = 1000,
    SMOKE_STALLED = 20,
    RECEIVERS = 100,
    SMOKE_RECEIVERS = 10,
    MESSAGES = 60000,
    SMOKE_MESSAGES = 20000,
    KERNEL_BYTES = 16 << 10, /* of a stalled one: what the network holds for it is not what is looked at */
    FILL_MESSAGES_MAX = 100,
    FILL_TRANSACTIONS = 100, /* in each of them */
    FILL_ROW_FIRST = 1000000,
};

static void on_stalled(struct conn *c, struct slice text)
{
    (void)c;
    (void)text;
}

static void stall(struct bench *b, const struct fanout *f, struct conn *stalled, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char site[SITE_ID_TEXT + 1];
        fanout_site(f, f->receiver_count + i, site);
        conn_open(&stalled[i], &b->loop, &b->server.target, CONN_WS, f->database, site, on_stalled, NULL);
        conn_limit_receiving(&stalled[i], KERNEL_BYTES);
        if (i % 64 == 63) conn_wait_live(&b->loop, stalled, i + 1);
    }
    conn_wait_live(&b->loop, stalled, count);
    for (size_t i = 0; i < count; i++) conn_pause(&stalled[i]);
}

static void on_filler(struct conn *c, struct slice text)
{
    if (message_kind(text) == KIND_APPLY_RESULT) ++*(size_t *)c->user;
}

/* Writes long messages as another site until the server has given all of them up to be caught up later, or
 * says that it never does. The next goes when the receivers that read have the one before. */
static double fill(struct bench *b, struct fanout *f, size_t count)
{
    struct author author;
    struct conn c;
    struct messages m;
    char site[SITE_ID_TEXT + 1];
    size_t answered = 0;
    double lagging = 0;
    author_init(&author);
    author.row = FILL_ROW_FIRST; /* not the writer's, which would then be conflicts and not be pushed */
    site_id_format(&author.site, site);
    messages_make(&m, &author, FILL_MESSAGES_MAX, FILL_TRANSACTIONS);
    conn_open(&c, &b->loop, &b->server.target, CONN_WS, f->database, site, on_filler, &answered);
    conn_wait_live(&b->loop, &c, 1);
    for (size_t i = 0; i < m.count && lagging >= 0 && lagging < (double)count; i++) {
        conn_send(&c, messages_at(&m, i));
        while (answered <= i || f->foreign < (i + 1) * FILL_TRANSACTIONS * f->receiver_count)
            conn_loop_step(&b->loop, 1000);
        if (i % 4 == 3) lagging = server_metric(&b->loop, &b->server.target, "sync_sessions_lagging");
    }
    conn_close(&c);
    messages_deinit(&m);
    return lagging;
}

/* What the kernel holds for all TCP connections of this machine. */
static uint64_t kernel_kib(void)
{
    char line[256];
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/net/sockstat", "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "TCP: %*[^m]mem %llu", &pages) == 1) break;
    if (f != NULL) (void)fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void report_part(struct bench *b, struct fanout *f, const char *key, double rate)
{
    report_object(&b->report, key);
    report_number(&b->report, "deliveries_per_s", rate, 0);
    report_percentiles(&b->report, "write_to_receive", &f->latency);
    report_end(&b->report, '}');
}

void bench_stalled(struct bench *b)
{
    struct fanout f;
    size_t count = AT_SCALE(b, SMOKE_STALLED, STALLED, STALLED);
    double seconds = AT_SCALE(b, 0.2, 3, 10);
    struct conn *stalled = must(calloc(count, sizeof *stalled));
    fanout_init(b, &f, AT_SCALE(b, SMOKE_RECEIVERS, RECEIVERS, RECEIVERS),
                AT_SCALE(b, SMOKE_MESSAGES, MESSAGES, MESSAGES));
    report_object(&b->report, "stalled");
    report_count(&b->report, "clients", count);
    report_count(&b->report, "receivers", f.receiver_count);
    (void)fanout_run(b, &f, FANOUT_WINDOW, seconds / 3); /* what is allocated once is not theirs */
    double before = fanout_run(b, &f, FANOUT_WINDOW, seconds);
    report_part(b, &f, "without", before);
    uint64_t before_kib = server_resident_kib(&b->server), kernel_before_kib = kernel_kib();
    stall(b, &f, stalled, count);
    double lagging = fill(b, &f, count);
    uint64_t cost_kib = server_resident_kib(&b->server) - before_kib;
    uint64_t kernel_cost_kib = kernel_kib() - kernel_before_kib;
    double with = fanout_run(b, &f, FANOUT_WINDOW, seconds);
    report_part(b, &f, "with", with);
    for (size_t i = 0; i < count; i++) conn_close(&stalled[i]);
    double after = fanout_run(b, &f, FANOUT_WINDOW, seconds);
    report_part(b, &f, "without_again", after);
    report_number(&b->report, "ratio_with_to_without", with / ((before + after) / 2), 3);
    if (lagging >= 0) report_number(&b->report, "lagging", lagging, 0);
    if (b->server.pid != 0)
        report_number(&b->report, "resident_kib_per_client", (double)(int64_t)cost_kib / (double)count, 2);
    report_number(&b->report, "kernel_kib_per_client", (double)(int64_t)kernel_cost_kib / (double)count, 2);
    report_end(&b->report, '}');
    fanout_deinit(&f);
    free(stalled);
}
