#include "storage/views/delta_reader.h"

#include "delta_fixture.h"
#include "store_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { PAGES_MAX = 1000 };

static struct store_fixture x;
static struct arena arena;
static struct err_ctx ec;

static void setup(void)
{
    fixture_init(&x);
}

static void teardown(void)
{
    fixture_free(&x);
    arena_deinit(&arena);
}

TestSuite(delta_reader, .init = setup, .fini = teardown, .timeout = 60);

/* ---- asking */

static struct delta_reader *open_reader(const struct delta_request *q)
{
    struct delta_reader *r;
    cr_assert_eq(delta_reader_open(store_shard(x.store, 0), q, &r, &ec), SYNC_OK, "%s", ec.text);
    return r;
}

static const char *text_of(struct buf *out)
{
    buf_put_char(out, '\0');
    const char *text = arena_copy(&arena, buf_slice(out)).bytes;
    buf_deinit(out);
    return text;
}

/* One page in one piece; *ret is what the client was told. */
static const char *ask(const char *database, char asker, const struct hlc *since, struct delta_status *ret)
{
    struct buf out = buf_make(1 << 28);
    const struct delta_request q = delta_request_of(database, asker, since);
    *ret = delta_read_page(store_shard(x.store, 0), &q, SIZE_MAX, &out, NULL, NULL);
    return text_of(&out);
}

static void put(struct hlc hlc, const char *pk, const char *value)
{
    struct batch b = facts_batch();
    facts_cell(&b, hlc, "t", pk, "c", value);
    (void)fixture_apply(&x, "db", &b);
}

static struct hlc last_of(const char *database)
{
    struct view *v = fixture_view(&x, database);
    struct hlc h = stamp_to_hlc(&view_database(v)->last, &view_database(v)->server_site);
    view_close(v);
    return h;
}

/* ---- watermarks */

Test(delta_reader, of_nothing_is_an_empty_list)
{
    struct delta_status status;
    struct hlc zero = {0}, high = {.wall_ms = 99};
    cr_assert_str_eq(ask("db", 'x', NULL, &status), "");
    cr_assert_not(status.has_watermark);
    cr_assert_str_eq(ask("db", 'x', &zero, &status), "");
    cr_assert_str_eq(ask("db", 'x', &high, &status), "");
    put(facts_hlc(5, 0, 'a', 0), "[1]", "1");
    struct hlc last = last_of("db");
    cr_assert_str_eq(ask("db", 'x', &last, &status), "");
    cr_assert_not(status.has_watermark || status.has_more || status.pruned);
    cr_assert(site_id_eq(&status.server_site, &last.site));
    cr_assert_str_eq(ask("db", 'x', &high, &status), "");
}

Test(delta_reader, ends_with_the_stamp_up_to_which_it_is_complete)
{
    struct delta_status status;
    put(facts_hlc(5, 0, 'a', 0), "[1]", "1");
    cr_assert_str_eq(ask("db", 'x', NULL, &status), "set 5:0:YQAAAAAAAAAAAAAAAAAAAA 0\n"
                                                    "0.0.0: 5.0.6100.0 main t cell [1] c 1\n");
    struct hlc last = last_of("db");
    cr_assert(status.has_watermark && hlc_eq(&status.watermark, &last));
    cr_assert(status.done && !status.has_more && !status.pruned);
}

Test(delta_reader, of_the_askers_own_facts_alone_is_a_watermark)
{
    struct delta_status status;
    put(facts_hlc(5, 0, 'a', 0), "[1]", "1");
    struct hlc before = last_of("db");
    put(facts_hlc(6, 0, 'a', 0), "[1]", "2");
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(ask("db", 'a', i == 0 ? NULL : &before, &status), "");
        struct hlc last = last_of("db");
        cr_assert(status.has_watermark && hlc_eq(&status.watermark, &last));
        cr_assert_gt(hlc_cmp(&status.watermark, &before), 0);
        cr_assert_eq(status.fact_count, 0);
    }
}

Test(delta_reader, holds_what_arrived_late_with_an_old_hlc)
{
    struct delta_status status;
    put(facts_hlc(500, 0, 'a', 0), "[1]", "1");
    (void)ask("db", 'x', NULL, &status);
    struct hlc watermark = status.watermark;
    put(facts_hlc(3, 0, 'b', 0), "[2]", "2");
    cr_assert_str_eq(ask("db", 'x', &watermark, &status), "set 3:0:YgAAAAAAAAAAAAAAAAAAAA 0\n"
                                                          "0.0.0: 3.0.6200.0 main t cell [2] c 2\n");
    cr_assert_gt(hlc_cmp(&status.watermark, &watermark), 0);
}

