#include "bench_changes.h"
#include "bench_scenarios.h"

#include <stdio.h>

#define STRANGER "AAAAAAAAAAAAAAAAAAAAAg"

enum { STALL_S = 10 };

struct reading {
    struct conn conn;
    bool snapshot;
    size_t wanted, transactions; /* of a delta */
    char watermark[HLC_TEXT + 1];
    bool done;
};

static void ask(struct reading *r)
{
    char text[256];
    if (r->conn.kind == CONN_WS && r->snapshot) {
        conn_send(&r->conn, slice_str("{\"type\":\"get_snapshot\"}"));
    } else if (r->conn.kind == CONN_WS) {
        (void)snprintf(text, sizeof text, "{\"type\":\"get_changes\"%s%s%s}",
                       r->watermark[0] == '\0' ? "" : ",\"sinceHLC\":\"", r->watermark,
                       r->watermark[0] == '\0' ? "" : "\"");
        conn_send(&r->conn, slice_str(text));
    } else if (r->snapshot) {
        conn_get(&r->conn, "snapshot");
    } else {
        (void)snprintf(text, sizeof text, "changes?sinceHLC=%s", r->watermark);
        for (char *c = text; *c != '\0'; c++) /* a server reads both base64 alphabets here */
            *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        conn_get(&r->conn, text);
    }
}

static void on_message(struct conn *c, struct slice text)
{
    struct reading *r = c->user;
    enum message_kind kind = c->kind == CONN_HTTP ? KIND_OTHER : message_kind(text);
    if (r->snapshot) {
        if (c->kind == CONN_HTTP && memmem(text.bytes, text.len, "\"footer\"", 8) == NULL)
            die("half a snapshot");
        if (c->kind == CONN_HTTP || kind == KIND_SNAPSHOT_COMPLETE) r->done = true; /* a nudge may follow */
    } else if (c->kind == CONN_WS && kind == KIND_HANDSHAKE_ACK) {
        ask(r); /* the next page */
    } else if (c->kind == CONN_HTTP || kind == KIND_CHANGES) {
        r->transactions += count_transactions(text) - 1; /* the last one only carries the watermark */
        if (!last_hlc(text, r->watermark)) die("an answer without a watermark");
        r->done = r->transactions >= r->wanted;
        if (!r->done && c->kind == CONN_HTTP) ask(r);
    }
}

static void run_row(struct bench *b, const char *key, enum conn_kind kind, bool snapshot)
{
    struct reading r = {.snapshot = snapshot};
    const char *database = bench_large_database(b, &r.wanted);
    conn_open(&r.conn, &b->loop, &b->server.target, kind, database, STRANGER, on_message, &r);
    conn_wait_live(&b->loop, &r.conn, 1);
    uint64_t cpu_ns = server_cpu_ns(&b->server), wait_ns = server_cpu_wait_ns(&b->server),
             began_ns = now_ns(), before = r.conn.received, seen = before, moved_ns = began_ns;
    ask(&r);
    while (!r.done) {
        conn_loop_step(&b->loop, 1000);
        if (r.conn.received != seen) {
            seen = r.conn.received;
            moved_ns = now_ns();
        } else if (now_ns() - moved_ns > (uint64_t)STALL_S * NS_PER_S) {
            die("%s: nothing for 10 s, with %zu of %zu transactions there", key, r.transactions, r.wanted);
        }
    }
    double megabytes = (double)(r.conn.received - before) / 1e6;
    double took_s = (double)(now_ns() - began_ns) / NS_PER_S;
    cpu_ns = server_cpu_ns(&b->server) - cpu_ns;
    wait_ns = server_cpu_wait_ns(&b->server) - wait_ns;
    conn_close(&r.conn);
    report_object(&b->report, key);
    report_number(&b->report, "megabytes", megabytes, 1);
    report_number(&b->report, "megabytes_per_s", megabytes / took_s, 1);
    if (cpu_ns > 0)
        report_number(&b->report, "server_cpu_ms_per_megabyte", (double)cpu_ns / 1e6 / megabytes, 2);
    if (cpu_ns > 0)
        report_number(&b->report, "waited_for_a_cpu_ms_per_megabyte", (double)wait_ns / 1e6 / megabytes, 2);
    report_end(&b->report, '}');
}

void bench_read(struct bench *b)
{
    report_object(&b->report, "read");
    run_row(b, "delta_ws", CONN_WS, false);
    run_row(b, "delta_http", CONN_HTTP, false);
    run_row(b, "snapshot_ws", CONN_WS, true);
    run_row(b, "snapshot_http", CONN_HTTP, true);
    report_end(&b->report, '}');
}
