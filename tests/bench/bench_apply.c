#include "bench_limit.h"
#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECTIONS_MAX = 256,
    SMOKE_BYTES = 3 << 20, /* of messages made for one row */
    SHORT_BYTES = 48 << 20,
    LONG_BYTES = 256 << 20,
    TRANSACTION_BYTES = 1000, /* about */
    SUSTAINED_TRANSACTIONS = 100,
};

struct apply_run {
    struct messages messages;
    size_t next, answered;
    uint64_t deadline_ns, ended_ns;
    struct samples latency;
};

struct writer {
    struct conn conn;
    struct apply_run *run;
    uint64_t sent_ns;
};

static void send_next(struct writer *w)
{
    struct apply_run *r = w->run;
    w->sent_ns = now_ns();
    if (r->next == r->messages.count || w->sent_ns > r->deadline_ns) return;
    conn_send(&w->conn, messages_at(&r->messages, r->next++));
}

static void on_message(struct conn *c, struct slice text)
{
    struct writer *w = c->user;
    if (message_kind(text) != KIND_APPLY_RESULT) return; /* nudges */
    w->run->ended_ns = now_ns();
    samples_add(&w->run->latency, w->run->ended_ns - w->sent_ns);
    w->run->answered++;
    send_next(w);
}

static void report_limit(struct bench *b, const struct apply_run *r, double groups, size_t connections,
                         double rate)
{
    /* Where the server does not say, its best case: everybody who waits in one group. */
    double per_batch = groups > 0 ? (double)r->answered / groups : (double)connections;
    const struct store_limit limit = {.dir = b->limit_dir, .sync = b->sync};
    double cpu_ns,
        raw = limit_store(&limit, &r->messages, r->answered, per_batch, AT_SCALE(b, 1, 10, 10), &cpu_ns);
    report_number(&b->report, "raw_leveldb_transactions_per_s", raw, 0);
    report_number(&b->report, "ratio_to_raw", rate / raw, 3);
    report_number(&b->report, "raw_cpu_us_per_transaction", cpu_ns / 1000, 2);
}

static void run_row(struct bench *b, size_t transactions, size_t connections, bool own_databases)
{
    struct author author;
    struct apply_run r = {0};
    /* LevelDB takes some seconds of large messages until it pays for its compactions as it goes; before that
     * raw writing, which begins with an empty store, looks cheaper than it is. */
    bool sustained = transactions >= SUSTAINED_TRANSACTIONS;
    size_t bytes = AT_SCALE(b, SMOKE_BYTES, sustained ? LONG_BYTES : SHORT_BYTES, LONG_BYTES);
    uint64_t brief_ns = (sustained ? 10ull : 2ull) * NS_PER_S;
    struct writer *writers = must(calloc(connections, sizeof *writers));
    char database[64], site[SITE_ID_TEXT + 1];
    author_init(&author);
    messages_make(&r.messages, &author, bytes / TRANSACTION_BYTES / transactions, transactions);
    site_id_format(&author.site, site);
    for (size_t i = 0; i < connections; i++) {
        (void)snprintf(database, sizeof database, "apply-%.16s-%zu", site, own_databases ? i : 0);
        writers[i].run = &r;
        conn_open(&writers[i].conn, &b->loop, &b->server.target, CONN_WS, database, site, on_message,
                  &writers[i]);
        conn_wait_live(&b->loop, &writers[i].conn, 1);
    }
    double groups = server_metric(&b->loop, &b->server.target, "sync_store_groups_total");
    uint64_t cpu_ns = server_cpu_ns(&b->server), began_ns = now_ns();
    r.deadline_ns = began_ns + AT_SCALE(b, NS_PER_S / 10, brief_ns, 10ull * NS_PER_S);
    for (size_t i = 0; i < connections; i++) send_next(&writers[i]);
    while (r.answered < r.next) conn_loop_step(&b->loop, 1000);
    double took_s = (double)(r.ended_ns - began_ns) / NS_PER_S;
    double done = (double)(r.answered * transactions);
    cpu_ns = server_cpu_ns(&b->server) - cpu_ns;
    if (groups >= 0) groups = server_metric(&b->loop, &b->server.target, "sync_store_groups_total") - groups;
    for (size_t i = 0; i < connections; i++) conn_close(&writers[i].conn);
    free(writers);

    report_object(&b->report, NULL);
    report_count(&b->report, "transactions_per_message", transactions);
    report_count(&b->report, "connections", connections);
    report_count(&b->report, "databases", own_databases ? connections : 1);
    report_number(&b->report, "transactions_per_s", done / took_s, 0);
    report_percentiles(&b->report, "ack", &r.latency);
    if (cpu_ns > 0)
        report_number(&b->report, "server_cpu_us_per_transaction", (double)cpu_ns / done / 1000, 2);
    if (groups > 0) report_number(&b->report, "transactions_per_sync", done / groups, 1);
    if (b->limit) report_limit(b, &r, groups, connections, done / took_s);
    report_end(&b->report, '}');
    samples_deinit(&r.latency);
    messages_deinit(&r.messages);
}

static bool is_wanted(const struct bench *b, size_t transactions, size_t connections)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%zux%zu", transactions, connections);
    return b->row == NULL || strcmp(b->row, name) == 0;
}

void bench_apply(struct bench *b)
{
    static const size_t transactions[] = {1, 10, 100}, connections[] = {1, 16, CONNECTIONS_MAX};
    report_array(&b->report, "apply");
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            if (is_wanted(b, transactions[i], connections[j]))
                run_row(b, transactions[i], connections[j], false);
    if (b->row == NULL) run_row(b, 1, CONNECTIONS_MAX, true);
    report_end(&b->report, ']');
}
