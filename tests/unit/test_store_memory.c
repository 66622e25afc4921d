/* Memory that runs short: everything that storage does, again and again, each time with another allocation
 * that fails. Each call then fails with SYNC_ENOMEM or does its work, nothing is lost or half done, and in
 * the end nothing is left behind. */
#include "storage/shard/shard.h"

#include "faults.h"
#include "store_fixture.h"

#include "core/base/buf.h"
#include "core/protocol/message.h"
#include "storage/views/delta_reader.h"
#include "storage/views/snapshot_reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAULTS_MAX = 20000, TRIES_MAX = 2, LARGE = 6000 };

static struct store_fixture x;
static struct arena arena;
static char large[LARGE + 1], long_name[400];
static bool fired;

static void setup(void)
{
    memset(large, '1', LARGE);
    memset(long_name, 'n', sizeof long_name - 1); /* its keys are hashed */
    faults_skip_syncs();
    fixture_init(&x);
    store_close(x.store);
    x.store = NULL;
}

static void teardown(void)
{
    (void)faults_disarm();
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(store_memory, .init = setup, .fini = teardown, .timeout = 120);

/* One thing that is done. What it made of a failure it undoes itself, so that it can be done again. */
typedef enum sync_err (*action)(struct err_ctx *ec);

/* Does it, once more when memory was short: it is short once only. */
static void expect_done(action a)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct err_ctx ec = {""};
        enum sync_err rc = a(&ec);
        if (rc == SYNC_OK) return;
        cr_assert_eq(rc, SYNC_ENOMEM, "%s: %s", err_name(rc), ec.text);
        cr_assert_gt(strlen(ec.text), 0);
    }
    cr_assert_fail("memory is there, and yet it is short");
}

/* Arms the nth allocation, does all actions, tells whether it was reached. */
static bool run_with_fault(const action *actions, size_t count, long nth)
{
    faults_arm(FAULT_ALLOC, nth, 1);
    for (size_t i = 0; i < count; i++) expect_done(actions[i]);
    fired = faults_disarm();
    return fired;
}

static enum sync_err open_store(struct err_ctx *ec)
{
    struct store *s = NULL;
    x.config.dir = x.dir;
    enum sync_err rc = store_open(&x.config, &s, ec);
    cr_assert_eq(rc == SYNC_OK, s != NULL);
    if (s != NULL) x.store = s;
    return rc;
}

static enum sync_err close_store(struct err_ctx *ec)
{
    (void)ec;
    store_close(x.store);
    x.store = NULL;
    return SYNC_OK;
}

/* Its log is read once more, and something behind its records is cut off. */
static enum sync_err open_again(struct err_ctx *ec)
{
    char command[128];
    if (x.store != NULL) {
        (void)close_store(ec);
        snprintf(command, sizeof command, "for f in %s/shard-00/*.log; do echo torn >> $f; done", x.dir);
        cr_assert_eq(system(command), 0);
    }
    return open_store(ec);
}

/* ---- writing */

/* Sends the requests until each was OK once: those that failed go again. Results are of no interest here. */
static enum sync_err send(struct apply_request *r, size_t count, struct err_ctx *ec)
{
    struct apply_request *group = NULL;
    for (size_t i = count; i-- > 0;) {
        if (r[i].now_ms != 0) continue; /* was OK */
        r[i].next = group;
        group = &r[i];
    }
    for (struct apply_request *a = group; a != NULL; a = a->next) a->now_ms = 1000;
    shard_apply(store_shard(x.store, 0), group);
    enum sync_err rc = SYNC_OK;
    for (struct apply_request *a = group; a != NULL; a = a->next) {
        if (a->rc == SYNC_OK) continue;
        rc = a->rc;
        *ec = a->ec;
        a->now_ms = 0;
    }
    return rc;
}

static struct batch batches[4];
static struct apply_request requests[4];

static enum sync_err write_first(struct err_ctx *ec)
{
    return send(requests, 2, ec);
}

static enum sync_err write_second(struct err_ctx *ec)
{
    return send(requests + 2, 2, ec);
}

