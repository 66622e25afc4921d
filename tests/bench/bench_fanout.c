#include "bench_fanout.h"

#include "bench_limit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LATENCY_ROUNDS_MAX = 200,
    UNACKED_MAX = 16, /* messages of the writer: what the server reads ahead of one connection */
    ROUNDS_MAX = 20000,
    SMOKE_ROUNDS = 200,
    SPACED_ROUNDS = 20,
    SPACE_MS = 200, /* many times the pause that the server makes between two pushes */
};

static void send_more(struct fanout *f)
{
    while (f->sent < f->messages.count && f->sent - f->acked < UNACKED_MAX && now_ns() < f->deadline_ns &&
           f->sent - f->first < f->window + f->delivered / f->receiver_count) {
        f->sent_ns[f->sent] = now_ns();
        conn_send(&f->writer, messages_at(&f->messages, f->sent++));
    }
}

static void on_writer(struct conn *c, struct slice text)
{
    struct fanout *f = c->user;
    if (message_kind(text) != KIND_APPLY_RESULT) return;
    f->acked++;
    send_more(f);
}

/* Takes the time of each transaction in a push: its number is told by its id, "WALL:COUNTER:SITE". */
static void on_receiver(struct conn *c, struct slice text)
{
    static const char mark[] = "\"transactionId\":\"";
    struct fanout *f = c->user;
    const char *at = text.bytes, *end = text.bytes + text.len;
    if (message_kind(text) != KIND_PUSH) return;
    f->last_ns = now_ns();
    f->push_bytes = text.len;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL) {
        char *rest;
        at += sizeof mark - 1;
        uint64_t wall = strtoull(at, &rest, 10);
        uint64_t number = (wall - f->first_wall_ms) << 16 | strtoull(rest + 1, &rest, 10);
        rest++;
        if (strncmp(rest, f->site, SITE_ID_TEXT) != 0) {
            f->foreign++;
            continue;
        }
        if (number >= f->sent) die("a push of a transaction that was not sent");
        samples_add(&f->latency, f->last_ns - f->sent_ns[number]);
        f->delivered++;
    }
    send_more(f);
}

double fanout_run(struct bench *b, struct fanout *f, size_t window, double seconds)
{
    uint64_t began_ns = now_ns();
    f->window = window;
    f->first = f->sent;
    f->delivered = 0;
    f->latency.count = 0;
    f->deadline_ns = began_ns + (uint64_t)(seconds * NS_PER_S);
    send_more(f);
    while (f->acked < f->sent || f->delivered < (f->sent - f->first) * f->receiver_count) {
        conn_loop_step(&b->loop, 1000);
        if (now_ns() - began_ns > (uint64_t)((seconds + 30) * NS_PER_S))
            die("%llu of %zu pushes did not arrive", (unsigned long long)f->delivered,
                (f->sent - f->first) * f->receiver_count);
    }
    return (double)f->delivered / ((double)(f->last_ns - began_ns) / NS_PER_S);
}

/* One transaction now and then, each sent when all have read the one before it long ago. */
static void run_spaced(struct bench *b, struct fanout *f, struct samples *all)
{
    for (size_t round = 0; round < AT_SCALE(b, 2, SPACED_ROUNDS, SPACED_ROUNDS); round++) {
        uint64_t until_ns = now_ns() + (uint64_t)SPACE_MS * NS_PER_MS;
        while (now_ns() < until_ns) conn_loop_step(&b->loop, SPACE_MS / 10);
        f->messages.count = f->sent + 1;
        (void)fanout_run(b, f, 1, 1);
        for (size_t i = 0; i < f->latency.count; i++) samples_add(all, f->latency.ns[i]);
    }
}

void fanout_site(const struct fanout *f, size_t which, char ret[SITE_ID_TEXT + 1])
{
    struct site_id site = f->author.site;
    for (size_t k = 0; k < sizeof which; k++) site.bytes[k] ^= (uint8_t)((which + 1) >> 8 * k);
    site_id_format(&site, ret);
}

