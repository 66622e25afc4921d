/* bench_scenarios.h -- what is measured: each function runs one scenario and adds its member to the report.
 */
#ifndef BENCH_SCENARIOS_H
#define BENCH_SCENARIOS_H

#include "bench_report.h"
#include "bench_server.h"

struct bench {
    struct bench_server server;
    struct conn_loop loop;
    struct report report;
    bool long_run;
    bool limit;            /* measure the hardware as well */
    const char *limit_dir; /* where its LevelDB may write */
    bool sync;             /* do the server's acks mean: on disk? */
};

/* Transactions a second and ack latency, for messages of 1, 10, 100 transactions and 1, 16, 256 connections
 * that each wait for the ack before they send again. All connections are one site's, so that nothing is
 * pushed; the last row has a database for each connection. */
void bench_apply(struct bench *b);

/* One writer, 1 to 5,000 receivers: deliveries a second, and the time from the writer's send() to each
 * receiver's receipt: with one transaction at a time, and with many under way. */
void bench_fanout(struct bench *b);

/* Asking for changes when there are none: round trip and processor time, in an empty and a large database. */
void bench_poll(struct bench *b);

/* A whole delta and a snapshot, over HTTP and WebSocket, of the large database: MB/s of JSON. */
void bench_read(struct bench *b);

/* Resident memory of connections that have shaken hands and say nothing. */
void bench_idle(struct bench *b);

/* Only of a server that the bench started: time until it answers with the store as the others left it, and
 * its resident memory then. */
void bench_start(struct bench *b);

/* The database that poll and read use; filled at the first call. Returns how many transactions it holds. */
const char *bench_large_database(struct bench *b, size_t *ret_transactions);

/* Options by name, so that one can be run alone. */
struct scenario {
    const char *name;
    void (*run)(struct bench *b);
};

#endif