/* The batches are made before memory gets short. */
static void make_requests(void)
{
    static const char *const databases[] = {"one", "two", "one", "three"};
    for (size_t i = 0; i < 4; i++) batches[i] = facts_batch();
    facts_migration(&batches[0], facts_hlc(1, 0, 'a', 0), "t", MIGRATION_DROP_TABLE, "1", "\"ddl\"");
    facts_cell(&batches[0], facts_hlc(1, 0, 'a', 1), "t", "[1]", "c", "1");
    facts_cell(&batches[0], facts_hlc(1, 0, 'a', 2), "u", "[2]", "c", large);
    facts_cell(&batches[0], facts_hlc(1, 0, 'a', 3), "u", "[2]", long_name, "1");
    facts_delete(&batches[0], facts_hlc(1, 0, 'a', 4), "u", "[9]", "[1,2]");
    facts_cell(&batches[1], facts_hlc(1, 0, 'b', 0), "t", "[1]", "c", "1");
    facts_migration(&batches[2], facts_hlc(2, 0, 'a', 0), "t", MIGRATION_DROP_TABLE, "1", "\"ddl\"");
    facts_cell(&batches[2], facts_hlc(2, 0, 'a', 1), "u", "[2]", "c", "2");
    facts_delete(&batches[2], facts_hlc(2, 0, 'a', 2), "t", "[1]", NULL);
    facts_delete(&batches[2], facts_hlc(2, 0, 'a', 3), "u", "[9]", NULL);
    facts_cell(&batches[3], facts_hlc(2, 0, 'b', 0), "t", "[1]", "c", large);
    for (size_t i = 0; i < 4; i++)
        requests[i] = (struct apply_request){.database = slice_str(databases[i]), .batch = &batches[i]};
}

static void free_requests(void)
{
    for (size_t i = 0; i < 4; i++) batch_deinit(&batches[i]);
}

static enum sync_err prune_old(struct err_ctx *ec)
{
    static const struct stamp no_floor = {.wall_ms = UINT64_MAX};
    struct prune_candidate *candidates;
    struct slice after;
    struct arena scratch = {0};
    struct view *v = NULL;
    size_t count = 0, gone;
    struct shard *sh = store_shard(x.store, 0);
    enum sync_err rc = view_open(sh, slice_str("one"), &v, ec);
    if (rc == SYNC_OK)
        rc = prune_scan(v, slice_of(NULL, 0), 9999, &no_floor, 1, &scratch, &candidates, &count, &after, ec);
    view_close(v);
    if (rc == SYNC_OK) cr_assert_eq(count, 1);
    if (rc == SYNC_OK) rc = shard_prune(sh, slice_str("one"), candidates, count, &gone, ec);
    if (rc == SYNC_OK) cr_assert_eq(gone, 1);
    arena_deinit(&scratch);
    return rc;
}

static void expect_contents(void)
{
    cr_assert_str_eq(fixture_facts(&x, "one", FACT_MIGRATION, &arena), "migration t drop_table 1\n");
    const char *cells = fixture_facts(&x, "one", FACT_CELL, &arena);
    cr_assert_not_null(strstr(cells, "cell u [2] c = 2 (was 1111"));
    cr_assert_not_null(strstr(cells, "cell u [2] nnnn"));
    cr_assert_null(strstr(cells, "cell t"));
    const char *tombstones = fixture_facts(&x, "one", FACT_DELETE, &arena);
    cr_assert(strcmp(tombstones, "delete t [1]\n") == 0 || strcmp(tombstones, "delete u [9]\n") == 0, "%s",
              tombstones);
    const char *log = fixture_log(&x, "one", &arena);
    size_t lines = 0;
    for (const char *at = log; (at = strchr(at, '\n')) != NULL; at++) lines++;
    cr_assert_eq(lines, 4, "%s", log);
    cr_assert_str_eq(fixture_log(&x, "two", &arena), "cell t [1] c = 1\n");
    cr_assert_eq(strlen(fixture_log(&x, "three", &arena)), strlen("cell t [1] c = \n") + LARGE);
    cr_assert_eq(shard_database_count(store_shard(x.store, 0)), 3);
    arena_deinit(&arena);
}

Test(store_memory, writing_survives_each_failing_allocation)
{
    static const action actions[] = {open_store, write_first, write_second, prune_old, open_again};
    long nth = 1;
    do {
        fixture_remove_dir(x.dir);
        long live = faults_live_blocks();
        make_requests();
        run_with_fault(actions, sizeof actions / sizeof actions[0], nth);
        expect_contents();
        (void)close_store(&(struct err_ctx){""});
        free_requests();
        cr_assert_eq(faults_live_blocks(), live, "allocation %ld: %ld blocks left", nth,
                     faults_live_blocks() - live);
        cr_assert_lt(++nth, FAULTS_MAX);
    } while (fired);
    cr_assert_gt(nth, 30, "only %ld allocations", nth);
}

/* ---- reading */

static enum sync_err read_facts(struct err_ctx *ec)
{
    static const enum fact_type types[] = {FACT_CELL, FACT_DELETE, FACT_MIGRATION};
    struct view *v = NULL;
    uint64_t count;
    enum sync_err rc = view_open(store_shard(x.store, 0), slice_str("one"), &v, ec);
    for (size_t i = 0; i < 3 && rc == SYNC_OK; i++) {
        struct fact_cursor *c = NULL;
        struct stored_entry e;
        bool found = true;
        rc = fact_cursor_open(v, types[i], slice_of(NULL, 0), &c, ec);
        while (rc == SYNC_OK && found) rc = fact_cursor_next(c, &e, &found, ec);
        fact_cursor_close(c);
    }
    if (rc == SYNC_OK) rc = view_estimate_cells(v, slice_str("t"), 10, &count, ec);
    view_close(v);
    return rc;
}

