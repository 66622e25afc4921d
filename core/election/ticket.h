/* ticket.h -- work that the leader hands out: what a ticket is called, and who may take it when.
 *
 * A ticket lies in the object store below tickets/ of a namespace, as up to four kinds of objects, each of
 * which is created once and never replaced:
 *
 *   tickets/<id>/ticket.json        the leader's, with the epoch it was published in
 *   tickets/<id>/claim-<n>.json     whoever creates number n works on it; n counts from 1
 *   tickets/<id>/result.json        the first one who is done; everyone who comes later has worked in vain
 *
 *   <id> is <task>-<round>-<part>. A round is one time that a task's work is handed out; its number comes
 * from an object that only the leader of the newest epoch can change (storage/objects/fenced.h), and the ids
 *   follow from it, so a leader that publishes late publishes the same tickets again, not other ones.
 *   <part> is w-<worker id> for work that only that worker can do (on its own databases), or n-<number>.
 *
 * Claim n + 1 may be taken when claim n is as old as the time-out and there is no result; its age is counted
 * on the observer's own monotonic clock, from the listing that first showed it. So each ticket is worked on
 * at least once, perhaps by two who think so at a time, and has exactly one result.
 *
 * One listing of tickets/ tells all of this; the board keeps what it told.
 *
 * Pure. Threads: one at a time. */
#ifndef CORE_ELECTION_TICKET_H
#define CORE_ELECTION_TICKET_H

#include "core/base/buf.h"
#include "core/base/slice.h"
#include "core/election/election_keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TICKET_TASK_MAX = 32,
    TICKET_PART_MAX = 2 + WORKER_ID_MAX,
    TICKET_ID_MAX = TICKET_TASK_MAX + 1 + 20 + 1 + TICKET_PART_MAX,
    TICKET_KEY_MAX = TICKET_ID_MAX + 40,
    TICKET_CLAIMS_MAX = 9999, /* then it is left to lie; the round after it brings another */
    TICKETS_SEEN_MAX = 1000,  /* more are not seen until some are done */
};

#define TICKETS_KEY "tickets/"

struct ticket_key {
    char text[TICKET_KEY_MAX + 1];
};

struct ticket_id {
    char text[TICKET_ID_MAX + 1];
};

/* a-z and 0-9, dashes between them: "snapshot-schedule". */
bool ticket_task_ok(struct slice task);

/* round at least 1. */
struct ticket_id ticket_id_for_worker(const char *task, uint64_t round, const char *worker_id);
struct ticket_id ticket_id_numbered(const char *task, uint64_t round, uint32_t number);

/* What an id says; the slices are of `id`. False for what is none. */
struct ticket_name {
    struct slice task;
    uint64_t round;
    struct slice worker; /* empty: anybody may take it */
};
bool ticket_id_parse(struct slice id, struct ticket_name *ret);

struct ticket_key ticket_body_key(const char *id);
struct ticket_key ticket_claim_key(const char *id, uint32_t claim);
struct ticket_key ticket_result_key(const char *id);

enum ticket_object { TICKET_BODY, TICKET_CLAIM, TICKET_RESULT };

/* Reads a key as listed, from "tickets/" on. */
bool ticket_key_parse(struct slice key, struct slice *ret_id, enum ticket_object *ret, uint32_t *ret_claim);

/* --- the objects' bytes: JSON for people, and different for each writer, so that who is not told whether a
 * creation succeeded can read it and compare --- */

struct ticket_stamp {
    const char *worker_id;
    uint64_t incarnation;
    uint64_t wall_ms;
};

void ticket_body_put(struct buf *out, const char *id, uint64_t epoch, const struct ticket_stamp *by);
void ticket_claim_put(struct buf *out, const char *id, uint32_t claim, const struct ticket_stamp *by);
void ticket_result_put(struct buf *out, const char *id, uint32_t claim, bool ok, const char *text,
                       const struct ticket_stamp *by);

/* --- the board --- */

struct ticket_seen {
    struct ticket_id id;
    bool published;    /* the ticket itself was seen: claims without one are left over */
    bool done;         /* it has a result */
    uint32_t claims;   /* the highest number seen */
    uint64_t since_ms; /* when that number was first seen */
    bool seen;         /* by the listing under way */
};

struct ticket_board {
    struct ticket_seen *all; /* by id */
    size_t count, capacity;
};

void ticket_board_deinit(struct ticket_board *b);

/* A listing: start, see each key, end. With `complete` tickets that it did not show are forgotten. */
void ticket_board_list_start(struct ticket_board *b);
void ticket_board_see(struct ticket_board *b, struct slice key, uint64_t now_ms);
void ticket_board_list_end(struct ticket_board *b, bool complete);

/* A claim that this instance has just taken, or found taken, or a result: what the next listing would
 * show. */
void ticket_board_claimed(struct ticket_board *b, const char *id, uint32_t claim, uint64_t now_ms);
void ticket_board_done(struct ticket_board *b, const char *id);

/* The first ticket that `self` may take now, and the number of the claim that takes it; NULL: none. Tickets
 * of tasks that `handles` does not know are passed over: another build published them. */
const struct ticket_seen *ticket_board_next(const struct ticket_board *b, const char *self,
                                            bool (*handles)(void *arg, struct slice task), void *arg,
                                            uint64_t now_ms, uint32_t timeout_ms, uint32_t *ret_claim);

#endif
