/* bench_fanout.h -- one writer, and receivers of what it writes. */
#ifndef BENCH_FANOUT_H
#define BENCH_FANOUT_H

#include "bench_changes.h"
#include "bench_scenarios.h"

struct fanout {
    struct conn writer;
    struct conn *receivers;
    size_t receiver_count;
    char database[64];
    struct author author;
    struct messages messages;
    uint64_t *sent_ns;         /* by message */
    size_t sent, acked, first; /* first: of this part of the run */
    uint64_t delivered;        /* of this part, over all receivers */
    uint64_t foreign;          /* received transactions that another site wrote */
    char site[SITE_ID_TEXT + 1];
    uint64_t last_ns, deadline_ns;
    size_t window; /* transactions not yet delivered to all, about */
    size_t push_bytes;
    uint64_t first_wall_ms;
    struct samples latency;
};

/* Makes the messages, one transaction each, and opens the connections, in a database of their own. */
void fanout_init(struct bench *b, struct fanout *f, size_t receivers, size_t messages);
void fanout_deinit(struct fanout *f);

/* A site that none of the receivers has; which: any number. */
void fanout_site(const struct fanout *f, size_t which, char ret[SITE_ID_TEXT + 1]);

/* Writes for so long with so many transactions under way, until all receivers have all of it. Returns
 * deliveries a second; latencies are of this part alone. */
double fanout_run(struct bench *b, struct fanout *f, size_t window, double seconds);

enum { FANOUT_WINDOW = 256 }; /* below what makes the server drop pushes */

#endif
