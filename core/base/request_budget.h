/* request_budget.h -- how many requests may be made over time: one an interval, some saved up.
 *
 * What must be asked is asked and counted (request_budget_spend); what can wait asks first whether there is
 * something left (request_budget_has). So over any long time the sum stays within one request an interval as
 * long as the musts alone do, and after a burst of musts the rest waits until it is made up for.
 *
 * Pure. Threads: one at a time. */
#ifndef CORE_BASE_REQUEST_BUDGET_H
#define CORE_BASE_REQUEST_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REQUEST_BUDGET_SAVED_MAX = 4,  /* requests that can be saved up */
    REQUEST_BUDGET_OWED_MAX = 2,   /* more than so many owed requests are forgiven */
    REQUEST_BUDGET_LENT_MAX = 360, /* the same of those that others made */
    REQUEST_BUDGET_REPAY = 4,      /* one part in so many of what comes in makes up for those */
};

struct request_budget {
    uint32_t interval_ms;
    int64_t credit_ms; /* a request costs interval_ms of it; negative: owed */
    uint64_t lent_ms;  /* what others' requests cost, as far as it is not made up for */
    uint64_t rest_ms;  /* of what came in, too little for a part so far */
    uint64_t at_ms;    /* the time credit_ms is of */
};

/* With REQUEST_BUDGET_SAVED_MAX saved up: a start is a burst. */
struct request_budget request_budget_make(uint32_t interval_ms, uint64_t now_ms);
bool request_budget_has(struct request_budget *b, uint64_t now_ms);
void request_budget_spend(struct request_budget *b, uint64_t now_ms);

/* Somebody else has made so many. */
void request_budget_lend(struct request_budget *b, uint32_t requests, uint64_t now_ms);

/* When request_budget_has() becomes true; now_ms when it is. While there is something to make up for, it may
 * be a little later: then ask again. */
uint64_t request_budget_when(struct request_budget *b, uint64_t now_ms);

#endif
