/* sim_world.h -- several instances of the election, their clocks, a network and a store, in one process.
 *
 * All that happens follows from one seed. True time is the simulator's; each instance has a monotonic clock
 * of its own rate and a wall clock of its own error, and may be paused at any point while its clocks go on.
 * Requests are lost on the way or on the way back, come twice, come late, or fail.
 *
 * At every event it is checked that no two instances may lead at that moment of true time, that epochs grow,
 * and that no write of a task lands behind one of a newer epoch. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "sim_queue.h"
#include "sim_store.h"

#include "core/election/election.h"

#include <stdio.h>

enum { SIM_INSTANCES_MAX = 7, SIM_CALLS_MAX = 512 };

/* Errors that the simulation must find, planted outside the code under test: the first four are the
 * predecessor's. Each changes what the machine is told or what is made of its answers. */
enum sim_bug {
    SIM_NO_BUG,
    SIM_BUG_WALL_CLOCK,        /* the lease is judged by comparing wall clocks */
    SIM_BUG_NEVER_RENEW,       /* renewals are not written, the leader goes on */
    SIM_BUG_KEEP_LEADING,      /* failing renewals do not end the lead */
    SIM_BUG_NO_MARGIN,         /* the leader uses its whole lease */
    SIM_BUG_TRUST_UNKNOWN,     /* an unknown outcome of writing state.json is taken for success */
    SIM_BUG_NO_FENCE,          /* tasks write without looking at the epoch */
    SIM_BUG_LEASE_FROM_ANSWER, /* the lease counts from the answer to a renewal, not from its sending */
    SIM_BUG_CLOCK_STOPS,       /* the monotonic clock does not count pauses (CLOCK_MONOTONIC) */
    SIM_BUG_BLIND_WRITES,      /* the store ignores conditions */
    SIM_BUGS
};

const char *sim_bug_name(enum sim_bug b);

/* How bad the network is. Chances are of 1000. */
struct sim_network {
    uint32_t latency_us;              /* up to so long each way */
    uint32_t slow, slow_us;           /* up to so much longer */
    uint32_t slow_back, slow_back_us; /* only the answer */
    uint32_t lost, answer_lost;       /* the request, or only its answer */
    uint32_t refused;                 /* answered at once with a 5xx, not carried out */
    uint32_t late, late_us;           /* given up by the sender, carried out up to so much later */
    uint32_t twice;                   /* carried out again, later */
    uint32_t stale_read, stale_list;
    uint32_t never_answered;              /* not even "unknown" */
    uint32_t pause_before_send, pause_us; /* the instance stops between deciding and sending */
};

struct sim_instance {
    struct election *election; /* NULL: dead */
    struct election_config cfg;
    struct election_self self;
    uint32_t life; /* counts starts */

    uint64_t clock_from_us, clock_base_us; /* the clock showed base at true time `from` */
    uint32_t clock_rate_ppm;
    int64_t wall_error_ms;
    uint64_t paused_until_us, cut_until_us;

    struct election_lead lead; /* as last published */
    bool elected;              /* told so */
    uint64_t machine_until_ms; /* what its machine said last, before a planted error bent it */
    uint64_t answer_lag_ms;    /* of the last answered writing of state.json */
    uint32_t wake_stamp;
    uint32_t steps;
};

enum sim_call_kind { SIM_CALL_ELECTION, SIM_CALL_GUARD_READ, SIM_CALL_GUARD_WRITE };

struct sim_call {
    uint32_t stamp;  /* of this use of the slot */
    uint32_t events; /* still in the queue; at 0 the slot is free */
    enum sim_call_kind kind;
    uint32_t instance, life;
    bool cut;  /* does not reach the store */
    bool deaf; /* its answer does not reach the instance */
    bool refused;
    bool again; /* lands twice */
    bool landed, answered;
    uint64_t sent_ms; /* by the sender's clock */
    struct election_op op;
    struct election_result result;
    struct sim_page page;
    uint64_t guard_epoch, guard_version; /* of the writer; as read */
    bool guard_refused;
};

struct sim_world {
    uint64_t seed; /* of random_u64() */
    uint64_t now_us;
    enum sim_bug bug;
    struct sim_network net;
    struct sim_queue queue;
    struct sim_store store;
    struct sim_instance instances[SIM_INSTANCES_MAX];
    uint32_t instance_count;
    struct sim_call calls[SIM_CALLS_MAX];
    struct election_update update;
    struct election_listed listed[SIM_PAGE_MAX];

    uint64_t late_until_us; /* nothing lands later than this, or than usual; pauses end by then */
    bool frozen_pauses; /* clocks do not count pauses, as in a stopped virtual machine: leads may overlap, and
                           only the fence is checked */
    uint64_t epoch_last; /* highest that anyone led in */
    uint32_t leads;      /* times somebody came to lead */
    uint32_t demotions;
    uint64_t guard_last;
    uint64_t first_lead_us; /* since it was set to 0 */
    uint64_t events, guard_writes;

    char failure[256]; /* "": all is well */
    bool unsafe;       /* the failure is two leaders, or a write of an older epoch: not only a late leader */
    FILE *log;         /* NULL: none */
};

struct sim_world *sim_world_new(void);
void sim_world_free(struct sim_world *w);

/* Empty store, no instances. */
void sim_world_reset(struct sim_world *w, uint64_t seed, enum sim_bug bug, FILE *log);

/* A process starts, with a name of its own; rate_ppm is its clock's, 1000000 is true. */
void sim_start(struct sim_world *w, uint32_t i, const struct election_config *cfg, const char *id,
               uint32_t rate_ppm, int64_t wall_error_ms);
void sim_restart(struct sim_world *w, uint32_t i, bool new_name);
void sim_crash(struct sim_world *w, uint32_t i);
void sim_pause(struct sim_world *w, uint32_t i, uint64_t us);
void sim_set_rate(struct sim_world *w, uint32_t i, uint32_t rate_ppm);
void sim_ask(struct sim_world *w, uint32_t i, enum election_input_kind kind);
void sim_schedule(struct sim_world *w, enum sim_event_kind kind, uint32_t subject, uint64_t in_us);

bool sim_may_lead(const struct sim_world *w, uint32_t i);
int sim_leader(const struct sim_world *w); /* -1: none */

/* Takes the next event. What it does not know itself (SIM_CHAOS, SIM_QUIET, SIM_END, SIM_START) is the
 * caller's, told by ret. False when something is wrong: see failure. */
bool sim_step(struct sim_world *w, struct sim_event *ret);

uint64_t sim_random(struct sim_world *w, uint64_t bound); /* below bound; 0 for a bound of 0 */
bool sim_chance(struct sim_world *w, uint32_t of_1000);
void sim_say(struct sim_world *w, int instance, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void sim_fail(struct sim_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_fail_unsafe(struct sim_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
