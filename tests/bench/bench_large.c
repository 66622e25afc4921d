#include "bench_changes.h"
#include "bench_scenarios.h"

#include <stdlib.h>

enum {
    SMOKE_TRANSACTIONS = 10000,
    SHORT_TRANSACTIONS = 60000,
    LONG_TRANSACTIONS = 1200000, /* about 1 GB of messages */
    PER_MESSAGE = 500,
    MESSAGES_AT_ONCE = 20, /* made, sent and waited for together */
};

static void on_message(struct conn *c, struct slice text)
{
    if (message_kind(text) == KIND_APPLY_RESULT) ++*(size_t *)c->user;
}

const char *bench_large_database(struct bench *b, size_t *ret_transactions)
{
    static const char name[] = "large";
    static size_t filled; /* once in a run, whoever needs it first */
    char site[SITE_ID_TEXT + 1];
    struct author author;
    struct conn c;
    size_t answered = 0, wanted = AT_SCALE(b, SMOKE_TRANSACTIONS, SHORT_TRANSACTIONS, LONG_TRANSACTIONS);
    author_init(&author);
    site_id_format(&author.site, site);
    if (filled == 0) {
        conn_open(&c, &b->loop, &b->server.target, CONN_WS, name, site, on_message, &answered);
        conn_wait_live(&b->loop, &c, 1);
        for (; filled < wanted; filled += PER_MESSAGE * MESSAGES_AT_ONCE, answered = 0) {
            struct messages m;
            messages_make(&m, &author, MESSAGES_AT_ONCE, PER_MESSAGE);
            for (size_t i = 0; i < m.count; i++) conn_send(&c, messages_at(&m, i));
            while (answered < m.count) conn_loop_step(&b->loop, 1000);
            messages_deinit(&m);
        }
        conn_close(&c);
    }
    *ret_transactions = filled;
    return name;
}
