/* sim_internal.h -- between sim_world.c (instances, clocks, checks) and sim_calls.c (network, tasks). */
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include "sim_world.h"

uint64_t sim_mono_ms(const struct sim_world *w, const struct sim_instance *n);
uint64_t sim_wall_ms(const struct sim_world *w, const struct sim_instance *n);
bool sim_is_alive(const struct sim_world *w, const struct sim_call *c);

/* One input into instance i's machine, and all that follows from its update. */
void sim_input(struct sim_world *w, uint32_t i, enum election_input_kind kind,
               const struct election_result *result);
void sim_check_leads(struct sim_world *w);

void sim_calls_reset(struct sim_world *w);
void sim_send(struct sim_world *w, uint32_t i, const struct election_op *op);
void sim_work(struct sim_world *w, uint32_t i); /* SIM_TASK */
void sim_call_event(struct sim_world *w, const struct sim_event *ev);

#endif
