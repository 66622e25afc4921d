/* bench_limit.h -- what the hardware allows, measured beside the server with the same bytes.
 *
 * Disk: one thread that writes the records which the server makes of these messages (both entries of each
 * fact, and the database's record) to a LevelDB of its own, opened as the server opens its, in batches as
 * large as the server's groups. Nothing is parsed, judged or looked up: the records are made before the
 * clock starts.
 *
 * Sockets: one thread that calls send() for each of so many loopback sockets in turn, while another reads
 * them empty. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include "bench_changes.h"

struct store_limit {
    const char *dir; /* a directory on the server's disk; what is made in it is removed */
    bool sync;
};

/* Writes the messages first to first + count - 1, so many of them in each synced batch, for at most
 * `seconds`. Returns transactions a second. */
double limit_store(const struct store_limit *s, const struct messages *m, size_t count,
                   double messages_per_batch, double seconds, double *ret_cpu_ns);

/* Sends `text` to `sockets` sockets `rounds` times, or as often as fits in `seconds`. Returns sends a
 * second. */
double limit_send(struct slice text, size_t sockets, size_t rounds, double seconds);

#endif
