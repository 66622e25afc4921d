/* Clients sync through a server, by seed: what one run does follows from its number. At the end all hold the
 * same facts, and none is missing.
 *
 *     sim_session                     a good many seeds, then every planted bug until it is noticed
 *     sim_session runs FIRST COUNT    seeds without a bug
 *     sim_session tell SEED BUG       one run, and all that happens in it ("none": no bug)
 *     sim_session bug NAME SEEDS_MAX  a planted bug, which must be noticed within so many seeds
 */
#include "sim.h"

#include "storage/format_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHAOS_MS = 6000, CALM_MS = 60000 };

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { RUNS = 300 };
#else
enum { RUNS = 1500 };
#endif

/* Within how many seeds each bug is noticed: some times the seed that first does. */
static const uint32_t seeds_max[BUG_COUNT] = {
    [BUG_PAGE_WITHOUT_PROOF] = 100, [BUG_PROOF_WHILE_HELD] = 500,  [BUG_NO_BULK_NUDGE] = 20,
    [BUG_NO_LAGGING_NUDGE] = 20,    [BUG_NO_SNAPSHOT_NUDGE] = 300, [BUG_DELTA_BY_FACT_HLC] = 20,
    [BUG_CUT_IN_TRANSACTION] = 20,  [BUG_PAGE_CLAIMS_ALL] = 20,    [BUG_ACK_BEFORE_STORE] = 20,
    [BUG_PUSH_WITH_WATERMARK] = 20, [BUG_LATE_SUBSCRIPTION] = 20,
};

static void next_trouble(struct sim *s, struct event *e)
{
    (void)e;
    struct client *c = &s->clients[sim_below(s, s->client_count)];
    uint64_t dice = sim_below(s, 100);
    if (s->calm) return;
    if (dice < 55) {
        client_edit(s, c, false);
    } else if (dice < 68) {
        client_edit(s, c, true);
    } else if (dice < 80) {
        s->stats->disconnects++;
        server_hang_up(s, c->index);
        client_lost(s, c);
    } else if (dice < 84) {
        client_restart(s, c);
    } else if (dice < 87) {
        server_restart(s);
    } else if (dice < 92) {
        client_boot(s, c);
    }
    (void)sim_schedule(s, sim_between(s, 1, 400), next_trouble, 0, 0);
}

/* From here on nothing fails and nobody writes. What is missing somewhere now has to come by itself: nobody
 * reconnects but those whose connection is just broken, and no periodic nudge helps. */
static void calm_down(struct sim *s, struct event *e)
{
    (void)e;
    s->calm = true;
}

static void check_clients(struct sim *s)
{
    for (uint32_t i = 0; i < s->client_count; i++) {
        const struct client *c = &s->clients[i];
        struct sim_fact place;
        if (!c->ready) sim_fail(s, "client %u is not connected", i);
        if (c->booting) sim_fail(s, "client %u still boots", i);
        if (!model_equal(&c->model, &s->truth, &place))
            sim_fail(s, "client %u differs at t%u row %u column %u%s", i, place.table, place.row,
                     place.column, place.is_delete ? " (tombstone)" : "");
    }
}

/* The shared parts of all runs. */
struct bench {
    struct store_fixture store;
    struct json_reader *json;
    struct wire_message *wire;
    struct sim_stats stats;
};

enum telling { TELL_NOTHING, TELL_FAILURE, TELL_ALL };

/* False, and the reason on stderr, when something was wrong in the end. */
static bool run(struct bench *b, uint64_t seed, enum sim_bug bug, enum telling telling)
{
    struct sim *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    s->seed = seed;
    s->random = seed * 0x2545f4914f6cdd1du;
    s->bug = bug;
    s->store = &b->store;
    s->json = b->json;
    s->wire = b->wire;
    s->stats = &b->stats;
    s->tells = telling == TELL_ALL;
    s->client_count = (uint32_t)sim_between(s, 2, CLIENTS_MAX);
    s->page_bytes_max = sim_chance(s, 30) ? 1 << 20 : sim_between(s, 200, 3000);
    s->refuses = sim_chance(s, 15);
    server_init(s);
    for (uint32_t i = 0; i < s->client_count; i++) client_init(s, i);
    (void)sim_schedule(s, 0, next_trouble, 0, 0);
    (void)sim_schedule(s, CHAOS_MS, calm_down, 0, 0);
    sim_run_until(s, CHAOS_MS + CALM_MS);
    if (s->failure[0] == '\0') check_clients(s);
    if (s->failure[0] == '\0') server_check(s);
    bool good = s->failure[0] == '\0';
    if (!good && telling != TELL_NOTHING)
        fprintf(stderr, "seed %llu: %s\nagain: sim_session tell %llu %s\n", (unsigned long long)seed,
                s->failure, (unsigned long long)seed, sim_bug_name(bug));
    server_deinit(s);
    sim_free_events(s);
    free(s);
    return good;
}

