/* The store against a model of the protocol: random groups of random batches, and after each group every
 * result and everything that is stored must be what the model says. With failed writes, retention sweeps and
 * reopening in between. */
#include "storage/shard/shard.h"

#include "faults.h"
#include "random.h"
#include "random_batch.h"
#include "rounds.h"
#include "store_fixture.h"
#include "store_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = ROUNDS(5, 2), GROUPS = 120, GROUP_MAX = 4, LINES_MAX = 4096 };

static const char *const names[] = {"one", "two", "three"};

struct run {
    struct store_fixture x;
    struct store_model model;
    uint64_t seed, first_seed, epoch, now_ms;
    uint64_t applied, skipped, conflicts; /* sums, to see that the test does not run dry */
    uint64_t failures, pruned;
};

static struct model_database *model_of(struct run *r, const char *name)
{
    struct view *v = fixture_view(&r->x, name);
    struct model_database *d = model_database(&r->model, name, &view_database(v)->server_site);
    view_close(v);
    return d;
}

/* ---- comparing */

static int compare_lines(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* Sorts the lines of a text; returns a new one. */
static char *sorted(const struct buf *text)
{
    static char *lines[LINES_MAX];
    size_t count = 0;
    char *copy = malloc(text->len + 1), *result = malloc(text->len + 1), *at = result, *rest = copy;
    cr_assert(copy != NULL && result != NULL);
    if (text->len > 0) memcpy(copy, text->bytes, text->len);
    copy[text->len] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (*line == '\0') continue;
        cr_assert_lt(count, LINES_MAX);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) at += sprintf(at, "%s\n", lines[i]);
    *at = '\0';
    free(copy);
    return result;
}

/* What a cursor gives beside the fact itself. */
static void print_stored(struct buf *out, const struct fact *f, const struct stamp *s, uint64_t created_ms)
{
    model_print(out, f, s);
    out->len--; /* the line goes on */
    buf_printf(out, " created %lu key %u %u ", (unsigned long)created_ms, f->table_key_len, f->row_key_len);
    for (size_t i = 0; i < f->key.len; i++) {
        buf_put_char(out, "0123456789abcdef"[(unsigned char)f->key.bytes[i] >> 4]);
        buf_put_char(out, "0123456789abcdef"[f->key.bytes[i] & 15]);
    }
    buf_put_char(out, '\n');
}

static void expect_equal(const struct run *r, const char *what, const char *name, const char *found,
                         const char *expected)
{
    size_t i = 0;
    while (found[i] == expected[i] && found[i] != '\0') i++;
    if (found[i] == expected[i]) return;
    while (i > 0 && found[i - 1] != '\n') i--;
    cr_assert_fail("seed %lu, group %lu, %s of %s differs:\n  stored   %.300s\n  expected %.300s",
                   (unsigned long)r->first_seed, (unsigned long)r->epoch, what, name, found + i,
                   expected + i);
}

static void compare_log(struct run *r, const struct model_database *d)
{
    struct buf found = buf_make(1 << 24), expected = buf_make(1 << 24);
    struct view *v = fixture_view(&r->x, d->name);
    struct log_cursor *c;
    struct log_entry e;
    struct err_ctx ec;
    bool more = true;
    cr_assert_eq(stamp_cmp(&view_database(v)->last, &d->last), 0);
    cr_assert_eq(stamp_cmp(&view_database(v)->pruned, &d->pruned), 0);
    cr_assert_eq(view_database(v)->exists, d->last.wall_ms != 0);
    cr_assert_eq(log_cursor_open(v, NULL, &c, &ec), SYNC_OK);
    for (;;) {
        cr_assert_eq(log_cursor_next(c, &e, &more, &ec), SYNC_OK, "%s", ec.text);
        if (!more) break;
        model_print(&found, &e.fact, &e.stamp);
    }
    log_cursor_close(c);
    view_close(v);
    for (size_t i = 0; i < d->count; i++) {
        model_print(&expected, &d->entries[i].fact, &d->entries[i].stamp);
        if (i > 0) cr_assert_lt(stamp_cmp(&d->entries[i - 1].stamp, &d->entries[i].stamp), 0);
    }
    buf_put_char(&found, '\0');
    buf_put_char(&expected, '\0');
    expect_equal(r, "the log", d->name, found.bytes, expected.bytes);
    buf_deinit(&found);
    buf_deinit(&expected);
}

