#include "bench_changes.h"
#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHAIN = 3, ROUNDS = 4, TRANSACTION_BYTES = 1000, ARGUMENTS_MAX = 24 };

/* The same load on one of the two servers, all rounds together. */
struct load {
    struct bench_server *server;
    uint64_t transactions, took_ns, cpu_ns;
};

struct round {
    struct messages messages;
    size_t next, answered;
    uint64_t deadline_ns, ended_ns;
};

struct sender {
    struct conn conn;
    struct round *round;
};

static void send_next(struct sender *s)
{
    struct round *r = s->round;
    if (r->next == r->messages.count || now_ns() > r->deadline_ns) return;
    conn_send(&s->conn, messages_at(&r->messages, r->next++));
}

static void on_message(struct conn *c, struct slice text)
{
    struct sender *s = c->user;
    if (message_kind(text) != KIND_APPLY_RESULT) return; /* nudges */
    s->round->ended_ns = now_ns();
    s->round->answered++;
    send_next(s);
}

static void run_round(struct bench *b, struct load *l, size_t transactions, size_t connections)
{
    struct author author;
    struct round r = {0};
    struct sender *senders = must(calloc(connections, sizeof *senders));
    char database[64], site[SITE_ID_TEXT + 1];
    size_t bytes = AT_SCALE(b, 1u << 20, 64u << 20, 128u << 20);
    author_init(&author);
    messages_make(&r.messages, &author, bytes / TRANSACTION_BYTES / transactions, transactions);
    site_id_format(&author.site, site);
    (void)snprintf(database, sizeof database, "hooks-%.16s", site);
    for (size_t i = 0; i < connections; i++) {
        senders[i].round = &r;
        conn_open(&senders[i].conn, &b->loop, &l->server->target, CONN_WS, database, site, on_message,
                  &senders[i]);
        conn_wait_live(&b->loop, &senders[i].conn, 1);
    }
    uint64_t cpu_ns = server_cpu_ns(l->server), began_ns = now_ns();
    r.deadline_ns = began_ns + AT_SCALE(b, NS_PER_S / 20, 3ull * NS_PER_S, 5ull * NS_PER_S);
    for (size_t i = 0; i < connections; i++) send_next(&senders[i]);
    while (r.answered < r.next) conn_loop_step(&b->loop, 1000);
    l->transactions += r.answered * transactions;
    l->took_ns += r.ended_ns - began_ns;
    l->cpu_ns += server_cpu_ns(l->server) - cpu_ns;
    for (size_t i = 0; i < connections; i++) conn_close(&senders[i].conn);
    free(senders);
    messages_deinit(&r.messages);
}

/* One row: in turns without and with the chain, so that whatever else the machine does meets both. */
static void run_row(struct bench *b, struct bench_server *hooked, size_t transactions, size_t connections)
{
    struct load without = {.server = &b->server}, with = {.server = hooked};
    for (int i = 0; i < ROUNDS; i++) {
        run_round(b, i % 2 == 0 ? &without : &with, transactions, connections);
        run_round(b, i % 2 == 0 ? &with : &without, transactions, connections);
    }
    double rate = (double)without.transactions / (double)without.took_ns * NS_PER_S;
    double rate_with = (double)with.transactions / (double)with.took_ns * NS_PER_S;
    double cpu_us = (double)without.cpu_ns / (double)without.transactions / 1000;
    double cpu_us_with = (double)with.cpu_ns / (double)with.transactions / 1000;
    report_object(&b->report, NULL);
    report_count(&b->report, "transactions_per_message", transactions);
    report_count(&b->report, "connections", connections);
    report_number(&b->report, "transactions_per_s", rate, 0);
    report_number(&b->report, "transactions_per_s_with_hooks", rate_with, 0);
    report_number(&b->report, "ratio_of_rates", rate_with / rate, 3);
    report_number(&b->report, "server_cpu_us_per_transaction", cpu_us, 2);
    report_number(&b->report, "server_cpu_us_per_transaction_with_hooks", cpu_us_with, 2);
    report_number(&b->report, "ratio_of_cpu", cpu_us_with / cpu_us, 3);
    report_end(&b->report, '}');
}

void bench_hooks(struct bench *b)
{
    static const size_t rows[][2] = {{1, 256}, {10, 16}, {100, 16}};
    const char *arguments[ARGUMENTS_MAX] = {NULL};
    struct bench_server hooked = b->server;
    char dir[600];
    size_t count = 0;
    if (b->server.program == NULL) return; /* the chain is an argument of the server */
    for (; b->server.arguments[count] != NULL && count + 2 * CHAIN + 1 < ARGUMENTS_MAX; count++)
        arguments[count] = b->server.arguments[count];
    for (int i = 0; i < CHAIN; i++) {
        arguments[count++] = "--hook";
        arguments[count++] = BENCH_HOOK;
    }
    (void)snprintf(dir, sizeof dir, "%s-hooks", b->server.dir);
    hooked.dir = dir;
    hooked.arguments = arguments;
    (void)server_start(&hooked);
    report_array(&b->report, "hooks");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) run_row(b, &hooked, rows[i][0], rows[i][1]);
    report_end(&b->report, ']');
    server_stop(&hooked);
}
