#include "core/request_budget.h"

#include <assert.h>

struct request_budget request_budget_make(uint32_t interval_ms, uint64_t now_ms)
{
    assert(interval_ms > 0);
    return (struct request_budget){.interval_ms = interval_ms,
                                   .credit_ms = (int64_t)interval_ms * REQUEST_BUDGET_SAVED_MAX,
                                   .at_ms = now_ms};
}

static void catch_up(struct request_budget *b, uint64_t now_ms)
{
    int64_t saved_max = (int64_t)b->interval_ms * REQUEST_BUDGET_SAVED_MAX;
    if (now_ms <= b->at_ms) return;
    uint64_t passed = now_ms - b->at_ms;
    b->at_ms = now_ms;
    int64_t room = saved_max - b->credit_ms;
    b->credit_ms = passed < (uint64_t)room ? b->credit_ms + (int64_t)passed : saved_max;
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

uint64_t request_budget_when(struct request_budget *b, uint64_t now_ms)
{
    if (request_budget_has(b, now_ms)) return now_ms;
    return now_ms + (uint64_t)(b->interval_ms - b->credit_ms);
}