static enum sync_err read_log(struct err_ctx *ec)
{
    struct view *v = NULL;
    struct log_cursor *c = NULL;
    struct log_entry e;
    bool found = true;
    size_t count = 0;
    enum sync_err rc = view_open(store_shard(x.store, 0), slice_str("one"), &v, ec);
    if (rc == SYNC_OK) rc = log_cursor_open(v, NULL, &c, ec);
    while (rc == SYNC_OK && found) {
        rc = log_cursor_next(c, &e, &found, ec);
        count += rc == SYNC_OK && found;
    }
    log_cursor_close(c);
    view_close(v);
    if (rc == SYNC_OK) cr_assert_eq(count, 4);
    return rc;
}

static enum sync_err next_database(struct err_ctx *ec)
{
    char name[DATABASE_ID_MAX];
    size_t len;
    bool found;
    return shard_next_database(store_shard(x.store, 0), slice_str("one"), name, &len, &found, ec);
}

static enum sync_err read_delta(struct err_ctx *ec)
{
    const struct delta_request request = {.database = slice_str("one"), .page_bytes_max = SIZE_MAX};
    struct delta_reader *r = NULL;
    struct buf out = buf_make(1 << 20);
    enum sync_err rc = delta_reader_open(store_shard(x.store, 0), &request, &r, ec);
    while (rc == SYNC_OK && !delta_reader_status(r)->done) rc = delta_reader_step(r, &out, 100, ec);
    if (rc == SYNC_OK) cr_assert_eq(delta_reader_status(r)->fact_count, 4);
    delta_reader_close(r);
    buf_deinit(&out);
    return rc;
}

static enum sync_err read_snapshot(const struct checkpoint *resume, size_t *ret_len, struct err_ctx *ec)
{
    const struct snapshot_request request = {
        .database = slice_str("one"), .resume = resume, .fresh_id = slice_str("id")};
    struct snapshot_reader *r = NULL;
    struct buf out = buf_make(1 << 20);
    bool done = false;
    enum sync_err rc = snapshot_reader_open(store_shard(x.store, 0), &request, &r, ec);
    while (rc == SYNC_OK && !done) rc = snapshot_reader_step(r, &out, &done, ec);
    *ret_len = out.len;
    snapshot_reader_close(r);
    buf_deinit(&out);
    return rc;
}

static size_t snapshot_len; /* without failures */

static enum sync_err read_fresh_snapshot(struct err_ctx *ec)
{
    size_t len;
    enum sync_err rc = read_snapshot(NULL, &len, ec);
    if (rc == SYNC_OK && snapshot_len == 0) snapshot_len = len;
    if (rc == SYNC_OK) cr_assert_eq(len, snapshot_len, "%zu bytes instead of %zu", len, snapshot_len);
    return rc;
}

static struct checkpoint checkpoint;

static enum sync_err resume_snapshot(struct err_ctx *ec)
{
    size_t len;
    enum sync_err rc = read_snapshot(&checkpoint, &len, ec);
    if (rc == SYNC_OK) cr_assert_lt(len, snapshot_len);
    return rc;
}

Test(store_memory, reading_survives_each_failing_allocation)
{
    static const action actions[] = {read_facts,          read_log,       next_database, read_delta,
                                     read_fresh_snapshot, resume_snapshot};
    struct slice completed[] = {slice_str("main.u"), slice_str("main.z")};
    struct err_ctx ec;
    cr_assert_eq(open_store(&ec), SYNC_OK);
    make_requests();
    cr_assert_eq(write_first(&ec), SYNC_OK);
    cr_assert_eq(write_second(&ec), SYNC_OK);
    cr_assert_eq(prune_old(&ec), SYNC_OK);
    free_requests();
    struct view *v = fixture_view(&x, "one");
    checkpoint = (struct checkpoint){
        .snapshot_id = slice_str("id"),
        .hlc = stamp_to_hlc(&view_database(v)->last, &view_database(v)->server_site),
        .completed = completed,
        .completed_count = 2,
    };
    view_close(v);
    long nth = 0, live = faults_live_blocks();
    do {
        cr_assert_lt(++nth, FAULTS_MAX);
        /* The first round finds out what is right. */
        run_with_fault(actions, sizeof actions / sizeof actions[0], nth == 1 ? FAULTS_MAX : nth - 1);
        cr_assert_eq(faults_live_blocks(), live, "allocation %ld: %ld blocks left", nth - 1,
                     faults_live_blocks() - live);
    } while (fired || nth == 1);
    cr_assert_gt(nth, 30, "only %ld allocations", nth);
}
