/* election_internal.h -- the election's state, shared by the files that make up the machine.
 *
 *   election.c           the step: answers, time-outs, heartbeats, when to wake
 *   election_requests.c  sending: one request per kind, breaker, budget
 *   election_follow.c    looking at state.json, and judging when the lease is free
 *   election_mark.c      where there is no record: writing a vacant one
 *   election_campaign.c  running for leader
 *   election_force.c     holding an election although a leader is well
 *   election_lead.c      holding the lease: renewing, listing, cleaning up
 *   election_release.c   giving it back, leaving
 *   election_status.c    looking at it all
 *
 * Only those files include this one. */
#ifndef CORE_ELECTION_ELECTION_INTERNAL_H
#define CORE_ELECTION_ELECTION_INTERNAL_H

#include "core/base/request_budget.h"
#include "core/election/election.h"
#include "core/election/election_rhythm.h"

#define ELECTION_NEVER UINT64_MAX

enum { ELECTION_TRIES_MAX = 4, ELECTION_RANK_MAX = 3, ELECTION_FREE_LOOKS = 4 };

/* A request under way. */
struct election_flight {
    bool active;
    bool ticketed; /* the breaker gave a ticket; else it went out although the breaker is open */
    uint32_t id;
    uint32_t ticket;
    uint64_t sent_ms, until_ms;
};

/* What state.json was when last seen, or written by us. */
enum sight_kind { SIGHT_NONE, SIGHT_ABSENT, SIGHT_STATE, SIGHT_UNREADABLE };

struct election_sight {
    enum sight_kind kind;
    struct election_etag etag;
    struct election_state state;
    uint64_t first_ms; /* when it was first seen as it is */
    bool next_in_row;  /* it is the very next writing of the same writer as the one seen before */
};

/* The newest writing of state.json that was sent; it stays until the next one. */
struct election_write {
    struct election_state state;
    struct election_etag if_match;
    uint64_t first_sent_ms, first_sent_wall_ms;
    uint32_t tries;
    bool open;         /* nobody knows yet whether it happened */
    bool look;         /* look at state.json before trying again */
    uint64_t retry_ms; /* not before */
};

enum campaign_step {
    CAMPAIGN_LOOK,
    CAMPAIGN_WAIT,
    CAMPAIGN_CREATE,
    CAMPAIGN_READ_EPOCH,
    CAMPAIGN_MARK,
    CAMPAIGN_WRITE
};

struct election_campaign {
    enum campaign_step step;
    uint64_t started_ms;
    uint64_t act_ms; /* CAMPAIGN_WAIT: until then; CAMPAIGN_CREATE: next try */
    bool looked;     /* since this look was asked for */
    bool listed;     /* the list came, or will not */
    bool ranked;     /* act_ms says when it is this instance's turn */
    uint32_t tries;  /* of the step's request */
    bool doubtful;   /* an earlier try of creating the epoch may have happened */
    uint64_t epoch;  /* the epoch run for */
};

struct election {
    struct election_config cfg;
    struct election_timing timing;
    struct election_self self;

    /* Only during a step. */
    struct election_update *u;
    uint64_t now, wall, random;

    bool started;
    bool leaving;
    enum election_role role;
    enum election_phase phase;
    uint64_t start_ms;   /* not before: start jitter */
    uint64_t phase_ms;   /* when the phase began */
    uint64_t observe_ms; /* end of ELECTION_OBSERVING */
    uint64_t registered_wall_ms;

    struct election_flight flights[ELECTION_OP_KINDS];
    uint32_t last_op_id;
    uint64_t last_write; /* of election_token */
    struct breaker breaker;
    enum breaker_state breaker_told;
    struct request_budget budget;

    struct election_sight sight;
    struct election_rhythm rhythm;
    uint32_t free_looks;
    uint64_t look_ms;          /* next look as a follower */
    bool look_failed;          /* the last one was not answered */
    uint32_t lease_seen_ms;    /* of the last record that could be read: what an unreadable one may run */
    uint64_t epoch_seen_ms;    /* when sight.state.epoch was first seen */
    uint64_t epoch_highest;    /* of all that were ever seen */
    uint64_t epoch_learned_ms; /* when it was first seen */
    uint64_t epoch_held;       /* created by this instance, and not used yet; 0: none */
    uint64_t epoch_creating;   /* of the CREATE_EPOCH under way */
    bool creating_to_force;    /* it is there to force an election */
    uint64_t epoch_led;        /* the last that this instance led in; 0: none */
    uint64_t epoch_announced;  /* LEADER_CHANGED was told of it */
    char leader_announced[WORKER_ID_MAX + 1];

    struct election_write write;
    uint64_t epoch_asked_ms; /* epoch_asked was created by a try not sent before */
    uint64_t epoch_asked;
    struct election_token mark_free; /* a vacant record of mine that may be replaced at once */
    uint64_t mark_ms;                /* next try of marking state.json as vacant */
    uint64_t listed_ms;              /* when the last list came; 0: none yet */

    bool from_vacant; /* the record that the campaign replaces is a vacant one */

    struct election_campaign campaign;
    uint64_t campaign_ms; /* no campaign before: the last one came to nothing */
    uint64_t yield_ms;    /* no campaign before: this instance gave the lease back */
    bool force;           /* an election is to be held although a leader is well */
    uint32_t force_tries;
    uint64_t force_ms; /* next try */

