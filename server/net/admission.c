#include "server/net/admission.h"

#include "core/base/hash.h"
#include "core/base/rate.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>

struct admission *admission_new(uint64_t seed)
{
    struct admission *a = calloc(1, sizeof *a); /* pages that nobody touches cost nothing */
    if (a != NULL) a->seed = seed;
    return a;
}

void admission_free(struct admission *a)
{
    free(a);
}

static struct admission_key key_of(const struct admission *a, struct slice name)
{
    uint64_t h = hash_bytes(a->seed, name);
    struct admission_key key = {{(uint32_t)(h % ADMISSION_CELLS), (uint32_t)((h >> 32) % ADMISSION_CELLS)}};
    if (key.cells[0] == key.cells[1]) key.cells[1] = (key.cells[1] + 1) % ADMISSION_CELLS;
    return key;
}

/* ---- addresses */

struct admission_key admission_address(const struct admission *a, const struct sockaddr *from)
{
    if (from->sa_family == AF_INET) {
        const struct in_addr *v4 = &((const struct sockaddr_in *)from)->sin_addr;
        return key_of(a, slice_of((const char *)v4, sizeof *v4));
    }
    if (from->sa_family != AF_INET6) return key_of(a, slice_of("", 0));
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)from)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) return key_of(a, slice_of((const char *)v6->s6_addr + 12, 4));
    return key_of(a, slice_of((const char *)v6->s6_addr, 8));
}

bool admission_enter(struct admission *a, const struct admission_key *address, uint32_t max)
{
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < 2; i++) {
        uint32_t before = atomic_fetch_add(&a->addresses[address->cells[i]], 1);
        if (before < least) least = before;
    }
    if (max == 0 || least < max) return true;
    admission_leave(a, address);
    return false;
}

void admission_leave(struct admission *a, const struct admission_key *address)
{
    for (size_t i = 0; i < 2; i++) {
        uint32_t before = atomic_fetch_sub(&a->addresses[address->cells[i]], 1);
        assert(before > 0);
    }
}

/* ---- rates */

bool admission_upgrade(struct admission *a, uint32_t per_second, uint64_t now_ns)
{
    if (per_second == 0) return true;
    uint64_t clear_ns = atomic_load(&a->upgrades);
    do {
        if (rate_wait_ns(clear_ns, now_ns) > 0) return false;
    } while (
        !atomic_compare_exchange_weak(&a->upgrades, &clear_ns, rate_charge(clear_ns, 1, per_second, now_ns)));
    return true;
}

static uint64_t wait_ns(const _Atomic uint64_t *cells, const struct admission_key *key, uint64_t now_ns)
{
    uint64_t first_ns = rate_wait_ns(atomic_load(&cells[key->cells[0]]), now_ns);
    uint64_t second_ns = rate_wait_ns(atomic_load(&cells[key->cells[1]]), now_ns);
    return first_ns < second_ns ? first_ns : second_ns;
}

static void charge(_Atomic uint64_t *cells, const struct admission_key *key, uint64_t count,
                   uint32_t per_second, uint64_t now_ns)
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t clear_ns = atomic_load(&cells[key->cells[i]]);
        while (!atomic_compare_exchange_weak(&cells[key->cells[i]], &clear_ns,
                                             rate_charge(clear_ns, count, per_second, now_ns)))
            continue;
    }
}

enum { SITE_KEY_MAX = 512 }; /* longer than any database id with a site */

/* A site writes to each database at its own rate. */
static struct admission_key site_key(const struct admission *a, struct slice database,
                                     const struct site_id *site)
{
    char name[SITE_KEY_MAX];
    size_t len = database.len < sizeof name - sizeof *site ? database.len : sizeof name - sizeof *site;
    memcpy(name, site, sizeof *site);
    if (len > 0) memcpy(name + sizeof *site, database.bytes, len);
    return key_of(a, slice_of(name, sizeof *site + len));
}

uint64_t admission_batch_wait_ns(const struct admission *a, const struct config_limits *limits,
                                 struct slice database, const struct site_id *site, uint64_t now_ns,
                                 enum limit_kind *ret)
{
    uint64_t site_ns = 0, database_ns = 0;
    if (limits->site_changes_per_s > 0) {
        struct admission_key key = site_key(a, database, site);
        site_ns = wait_ns(a->sites, &key, now_ns);
    }
    if (limits->database_changes_per_s > 0) {
        struct admission_key key = key_of(a, database);
        database_ns = wait_ns(a->databases, &key, now_ns);
    }
    *ret = site_ns >= database_ns ? LIMIT_SITE_CHANGES : LIMIT_DATABASE_CHANGES;
    return site_ns >= database_ns ? site_ns : database_ns;
}

void admission_batch_taken(struct admission *a, const struct config_limits *limits, struct slice database,
                           const struct site_id *site, uint64_t changes, uint64_t now_ns)
{
    if (limits->site_changes_per_s > 0) {
        struct admission_key key = site_key(a, database, site);
        charge(a->sites, &key, changes, limits->site_changes_per_s, now_ns);
    }
    if (limits->database_changes_per_s > 0) {
        struct admission_key key = key_of(a, database);
        charge(a->databases, &key, changes, limits->database_changes_per_s, now_ns);
    }
}

/* ---- work */

void admission_begins(struct admission *a)
{
    atomic_fetch_add(&a->in_flight, 1);
}

void admission_ends(struct admission *a)
{
    atomic_fetch_sub(&a->in_flight, 1);
}

bool admission_is_full(const struct admission *a, const struct config_limits *limits)
{
    return atomic_load(&a->in_flight) >= limits->requests_in_flight_all;
}
