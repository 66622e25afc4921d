/* elector.h -- one election of this instance, running: the state machine of core/election/election.h with a
 * thread, the clocks, the random source and the object store.
 *
 * Its thread alone steps the machine; requests run on the pool and come back as inputs. The lead is replaced
 * in the very step that changes it, under the lock under which everybody asks for it, and whoever asks
 * compares it with CLOCK_BOOTTIME as it is then: after a SIGSTOP or a suspend the lead is over for every
 * thread at once, whether or not the elector's own thread has run again.
 *
 * Threads: start and free on one; the rest from any. */
#ifndef SERVER_COORDINATOR_ELECTOR_H
#define SERVER_COORDINATOR_ELECTOR_H

#include "core/election/election.h"
#include "server/coordinator/election_io.h"
#include "server/coordinator/io_pool.h"

struct elector;

/* Both are called on the elector's thread, without a lock, and must not block. */
struct elector_listener {
    void (*happened)(void *arg, const struct election_event *ev);
    void (*hint)(void *arg, const char *worker_id); /* tell that instance to look */
    void *arg;
};

struct elector_config {
    struct election_config election; /* has passed its check */
    struct election_site site;       /* its texts outlive the elector */
    struct elector_listener listener;
    struct io_pool *pool; /* outlives the elector's thread; stopped before elector_free() */
};

enum sync_err elector_start(const struct elector_config *cfg, struct elector **ret, struct err_ctx *ec);

/* FORCE, STEP_DOWN, HINT or TASKS; LEAVE where elector_leave() follows, so that several leave at once. */
void elector_ask(struct elector *el, enum election_input_kind kind);

/* Leaves cleanly: gives back a lease, deletes the worker's record; at most for so long. Ends the thread. */
void elector_leave(struct elector *el, uint32_t within_ms);

/* After elector_leave() and after the pool has stopped. NULL does nothing. */
void elector_free(struct elector *el);

/* May this instance lead now, and in which epoch? */
bool elector_may_lead(struct elector *el, uint64_t *ret_epoch);

/* This instance has made so many requests for the tasks of this election (election_lend). */
void elector_lend(struct elector *el, uint32_t requests);

void elector_status(struct elector *el, struct election_status *ret);

/* The ids of the workers that are live, this one included, and how many there are; at most max. */
size_t elector_live_workers(struct elector *el, char (*ids)[WORKER_ID_MAX + 1], size_t max);

/* Calls for each worker as it was last listed, with the lock held. */
void elector_each_worker(struct elector *el, void (*each)(void *arg, const struct election_worker *w),
                         void *arg);

const struct election_site *elector_site(const struct elector *el);
const struct election_config *elector_election_config(const struct elector *el);

#endif