Test(delta_reader, takes_any_hlc_as_a_watermark)
{
    put(facts_hlc(5, 0, 'a', 0), "[1]", "1"); /* stamp 5.1.0 */
    put(facts_hlc(5, 0, 'a', 1), "[2]", "1"); /* stamp 5.2.0 */
    struct hlc server = last_of("db");
    static const struct {
        uint64_t wall_ms;
        uint16_t counter;
        int site; /* below the server's, its own, above */
        uint32_t op_seq;
        size_t facts;
    } given[] = {
        {0, 0, 0, 0, 2},
        {5, 0, 1, 0, 2},
        {5, 1, -1, UINT32_MAX, 2},
        {5, 1, 0, 0, 1},
        {5, 1, 0, 9, 1},
        {5, 1, 1, 0, 1},
        {5, 2, -1, UINT32_MAX, 1},
        {5, 2, 0, 0, 0},
        {5, 2, 1, 0, 0},
        {6, 0, -1, 0, 0},
        {6, 0, 0, 0, 0},
        {0, 0, -1, 0, 2},
        {UINT64_MAX, 65535, 1, UINT32_MAX, 0},
        {4, 65535, 1, UINT32_MAX, 2},
    };
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        struct delta_status status;
        struct hlc since = {
            .wall_ms = given[i].wall_ms, .counter = given[i].counter, .op_seq = given[i].op_seq};
        since.site = server.site;
        if (given[i].site != 0) memset(&since.site, given[i].site > 0 ? 0xff : 0, sizeof since.site);
        (void)ask("db", 'x', &since, &status);
        cr_assert_eq(status.fact_count, given[i].facts, "%zu: %lu", i, (unsigned long)status.fact_count);
        cr_assert_eq(status.has_watermark, given[i].facts > 0);
        if (status.has_watermark) cr_assert_gt(hlc_cmp(&status.watermark, &since), 0, "%zu", i);
    }
}

/* ---- ChangeSets */

Test(delta_reader, gives_a_transaction_one_set_with_its_migrations_in_a_list_of_their_own)
{
    struct delta_status status;
    struct batch b = facts_batch();
    facts_migration(&b, facts_hlc(5, 0, 'a', 0), "t", MIGRATION_CREATE_TABLE, "1", "\"ddl\"");
    facts_cell(&b, facts_hlc(5, 0, 'a', 1), "t", "[1]", "c", "1");
    facts_migration(&b, facts_hlc(5, 0, 'a', 2), "t", MIGRATION_ADD_COLUMN, "2", "\"more\"");
    facts_delete(&b, facts_hlc(5, 0, 'a', 3), "t", "[2]", "[]");
    facts_cell(&b, facts_hlc(5, 1, 'a', 0), "t", "[3]", "c", "3");
    facts_cell(&b, facts_hlc(5, 1, 'b', 0), "t", "[4]", "c", "4");
    (void)fixture_apply(&x, "db", &b);
    cr_assert_str_eq(ask("db", 'b', NULL, &status), "set 5:0:YQAAAAAAAAAAAAAAAAAAAA 3\n"
                                                    "0.0.0: 5.0.6100.1 main t cell [1] c 1\n"
                                                    "0.0.0: 5.0.6100.3 main t delete [2] prior []\n"
                                                    "0.0.0: 5.0.6100.0 main t create_table \"ddl\" 1\n"
                                                    "0.0.0: 5.0.6100.2 main t add_column \"more\" 2\n"
                                                    "set 5:1:YQAAAAAAAAAAAAAAAAAAAA 0\n"
                                                    "0.0.0: 5.1.6100.0 main t cell [3] c 3\n");
    cr_assert_eq(status.fact_count, 5);
}

Test(delta_reader, gives_a_transaction_that_came_in_two_batches_two_sets_where_opseqs_would_fall)
{
    struct delta_status status;
    put(facts_hlc(5, 0, 'a', 4), "[1]", "1");
    put(facts_hlc(5, 0, 'a', 5), "[2]", "2");
    put(facts_hlc(5, 0, 'a', 0), "[3]", "3");
    cr_assert_str_eq(ask("db", 'x', NULL, &status), "set 5:0:YQAAAAAAAAAAAAAAAAAAAA 5\n"
                                                    "0.0.0: 5.0.6100.4 main t cell [1] c 1\n"
                                                    "0.0.0: 5.0.6100.5 main t cell [2] c 2\n"
                                                    "set 5:0:YQAAAAAAAAAAAAAAAAAAAA 0\n"
                                                    "0.0.0: 5.0.6100.0 main t cell [3] c 3\n");
}

