/* breaker.h -- circuit breaker: stops asking a service that keeps failing, and finds out when it is back.
 *
 *   closed     calls go out; `failures_max` failures in a row open it, one success forgets them
 *   open       nothing goes out for `reset_ms`
 *   half open  one call at a time goes out as a probe: success closes the breaker, failure opens it again
 *
 * A call that was let through ends exactly once, by breaker_end() with the ticket it got. The end of a call
 * that began before the last change of state is ignored: an answer that was on its way when the breaker
 * opened says nothing about the service after it.
 *
 * Pure: the caller passes a monotonic clock's milliseconds. Not locked; share it under the owner's lock. */
#ifndef CORE_BASE_BREAKER_H
#define CORE_BASE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

struct breaker_config {
    uint32_t failures_max; /* failures in a row that open it, at least 1 */
    uint32_t reset_ms;     /* from opening to the first probe */
};

#define BREAKER_CONFIG_DEFAULT                                                                               \
    {                                                                                                        \
        .failures_max = 5, .reset_ms = 30000                                                                 \
    }

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

enum breaker_outcome {
    BREAKER_SUCCESS,
    BREAKER_FAILURE,
    BREAKER_UNDECIDED, /* canceled, or it failed for a reason that lies with us: nothing was learned */
};

/* Read the fields by the functions below. */
struct breaker {
    struct breaker_config cfg;
    enum breaker_state state;
    bool probing;      /* half open, and the one call is out */
    uint32_t failures; /* in a row, while closed */
    uint32_t epoch;    /* counts changes of state; a ticket is the epoch it was given in */
    uint64_t opened_ms;
};

void breaker_init(struct breaker *b, const struct breaker_config *cfg);

/* May a call go out now? On true the caller owes one breaker_end() with *ret_ticket; on false nothing. */
bool breaker_begin(struct breaker *b, uint64_t now_ms, uint32_t *ret_ticket);
void breaker_end(struct breaker *b, uint32_t ticket, enum breaker_outcome outcome, uint64_t now_ms);

/* What a call would meet now: an open breaker whose time is over reads as half open. */
enum breaker_state breaker_state(const struct breaker *b, uint64_t now_ms);

/* Milliseconds until breaker_begin() can be true by time alone; 0 when it can be now, or when it waits for a
 * probe to end. */
uint64_t breaker_wait_ms(const struct breaker *b, uint64_t now_ms);

const char *breaker_state_name(enum breaker_state s); /* "closed", "open", "half-open" */

#endif
