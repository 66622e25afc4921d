/* sim_queue.h -- what will happen, in order of true time; of two things at one time the one put first. */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_event_kind {
    SIM_WAKE,    /* instance: the time its machine asked for */
    SIM_RETURN,  /* instance: its pause is over */
    SIM_START,   /* instance: the process starts */
    SIM_HINT,    /* instance: a hint arrives */
    SIM_TASK,    /* instance: look whether it may lead, and then work */
    SIM_DEPART,  /* call: leaves the instance */
    SIM_LAND,    /* call: is carried out by the store */
    SIM_ANSWER,  /* call: its answer arrives */
    SIM_TIMEOUT, /* call: the instance's own patience ends: unknown */
    SIM_LEAD,    /* an instance's lead begins now: check */
    SIM_CHAOS,   /* the next fault */
    SIM_AGE,     /* stale lists show the store as it is now */
    SIM_QUIET,   /* faults are over */
    SIM_END,
};

struct sim_event {
    uint64_t at_us;
    uint64_t order;
    enum sim_event_kind kind;
    uint32_t subject; /* index of an instance or a call */
    uint32_t stamp;   /* must still be the subject's, else the event is void */
};

struct sim_queue {
    struct sim_event *heap;
    size_t count, capacity;
    uint64_t order;
};

void sim_queue_put(struct sim_queue *q, struct sim_event ev);
bool sim_queue_take(struct sim_queue *q, struct sim_event *ret);
void sim_queue_clear(struct sim_queue *q);
void sim_queue_deinit(struct sim_queue *q);

#endif
