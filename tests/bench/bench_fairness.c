#include "bench_changes.h"
#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    OTHERS = 16, /* small databases, each with a client that writes now and then */
    PACE_MS = 10,
    HEAVY_CONNECTIONS = 8,
    HEAVY_TRANSACTIONS = 100,  /* a message */
    LARGE_TRANSACTIONS = 1000, /* and one that fills a group with a few of its kind */
    BACKLOG_IN_FLIGHT = 16,    /* messages of the one client */
    SMOKE_MESSAGES = 50,       /* then they begin again, and nothing of them is stored a second time */
    SHORT_MESSAGES = 700,
    LONG_MESSAGES = 2000,
    LARGE_PARTS = 10, /* so many times fewer of the large ones */
};

#define STRANGER "AAAAAAAAAAAAAAAAAAAABA"

/* ---- those whose latency is taken */

struct other {
    struct conn conn;
    struct samples *latency;
    struct author author;
    uint64_t sent_ns, due_ns;
    bool waits;
};

static void on_other(struct conn *c, struct slice text)
{
    struct other *o = c->user;
    if (message_kind(text) != KIND_APPLY_RESULT) return;
    samples_add(o->latency, now_ns() - o->sent_ns);
    o->waits = false;
}

static void open_others(struct bench *b, struct other *others, struct samples *latency)
{
    for (size_t i = 0; i < OTHERS; i++) {
        char database[64], site[SITE_ID_TEXT + 1];
        others[i] = (struct other){.latency = latency};
        author_init(&others[i].author);
        site_id_format(&others[i].author.site, site);
        (void)snprintf(database, sizeof database, "other-%.16s", site);
        conn_open(&others[i].conn, &b->loop, &b->server.target, CONN_WS, database, site, on_other,
                  &others[i]);
        conn_wait_live(&b->loop, &others[i].conn, 1);
    }
}

static void write_one(struct other *o)
{
    struct messages m;
    messages_make(&m, &o->author, 1, 1);
    o->sent_ns = now_ns();
    o->due_ns = o->sent_ns + PACE_MS * (uint64_t)NS_PER_MS;
    o->waits = true;
    conn_send(&o->conn, messages_at(&m, 0));
    messages_deinit(&m);
}

/* Each writes one transaction, waits for its ack, and a little longer. Returns when none is under way. */
static void run_others(struct bench *b, struct other *others, double seconds)
{
    uint64_t deadline_ns = now_ns() + (uint64_t)(seconds * NS_PER_S);
    for (bool waiting = true; waiting || now_ns() < deadline_ns;) {
        waiting = false;
        for (size_t i = 0; i < OTHERS; i++) {
            uint64_t at_ns = now_ns();
            if (!others[i].waits && at_ns >= others[i].due_ns && at_ns < deadline_ns) write_one(&others[i]);
            waiting |= others[i].waits;
        }
        conn_loop_step(&b->loop, 1);
    }
}

/* ---- what they stand beside */

struct load {
    struct conn conns[HEAVY_CONNECTIONS];
    size_t count, in_flight; /* of each connection */
    size_t transactions;     /* of a message */
    struct messages messages;
    size_t next, answered;
    uint64_t received; /* bytes of deltas */
    bool stopped;
};

static void send_next(struct conn *c)
{
    struct load *l = c->user;
    if (l->stopped) return;
    conn_send(c, messages_at(&l->messages, l->next));
    l->next = (l->next + 1) % l->messages.count;
}

static void on_written(struct conn *c, struct slice text)
{
    struct load *l = c->user;
    if (message_kind(text) != KIND_APPLY_RESULT) return;
    l->answered++;
    send_next(c);
}

static void ask(struct conn *c)
{
    const struct load *l = c->user;
    if (!l->stopped) conn_send(c, slice_str("{\"type\":\"get_changes\"}"));
}

static void on_fetched(struct conn *c, struct slice text)
{
    struct load *l = c->user;
    if (message_kind(text) != KIND_CHANGES) return;
    l->received += text.len;
    ask(c); /* all of it again */
}