void fanout_init(struct bench *b, struct fanout *f, size_t receivers, size_t messages)
{
    char site[SITE_ID_TEXT + 1];
    *f = (struct fanout){.receiver_count = receivers,
                         .receivers = must(calloc(receivers, sizeof(struct conn)))};
    author_init(&f->author);
    f->first_wall_ms = f->author.wall_ms;
    messages_make(&f->messages, &f->author, messages, 1);
    f->sent_ns = must(calloc(f->messages.count, sizeof *f->sent_ns));
    site_id_format(&f->author.site, f->site);
    memcpy(site, f->site, sizeof site);
    (void)snprintf(f->database, sizeof f->database, "fanout-%.16s", site);
    conn_open(&f->writer, &b->loop, &b->server.target, CONN_WS, f->database, site, on_writer, f);
    conn_wait_live(&b->loop, &f->writer, 1);
    for (size_t i = 0; i < receivers; i++) {
        fanout_site(f, i, site);
        conn_open(&f->receivers[i], &b->loop, &b->server.target, CONN_WS, f->database, site, on_receiver, f);
        if (i % 64 == 63) conn_wait_live(&b->loop, f->receivers, i + 1);
    }
    conn_wait_live(&b->loop, f->receivers, receivers);
}

void fanout_deinit(struct fanout *f)
{
    conn_close(&f->writer);
    for (size_t i = 0; i < f->receiver_count; i++) conn_close(&f->receivers[i]);
    samples_deinit(&f->latency);
    messages_deinit(&f->messages);
    free(f->sent_ns);
    free(f->receivers);
}

static void run_row(struct bench *b, size_t receivers)
{
    struct fanout f;
    size_t rounds = AT_SCALE(b, SMOKE_ROUNDS, ROUNDS_MAX, ROUNDS_MAX),
           all = rounds + LATENCY_ROUNDS_MAX + SPACED_ROUNDS;
    struct samples spaced = {0};
    double seconds = AT_SCALE(b, 0.2, 2, 10);
    fanout_init(b, &f, receivers, all);
    report_object(&b->report, NULL);
    report_count(&b->report, "receivers", receivers);
    run_spaced(b, &f, &spaced);
    report_percentiles(&b->report, "spaced", &spaced);
    samples_deinit(&spaced);
    f.messages.count = f.sent + LATENCY_ROUNDS_MAX;
    (void)fanout_run(b, &f, 1, seconds);
    report_percentiles(&b->report, "one_at_a_time", &f.latency);
    size_t push_bytes = f.push_bytes; /* of one transaction: none was there to be merged with */
    f.messages.count = all;
    uint64_t cpu_ns = server_cpu_ns(&b->server);
    double rate = fanout_run(b, &f, FANOUT_WINDOW, seconds);
    cpu_ns = server_cpu_ns(&b->server) - cpu_ns;
    report_number(&b->report, "deliveries_per_s", rate, 0);
    report_percentiles(&b->report, "many", &f.latency);
    if (cpu_ns > 0)
        report_number(&b->report, "server_cpu_us_per_delivery", (double)cpu_ns / (double)f.delivered / 1000,
                      2);
    fanout_deinit(&f);
    if (b->limit) {
        char *text = must(calloc(1, push_bytes));
        double raw = limit_send(slice_of(text, push_bytes), receivers, ROUNDS_MAX, seconds);
        free(text);
        report_number(&b->report, "raw_sends_per_s", raw, 0);
        report_number(&b->report, "ratio_to_raw", rate / raw, 3);
    }
    report_end(&b->report, '}');
}

void bench_fanout(struct bench *b)
{
    static const size_t receivers[] = {1, 100, 1000, 5000};
    report_array(&b->report, "fanout");
    for (size_t i = 0; i < AT_SCALE(b, 2, 4, 4); i++) run_row(b, receivers[i]);
    report_end(&b->report, ']');
}