    struct election_lead lead;
    uint64_t base_ms, base_wall_ms; /* both clocks, when the last confirmed renewal was first sent */
    bool told_elected;
    uint64_t acquired_ms;
    uint64_t renew_ms, list_ms;
    bool list_now;        /* a hint: the list is worth more than the budget */
    uint64_t hint_ms;     /* no further hint is taken before */
    uint64_t epoch_burnt; /* the highest known when it was elected: those above its own came to nothing */
    bool superseded;
    bool metadata_due;
    uint64_t epoch_old; /* an epoch key to clean up; 0: none known */

    uint64_t release_ms; /* ELECTION_RELEASING: give up then */
    uint64_t put_ms;     /* next try of a worker's heartbeat */
    uint64_t put_due_ms; /* since when it is due, or when it will be */
    bool put_ok;         /* one was written before */
    bool deleted_self;   /* the request is out */

    struct election_workers workers;
    uint64_t heartbeat_ms;  /* when the last one was written; ELECTION_NEVER: none yet */
    uint64_t contention_ms; /* when contention was last told; ELECTION_NEVER: never */
    uint64_t election_took_ms;
    struct percentile_window latency;
    struct election_counters counters;
};

/* election.c */
struct election_event *election_tell(struct election *e, enum election_event_kind kind);
void election_move_phase(struct election *e, enum election_phase phase);
uint64_t election_draw(struct election *e);
void election_heartbeat_done(struct election *e, uint64_t due_ms);

/* election_requests.c */
enum request_need {
    REQUEST_MUST,  /* goes out also while the breaker is open */
    REQUEST_USUAL, /* not while the breaker is open */
    REQUEST_SPARE, /* only when the budget has something left, too */
};
bool election_busy(const struct election *e, enum election_op_kind kind);
struct election_op *election_send(struct election *e, enum election_op_kind kind, uint32_t wait_ms,
                                  enum request_need need); /* NULL: not now */
/* Ends the flight; returns when it was sent, or ELECTION_NEVER when no flight of that kind has that id. */
uint64_t election_land(struct election *e, enum election_op_kind kind, uint32_t op_id, bool answered);
void election_tell_breaker(struct election *e);

/* The next writing of state.json: of what kind is in `state`, whose token is set here. */
void election_write_prepare(struct election *e, const struct election_state *state,
                            const struct election_etag *if_match);
bool election_write_send(struct election *e, uint32_t wait_ms);
bool election_look(struct election *e, uint32_t wait_ms); /* READ_STATE, whatever happens */
struct election_op *election_create_epoch(struct election *e, uint64_t epoch, enum request_need need);

/* election_follow.c */
bool election_sight_set(struct election *e, enum sight_kind kind, const struct election_etag *etag,
                        const struct election_state *state);
void election_learn_epoch(struct election *e, uint64_t epoch);
bool election_sight_is_mine(const struct election *e);
bool election_lease_is_mine(const struct election *e);
uint64_t election_lease_free_ms(const struct election *e);
uint32_t election_longest_lease(const struct election *e);
bool election_may_run(const struct election *e);
uint64_t election_may_run_ms(const struct election *e);
void election_follow(struct election *e);
void election_follow_read(struct election *e, const struct election_result *r, uint64_t sent_ms,
                          bool changed);
void election_become_follower(struct election *e);
void election_announce_leader(struct election *e, uint64_t epoch, const char *id);

/* election_campaign.c */
void election_campaign_start(struct election *e);
void election_campaign(struct election *e);
void election_campaign_read(struct election *e, const struct election_result *r, bool changed);
void election_campaign_listed(struct election *e);
void election_campaign_created(struct election *e, enum election_outcome outcome, uint64_t epoch);
void election_campaign_epoch_read(struct election *e, const struct election_result *r);
void election_campaign_written(struct election *e, enum election_outcome outcome, uint64_t sent_ms);
uint64_t election_campaign_wake(const struct election *e);

/* election_mark.c */
bool election_is_new(const struct election *e);
void election_mark_prepare(struct election *e);
void election_mark_written(struct election *e);
bool election_asked_recently(const struct election *e, uint64_t epoch);
bool election_fits_vacant(const struct election *e);
void election_mark(struct election *e);
uint64_t election_mark_wake(const struct election *e);

/* election_force.c */
void election_force(struct election *e);
void election_force_created(struct election *e, enum election_outcome outcome, uint64_t epoch);
uint64_t election_force_wake(const struct election *e);

/* election_lead.c */
void election_become_leader(struct election *e, uint64_t base_ms);
void election_check_lead(struct election *e);
void election_lead(struct election *e);
void election_lead_read(struct election *e, const struct election_result *r);
void election_lead_written(struct election *e, enum election_outcome outcome, uint64_t sent_ms);
void election_lead_listed(struct election *e);
void election_demote(struct election *e, enum election_reason reason);
void election_step_down(struct election *e);
uint64_t election_lead_wake(struct election *e);

/* election_release.c */
void election_release_start(struct election *e, bool look_first);
void election_release(struct election *e);
void election_release_read(struct election *e, const struct election_result *r);
void election_release_written(struct election *e, enum election_outcome outcome);
void election_release_deleted(struct election *e);
uint64_t election_release_wake(const struct election *e);

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
