#include "bench_changes.h"
#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CLIENTS = 5000,
    SMOKE_CLIENTS = 100,
    DATABASES = 100,
    KNOWN = 20, /* transactions that each client has when it is cut off */
    NEWER = 5,  /* and those that it comes back for */
    OPENING_MAX = 64,
    LIVE_WAIT_S = 120,
};

/* Each client is live again when it has the changes that it lacks. */
struct client {
    struct conn conn;
    struct storm *storm;
    size_t database;
    bool asked, is_back;
};

struct storm {
    struct author authors[DATABASES];
    char watermarks[DATABASES][HLC_TEXT + 1]; /* of all clients of a database */
    size_t answered, back;
    uint64_t began_ns;
    struct samples times; /* until a client was back */
    char run[SITE_ID_TEXT + 1];
};

static void database_name(const struct storm *s, size_t which, char ret[64])
{
    (void)snprintf(ret, 64, "storm-%.16s-%zu", s->run, which);
}

/* ---- what is there before */

static void on_author(struct conn *c, struct slice text)
{
    struct storm *s = c->user;
    if (message_kind(text) == KIND_APPLY_RESULT) s->answered++;
}

static void write_all(struct bench *b, struct storm *s, size_t transactions)
{
    for (size_t i = 0; i < DATABASES; i++) {
        struct conn c;
        struct messages m;
        char database[64], site[SITE_ID_TEXT + 1];
        database_name(s, i, database);
        site_id_format(&s->authors[i].site, site);
        messages_make(&m, &s->authors[i], 1, transactions);
        conn_open(&c, &b->loop, &b->server.target, CONN_WS, database, site, on_author, s);
        conn_wait_live(&b->loop, &c, 1);
        s->answered = 0;
        conn_send(&c, messages_at(&m, 0));
        while (s->answered == 0) conn_loop_step(&b->loop, 1000);
        conn_close(&c);
        messages_deinit(&m);
    }
}

static void on_first_delta(struct conn *c, struct slice text)
{
    struct client *k = c->user;
    if (message_kind(text) != KIND_CHANGES) return;
    if (!last_hlc(text, k->storm->watermarks[k->database])) die("an answer without a watermark");
    k->storm->answered++;
}

static void take_watermarks(struct bench *b, struct storm *s)
{
    for (size_t i = 0; i < DATABASES; i++) {
        struct client k = {.storm = s, .database = i};
        char database[64];
        database_name(s, i, database);
        conn_open(&k.conn, &b->loop, &b->server.target, CONN_WS, database, "AAAAAAAAAAAAAAAAAAAACA",
                  on_first_delta, &k);
        conn_wait_live(&b->loop, &k.conn, 1);
        s->answered = 0;
        conn_send(&k.conn, slice_str("{\"type\":\"get_changes\"}"));
        while (s->answered == 0) conn_loop_step(&b->loop, 1000);
        conn_close(&k.conn);
    }
}

/* ---- the clients */

static void on_message(struct conn *c, struct slice text)
{
    struct client *k = c->user;
    if (message_kind(text) != KIND_CHANGES || k->is_back) return;
    if (count_transactions(text) < NEWER) die("a client that came back got a part of what it lacks");
    k->is_back = true;
    k->storm->back++;
    samples_add(&k->storm->times, now_ns() - k->storm->began_ns);
}

static void open_client(struct bench *b, struct client *k, size_t number)
{
    char database[64], site[SITE_ID_TEXT + 1];
    struct site_id id = {0};
    for (size_t i = 0; i < sizeof number; i++) id.bytes[i] = (uint8_t)((number + 1) >> 8 * i);
    site_id_format(&id, site);
    database_name(k->storm, k->database, database);
    conn_open(&k->conn, &b->loop, &b->server.target, CONN_WS, database, site, on_message, k);
    k->conn.patient = true;
}

