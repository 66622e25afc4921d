#include "bench_changes.h"
#include "bench_limit.h"
#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LATENCY_ROUNDS_MAX = 200,
    UNACKED_MAX = 16,      /* messages of the writer: what the server reads ahead of one connection */
    UNDELIVERED_MAX = 256, /* transactions that the receivers lack: below what makes the server drop pushes */
    ROUNDS_MAX = 20000,
};

struct fanout {
    struct conn writer;
    struct conn *receivers;
    size_t receiver_count;
    struct messages messages;
    uint64_t *sent_ns;         /* by message */
    size_t sent, acked, first; /* first: of this part of the run */
    uint64_t delivered;        /* of this part, over all receivers */
    uint64_t last_ns, deadline_ns;
    size_t window; /* transactions not yet delivered to all, about */
    size_t push_bytes;
    uint64_t first_wall_ms;
    struct samples latency;
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
        uint64_t number = (wall - f->first_wall_ms) << 16 | strtoull(rest + 1, NULL, 10);
        if (number >= f->sent) die("a push of a transaction that was not sent");
        samples_add(&f->latency, f->last_ns - f->sent_ns[number]);
        f->delivered++;
    }
    send_more(f);
}

/* Writes for so long with so many transactions under way. Returns deliveries a second. */
static double run_part(struct bench *b, struct fanout *f, size_t window, double seconds)
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

static void open_all(struct bench *b, struct fanout *f, const struct author *author)
{
    char database[64], site[SITE_ID_TEXT + 1];
    struct site_id reader = author->site;
    site_id_format(&author->site, site);
    (void)snprintf(database, sizeof database, "fanout-%.16s", site);
    conn_open(&f->writer, &b->loop, &b->server.target, CONN_WS, database, site, on_writer, f);
    conn_wait_live(&b->loop, &f->writer, 1);
    for (size_t i = 0; i < f->receiver_count; i++) {
        for (size_t k = 0; k < sizeof i; k++)
            reader.bytes[k] = (uint8_t)(author->site.bytes[k] ^ (i + 1) >> 8 * k);
        site_id_format(&reader, site);
        conn_open(&f->receivers[i], &b->loop, &b->server.target, CONN_WS, database, site, on_receiver, f);
        if (i % 64 == 63) conn_wait_live(&b->loop, f->receivers, i + 1);
    }
    conn_wait_live(&b->loop, f->receivers, f->receiver_count);
}

static void run_row(struct bench *b, size_t receivers)
{
    struct author author;
    struct fanout f = {.receiver_count = receivers,
                       .receivers = must(calloc(receivers, sizeof *f.receivers))};
    double seconds = b->long_run ? 10 : 2;
    author_init(&author);
    f.first_wall_ms = author.wall_ms;
    messages_make(&f.messages, &author, ROUNDS_MAX + LATENCY_ROUNDS_MAX, 1);
    f.sent_ns = must(calloc(f.messages.count, sizeof *f.sent_ns));
    open_all(b, &f, &author);

    size_t all = f.messages.count;
    report_object(&b->report, NULL);
    report_count(&b->report, "receivers", receivers);
    f.messages.count = LATENCY_ROUNDS_MAX;
    (void)run_part(b, &f, 1, seconds);
    report_percentiles(&b->report, "one_at_a_time", &f.latency);
    size_t push_bytes = f.push_bytes; /* of one transaction: none was there to be merged with */
    f.messages.count = all;
    uint64_t cpu_ns = server_cpu_ns(&b->server);
    double rate = run_part(b, &f, UNDELIVERED_MAX, seconds);
    cpu_ns = server_cpu_ns(&b->server) - cpu_ns;
    report_number(&b->report, "deliveries_per_s", rate, 0);
    report_percentiles(&b->report, "many", &f.latency);
    if (cpu_ns > 0)
        report_number(&b->report, "server_cpu_us_per_delivery", (double)cpu_ns / (double)f.delivered / 1000,
                      2);
    conn_close(&f.writer);
    for (size_t i = 0; i < receivers; i++) conn_close(&f.receivers[i]);
    if (b->limit) {
        char *text = must(calloc(1, push_bytes));
        double raw = limit_send(slice_of(text, push_bytes), receivers, ROUNDS_MAX, seconds);
        free(text);
        report_number(&b->report, "raw_sends_per_s", raw, 0);
        report_number(&b->report, "ratio_to_raw", rate / raw, 3);
    }
    report_end(&b->report, '}');
    samples_deinit(&f.latency);
    messages_deinit(&f.messages);
    free(f.sent_ns);
    free(f.receivers);
}

void bench_fanout(struct bench *b)
{
    static const size_t receivers[] = {1, 100, 1000, 5000};
    report_array(&b->report, "fanout");
    for (size_t i = 0; i < sizeof receivers / sizeof *receivers; i++) run_row(b, receivers[i]);
    report_end(&b->report, ']');
}