/* ---- pages */

/* Five transactions of three facts, each value of 100 bytes. */
static void fill_transactions(void)
{
    static char value[101], pks[15][8];
    memset(value, '1', sizeof value - 1);
    struct batch b = facts_batch();
    for (uint32_t i = 0; i < 15; i++) {
        snprintf(pks[i], sizeof pks[i], "[%u]", i);
        facts_cell(&b, facts_hlc(5 + i / 3, 0, 'a', i % 3), "t", pks[i], "c", value);
    }
    (void)fixture_apply(&x, "db", &b);
}

Test(delta_reader, ends_a_page_at_the_end_of_a_transaction)
{
    fill_transactions();
    for (size_t page_bytes = 0; page_bytes < 3000; page_bytes += 100) {
        struct delta_request q = delta_request_of("db", 'x', NULL);
        struct buf all = buf_make(1 << 20);
        struct delta_status status = {.has_more = true};
        size_t pages = 0, facts = 0;
        q.page_bytes_max = page_bytes;
        while (status.has_more) {
            struct buf out = buf_make(1 << 20);
            status = delta_read_page(store_shard(x.store, 0), &q, 50, &out, NULL, NULL);
            cr_assert_eq(status.fact_count % 3, 0);
            cr_assert_gt(status.fact_count, 0, "a page that brings nothing would be asked for for ever");
            if (q.has_since) cr_assert_gt(hlc_cmp(&status.watermark, &q.since), 0);
            if (page_bytes == 0) cr_assert_eq(status.fact_count, 3);
            q.has_since = true;
            q.since = status.watermark;
            buf_put_slice(&all, buf_slice(&out));
            buf_deinit(&out);
            facts += status.fact_count;
            cr_assert_lt(++pages, PAGES_MAX);
        }
        struct hlc last = last_of("db");
        cr_assert_eq(facts, 15);
        cr_assert(hlc_eq(&status.watermark, &last));
        struct delta_status whole;
        cr_assert_str_eq(text_of(&all), ask("db", 'x', NULL, &whole));
    }
}

Test(delta_reader, does_not_begin_a_page_for_the_askers_own_facts)
{
    struct delta_request q = delta_request_of("db", 'b', NULL);
    struct buf out = buf_make(1 << 20);
    fill_transactions();
    put(facts_hlc(50, 0, 'b', 0), "[1]", "1");
    q.page_bytes_max = 0;
    struct delta_status status = {.has_more = true};
    int pages = 0;
    for (; status.has_more; pages++) {
        status = delta_read_page(store_shard(x.store, 0), &q, SIZE_MAX, &out, NULL, NULL);
        q.has_since = true;
        q.since = status.watermark;
    }
    cr_assert_eq(pages, 5);
    struct hlc last = last_of("db");
    cr_assert(hlc_eq(&status.watermark, &last));
    buf_deinit(&out);
}

Test(delta_reader, that_is_cut_ends_with_the_transaction_under_way)
{
    fill_transactions();
    for (size_t before = 0; before < 12; before++) {
        struct delta_request q = delta_request_of("db", 'x', NULL);
        struct buf text = buf_make(1 << 20), out = buf_make(1 << 20);
        struct delta_reader *r = open_reader(&q);
        const struct delta_status *status = delta_reader_status(r);
        for (size_t i = 0; i < before; i++) cr_assert_eq(delta_reader_step(r, &text, 1, &ec), SYNC_OK);
        uint64_t facts = status->fact_count;
        cr_assert_eq(facts, before, "a fact a step");
        delta_reader_cut(r);
        while (!status->done) cr_assert_eq(delta_reader_step(r, &text, 1, &ec), SYNC_OK);
        uint64_t expected = facts < 3 ? 3 : (facts + 2) / 3 * 3;
        cr_assert_eq(status->fact_count, expected, "%lu after %lu", (unsigned long)status->fact_count,
                     (unsigned long)facts);
        cr_assert(status->has_more && status->has_watermark);
        delta_print(&out, &text, status);
        delta_reader_close(r);
        buf_deinit(&text);
        buf_deinit(&out);
    }
}

