/* election.h -- who of several instances leads, decided through an object store alone.
 *
 * A state machine: an input goes in (the time, the answer to a request, what an operator asks for), an update
 * comes out (requests to make, events for listeners, until when this instance may lead, when to call again).
 * It has no clock, no thread and no random source of its own, so a simulation runs it as the server does.
 *
 * What is promised
 *   Never two leaders. At no moment of true time may two instances of one namespace lead
 *     (election_may_lead), whatever the store, the network, the wall clocks and the schedulers do.
 *   Epochs grow. Each time somebody becomes leader it is with a higher epoch than anyone before.
 *   Somebody leads. With the store reachable, a dead leader is replaced within its lease and a heartbeat or
 *     two, one that left cleanly as soon as the next one looks.
 * An instance that asked "may I lead" and was then stopped for an hour goes on where it was. No lease can
 * prevent that; the epoch does: whatever a leader writes carries it, and fence.h refuses an old one.
 *
 * How, and why it holds
 *   state.json names the leader and its epoch. It changes only by conditional write: replace if the ETag is
 *   the one I read, or create if absent. No two writings of it are alike (election_token), so no ETag comes
 *   back. A leader renews by replacing its own record; another takes over by
 *     1. waiting until the record has not changed for its lease on the waiter's own clock, counted from the
 *        answer that first showed it (or until it says "released"),
 *     2. creating epochs/epoch-<n>, n above every epoch known: created once, so an epoch has one holder,
 *     3. replacing exactly the record it waited for, now with epoch n.
 *   Only after the store said OK to 3 does it lead. Let R be that record, L its writer.
 *   - L wrote R at e, having sent it at s <= e. The waiter saw R at f >= e, so its wait ended a whole lease
 *     of its clock after e. L leads until lead_ms of its own clock after s, and that is less, however the
 *     two clocks run within ELECTION_CLOCK_ERROR_PERCENT (election_config.h). L has stopped.
 *   - Could L have renewed R meanwhile? Then the ETag is another and step 3 is refused. Could a renewal of R
 *     land after step 3? Then it is refused, and L is not told OK.
 *   - L counts a renewal only when the store said OK, or when a look shows its own token, and always from
 *     before it was sent. "Unknown" (time-out, 5xx, 409) counts as not written for leading, and as written
 *     for the next write: it looks before it writes something else, and tries again with the same bytes.
 *   - Another waiter that took over from R? One of the two replacements is refused.
 *   - Stale reads show an older record: its ETag no longer matches, step 3 is refused. Stale lists hide
 *     epochs or workers: then step 2 fails, or a worker tries earlier or later than it should.
 *   - Released: L stops leading before it sends "released".
 *   - Nobody leads by creating state.json. Where it is missing, a vacant record is created, and replaced
 *     like any other after a lease; a new namespace, proved by epoch-1, need not wait (election_mark.c).
 *     So when it is removed or damaged by hand, L's renewals are refused from then on, everyone waits a
 *     lease, and epochs still grow: numbers follow the highest key.
 *   What is trusted: the store's conditional writes are atomic (tested at start), and clocks keep their rate
 *   within ELECTION_CLOCK_ERROR_PERCENT. No wall clock is compared to another machine's.
 *
 * The clock. mono_ms must come from CLOCK_BOOTTIME: CLOCK_MONOTONIC stands still while the machine is
 * suspended, so a leader would wake up and think its lease still runs. Neither counts the time for which a
 * hypervisor stops a virtual machine without telling it; when the wall clock jumps ahead of the monotonic
 * one, the machine stops leading until it has a new epoch, and until somebody has set the wall clock, fencing
 * alone protects.
 *
 * Requests. At most one is under way per kind. Over time they stay within one per heartbeat interval (720 an
 * hour by default), lists and all, those of tasks included (election_lend), however many there are: the
 * leader's heartbeat is its renewal (376 an hour) and it lists the workers (299); the others write a
 * heartbeat every 14 to 15 s (248) and look at state.json about once a renewal (432), just behind it
 * (election_rhythm.h).
 *
 * Threads: one at a time. Times are the instance's own monotonic milliseconds unless named wall. */
#ifndef CORE_ELECTION_ELECTION_H
#define CORE_ELECTION_ELECTION_H

#include "core/base/breaker.h"
#include "core/base/err.h"
#include "core/base/percentile.h"
#include "core/election/election_config.h"
#include "core/election/election_record.h"
#include "core/election/election_workers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ELECTION_OPS_MAX = 8,     /* requests of one update */
    ELECTION_EVENTS_MAX = 16, /* events of one update */
    ELECTION_HINTS_MAX = 3,   /* instances to be told of one update */
    ELECTION_EPOCHS_KEPT = 8, /* epoch keys that are not cleaned up; epoch-1 stays as well, for ever */
};

/* --- requests and their answers --- */