static void begin_writing(struct bench *b, struct load *l, size_t connections, size_t in_flight,
                          size_t transactions)
{
    char database[64], site[SITE_ID_TEXT + 1];
    struct author author;
    size_t messages = AT_SCALE(b, SMOKE_MESSAGES, SHORT_MESSAGES, LONG_MESSAGES);
    *l = (struct load){.count = connections, .in_flight = in_flight, .transactions = transactions};
    author_init(&author);
    messages_make(&l->messages, &author,
                  transactions == HEAVY_TRANSACTIONS ? messages : messages / LARGE_PARTS, transactions);
    site_id_format(&author.site, site);
    (void)snprintf(database, sizeof database, "heavy-%.16s", site);
    for (size_t i = 0; i < connections; i++) {
        conn_open(&l->conns[i], &b->loop, &b->server.target, CONN_WS, database, site, on_written, l);
        conn_wait_live(&b->loop, &l->conns[i], 1);
        for (size_t k = 0; k < in_flight; k++) send_next(&l->conns[i]);
    }
}

static void begin_fetching(struct bench *b, struct load *l)
{
    size_t transactions;
    const char *database = bench_large_database(b, &transactions);
    *l = (struct load){.count = 1};
    conn_open(&l->conns[0], &b->loop, &b->server.target, CONN_WS, database, STRANGER, on_fetched, l);
    conn_wait_live(&b->loop, &l->conns[0], 1);
    ask(&l->conns[0]);
}

static double written_per_s(const struct load *l, double seconds)
{
    return (double)(l->answered * l->transactions) / seconds;
}

static void end_load(struct load *l)
{
    l->stopped = true;
    for (size_t i = 0; i < l->count; i++) conn_close(&l->conns[i]);
    messages_deinit(&l->messages);
}

/* ---- the parts */

static void report_others(struct bench *b, const char *key, struct samples *latency, double seconds)
{
    report_object(&b->report, key);
    report_number(&b->report, "acks_per_s", (double)latency->count / seconds, 0);
    report_percentiles(&b->report, "ack", latency);
    latency->count = 0;
}

/* What writes beside them. */
static const struct writing {
    const char *key, *rate_key;
    size_t connections, in_flight, transactions; /* of a connection; of a message */
} writing[] = {
    {"beside_heavy_writing", "heavy_transactions_per_s", HEAVY_CONNECTIONS, 1, HEAVY_TRANSACTIONS},
    {"beside_a_backlog_that_comes", "backlog_transactions_per_s", 1, BACKLOG_IN_FLIGHT, HEAVY_TRANSACTIONS},
    {"beside_a_backlog_in_large_messages", "backlog_transactions_per_s", 1, BACKLOG_IN_FLIGHT,
     LARGE_TRANSACTIONS},
};

void bench_fairness(struct bench *b)
{
    struct other others[OTHERS];
    struct samples latency = {0};
    struct load l;
    size_t ignored;
    double seconds = AT_SCALE(b, 0.3, 3, 10);
    (void)bench_large_database(b, &ignored);
    open_others(b, others, &latency);
    run_others(b, others, seconds / 3);
    latency.count = 0;

    report_object(&b->report, "fairness");
    run_others(b, others, seconds);
    report_others(b, "alone", &latency, seconds);
    report_end(&b->report, '}');

    for (size_t i = 0; i < sizeof writing / sizeof writing[0]; i++) {
        const struct writing *w = &writing[i];
        begin_writing(b, &l, w->connections, w->in_flight, w->transactions);
        run_others(b, others, seconds);
        report_others(b, w->key, &latency, seconds);
        report_number(&b->report, w->rate_key, written_per_s(&l, seconds), 0);
        report_end(&b->report, '}');
        end_load(&l);
    }

    begin_fetching(b, &l);
    run_others(b, others, seconds);
    report_others(b, "beside_a_backlog_that_is_fetched", &latency, seconds);
    report_number(&b->report, "backlog_megabytes_per_s", (double)l.conns[0].received / 1e6 / seconds, 1);
    report_end(&b->report, '}');
    end_load(&l);

    run_others(b, others, seconds);
    report_others(b, "alone_again", &latency, seconds);
    report_end(&b->report, '}');
    report_end(&b->report, '}');
    for (size_t i = 0; i < OTHERS; i++) conn_close(&others[i].conn);
    samples_deinit(&latency);
}