static void compare_stored(struct run *r, const struct model_database *d, enum fact_type type)
{
    static const char *const kinds[] = {"cells", "tombstones", "migrations"};
    struct buf found = buf_make(1 << 24), expected = buf_make(1 << 24);
    struct view *v = fixture_view(&r->x, d->name);
    struct fact_cursor *c;
    struct stored_entry e;
    struct err_ctx ec;
    struct hlc before = {0};
    bool more = true;
    cr_assert_eq(fact_cursor_open(v, type, slice_of(NULL, 0), &c, &ec), SYNC_OK);
    for (;;) {
        cr_assert_eq(fact_cursor_next(c, &e, &more, &ec), SYNC_OK, "%s", ec.text);
        if (!more) break;
        print_stored(&found, &e.fact, &e.stamp, e.created_ms);
        if (type == FACT_MIGRATION) cr_assert_leq(hlc_cmp(&before, &e.fact.hlc), 0, "in HLC order");
        before = e.fact.hlc;
    }
    fact_cursor_close(c);
    view_close(v);
    for (size_t i = 0; i < d->count; i++) {
        const struct model_entry *m = &d->entries[i];
        if (m->fact.type == type) print_stored(&expected, &m->fact, &m->stamp, m->created_ms);
    }
    char *a = sorted(&found), *b = sorted(&expected);
    expect_equal(r, kinds[type], d->name, a, b);
    free(a);
    free(b);
    buf_deinit(&found);
    buf_deinit(&expected);
}

static void compare(struct run *r)
{
    for (size_t i = 0; i < 3; i++) {
        const struct model_database *d = model_of(r, names[i]);
        compare_log(r, d);
        for (int type = FACT_CELL; type <= FACT_MIGRATION; type++) compare_stored(r, d, (enum fact_type)type);
    }
}

/* ---- doing */

static void expect_result(const struct run *r, const struct merge_result *found,
                          const struct merge_result *expected)
{
    cr_assert(found->applied == expected->applied && found->skipped == expected->skipped &&
                  found->conflicts == expected->conflicts && found->transactions == expected->transactions,
              "seed %lu, group %lu: applied %lu of %lu, skipped %lu of %lu, conflicts %lu of %lu",
              (unsigned long)r->first_seed, (unsigned long)r->epoch, (unsigned long)found->applied,
              (unsigned long)expected->applied, (unsigned long)found->skipped,
              (unsigned long)expected->skipped, (unsigned long)found->conflicts,
              (unsigned long)expected->conflicts);
}

/* One group; at times its write fails, before or after it was done. */
static void apply_group(struct run *r)
{
    struct batch batches[GROUP_MAX];
    struct apply_request requests[GROUP_MAX];
    struct model_database *databases[GROUP_MAX];
    size_t count = 1 + random_below(&r->seed, GROUP_MAX);
    uint64_t luck = random_below(&r->seed, 20);
    for (size_t i = 0; i < count; i++) {
        const char *name = names[random_below(&r->seed, 3)];
        databases[i] = model_of(r, name);
        batches[i] = random_batch(&r->seed, r->epoch, &databases[i]->server_site);
        requests[i] = (struct apply_request){.next = i + 1 < count ? &requests[i + 1] : NULL,
                                             .database = slice_str(name),
                                             .batch = &batches[i],
                                             .now_ms = r->now_ms};
    }
    if (luck == 0) faults_arm(FAULT_DB_WRITE, 1, 1);
    if (luck == 1) faults_arm(FAULT_DB_WRITE_LATE, 1, 1);
    shard_apply(store_shard(r->x.store, 0), requests);
    bool failed = faults_disarm() && luck <= 1;
    r->failures += failed;
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(requests[i].rc, failed ? SYNC_ESTORE : SYNC_OK);
        if (failed && luck == 0) continue;
        struct merge_result expected = model_apply(&r->model, databases[i], &batches[i], r->now_ms);
        if (failed) continue;
        expect_result(r, &requests[i].result, &expected);
        r->applied += expected.applied;
        r->skipped += expected.skipped;
        r->conflicts += expected.conflicts;
    }
    for (size_t i = 0; i < count; i++) batch_deinit(&batches[i]);
}