enum election_op_kind {
    ELECTION_READ_STATE,   /* GET state.json */
    ELECTION_WRITE_STATE,  /* PUT state.json, if the ETag matches or if absent */
    ELECTION_CREATE_EPOCH, /* PUT epochs/epoch-<n>, if absent */
    ELECTION_READ_EPOCH,   /* GET epochs/epoch-<n> */
    ELECTION_LIST,         /* LIST the namespace */
    ELECTION_PUT_WORKER,   /* PUT workers/<own id>.json */
    ELECTION_PUT_METADATA, /* PUT metadata.json, as the runtime fills it */
    ELECTION_DELETE,       /* DELETE a key */
    ELECTION_OP_KINDS
};

/* Every request is answered once, by an input with its id, or never: after wait_ms the machine goes on as if
 * the outcome were unknown, and a later answer is ignored. */
struct election_op {
    enum election_op_kind kind;
    uint32_t id;
    uint32_t wait_ms;              /* an answer after this is of no use */
    struct election_etag if_match; /* WRITE_STATE: "" means only if absent */
    union {
        struct election_state state; /* WRITE_STATE */
        struct election_epoch epoch; /* CREATE_EPOCH; READ_EPOCH: only .epoch is set */
        struct {
            struct election_token token;
            uint64_t registered_wall_ms, heartbeat_wall_ms;
        } worker;                /* PUT_WORKER */
        uint64_t metadata_epoch; /* PUT_METADATA */
        struct election_key key; /* DELETE */
    };
};

enum election_outcome {
    ELECTION_OK,
    ELECTION_LOST,    /* a conditional write that was refused: certainly not written */
    ELECTION_ABSENT,  /* a read: there is no such object */
    ELECTION_UNKNOWN, /* a read that failed; a write that happened, did not, or happens later */
};

struct election_listed {
    struct slice key;          /* below the namespace */
    struct election_etag etag; /* anything that differs when the object was written anew: an ETag, or its time
                                  of writing by the store's clock, which is compared to nothing but itself */
};

struct election_result {
    enum election_op_kind kind;
    uint32_t op_id;
    enum election_outcome outcome;
    struct election_etag etag; /* READ_STATE and WRITE_STATE, when OK */
    bool readable; /* READ_STATE: state is set; else the object is no record that this build knows */
    struct election_state state;          /* READ_STATE */
    struct election_epoch epoch;          /* READ_EPOCH; .epoch 0 when it could not be read */
    const struct election_listed *listed; /* LIST, any order; borrowed for the call */
    size_t listed_count;
    bool complete; /* LIST: these are all keys there are */
};

/* --- inputs --- */

enum election_input_kind {
    ELECTION_TICK,      /* the time has come (or anything else happened) */
    ELECTION_RESULT,    /* a request was answered */
    ELECTION_FORCE,     /* hold an election, although a leader is well */
    ELECTION_STEP_DOWN, /* if I lead: stop, and let another one lead */
    ELECTION_LEAVE,     /* this instance stops; no input but ticks and results after it */
    ELECTION_HINT,      /* another instance says that something changed */
    ELECTION_TASKS,     /* the list of tasks changed: metadata.json is to be written */
};

struct election_input {
    enum election_input_kind kind;
    uint64_t mono_ms; /* CLOCK_BOOTTIME, as read just now; never going back */
    uint64_t wall_ms; /* CLOCK_REALTIME */
    uint64_t random;  /* 64 random bits, new for each input */
    const struct election_result *result;
};

/* --- events --- */

enum election_phase {
    ELECTION_OBSERVING,   /* cold start: listening who is there */
    ELECTION_ELECTING,    /* cold start: finding a leader */
    ELECTION_PREPARATION, /* cold start: elected, the others get time to see it */
    ELECTION_READY,
};

enum election_reason {
    ELECTION_LEASE_RAN_OUT, /* no renewal was confirmed in time */
    ELECTION_TAKEN_OVER,    /* state.json names another leader */
    ELECTION_STATE_GONE,    /* state.json is gone, or not a record any more */
    ELECTION_SUPERSEDED,    /* a higher epoch was taken, by a forced election or by a rival */
    ELECTION_CLOCK_JUMPED,  /* the wall clock ran ahead of the monotonic one: the machine was stopped */
    ELECTION_EPOCH_ENDED,   /* maxEpochDurationMs */
    ELECTION_FORCED,        /* forced here */
    ELECTION_STEPPED_DOWN,
    ELECTION_LEFT,
};

