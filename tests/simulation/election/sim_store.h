/* sim_store.h -- an object store in memory, as an election meets one: atomic conditional writes, and reads
 * and lists that may be old.
 *
 * A write is carried out when sim_store_apply() is called, whole, with its condition judged then. The ETag is
 * made of the writing's token, as a real store makes it of the content: the same bytes have the same ETag. */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "core/election/election.h"

enum { SIM_WORKERS_MAX = 64, SIM_EPOCHS_MAX = 512, SIM_STATES_KEPT = 4, SIM_PAGE_MAX = 96 };

struct sim_object {
    bool exists;
    struct election_key key;
    struct election_etag etag;
    uint64_t number;              /* of an epoch */
    struct election_epoch record; /* of an epoch */
};

struct sim_listing {
    struct sim_object workers[SIM_WORKERS_MAX];
    size_t worker_count;
    struct sim_object epochs[SIM_EPOCHS_MAX];
    size_t epoch_count;
};

/* A page of a list: what the store answered, kept until the answer arrives. */
struct sim_page {
    struct {
        struct election_key key;
        struct election_etag etag;
    } entries[SIM_PAGE_MAX];
    size_t count;
    bool complete;
};

struct sim_state_version {
    bool exists, readable;
    struct election_etag etag;
    struct election_state state;
};

struct sim_store {
    struct sim_state_version states[SIM_STATES_KEPT]; /* [0] is now, then older ones */
    struct sim_listing now, old;                      /* `old` is what a stale list shows */
    bool conditions_ignored;                          /* planted: the store takes every conditional write */

    /* An object that the leaders' tasks write, fenced by its epoch. */
    uint64_t guard_epoch, guard_version;
};

void sim_store_reset(struct sim_store *s);

/* Lists may show the store as it is now, from now on until the next call. */
void sim_store_age(struct sim_store *s);

struct election_etag sim_etag(struct election_token t);

/* Carries out the request. stale: how old a read may be (0: not at all). `worker_id` is the sender's. A list
 * is put into ret_page. */
void sim_store_apply(struct sim_store *s, const struct election_op *op, const char *worker_id, unsigned stale,
                     struct election_result *ret, struct sim_page *ret_page);

/* What an operator may do by hand. */
void sim_store_remove_state(struct sim_store *s);
void sim_store_damage_state(struct sim_store *s, uint64_t nonsense);

#endif