static void open_all(struct bench *b, struct client *clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        open_client(b, &clients[i], i);
        while (i % OPENING_MAX == OPENING_MAX - 1 && !clients[i].conn.live) {
            conn_loop_step(&b->loop, 10);
            if (clients[i].conn.retry_ns != 0 && now_ns() >= clients[i].conn.retry_ns)
                open_client(b, &clients[i], i);
        }
    }
}

/* As the stock client does: when the handshake is answered it asks for what is newer than its watermark. */
static void ask(struct client *k)
{
    char text[256];
    (void)snprintf(text, sizeof text, "{\"type\":\"get_changes\",\"sinceHLC\":\"%s\"}",
                   k->storm->watermarks[k->database]);
    conn_send(&k->conn, slice_str(text));
    k->asked = true;
}

/* All at once; those that are refused come again when they are told to. Returns how often that was. */
static uint64_t come_back(struct bench *b, struct storm *s, struct client *clients, size_t count)
{
    uint64_t refused = 0;
    s->began_ns = now_ns();
    for (size_t i = 0; i < count; i++) {
        open_client(b, &clients[i], i);
        if (i % OPENING_MAX == 0) conn_loop_step(&b->loop, 0);
    }
    while (s->back < count) {
        uint64_t at_ns = now_ns();
        if (at_ns - s->began_ns > (uint64_t)LIVE_WAIT_S * NS_PER_S)
            die("%zu of %zu clients are not back after %d s", count - s->back, count, LIVE_WAIT_S);
        for (size_t i = 0; i < count; i++) {
            struct client *k = &clients[i];
            if (k->conn.retry_ns != 0 && at_ns >= k->conn.retry_ns) {
                refused++;
                open_client(b, k, i);
            }
            if (k->conn.live && !k->asked) ask(k);
        }
        conn_loop_step(&b->loop, 10);
    }
    return refused;
}

void bench_storm(struct bench *b)
{
    struct storm *s = must(calloc(1, sizeof *s));
    size_t count = AT_SCALE(b, SMOKE_CLIENTS, CLIENTS, CLIENTS);
    struct client *clients = must(calloc(count, sizeof *clients));
    bool restarts = b->server.program != NULL;
    for (size_t i = 0; i < DATABASES; i++) author_init(&s->authors[i]);
    site_id_format(&s->authors[0].site, s->run);
    write_all(b, s, KNOWN);
    take_watermarks(b, s);
    for (size_t i = 0; i < count; i++) clients[i] = (struct client){.storm = s, .database = i % DATABASES};
    open_all(b, clients, count);
    for (size_t i = 0; i < count; i++) conn_close(&clients[i].conn);
    write_all(b, s, NEWER);
    if (restarts) {
        server_stop(&b->server);
        (void)server_start(&b->server);
    }
    uint64_t before_kib = server_resident_kib(&b->server), cpu_ns = server_cpu_ns(&b->server);
    uint64_t refused = come_back(b, s, clients, count);
    double took_s = (double)(now_ns() - s->began_ns) / NS_PER_S;
    cpu_ns = server_cpu_ns(&b->server) - cpu_ns;

    report_object(&b->report, "storm");
    report_count(&b->report, "clients", count);
    report_count(&b->report, "databases", DATABASES);
    report_text(&b->report, "after", restarts ? "a restart" : "being cut off");
    report_number(&b->report, "all_live_ms", took_s * 1000, 0);
    report_percentiles(&b->report, "live", &s->times);
    report_count(&b->report, "refused_and_came_again", refused);
    if (b->server.pid != 0) {
        report_number(&b->report, "server_cpu_us_per_client", (double)cpu_ns / 1000 / (double)count, 1);
        report_count(&b->report, "resident_before_kib", before_kib);
        report_count(&b->report, restarts ? "peak_kib" : "resident_after_kib",
                     restarts ? server_peak_kib(&b->server) : server_resident_kib(&b->server));
    }
    report_end(&b->report, '}');
    for (size_t i = 0; i < count; i++) conn_close(&clients[i].conn);
    samples_deinit(&s->times);
    free(clients);
    free(s);
}
