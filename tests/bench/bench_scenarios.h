/* bench_scenarios.h -- what is measured: each function runs one scenario and adds its member to the
 * report. */
#ifndef BENCH_SCENARIOS_H
#define BENCH_SCENARIOS_H

#include "bench_report.h"
#include "bench_server.h"

enum bench_scale {
    SCALE_SMOKE, /* does it work? Seconds, and figures that mean nothing */
    SCALE_SHORT,
    SCALE_LONG,
};

struct bench {
    struct bench_server server;
    struct conn_loop loop;
    struct report report;
    enum bench_scale scale;
    const char *row;       /* of apply: only this one, as "100x256" (transactions x connections); or NULL */
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

/* What a chain of three hooks costs that look at every change and approve it: transactions a second and
 * processor time with and without it, in turns, as ratios. Only where the bench starts the server. */
void bench_hooks(struct bench *b);

/* Resident memory of connections that have shaken hands and say nothing. */
void bench_idle(struct bench *b);

/* Only of a server that the bench started: time until it answers with the store as the others left it, and
 * its resident memory then. */
void bench_start(struct bench *b);

/* Adds what a start cost: until it was ready, and how much of that it ran or waited for a processor. */
void bench_report_start(struct bench *b, uint64_t took_ns);

/* The database that poll and read use; filled at the first call. Returns how many transactions it holds. */
const char *bench_large_database(struct bench *b, size_t *ret_transactions);

/* A database whose snapshot is a stream of 2 GB (scaled), read by a client that takes its time: what does the
 * server's memory do meanwhile? Then, of a server that the bench started, the time until it answers with that
 * store. */
void bench_big(struct bench *b);

/* One writer and receivers that read, without and with 1,000 that stopped reading. */
void bench_stalled(struct bench *b);

/* Ack latency of small databases: alone, beside one that is written to as fast as it goes, beside a client
 * that brings a huge backlog, and beside one that fetches it. */
void bench_fairness(struct bench *b);

/* 5,000 clients come back at once, each behind by a few changes: after a restart, of a server that the bench
 * started; else after they were cut off. */
void bench_storm(struct bench *b);

/* The value for the bench's scale. */
#define AT_SCALE(b, smoke, brief, full)                                                                      \
    ((b)->scale == SCALE_SMOKE ? (smoke) : (b)->scale == SCALE_SHORT ? (brief) : (full))

/* Options by name, so that one can be run alone. */
struct scenario {
    const char *name;
    void (*run)(struct bench *b);
};

#endif
