#include "core/base/breaker.h"

#include <assert.h>
#include <stddef.h>

static void move_to(struct breaker *b, enum breaker_state state)
{
    b->state = state;
    b->probing = false;
    b->failures = 0;
    b->epoch++;
}

void breaker_init(struct breaker *b, const struct breaker_config *cfg)
{
    assert(cfg->failures_max > 0);
    *b = (struct breaker){.cfg = *cfg, .state = BREAKER_CLOSED};
}

bool breaker_begin(struct breaker *b, uint64_t now_ms, uint32_t *ret_ticket)
{
    if (b->state == BREAKER_OPEN) {
        if (breaker_wait_ms(b, now_ms) > 0) return false;
        move_to(b, BREAKER_HALF_OPEN);
    }
    if (b->state == BREAKER_HALF_OPEN) {
        if (b->probing) return false;
        b->probing = true;
    }
    *ret_ticket = b->epoch;
    return true;
}

void breaker_end(struct breaker *b, uint32_t ticket, enum breaker_outcome outcome, uint64_t now_ms)
{
    if (ticket != b->epoch) return;
    assert(b->state != BREAKER_OPEN); /* no ticket is given out while open */
    bool opens =
        outcome == BREAKER_FAILURE && (b->state == BREAKER_HALF_OPEN || ++b->failures >= b->cfg.failures_max);
    if (opens) {
        move_to(b, BREAKER_OPEN);
        b->opened_ms = now_ms;
    } else if (b->state == BREAKER_HALF_OPEN) {
        if (outcome == BREAKER_SUCCESS)
            move_to(b, BREAKER_CLOSED);
        else
            b->probing = false; /* the next call is the probe */
    } else if (outcome == BREAKER_SUCCESS) {
        b->failures = 0;
    }
}

enum breaker_state breaker_state(const struct breaker *b, uint64_t now_ms)
{
    if (b->state == BREAKER_OPEN && breaker_wait_ms(b, now_ms) == 0) return BREAKER_HALF_OPEN;
    return b->state;
}

uint64_t breaker_wait_ms(const struct breaker *b, uint64_t now_ms)
{
    if (b->state != BREAKER_OPEN) return 0;
    uint64_t open_ms = now_ms > b->opened_ms ? now_ms - b->opened_ms : 0;
    return open_ms < b->cfg.reset_ms ? b->cfg.reset_ms - open_ms : 0;
}

const char *breaker_state_name(enum breaker_state s)
{
    switch (s) {
    case BREAKER_CLOSED: return "closed";
    case BREAKER_OPEN: return "open";
    case BREAKER_HALF_OPEN: return "half-open";
    }
    return NULL;
}
