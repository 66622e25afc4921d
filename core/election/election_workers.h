/* election_workers.h -- the workers of a namespace as one instance sees them.
 *
 * It is filled from listings of workers/: a listing gives each record's key and ETag, so one request tells of
 * all workers which of them wrote a heartbeat since the last. A worker is live until its record has not
 * changed for the worker time-out on the observer's own monotonic clock, counted from the listing that first
 * showed it so. Who is live decides only who tries first to be leader, never who is.
 *
 * Sorted by id, bytewise: the order of candidates.
 *
 * Threads: one at a time. */
#ifndef CORE_ELECTION_ELECTION_WORKERS_H
#define CORE_ELECTION_ELECTION_WORKERS_H

#include "core/base/slice.h"
#include "core/election/election_keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ELECTION_ETAG_MAX = 127,     /* as long as an object store gives them */
    ELECTION_WORKERS_MAX = 1000, /* more are not seen; a page of a listing has as many keys */
};

/* As the store gave it, without quotes; "" for none. */
struct election_etag {
    char text[ELECTION_ETAG_MAX + 1];
};

static inline bool election_etag_eq(const struct election_etag *a, const struct election_etag *b)
{
    return strcmp(a->text, b->text) == 0;
}

struct election_worker {
    char id[WORKER_ID_MAX + 1];
    struct election_etag etag;
    uint64_t changed_ms; /* when its record was first seen as it is now */
    bool live;
    bool told; /* the listener was told of `live` as it is */
    bool seen; /* by the listing under way */
};

struct election_workers {
    struct election_worker *all;
    size_t count, capacity;
};

struct election_workers workers_make(void);
void workers_deinit(struct election_workers *w);

/* A listing: start, see each record, end. With `complete` the workers it did not show are forgotten; a page
 * that was cut off forgets nobody. A worker that memory has no room for is not seen. */
void workers_list_start(struct election_workers *w);
void workers_list_see(struct election_workers *w, struct slice id, const struct election_etag *etag,
                      uint64_t now_ms);
void workers_list_end(struct election_workers *w, bool complete);

/* Marks as not live those that did not change for timeout_ms, `self` excepted. */
void workers_expire(struct election_workers *w, const char *self, uint64_t now_ms, uint32_t timeout_ms);

/* How many live workers sort before `self`, leaving out `excluded` (may be NULL). */
size_t workers_rank(const struct election_workers *w, const char *self, const char *excluded);

/* Live workers other than `self`. */
size_t workers_live_others(const struct election_workers *w, const char *self);

#endif
