#include "tests/objects/fault_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum fault_action action;
    bool has_number;
} actions[] = {
    {"answer", FAULT_ANSWER, true},
    {"delay", FAULT_DELAY, true},
    {"hold", FAULT_HOLD, false},
    {"hold-answer", FAULT_HOLD_ANSWER, false},
    {"drop", FAULT_DROP, false},
    {"cut-request", FAULT_CUT_REQUEST, true},
    {"cut-answer", FAULT_CUT_ANSWER, true},
    {"stall-answer", FAULT_STALL_ANSWER, true},
    {"lose-answer", FAULT_LOSE_ANSWER, false},
    {"stale", FAULT_STALE, false},
};

static bool read_number(const char *text, uint32_t *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n >= UINT32_MAX) return false;
    *ret = (uint32_t)n;
    return true;
}

/* One word behind the action. */
static bool take_option(struct fault_rule *r, const char *word)
{
    if (strncmp(word, "times=", 6) == 0) return read_number(word + 6, &r->times);
    if (strncmp(word, "after=", 6) == 0) return read_number(word + 6, &r->after);
    if (strncmp(word, "retry-after=", 12) == 0) return read_number(word + 12, &r->retry_after_s);
    if (strncmp(word, "content-range=", 14) == 0)
        return (size_t)snprintf(r->content_range, sizeof r->content_range, "%s", word + 14) <
               sizeof r->content_range;
    if (r->action != FAULT_ANSWER || r->code[0] != '\0' || strchr(word, '=') != NULL) return false;
    int n = snprintf(r->code, sizeof r->code, "%s", word);
    return n > 0 && (size_t)n < sizeof r->code;
}

bool fault_rule_parse(const char *line, struct fault_rule *ret)
{
    struct fault_rule r = {.times = UINT32_MAX};
    char copy[1024], name[32] = "", *rest = NULL;
    int n = snprintf(copy, sizeof copy, "%s", line), used = 0;
    if (n < 0 || (size_t)n >= sizeof copy) return false;
    if (sscanf(copy, "%15s %511s %31s%n", r.method, r.text, name, &used) != 3) return false;
    char *word = strtok_r(copy + used, " \n", &rest);
    size_t i = 0, count = sizeof actions / sizeof *actions;
    while (i < count && strcmp(actions[i].name, name) != 0) i++;
    if (i == count) return false;
    r.action = actions[i].action;
    if (actions[i].has_number) {
        if (word == NULL || !read_number(word, &r.number)) return false;
        word = strtok_r(NULL, " \n", &rest);
    }
    for (; word != NULL; word = strtok_r(NULL, " \n", &rest))
        if (!take_option(&r, word)) return false;
    *ret = r;
    return true;
}

bool fault_rule_matches(const struct fault_rule *r, const char *method, const char *address)
{
    return (strcmp(r->method, "*") == 0 || strcmp(r->method, method) == 0) &&
           (strcmp(r->text, "*") == 0 || strstr(address, r->text) != NULL);
}
