/* fault_rule.h -- the rules of the fault proxy: read from a line, matched with a request. Pure. */
#ifndef TESTS_OBJECTS_FAULT_RULE_H
#define TESTS_OBJECTS_FAULT_RULE_H

#include <stdbool.h>
#include <stdint.h>

enum fault_action {
    FAULT_PASS,
    FAULT_ANSWER,
    FAULT_DELAY,
    FAULT_HOLD,
    FAULT_HOLD_ANSWER,
    FAULT_DROP,
    FAULT_CUT_REQUEST,
    FAULT_CUT_ANSWER,
    FAULT_STALL_ANSWER,
    FAULT_LOSE_ANSWER,
    FAULT_STALE,
};

struct fault_rule {
    char method[16];
    char text[512];
    enum fault_action action;
    uint32_t number; /* status, milliseconds or bytes */
    char code[64];
    uint32_t retry_after_s; /* 0: not said */
    char content_range[64]; /* "": not said */
    uint32_t times;         /* left; UINT32_MAX: for ever */
    uint32_t after;         /* to be let pass */
    uint32_t hits;
    uint32_t answered; /* of the hits, by the server */
};

/* False when the line is no rule. */
bool fault_rule_parse(const char *line, struct fault_rule *ret);

bool fault_rule_matches(const struct fault_rule *r, const char *method, const char *address);

#endif
