#include "bench_scenarios.h"

#include <stdio.h>
#include <stdlib.h>

enum { IDLE_CONNECTIONS = 10000, SMOKE_CONNECTIONS = 200, OPENING_MAX = 64, DATABASES = 100 };

static void on_message(struct conn *c, struct slice text)
{
    (void)c;
    (void)text;
}

void bench_idle(struct bench *b)
{
    size_t count = AT_SCALE(b, SMOKE_CONNECTIONS, IDLE_CONNECTIONS, IDLE_CONNECTIONS);
    struct conn *conns = must(calloc(count, sizeof *conns));
    uint64_t before_kib, began_ns;
    if (b->server.program != NULL) { /* what the others left in the allocator would hide the cost */
        server_stop(&b->server);
        (void)server_start(&b->server);
    }
    before_kib = server_resident_kib(&b->server);
    began_ns = now_ns();
    for (size_t i = 0; i < count; i++) {
        char database[32], site[SITE_ID_TEXT + 1];
        struct site_id id = {0};
        for (size_t k = 0; k < sizeof i; k++) id.bytes[k] = (uint8_t)((i + 1) >> 8 * k);
        site_id_format(&id, site);
        (void)snprintf(database, sizeof database, "idle-%zu", i % DATABASES);
        conn_open(&conns[i], &b->loop, &b->server.target, CONN_WS, database, site, on_message, NULL);
        if (i % OPENING_MAX == OPENING_MAX - 1) conn_wait_live(&b->loop, conns, i + 1);
    }
    conn_wait_live(&b->loop, conns, count);
    uint64_t took_ns = now_ns() - began_ns, after_kib = server_resident_kib(&b->server);
    report_object(&b->report, "idle");
    report_count(&b->report, "connections", count);
    report_number(&b->report, "opened_per_s", (double)count / ((double)took_ns / NS_PER_S), 0);
    if (before_kib > 0) {
        report_count(&b->report, "resident_before_kib", before_kib);
        report_number(&b->report, "kib_per_connection",
                      ((double)after_kib - (double)before_kib) / (double)count, 2);
    }
    report_end(&b->report, '}');
    for (size_t i = 0; i < count; i++) conn_close(&conns[i]);
    free(conns);
}
