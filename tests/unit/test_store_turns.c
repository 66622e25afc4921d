/* The thread of a shard while more waits than one group takes: which batches go together, and in which order
 * they are committed. It is kept busy until all that the test wants to wait is there. */
#include "server/store/store_thread.h"

#include "server/server.h"
#include "server/store/apply.h"

#include "store_fixture.h"

#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAVY_BATCHES = 40,
    HEAVY_FACTS = 400,
    LIGHT_BATCHES = 3,
    JOBS_MAX = HEAVY_BATCHES + LIGHT_BATCHES,
};

static struct store_fixture x;
static struct server server;
static struct store_thread thread;

/* ---- what came of it, in the order in which it did */

struct event {
    const void *job; /* a batch that was committed, or other work */
    uint64_t group;
};
static struct event events[JOBS_MAX + 3];
static size_t event_count;

static void note(const void *job)
{
    cr_assert_lt(event_count, sizeof events / sizeof events[0]);
    events[event_count++] = (struct event){job, counter_value(&server.metrics.store_groups)};
}

static const struct event *event_of(const void *job)
{
    for (size_t i = 0; i < event_count; i++)
        if (events[i].job == job) return &events[i];
    cr_assert_fail("it was not done");
    return NULL;
}

/* In their place: what a batch's way home needs is not here. */
void __wrap_apply_committed(struct store_thread *t, struct apply_job *j);
void __wrap_snapshots_note(struct snapshots *s, struct slice database, uint64_t facts);

void __wrap_apply_committed(struct store_thread *t, struct apply_job *j)
{
    cr_assert_eq(t, &thread);
    cr_assert_eq(j->store.job.rc, SYNC_OK, "%s", j->store.job.ec.text);
    note(j);
}

void __wrap_snapshots_note(struct snapshots *s, struct slice database, uint64_t facts)
{
    (void)s, (void)database, (void)facts;
}

/* ---- work */

struct test_batch {
    struct apply_job *job;
    struct batch batch;
    char pk[24];
};

static void make_batch(struct test_batch *b, const char *database, int number, size_t facts)
{
    b->batch = facts_batch();
    b->job = calloc(1, sizeof *b->job);
    cr_assert_neq(b->job, NULL);
    (void)snprintf(b->pk, sizeof b->pk, "[%d]", number);
    for (size_t i = 0; i < facts; i++)
        facts_cell(&b->batch, facts_hlc(1000 + (uint64_t)number, 0, 'a', (uint32_t)i), "t", b->pk, "c", "1");
    b->job->request = (struct apply_request){.database = slice_str(database), .batch = &b->batch};
    b->job->store.request = &b->job->request;
}

static void put_batch(struct test_batch *b)
{
    store_thread_put(&thread, b->job->request.database, &b->job->store);
}

static void free_batch(struct test_batch *b)
{
    batch_deinit(&b->batch);
    free(b->job);
}

/* Work that is no batch. */
struct other_work {
    struct store_job store; /* first */
    sem_t may_end;
};

static void other_run(struct job *j)
{
    struct other_work *w = (struct other_work *)j;
    cr_assert_eq(w->store.shard, thread.shard);
    while (sem_wait(&w->may_end) != 0) continue;
    note(j);
}

static void other_done(struct job *j)
{
    (void)j;
}

static void put_other(struct other_work *w, struct slice database, unsigned may_end)
{
    *w = (struct other_work){.store.job = {.run = other_run, .done = other_done}};
    (void)sem_init(&w->may_end, 0, may_end);
    store_thread_put(&thread, database, &w->store);
}

/* ---- the tests */

static struct other_work gate;

/* The thread stands at the gate: whatever is put in now waits. */
static void begin(void)
{
    struct err_ctx ec;
    fixture_init(&x);
    sync_metrics_init(&server.metrics);
    cr_assert_eq(store_thread_start(&thread, &server, fixture_shard(&x, "heavy"), &ec), SYNC_OK, "%s",
                 ec.text);
    put_other(&gate, slice_of(NULL, 0), 0);
}

static void do_all(void)
{
    (void)sem_post(&gate.may_end);
    store_thread_stop(&thread); /* does what waits */
}

static void end(void)
{
    fixture_free(&x);
}

TestSuite(store_turns, .init = begin, .fini = end);

Test(store_turns, a_backlog_lets_the_batches_of_another_database_into_the_next_group)
{
    struct test_batch heavy[HEAVY_BATCHES], light[LIGHT_BATCHES];
    for (int i = 0; i < HEAVY_BATCHES; i++) {
        make_batch(&heavy[i], "heavy", i, HEAVY_FACTS);
        put_batch(&heavy[i]);
    }
    for (int i = 0; i < LIGHT_BATCHES; i++) {
        make_batch(&light[i], "light", i, 1);
        put_batch(&light[i]);
    }
    do_all();
    cr_assert_eq(event_count, 1 + JOBS_MAX);
    uint64_t first_group = event_of(heavy[0].job)->group;
    for (int i = 0; i < LIGHT_BATCHES; i++) cr_assert_eq(event_of(light[i].job)->group, first_group);
    cr_assert_gt(event_of(heavy[HEAVY_BATCHES - 1].job)->group, first_group);
    for (int i = 1; i < HEAVY_BATCHES; i++) cr_assert_lt(event_of(heavy[i - 1].job), event_of(heavy[i].job));
    for (int i = 1; i < LIGHT_BATCHES; i++) cr_assert_lt(event_of(light[i - 1].job), event_of(light[i].job));
    for (int i = 0; i < HEAVY_BATCHES; i++) free_batch(&heavy[i]);
    for (int i = 0; i < LIGHT_BATCHES; i++) free_batch(&light[i]);
}

Test(store_turns, a_database_that_waits_alone_fills_its_groups)
{
    struct test_batch heavy[HEAVY_BATCHES];
    for (int i = 0; i < HEAVY_BATCHES; i++) {
        make_batch(&heavy[i], "heavy", i, HEAVY_FACTS);
        put_batch(&heavy[i]);
    }
    do_all();
    const size_t a_group = (GROUP_FACTS_MAX + HEAVY_FACTS - 1) / HEAVY_FACTS;
    cr_assert_eq(counter_value(&server.metrics.store_groups), (HEAVY_BATCHES + a_group - 1) / a_group);
    for (int i = 0; i < HEAVY_BATCHES; i++) free_batch(&heavy[i]);
}

Test(store_turns, other_work_is_done_behind_the_batches_of_its_database_only)
{
    struct test_batch heavy[HEAVY_BATCHES], before, behind;
    struct other_work of_heavy, of_light;
    for (int i = 0; i < HEAVY_BATCHES; i++) {
        make_batch(&heavy[i], "heavy", i, HEAVY_FACTS);
        put_batch(&heavy[i]);
    }
    make_batch(&before, "light", 0, 1);
    make_batch(&behind, "light", 1, 1);
    put_other(&of_heavy, slice_str("heavy"), 1);
    put_batch(&before);
    put_other(&of_light, slice_str("light"), 1);
    put_batch(&behind);
    do_all();
    cr_assert_lt(event_of(&of_light), event_of(heavy[HEAVY_BATCHES / 2].job));
    cr_assert_lt(event_of(before.job), event_of(&of_light));
    cr_assert_lt(event_of(&of_light), event_of(behind.job));
    cr_assert_lt(event_of(heavy[HEAVY_BATCHES - 1].job), event_of(&of_heavy));
    for (int i = 0; i < HEAVY_BATCHES; i++) free_batch(&heavy[i]);
    free_batch(&before);
    free_batch(&behind);
}
