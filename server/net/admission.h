/* admission.h -- who may come in, and how fast they may write: the counts that all loops share.
 *
 * Everything lies in tables of a fixed size, whatever addresses, sites and databases clients make up. A name
 * has two cells, chosen by a hash with a secret seed; both are charged, and the one that is charged less
 * counts. So somebody is mistaken for others only where both cells are shared, and nobody can aim at that.
 * Cells forget by themselves: connections end, and debts are worked off.
 *
 * A rate of 0 is no limit. Threads: any. */
#ifndef SERVER_NET_ADMISSION_H
#define SERVER_NET_ADMISSION_H

#include "core/config/config.h"
#include "core/facts/site_id.h"
#include "core/metrics/sync_metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { ADMISSION_CELLS = 1 << 15 };

/* The two cells of a name. */
struct admission_key {
    uint32_t cells[2];
};

struct admission {
    uint64_t seed;
    _Atomic uint64_t upgrades; /* these and the next: rate.h */
    _Atomic uint64_t sites[ADMISSION_CELLS], databases[ADMISSION_CELLS];
    _Atomic uint32_t addresses[ADMISSION_CELLS]; /* connections */
    _Atomic uint32_t in_flight;                  /* batches, deltas and snapshots */
};

struct admission *admission_new(uint64_t seed); /* NULL when memory is short */
void admission_free(struct admission *a);       /* takes NULL */

/* An IPv4 address, or the first 64 bits of an IPv6 address: what one customer gets. */
struct admission_key admission_address(const struct admission *a, const struct sockaddr *from);

/* A connection comes and goes. False: the address has `max` (0: any number) already, and it is not
 * counted. */
bool admission_enter(struct admission *a, const struct admission_key *address, uint32_t max);
void admission_leave(struct admission *a, const struct admission_key *address);

/* One more upgrade; false: not in this moment. */
bool admission_upgrade(struct admission *a, uint32_t per_second, uint64_t now_ns);

/* How long a batch of this site for this database has to wait, and for which limit; 0: not at all. */
uint64_t admission_batch_wait_ns(const struct admission *a, const struct config_limits *limits,
                                 struct slice database, const struct site_id *site, uint64_t now_ns,
                                 enum limit_kind *ret);
/* A batch with so many changes was taken. */
void admission_batch_taken(struct admission *a, const struct config_limits *limits, struct slice database,
                           const struct site_id *site, uint64_t changes, uint64_t now_ns);

/* Work begins and ends. */
void admission_begins(struct admission *a);
void admission_ends(struct admission *a);
bool admission_is_full(const struct admission *a, const struct config_limits *limits);

#endif
