#include "bench_changes.h"
#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum { POLLS = 5000, SMOKE_POLLS = 50, WARM_UP = 200, ANSWER_WAIT_S = 30 };

#define STRANGER "AAAAAAAAAAAAAAAAAAAAAQ"

struct poller {
    struct conn conn;
    char watermark[HLC_TEXT + 1];
    bool answered;
    size_t transactions; /* in the answer */
};

static void on_answer(struct conn *c, struct slice text)
{
    struct poller *p = c->user;
    if (c->kind == CONN_WS && message_kind(text) != KIND_CHANGES) return;
    p->answered = true;
    p->transactions = count_transactions(text);
    char hlc[HLC_TEXT + 1];
    if (p->transactions > 0 && last_hlc(text, hlc)) memcpy(p->watermark, hlc, sizeof hlc);
}

static void ask(struct bench *b, struct poller *p)
{
    char text[256];
    const char *since = p->watermark;
    p->answered = false;
    if (p->conn.kind == CONN_WS) {
        int n = since[0] == '\0'
                    ? snprintf(text, sizeof text, "{\"type\":\"get_changes\"}")
                    : snprintf(text, sizeof text, "{\"type\":\"get_changes\",\"sinceHLC\":\"%s\"}", since);
        conn_send(&p->conn, slice_of(text, (size_t)n));
    } else {
        char escaped[3 * HLC_TEXT + 1], *out = escaped;
        for (; *since != '\0'; since++) /* base64 has + and / */
            out += *since == '+'   ? sprintf(out, "%%2B")
                   : *since == '/' ? sprintf(out, "%%2F")
                                   : sprintf(out, "%c", *since);
        *out = '\0';
        (void)snprintf(text, sizeof text, "changes?sinceHLC=%s", escaped);
        conn_get(&p->conn, text);
    }
    uint64_t deadline_ns = now_ns() + (uint64_t)ANSWER_WAIT_S * NS_PER_S;
    while (!p->answered) {
        conn_loop_step(&b->loop, 1000);
        if (now_ns() > deadline_ns) die("a poll got no answer in %d s", ANSWER_WAIT_S);
    }
}

static void run_row(struct bench *b, const char *key, enum conn_kind kind, const char *database)
{
    struct poller p = {0};
    struct samples round_trip = {0};
    uint64_t cpu_ns = 0;
    size_t polls = AT_SCALE(b, SMOKE_POLLS, POLLS, POLLS);
    conn_open(&p.conn, &b->loop, &b->server.target, kind, database, STRANGER, on_answer, &p);
    conn_wait_live(&b->loop, &p.conn, 1);
    do { /* to the end of what is there */
        ask(b, &p);
    } while (p.transactions > 0);
    for (size_t i = 0; i < WARM_UP + polls; i++) {
        if (i == WARM_UP) cpu_ns = server_cpu_ns(&b->server);
        uint64_t began_ns = now_ns();
        ask(b, &p);
        if (p.transactions > 0) die("a poll brought changes that nobody made");
        if (i >= WARM_UP) samples_add(&round_trip, now_ns() - began_ns);
    }
    cpu_ns = server_cpu_ns(&b->server) - cpu_ns;
    conn_close(&p.conn);
    report_object(&b->report, key);
    report_percentiles(&b->report, "round_trip", &round_trip);
    if (b->server.pid != 0)
        report_number(&b->report, "server_cpu_us", (double)cpu_ns / (double)polls / 1000, 1);
    report_end(&b->report, '}');
    samples_deinit(&round_trip);
}

void bench_poll(struct bench *b)
{
    size_t transactions;
    const char *large = bench_large_database(b, &transactions);
    report_object(&b->report, "poll");
    run_row(b, "http_empty_database", CONN_HTTP, "empty");
    run_row(b, "ws_empty_database", CONN_WS, "empty");
    run_row(b, "http_large_database", CONN_HTTP, large);
    run_row(b, "ws_large_database", CONN_WS, large);
    report_end(&b->report, '}');
}
