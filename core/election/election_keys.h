/* election_keys.h -- the names of an election's objects, below its namespace.
 *
 *   state.json            the lease: who leads, in which epoch
 *   epochs/epoch-<n>      created once, by whoever takes epoch n (ten digits or more)
 *   workers/<id>.json     one per instance, written anew with each of its heartbeats
 *   metadata.json         what runs here, for people
 *
 * In front of it stand the operator's key prefix and `plg_coordinator_global/<namespace>/`, which are the
 * store's business.
 *
 * Pure, no allocation. */
#ifndef CORE_ELECTION_ELECTION_KEYS_H
#define CORE_ELECTION_ELECTION_KEYS_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORKER_ID_MAX = 64,
    ELECTION_KEY_MAX = 80,
    ELECTION_NAMESPACE_MAX = 64,
};

#define ELECTION_EPOCH_MAX ((UINT64_C(1) << 53) - 1) /* every JSON reader holds it exactly */

#define ELECTION_ROOT_KEY     "plg_coordinator_global/"
#define ELECTION_STATE_KEY    "state.json"
#define ELECTION_METADATA_KEY "metadata.json"
#define ELECTION_WORKERS_KEY  "workers/"
#define ELECTION_EPOCHS_KEY   "epochs/"

struct election_key {
    char text[ELECTION_KEY_MAX + 1];
};

/* 1 to 64 of A-Z a-z 0-9 _ . -, not starting with a dot: safe in a key, a path, a JSON string and a log. */
bool worker_id_ok(struct slice id);
bool election_namespace_ok(struct slice name); /* the same rule */

struct election_key election_worker_key(const char *worker_id);
struct election_key election_epoch_key(uint64_t epoch);

/* Is this the key of a worker's record? *ret_id is a slice of it. */
bool election_key_worker(struct slice key, struct slice *ret_id);

/* Is this the key of an epoch? Numbers from 1 to ELECTION_EPOCH_MAX. */
bool election_key_epoch(struct slice key, uint64_t *ret_epoch);

#endif
