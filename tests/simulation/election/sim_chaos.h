/* sim_chaos.h -- one schedule: instances and faults drawn from a seed, then quiet, then judgement. */
#ifndef SIM_CHAOS_H
#define SIM_CHAOS_H

#include "sim_world.h"

/* What a seed made of the world, for those who read a log. */
struct sim_schedule {
    uint32_t instances;
    struct election_config cfg;
    uint64_t chaos_us;
    uint64_t fault_every_us;
    bool by_hand;      /* an operator removes or damages state.json */
    bool frozen;       /* pauses that no clock counts; only the fence is checked */
    bool mixed_leases; /* instances with different leases */
    bool duel;         /* clocks as far apart as may be, slow answers, and leaders that are cut off */
};

/* Runs the schedule of a seed; true when all that is promised held, else w->failure says what did not. */
bool sim_chaos_run(struct sim_world *w, uint64_t seed, enum sim_bug bug, FILE *log);

#endif
