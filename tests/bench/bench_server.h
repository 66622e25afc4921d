/* bench_server.h -- the server that is measured: started by the bench, or running already.
 *
 * What needs its process id (memory, processor time) is left out where that is not known. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "bench_conn.h"

#include <sys/types.h>

struct bench_server {
    pid_t pid;                    /* 0: unknown */
    const char *program;          /* NULL: not ours to start */
    const char *dir;              /* its data, when we start it */
    const char *const *arguments; /* further ones, NULL at the end */
    struct target target;
};

/* Starts the program on a free port of 127.0.0.1, and waits until it answers GET /status. Returns the time
 * that took in ns. */
uint64_t server_start(struct bench_server *s);

/* SIGTERM, and waits for the end. Does nothing where it is not ours. */
void server_stop(struct bench_server *s);

uint64_t server_resident_kib(const struct bench_server *s); /* 0: unknown */
uint64_t server_peak_kib(const struct bench_server *s);     /* the most it was, since its start */
uint64_t server_private_kib(
    const struct bench_server *s);                    /* of it, what is no mapped file: LevelDB maps tables */
uint64_t server_cpu_ns(const struct bench_server *s); /* of all its threads; 0: unknown */
uint64_t server_cpu_wait_ns(const struct bench_server *s); /* they could have run, but others did */

/* The value of a metric without labels, from GET /metrics; -1 where the server does not have it. */
double server_metric(struct conn_loop *l, const struct target *t, const char *name);

#endif
