/* rota.h -- whose turn it is: work for many databases, handed out one database after the other.
 *
 * What is put in for one database comes out in that order. Databases stand in line: the first has its turn,
 * which is worth ROTA_TURN_COST, and goes to the end. So whoever comes waits for one turn of each database
 * before it, however much of theirs is waiting. One entry may cost more than a turn; its database then stands
 * back for as many turns as that was worth. What a database has spent is forgotten once nothing of it waits.
 *
 * Rounds: within one, each database has one turn, so that a group that is committed together, for all of whom
 * its end is the end, stays small while several want something. A round of one database goes on without an
 * end.
 *
 * It allocates nothing, so it cannot fail: what is known of a database is kept in the first of its entries.
 *
 * Threads: one at a time. */
#ifndef SERVER_STORE_ROTA_H
#define SERVER_STORE_ROTA_H

#include "core/base/slice.h"

#include <stddef.h>
#include <stdint.h>

enum {
    ROTA_TURN_COST = 1000, /* of facts, about: a write that takes a few times as long as its sync */
    ROTA_BUCKETS = 256,
};

/* Part of the work that waits; the rota's from rota_put() until it is taken. */
struct rota_entry {
    struct slice database;
    uint64_t hash;
    uint32_t cost;
    struct rota_entry *behind; /* the next of the same database */
    /* Of the first of a database: */
    struct rota_entry *last;  /* of the same database */
    struct rota_entry *after; /* the first of the database that stands behind in line */
    struct rota_entry *chain; /* in its bucket */
    int64_t credit;           /* what is left of its turn; below 0: what it owes */
    uint64_t served_in;       /* the last round in which something of it was taken */
    uint64_t done_in;         /* and in which its turn was used up */
};

struct rota {
    struct rota_entry *first, **end; /* the line */
    struct rota_entry *buckets[ROTA_BUCKETS];
    uint64_t hash_seed, round;
    size_t served; /* databases, in this round */
    size_t count;  /* entries that wait */
};

/* hash_seed: a random number. */
void rota_init(struct rota *r, uint64_t hash_seed);

/* `database` stays the caller's, and good until the entry is taken. cost: at least 1. */
void rota_put(struct rota *r, struct rota_entry *e, struct slice database, uint32_t cost);

void rota_begin_round(struct rota *r);

/* The next entry. NULL: nothing waits, or the round is over; there is always one right after
 * rota_begin_round() where count is not 0. */
struct rota_entry *rota_take(struct rota *r);

#endif