static void prune(struct run *r)
{
    struct arena arena = {0};
    struct slice after = slice_of(NULL, 0);
    struct err_ctx ec;
    const char *name = names[random_below(&r->seed, 3)];
    struct model_database *d = model_of(r, name);
    uint64_t created_before_ms = r->now_ms - random_below(&r->seed, 30);
    struct stamp floor = d->last;
    size_t found = 0, gone;
    if (random_below(&r->seed, 2) == 0 && floor.wall_ms > 10) floor.wall_ms -= 10;
    do {
        struct prune_candidate *candidates;
        size_t count;
        struct view *v = fixture_view(&r->x, name);
        cr_assert_eq(prune_scan(v, after, created_before_ms, &floor, 1 + random_below(&r->seed, 5), &arena,
                                &candidates, &count, &after, &ec),
                     SYNC_OK);
        view_close(v);
        cr_assert_eq(shard_prune(store_shard(r->x.store, 0), slice_str(name), candidates, count, &gone, &ec),
                     SYNC_OK);
        found += gone;
    } while (after.len > 0);
    cr_assert_eq(found, model_prune(d, created_before_ms, &floor));
    r->pruned += found;
    arena_deinit(&arena);
}

static void run_seed(struct run *r, uint64_t seed, bool allow_resurrection)
{
    faults_skip_syncs();
    fixture_init(&r->x);
    r->seed = r->first_seed = seed;
    r->now_ms = 100;
    r->x.config.write_buffer_bytes = 64 << 10; /* so that compactions take part */
    r->x.config.allow_resurrection = r->model.allow_resurrection = allow_resurrection;
    fixture_reopen(&r->x);
    for (r->epoch = 0; r->epoch < GROUPS; r->epoch++, r->now_ms++) {
        apply_group(r);
        if (random_below(&r->seed, 10) == 0) prune(r);
        compare(r);
        if (random_below(&r->seed, 15) > 0) continue;
        fixture_reopen(&r->x);
        compare(r);
    }
    model_deinit(&r->model);
    fixture_free(&r->x);
}

Test(store_model, the_store_does_what_the_model_does, .timeout = 300)
{
    struct run r = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) run_seed(&r, seed, false);
    cr_assert(r.applied > 200 * SEEDS && r.skipped > 100 * SEEDS && r.conflicts > 20 * SEEDS &&
                  r.failures > 2 * SEEDS && r.pruned > 10 * SEEDS,
              "applied %lu, skipped %lu, conflicts %lu, failures %lu, pruned %lu", (unsigned long)r.applied,
              (unsigned long)r.skipped, (unsigned long)r.conflicts, (unsigned long)r.failures,
              (unsigned long)r.pruned);
}

Test(store_model, the_store_does_what_the_model_does_where_resurrection_is_allowed, .timeout = 300)
{
    struct run r = {0};
    for (uint64_t seed = 101; seed <= 100 + SEEDS; seed++) run_seed(&r, seed, true);
    cr_assert(r.applied > 200 * SEEDS && r.skipped > 100 * SEEDS && r.conflicts > 20 * SEEDS &&
                  r.failures > 2 * SEEDS && r.pruned > 10 * SEEDS,
              "applied %lu, skipped %lu, conflicts %lu, failures %lu, pruned %lu", (unsigned long)r.applied,
              (unsigned long)r.skipped, (unsigned long)r.conflicts, (unsigned long)r.failures,
              (unsigned long)r.pruned);
}