static bool run_good(struct bench *b, uint64_t first, uint64_t count)
{
    for (uint64_t seed = first; seed < first + count; seed++)
        if (!run(b, seed, BUG_NONE, TELL_FAILURE)) return false;
    return true;
}

/* Each thing that can happen did. */
static bool stats_are_full(const struct sim_stats *stats)
{
    bool full = true;
#define X(field)                                                                                             \
    printf("%-18s %llu\n", #field, (unsigned long long)stats->field);                                        \
    full = full && stats->field > 0;
    SIM_STATS_MAP(X)
#undef X
    if (!full) fprintf(stderr, "something never happened\n");
    return full;
}

static bool run_bug(struct bench *b, enum sim_bug bug, uint64_t max)
{
    for (uint64_t seed = 1; seed <= max; seed++) {
        if (run(b, seed, bug, TELL_NOTHING)) continue;
        printf("%-20s noticed at seed %llu\n", sim_bug_name(bug), (unsigned long long)seed);
        return true;
    }
    fprintf(stderr, "%s is not noticed within %llu seeds\n", sim_bug_name(bug), (unsigned long long)max);
    return false;
}

static bool run_all(struct bench *b)
{
    bool good = run_good(b, 1, RUNS) && stats_are_full(&b->stats);
    for (enum sim_bug bug = BUG_NONE + 1; bug < BUG_COUNT; bug++)
        good = run_bug(b, bug, seeds_max[bug]) && good;
    return good;
}

static enum sim_bug bug_of(const char *name)
{
    enum sim_bug bug = BUG_NONE;
    while (bug < BUG_COUNT && strcmp(sim_bug_name(bug), name) != 0) bug++;
    if (bug == BUG_COUNT) {
        fprintf(stderr, "no bug is called %s\n", name);
        exit(EXIT_FAILURE);
    }
    return bug;
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

/* A store with a known identity, of which the databases' site ids are made: a run depends on its seed alone.
 */
static void open_store(struct store_fixture *x)
{
    *x = (struct store_fixture){.dir = "/tmp/sync-sim-XXXXXX", .config = STORE_CONFIG_DEFAULT};
    const struct format_file format = {.shards = 1, .identity = {1}};
    struct err_ctx ec;
    int fd = mkdtemp(x->dir) == NULL ? -1 : open(x->dir, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || format_file_write(fd, &format, &ec) != SYNC_OK) abort();
    (void)close(fd);
    x->config.sync = false;
    fixture_reopen(x);
}

int main(int argc, char **argv)
{
    static struct bench b;
    bool good = false;
    open_store(&b.store);
    b.json = json_reader_new(JSON_DEPTH_DEFAULT);
    b.wire = malloc(sizeof *b.wire);
    if (b.json == NULL || b.wire == NULL) abort();
    if (argc == 1) {
        good = run_all(&b);
    } else if (argc == 4 && strcmp(argv[1], "runs") == 0) {
        good = run_good(&b, number(argv[2]), number(argv[3]));
        (void)stats_are_full(&b.stats);
    } else if (argc == 4 && strcmp(argv[1], "tell") == 0) {
        good = run(&b, number(argv[2]), bug_of(argv[3]), TELL_ALL);
    } else if (argc == 4 && strcmp(argv[1], "bug") == 0) {
        good = run_bug(&b, bug_of(argv[2]), number(argv[3]));
    } else {
        fprintf(stderr, "sim_session [runs FIRST COUNT | tell SEED BUG | bug NAME SEEDS_MAX]\n");
    }
    free(b.wire);
    json_reader_free(b.json);
    fixture_free(&b.store);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