/* ---- pruning */

/* Deletes at stamps 5, 6, 7; returns the watermark before each. */
static void fill_deletes(struct hlc before[4])
{
    static const char *const pks[] = {"[1]", "[2]", "[3]"};
    for (uint64_t i = 0; i < 3; i++) {
        before[i] = last_of("db");
        struct batch b = facts_batch();
        facts_delete(&b, facts_hlc(5 + i, 0, 'a', 0), "t", pks[i], NULL);
        (void)fixture_apply(&x, "db", &b);
    }
    before[3] = last_of("db");
}

/* All tombstones up to floor go. */
static void prune_up_to(const struct hlc *floor)
{
    struct stamp s = {.wall_ms = floor->wall_ms, .counter = floor->counter, .op_seq = floor->op_seq};
    struct prune_candidate *candidates;
    struct slice after;
    size_t count, gone;
    struct view *v = fixture_view(&x, "db");
    cr_assert_eq(
        prune_scan(v, slice_of(NULL, 0), UINT64_MAX, &s, 100, &arena, &candidates, &count, &after, &ec),
        SYNC_OK);
    view_close(v);
    cr_assert_eq(shard_prune(store_shard(x.store, 0), slice_str("db"), candidates, count, &gone, &ec),
                 SYNC_OK);
    cr_assert_gt(gone, 0);
}

Test(delta_reader, tells_a_watermark_below_what_was_pruned)
{
    struct hlc before[4];
    struct delta_status status;
    fill_deletes(before);
    prune_up_to(&before[2]); /* the first two are gone */
    struct hlc zero = {0};
    (void)ask("db", 'x', &zero, &status);
    cr_assert(status.pruned, "a watermark below every stamp");
    memset(&zero.site, 0xff, sizeof zero.site);
    (void)ask("db", 'x', &zero, &status);
    cr_assert(status.pruned);
    for (int i = 0; i < 4; i++) {
        (void)ask("db", 'x', &before[i], &status);
        cr_assert_eq(status.pruned, i < 2, "watermark %d", i);
        cr_assert_eq(status.fact_count, i < 3 ? 1 : 0, "what still exists comes all the same");
    }
    (void)ask("db", 'x', NULL, &status);
    cr_assert_not(status.pruned, "who has nothing misses nothing");
    prune_up_to(&before[3]);
    (void)ask("db", 'x', &before[2], &status);
    cr_assert(status.pruned && status.has_watermark && hlc_eq(&status.watermark, &before[3]));
    (void)ask("db", 'x', &before[3], &status);
    cr_assert_not(status.pruned || status.has_watermark);
}

Test(delta_reader, fails_when_the_sweep_takes_what_was_not_read_yet)
{
    struct hlc before[4], zero = {0};
    fill_deletes(before);
    struct buf out = buf_make(1 << 20);
    struct delta_request q = delta_request_of("db", 'x', &zero);
    struct delta_reader *at_start = open_reader(&q), *past_two = open_reader(&q);
    q.has_since = false;
    struct delta_reader *fresh = open_reader(&q);
    for (int i = 0; i < 2; i++) cr_assert_eq(delta_reader_step(past_two, &out, 1, &ec), SYNC_OK);
    prune_up_to(&before[2]);
    cr_assert_eq(delta_reader_step(at_start, &out, 1, &ec), SYNC_EPRUNED);
    cr_assert_not_null(strstr(ec.text, "SNAPSHOT_REQUIRED"));
    cr_assert_eq(delta_reader_step(past_two, &out, 1, &ec), SYNC_OK, "it has both of them");
    cr_assert_eq(delta_reader_step(fresh, &out, 1, &ec), SYNC_OK, "who has nothing misses nothing");
    prune_up_to(&before[3]);
    cr_assert_eq(delta_reader_step(past_two, &out, 1, &ec), SYNC_OK, "it has all of them");
    cr_assert(delta_reader_status(past_two)->done);

    /* One that was told at its beginning is not told again. */
    q = delta_request_of("db", 'x', &zero);
    struct delta_reader *told = open_reader(&q);
    cr_assert(delta_reader_status(told)->pruned);
    cr_assert_eq(delta_reader_step(told, &out, 1, &ec), SYNC_OK);
    delta_reader_close(told);
    delta_reader_close(at_start);
    delta_reader_close(past_two);
    delta_reader_close(fresh);
    buf_deinit(&out);
}
