/* sim_election -- runs the election through bad days, one seed a day.
 *
 *   sim_election --seeds A..B [--bug NAME]
 *                              every schedule from A to B; stops at the first that fails, prints its seed,
 *                              replays it with its log; exit status 1
 *   sim_election --log SEED [--bug NAME]
 *                              one schedule, with its log
 *   sim_election --planted     every planted error must be found within its number of seeds
 */
#include "sim_chaos.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How many seeds may pass before each planted error must be found. */
static const struct {
    enum sim_bug bug;
    uint64_t seeds_max;
} planted[] = {
    {SIM_BUG_WALL_CLOCK, 50},          {SIM_BUG_NEVER_RENEW, 20},   {SIM_BUG_KEEP_LEADING, 20},
    {SIM_BUG_NO_MARGIN, 200},          {SIM_BUG_TRUST_UNKNOWN, 50}, {SIM_BUG_NO_FENCE, 100},
    {SIM_BUG_LEASE_FROM_ANSWER, 5000}, {SIM_BUG_CLOCK_STOPS, 200},  {SIM_BUG_BLIND_WRITES, 100},
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_range(struct sim_world *w, uint64_t from, uint64_t to, enum sim_bug bug)
{
    double start = now_s(), told = start;
    uint64_t events = 0, leads = 0, writes = 0;
    for (uint64_t seed = from; seed <= to; seed++) {
        bool ok = sim_chaos_run(w, seed, bug, NULL);
        events += w->events;
        leads += w->leads;
        writes += w->guard_writes;
        if (!ok) {
            printf("seed %" PRIu64 " fails: %s\nreplay: sim_election --log %" PRIu64 "%s%s\n", seed,
                   w->failure, seed, bug == SIM_NO_BUG ? "" : " --bug ",
                   bug == SIM_NO_BUG ? "" : sim_bug_name(bug));
            (void)sim_chaos_run(w, seed, bug, stdout);
            return 1;
        }
        if (now_s() - told > 60) {
            told = now_s();
            printf("%" PRIu64 " schedules, %.0f/s\n", seed - from + 1,
                   (double)(seed - from + 1) / (told - start));
            fflush(stdout);
        }
    }
    double took = now_s() - start;
    double count = (double)(to - from + 1);
    printf("%.0f schedules in %.1f s, %.0f/s; a schedule has %.0f events, %.1f leaders, %.1f fenced writes\n",
           count, took, count / took, (double)events / count, (double)leads / count, (double)writes / count);
    return 0;
}

static int run_planted(struct sim_world *w)
{
    int missed = 0;
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        uint64_t seed = 1;
        while (seed <= planted[i].seeds_max && (sim_chaos_run(w, seed, planted[i].bug, NULL) || !w->unsafe))
            seed++;
        bool found = seed <= planted[i].seeds_max;
        printf("%-18s %s by seed %" PRIu64 " (allowed %" PRIu64 ")%s%s\n", sim_bug_name(planted[i].bug),
               found ? "found" : "NOT FOUND", found ? seed : planted[i].seeds_max, planted[i].seeds_max,
               found ? ": " : "", found ? w->failure : "");
        if (!found) missed++;
    }
    return missed > 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim_election --seeds A..B [--bug NAME] | --log SEED [--bug NAME] | --planted\n");
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t from = 0, to = 0;
    bool log = false, all_planted = false;
    enum sim_bug bug = SIM_NO_BUG;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--seeds") == 0 && sscanf(value, "%" SCNu64 "..%" SCNu64, &from, &to) == 2) {
            i++;
        } else if (strcmp(argv[i], "--log") == 0 && sscanf(value, "%" SCNu64, &from) == 1) {
            log = true;
            i++;
        } else if (strcmp(argv[i], "--bug") == 0) {
            while (bug < SIM_BUGS && strcmp(sim_bug_name(bug), value) != 0) bug++;
            if (bug == SIM_BUGS) return usage();
            i++;
        } else if (strcmp(argv[i], "--planted") == 0) {
            all_planted = true;
        } else {
            return usage();
        }
    }
    if (!log && !all_planted && (from == 0 || to < from)) return usage();
    struct sim_world *w = sim_world_new();
    int rc = all_planted ? run_planted(w)
             : log       ? !sim_chaos_run(w, from, bug, stdout)
                         : run_range(w, from, to, bug);
    sim_world_free(w);
    return rc;
}