enum election_event_kind {
    ELECTION_EVENT_STARTED,
    ELECTION_EVENT_REGISTERED,      /* the first heartbeat was written */
    ELECTION_EVENT_REGISTER_FAILED, /* a heartbeat was not written, or nobody knows */
    ELECTION_EVENT_HEARTBEAT,       /* one was written */
    ELECTION_EVENT_LEADER_CHANGED,  /* from (may be ""), to, epoch; also when it is this instance */
    ELECTION_EVENT_ELECTED,         /* this instance leads from now; epoch */
    ELECTION_EVENT_DEMOTED,         /* it does no more; epoch, reason */
    ELECTION_EVENT_RENEWED,         /* its lease was renewed; epoch */
    ELECTION_EVENT_PHASE,           /* phase, duration_ms of the phase before */
    ELECTION_EVENT_WORKER_JOINED,   /* to: its id; told by the leader only, as the next one */
    ELECTION_EVENT_WORKER_TIMED_OUT,
    ELECTION_EVENT_CONTENTION,      /* a heartbeat took duration_ms, expected_ms is its interval */
    ELECTION_EVENT_BREAKER,         /* breaker */
    ELECTION_EVENT_ELECTION_FAILED, /* this instance ran, and it came to nothing */
    ELECTION_EVENT_REFUSED,         /* asked to step down, but it does not lead */
    ELECTION_EVENT_GONE,            /* all that ELECTION_LEAVE asked for is done */
};

struct election_event {
    enum election_event_kind kind;
    uint64_t epoch;
    enum election_reason reason;
    enum election_phase phase;
    enum breaker_state breaker;
    uint64_t duration_ms, expected_ms;
    uint32_t workers;             /* live, this one included: LEADER_CHANGED, ELECTED */
    char from[WORKER_ID_MAX + 1]; /* LEADER_CHANGED */
    char to[WORKER_ID_MAX + 1];
};

/* --- updates --- */

/* Within [from_ms, until_ms) this instance may lead, in that epoch; epoch 0: not at all. */
struct election_lead {
    uint64_t epoch;
    uint64_t from_ms, until_ms;
};

/* now_ms: the clock of election_input.mono_ms, read just before what is done as leader is begun. */
static inline bool election_may_lead(const struct election_lead *lead, uint64_t now_ms)
{
    return lead->epoch > 0 && now_ms >= lead->from_ms && now_ms < lead->until_ms;
}

struct election_update {
    struct election_op ops[ELECTION_OPS_MAX];
    size_t op_count;
    struct election_event events[ELECTION_EVENTS_MAX];
    size_t event_count;
    char hints[ELECTION_HINTS_MAX][WORKER_ID_MAX + 1]; /* tell these instances (ELECTION_HINT): a courtesy
                                                          that saves seconds, and may be lost */
    size_t hint_count;
    struct election_lead lead; /* replaces the one before, at once */
    uint64_t wake_ms;          /* call with a tick then, or earlier */
};

/* --- the machine --- */

struct election;

/* This instance. incarnation: 64 random bits, made anew each time the process starts. */
struct election_self {
    char worker_id[WORKER_ID_MAX + 1];
    uint64_t incarnation;
};

/* cfg has passed election_config_check(). The first input starts it.
 * Errors: SYNC_ENOMEM; SYNC_ECONFIG for a worker id that worker_id_ok() refuses. */
enum sync_err election_new(const struct election_config *cfg, const struct election_self *self,
                           struct election **ret, struct err_ctx *ec);
void election_free(struct election *e);

/* This instance has made so many other requests, for the tasks that the election is about: what can wait in
 * the election waits longer for it, so that all together stay within one per heartbeat interval. */
void election_lend(struct election *e, uint32_t requests, uint64_t now_ms);

void election_step(struct election *e, const struct election_input *in, struct election_update *ret);

/* --- looking at it --- */

struct election_counters {
    uint64_t heartbeats, registrations, register_failures;
    uint64_t elections, elections_won, elections_failed, leader_changes, demotions, renewals;
    uint64_t worker_joins, worker_timeouts, contentions, breaker_opened;
    uint64_t requests[ELECTION_OP_KINDS], unknowns[ELECTION_OP_KINDS];
};

enum election_role {
    ELECTION_FOLLOWER,
    ELECTION_CANDIDATE,
    ELECTION_LEADER,
    ELECTION_RELEASING,
    ELECTION_OUT
};

struct election_status {
    enum election_role role;
    enum election_phase phase;
    bool state_known; /* the three below are of state.json as last seen */
    uint64_t epoch;   /* 0: none yet */
    enum election_hold hold;
    char leader_id[WORKER_ID_MAX + 1]; /* "": none yet */
    uint64_t lease_left_ms;            /* of the leader's record, by this instance's own clock */
    struct election_lead lead;
    uint32_t workers;
    uint64_t heartbeat_age_ms; /* since the last one was written; UINT64_MAX: none yet */
    uint64_t election_ms;      /* how long the last election that this instance won took */
    enum breaker_state breaker;
    struct percentiles latency_ms; /* of requests */
    struct election_counters counters;
};

void election_status(const struct election *e, uint64_t now_ms, struct election_status *ret);

/* The workers as this instance last listed them: borrowed until the next step. A leader's are at most some
 * seconds old; others list only when they hold an election. */
const struct election_workers *election_workers(const struct election *e);

const char *election_op_name(enum election_op_kind k);       /* "read_state" */
const char *election_reason_name(enum election_reason r);    /* "lease ran out" */
const char *election_phase_name(enum election_phase p);      /* "observing" */
const char *election_role_name(enum election_role r);        /* "follower" */
const char *election_event_name(enum election_event_kind k); /* "leader_changed" */

#endif
