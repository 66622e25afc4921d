#include "server/store/rota.h"

#include "core/base/hash.h"

#include <assert.h>

void rota_init(struct rota *r, uint64_t hash_seed)
{
    *r = (struct rota){.hash_seed = hash_seed};
    r->end = &r->first;
}

/* Where the first entry of the database is linked into its bucket, or would be. */
static struct rota_entry **place_of(struct rota *r, uint64_t hash, struct slice database)
{
    struct rota_entry **at = &r->buckets[hash % ROTA_BUCKETS];
    while (*at != NULL && ((*at)->hash != hash || !slice_eq((*at)->database, database))) at = &(*at)->chain;
    return at;
}

static void stand_at_the_end(struct rota *r, struct rota_entry *e)
{
    e->after = NULL;
    *r->end = e;
    r->end = &e->after;
}

static struct rota_entry *leave_the_front(struct rota *r)
{
    struct rota_entry *e = r->first;
    r->first = e->after;
    if (r->first == NULL) r->end = &r->first;
    return e;
}

void rota_put(struct rota *r, struct rota_entry *e, struct slice database, uint32_t cost)
{
    assert(cost > 0);
    *e = (struct rota_entry){.database = database, .hash = hash_bytes(r->hash_seed, database), .cost = cost};
    r->count++;
    struct rota_entry **at = place_of(r, e->hash, database), *first = *at;
    if (first != NULL) {
        first->last->behind = e;
        first->last = e;
        return;
    }
    e->last = e;
    e->credit = ROTA_TURN_COST;
    *at = e;
    stand_at_the_end(r, e);
}

void rota_begin_round(struct rota *r)
{
    r->round++;
    r->served = 0;
}

/* Those at the front whose turn is over go to the end. Who owes more than a turn goes by several times. */
static void find_turn(struct rota *r)
{
    while (r->first->credit <= 0) {
        struct rota_entry *e = leave_the_front(r);
        e->credit += ROTA_TURN_COST;
        stand_at_the_end(r, e);
    }
}

/* Takes the first entry of the database at the front; the next one of it takes over its place. */
static struct rota_entry *take_front(struct rota *r)
{
    struct rota_entry **at = place_of(r, r->first->hash, r->first->database);
    struct rota_entry *e = leave_the_front(r), *next = e->behind;
    assert(*at == e);
    *at = e->chain;
    r->count--;
    if (e->served_in != r->round) r->served++;
    if (next == NULL) return e;
    next->last = e->last;
    next->chain = *at;
    *at = next;
    next->credit = e->credit - e->cost;
    next->served_in = r->round;
    next->done_in = next->credit <= 0 ? r->round : e->done_in;
    next->after = r->first;
    if (r->first == NULL) r->end = &next->after;
    r->first = next;
    return e;
}

struct rota_entry *rota_take(struct rota *r)
{
    if (r->first == NULL) return NULL;
    find_turn(r);
    bool alone = r->first->after == NULL && r->served <= 1;
    if (r->first->done_in == r->round && !alone) return NULL;
    return take_front(r);
}
