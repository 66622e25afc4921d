#include "core/base/request_budget.h"

#include <assert.h>

struct request_budget request_budget_make(uint32_t interval_ms, uint64_t now_ms)
{
    assert(interval_ms > 0);
    return (struct request_budget){.interval_ms = interval_ms,
                                   .credit_ms = (int64_t)interval_ms * REQUEST_BUDGET_SAVED_MAX,
                                   .at_ms = now_ms};
}

/* Takes up to `ms` off what was lent; what it took. */
static uint64_t make_up(struct request_budget *b, uint64_t ms)
{
    uint64_t paid = ms < b->lent_ms ? ms : b->lent_ms;
    b->lent_ms -= paid;
    return paid;
}

static void catch_up(struct request_budget *b, uint64_t now_ms)
{
    int64_t saved_max = (int64_t)b->interval_ms * REQUEST_BUDGET_SAVED_MAX;
    if (now_ms <= b->at_ms) return;
    uint64_t passed = now_ms - b->at_ms;
    b->at_ms = now_ms;
    if (b->lent_ms > 0) {
        uint64_t parts = passed + b->rest_ms;
        b->rest_ms = parts % REQUEST_BUDGET_REPAY;
        passed -= make_up(b, parts / REQUEST_BUDGET_REPAY);
    }
    uint64_t room = (uint64_t)(saved_max - b->credit_ms);
    if (passed > room) {
        (void)make_up(b, passed - room); /* it could not be saved anyway */
        passed = room;
    }
    b->credit_ms += (int64_t)passed;
}

bool request_budget_has(struct request_budget *b, uint64_t now_ms)
{
    catch_up(b, now_ms);
    return b->credit_ms >= b->interval_ms;
}

void request_budget_spend(struct request_budget *b, uint64_t now_ms)
{
    int64_t owed_max = (int64_t)b->interval_ms * REQUEST_BUDGET_OWED_MAX;
    catch_up(b, now_ms);
    b->credit_ms -= b->interval_ms;
    if (b->credit_ms < -owed_max) b->credit_ms = -owed_max;
}

void request_budget_lend(struct request_budget *b, uint32_t requests, uint64_t now_ms)
{
    uint64_t max_ms = (uint64_t)b->interval_ms * REQUEST_BUDGET_LENT_MAX;
    catch_up(b, now_ms);
    b->lent_ms += (uint64_t)b->interval_ms * requests;
    if (b->lent_ms > max_ms) b->lent_ms = max_ms;
}

uint64_t request_budget_when(struct request_budget *b, uint64_t now_ms)
{
    if (request_budget_has(b, now_ms)) return now_ms;
    return now_ms + (uint64_t)(b->interval_ms - b->credit_ms);
}
