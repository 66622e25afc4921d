/* fault_proxy_main.c -- the fault proxy as a program, for tests in other languages and for trying things by
 * hand.
 *
 *   fault_proxy LISTEN-PORT UPSTREAM-PORT
 *
 * Prints "ready PORT", then answers each line it reads with one line:
 *
 *   rule METHOD TEXT ACTION ...   "rule N", N being its number (fault_proxy.h says what a rule is)
 *   clear                         "ok"
 *   release                       "ok"
 *   hits N                        "hits COUNT"
 *   wait N COUNT MS               "ok" once rule N has applied COUNT times, or "late"
 *   requests                      "requests COUNT"
 *
 * What it does not understand is answered with "error". It ends when its input does. */
#include "tests/objects/fault_proxy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_line(struct fault_proxy *p, char *line)
{
    int rule = -1;
    unsigned count = 0, ms = 0;
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "rule ", 5) == 0 && (rule = fault_proxy_rule(p, line + 5)) >= 0) {
        printf("rule %d\n", rule);
    } else if (strcmp(line, "clear") == 0) {
        fault_proxy_clear(p);
        printf("ok\n");
    } else if (strcmp(line, "release") == 0) {
        fault_proxy_release(p);
        printf("ok\n");
    } else if (sscanf(line, "hits %d", &rule) == 1 && rule >= 0 && rule < FAULT_RULES_MAX) {
        printf("hits %u\n", fault_proxy_hits(p, rule));
    } else if (sscanf(line, "wait %d %u %u", &rule, &count, &ms) == 3 && rule >= 0 &&
               rule < FAULT_RULES_MAX) {
        printf(fault_proxy_wait_hits(p, rule, count, ms) ? "ok\n" : "late\n");
    } else if (strcmp(line, "requests") == 0) {
        printf("requests %u\n", fault_proxy_requests(p));
    } else {
        printf("error\n");
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[2048];
    if (argc != 3) {
        fprintf(stderr, "usage: %s LISTEN-PORT UPSTREAM-PORT\n", argv[0]);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    struct fault_proxy *p = fault_proxy_start((uint16_t)atoi(argv[1]), (uint16_t)atoi(argv[2]));
    if (p == NULL) {
        perror("fault_proxy");
        return 1;
    }
    printf("ready %u\n", fault_proxy_port(p));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) answer_line(p, line);
    fault_proxy_stop(p);
    return 0;
}
