#include "core/facts/merge.h"

#include "tests/unit/merge_fixture.h"

#include <criterion/criterion.h>

/* ---- rule by rule; rows and columns are small numbers, HLCs go (wall, site) */

Test(merge, first_facts_are_applied_and_written_in_hlc_order)
{
    struct world w = {0};
    struct merge_plan plan;
    add_cell(&w, 1, 1, 30, 1);
    add_delete(&w, 2, 10, 1);
    add_migration(&w, 1, 20, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 3, 0, 0);
    cr_assert_eq(plan.write_count, 3);
    cr_assert_eq(plan.writes[0], 1);
    cr_assert_eq(plan.writes[1], 2);
    cr_assert_eq(plan.writes[2], 0);
    for (size_t i = 0; i < 3; i++) cr_assert(plan.judgements[i].write && !plan.judgements[i].before.found);
    world_deinit(&w);
}

Test(merge, an_empty_batch_is_an_empty_plan)
{
    struct world w = {0};
    struct merge_plan plan;
    merge_world(&w, &plan);
    assert_result(&plan, 0, 0, 0);
    cr_assert_eq(plan.write_count, 0);
    w.batch.set_count = 3;
    merge_world(&w, &plan);
    cr_assert_eq(plan.result.transactions, 3);
    world_deinit(&w);
}

Test(merge, the_server_s_own_facts_are_skipped_unread)
{
    struct world w = {0};
    struct merge_plan plan;
    add_cell(&w, 1, 1, 30, SERVER_SITE);
    add_delete(&w, 1, 31, SERVER_SITE);
    add_migration(&w, 1, 32, SERVER_SITE);
    add_cell(&w, 1, 1, 10, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 1, 3, 0);
    cr_assert_eq(w.finds, 1);
    world_deinit(&w);
}

Test(merge, a_cell_against_a_stored_cell)
{
    static const struct {
        uint64_t wall_ms;
        uint8_t site;
        enum verdict want;
    } cases[] = {{19, 9, VERDICT_CONFLICT},
                 {20, 4, VERDICT_CONFLICT},
                 {20, 5, VERDICT_CONFLICT},
                 {20, 6, VERDICT_APPLIED},
                 {21, 1, VERDICT_APPLIED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w = {0};
        struct merge_plan plan;
        store_cell(&w, 1, 1, 20, 5);
        add_cell(&w, 1, 1, cases[i].wall_ms, cases[i].site);
        merge_world(&w, &plan);
        cr_assert_eq(plan.judgements[0].verdict, cases[i].want, "case %zu", i);
        cr_assert_eq(plan.judgements[0].write, cases[i].want == VERDICT_APPLIED);
        cr_assert_eq(plan.write_count, cases[i].want == VERDICT_APPLIED);
        if (cases[i].want == VERDICT_APPLIED) {
            const struct stored_fact *before = &plan.judgements[0].before;
            cr_assert(before->found);
            cr_assert_eq(before->hlc.wall_ms, 20, "what it replaces becomes its priorHlc");
            cr_assert(slice_is(before->value, STORED_VALUE), "and its priorValue");
            cr_assert_eq(before->stamp.wall_ms, 1020);
        }
        world_deinit(&w);
    }
}

Test(merge, a_cell_of_a_deleted_row_is_skipped_whatever_its_hlc)
{
    for (uint64_t wall_ms = 18; wall_ms < 23; wall_ms++) {
        struct world w = {0};
        struct merge_plan plan;
        store_delete(&w, 1, 20, 5);
        add_cell(&w, 1, 1, wall_ms, 5);
        add_cell(&w, 2, 1, wall_ms, 5);
        merge_world(&w, &plan);
        cr_assert_eq(plan.judgements[0].verdict, VERDICT_SKIPPED);
        cr_assert_eq(plan.judgements[1].verdict, VERDICT_APPLIED, "another row");
        world_deinit(&w);

        w = (struct world){.rules.allow_resurrection = true};
        store_delete(&w, 1, 20, 5);
        add_cell(&w, 1, 1, wall_ms, 5);
        merge_world(&w, &plan);
        cr_assert_eq(plan.judgements[0].verdict, wall_ms <= 20 ? VERDICT_SKIPPED : VERDICT_APPLIED);
        world_deinit(&w);
    }
}

/* A stored cell beside a tombstone: with resurrection, or left by an older one. Rule 3 asks for the cell
 * first. */
Test(merge, a_conflict_goes_before_the_tombstone)
{
    struct world w = {0};
    struct merge_plan plan;
    store_cell(&w, 1, 1, 20, 5);
    store_delete(&w, 1, 10, 5);
    add_cell(&w, 1, 1, 15, 1);
    add_cell(&w, 1, 1, 25, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 0, 1, 1);
    world_deinit(&w);
}

Test(merge, a_delete_against_a_stored_tombstone)
{
    for (uint64_t wall_ms = 19; wall_ms < 22; wall_ms++) {
        struct world w = {0};
        struct merge_plan plan;
        store_delete(&w, 1, 20, 5);
        store_cell(&w, 1, 1, 90, 5);
        add_delete(&w, 1, wall_ms, 5);
        merge_world(&w, &plan);
        cr_assert_eq(plan.judgements[0].verdict, wall_ms <= 20 ? VERDICT_SKIPPED : VERDICT_APPLIED);
        if (wall_ms > 20) cr_assert_eq(plan.judgements[0].before.hlc.wall_ms, 20);
        world_deinit(&w);
    }
}

Test(merge, a_delete_below_a_cell_s_hlc_takes_the_row_all_the_same)
{
    struct world w = {0};
    struct merge_plan plan;
    store_cell(&w, 1, 1, 90, 5);
    add_delete(&w, 1, 10, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 1, 0, 0);
    cr_assert_eq(plan.write_count, 1);
    world_deinit(&w);
}

Test(merge, a_delete_takes_the_cells_of_its_batch_with_it)
{
    for (int resurrect = 0; resurrect < 2; resurrect++) {
        struct world w = {.rules.allow_resurrection = resurrect == 1};
        struct merge_plan plan;
        store_cell(&w, 1, 4, 90, 5);
        add_cell(&w, 1, 1, 30, 1); /* above the delete */
        add_cell(&w, 1, 2, 20, 1); /* equal to it */
        add_cell(&w, 1, 3, 10, 1); /* below */
        add_cell(&w, 1, 4, 80, 1); /* a conflict stays one */
        add_delete(&w, 1, 20, 1);
        add_cell(&w, 2, 1, 10, 1); /* another row */
        merge_world(&w, &plan);
        cr_assert_eq(plan.judgements[0].verdict, resurrect == 1 ? VERDICT_APPLIED : VERDICT_SKIPPED);
        cr_assert_eq(plan.judgements[1].verdict, VERDICT_SKIPPED);
        cr_assert_eq(plan.judgements[2].verdict, VERDICT_SKIPPED);
        cr_assert_eq(plan.judgements[3].verdict, VERDICT_CONFLICT);
        cr_assert_eq(plan.judgements[4].verdict, VERDICT_APPLIED);
        cr_assert_eq(plan.judgements[5].verdict, VERDICT_APPLIED);
        cr_assert_eq(plan.write_count, resurrect == 1 ? 3 : 2);
        world_deinit(&w);
    }
}

Test(merge, a_delete_that_was_not_applied_takes_nothing)
{
    struct world w = {.rules.allow_resurrection = true};
    struct merge_plan plan;
    store_delete(&w, 1, 20, 5);
    add_delete(&w, 1, 15, 1); /* skipped: the stored one is later */
    add_cell(&w, 1, 1, 30, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 1, 1, 0);
    world_deinit(&w);

    w = (struct world){0};
    add_delete(&w, 1, 40, SERVER_SITE);
    add_cell(&w, 1, 1, 30, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 1, 1, 0);
    world_deinit(&w);
}

Test(merge, of_several_deletes_the_highest_counts)
{
    struct world w = {.rules.allow_resurrection = true};
    struct merge_plan plan;
    add_delete(&w, 1, 20, 1);
    add_delete(&w, 1, 40, 1);
    add_delete(&w, 1, 30, 1);
    add_cell(&w, 1, 1, 35, 1);
    add_cell(&w, 1, 2, 45, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 4, 1, 0);
    cr_assert_eq(plan.write_count, 2);
    cr_assert_eq(plan.writes[0], 1);
    cr_assert_eq(plan.writes[1], 4);
    world_deinit(&w);
}

Test(merge, of_several_facts_for_one_cell_the_highest_is_written_and_all_count)
{
    struct world w = {0};
    struct merge_plan plan;
    store_cell(&w, 1, 1, 10, 1);
    for (uint64_t i = 0; i < 50; i++) add_cell(&w, 1, 1, 20 + i * 7 % 50, 1);
    add_cell(&w, 1, 1, 5, 1);
    merge_world(&w, &plan);
    assert_result(&plan, 50, 0, 1);
    cr_assert_eq(plan.write_count, 1);
    cr_assert_eq(w.batch.facts[plan.writes[0]].hlc.wall_ms, 69);
    cr_assert_eq(plan.judgements[plan.writes[0]].before.hlc.wall_ms, 10, "it replaces what is stored");
    world_deinit(&w);
}

Test(merge, copies_of_one_fact_are_applied_each_and_written_once)
{
    struct world w = {0};
    struct merge_plan plan;
    for (int i = 0; i < 3; i++) {
        add_cell(&w, 1, 1, 20, 1);
        add_delete(&w, 2, 20, 1);
        add_migration(&w, 1, 20, 1);
    }
    merge_world(&w, &plan);
    assert_result(&plan, 9, 0, 0);
    cr_assert_eq(plan.write_count, 3);
    world_deinit(&w);
}

Test(merge, migrations_are_replaced_by_higher_ones_only)
{
    struct world w = {0};
    struct merge_plan plan;
    store_migration(&w, 1, 20, 5);
    add_migration(&w, 1, 19, 5);
    add_migration(&w, 1, 20, 5);
    add_migration(&w, 1, 21, 5);
    add_migration(&w, 2, 1, 5);
    merge_world(&w, &plan);
    cr_assert_eq(plan.judgements[0].verdict, VERDICT_SKIPPED);
    cr_assert_eq(plan.judgements[1].verdict, VERDICT_SKIPPED, "skipped, not a conflict");
    cr_assert_eq(plan.judgements[2].verdict, VERDICT_APPLIED);
    cr_assert_eq(plan.judgements[3].verdict, VERDICT_APPLIED);
    cr_assert_eq(plan.judgements[2].before.hlc.wall_ms, 20);
    world_deinit(&w);
}

Test(merge, errors_of_the_source_end_it)
{
    for (int at = 1; at <= 4; at++) {
        struct world w = {.fail_at = at};
        struct merge_plan plan = {.write_count = 77};
        struct err_ctx ec = {""};
        add_cell(&w, 1, 1, 20, 1);
        add_cell(&w, 2, 1, 20, 1);
        cr_assert_eq(try_merge(&w, &plan, &ec), SYNC_ESTORE, "read %d", at);
        cr_assert_str_eq(ec.text, "disk gone");
        cr_assert_eq(plan.write_count, 77, "no plan");
        world_deinit(&w);
    }
}

Test(merge, a_row_s_tombstone_is_read_once_for_its_cells)
{
    struct world w = {0};
    struct merge_plan plan;
    for (uint8_t column = 1; column < 9; column++) add_cell(&w, 1, column, 20, 1);
    merge_world(&w, &plan);
    cr_assert_eq(w.tombstone_finds, 1);
    world_deinit(&w);
}

/* ---- by seed, against the rules written down naively */

static void make_world(struct world *w, uint64_t *seed)
{
    *w = (struct world){.rules.allow_resurrection = random_below(seed, 2) == 0};
    uint64_t rows = 1 + random_below(seed, 3), stored = random_below(seed, 8), count = random_below(seed, 14);
    for (uint64_t i = 0; i < stored + count; i++) {
        uint8_t row = (uint8_t)random_below(seed, rows), column = (uint8_t)random_below(seed, 3);
        uint64_t wall_ms = 1 + random_below(seed, 6), kind = random_below(seed, 8);
        uint8_t site = (uint8_t)(random_below(seed, 10) == 0 ? SERVER_SITE : 1 + random_below(seed, 2));
        if (kind < 5)
            (i < stored ? store_cell : add_cell)(w, row, column, wall_ms, site);
        else if (kind < 7)
            (i < stored ? store_delete : add_delete)(w, row, wall_ms, site);
        else
            (i < stored ? store_migration : add_migration)(w, column, wall_ms, site);
    }
}

Test(merge, agrees_with_the_rules_written_down_naively)
{
    uint64_t seed = 21;
    int verdicts[3] = {0}, writes = 0;
    for (int round = 0; round < 20000; round++) {
        uint64_t replay = seed;
        struct world w;
        struct merge_plan plan;
        enum verdict want[WORLD_FACTS_MAX];
        bool want_write[WORLD_FACTS_MAX];
        make_world(&w, &seed);
        merge_world(&w, &plan);
        naive_merge(&w, want, want_write);
        size_t write_count = 0;
        for (size_t i = 0; i < w.batch.fact_count; i++) {
            const struct judgement *j = &plan.judgements[i];
            cr_assert_eq(j->verdict, want[i], "seed %#llx, fact %zu", (unsigned long long)replay, i);
            cr_assert(has_copy(&w, i) || j->write == want_write[i], "seed %#llx, fact %zu",
                      (unsigned long long)replay, i);
            verdicts[j->verdict]++;
            write_count += j->write;
            if (!j->write) continue;
            const struct stored *s = stored_under(&w, &w.batch.facts[i]);
            cr_assert_eq(j->before.found, s != NULL);
            if (s != NULL) cr_assert(hlc_eq(&j->before.hlc, &s->hlc));
        }
        cr_assert_eq(plan.write_count, write_count);
        for (size_t i = 1; i < write_count; i++)
            cr_assert_leq(hlc_cmp(&w.batch.facts[plan.writes[i - 1]].hlc, &w.batch.facts[plan.writes[i]].hlc),
                          0);
        writes += (int)write_count;
        world_deinit(&w);
    }
    cr_assert(verdicts[0] > 5000 && verdicts[1] > 5000 && verdicts[2] > 3000 && writes > 5000,
              "a fair mixture");
}

Test(merge, any_order_of_the_facts_gives_the_same_plan)
{
    uint64_t seed = 22;
    for (int round = 0; round < 5000; round++) {
        struct world w;
        struct merge_plan plan, shuffled;
        struct fact before[WORLD_FACTS_MAX];
        enum verdict verdict[WORLD_FACTS_MAX];
        bool write[WORLD_FACTS_MAX];
        size_t place[WORLD_FACTS_MAX];
        make_world(&w, &seed);
        size_t count = w.batch.fact_count;
        merge_world(&w, &plan);
        for (size_t i = 0; i < count; i++) {
            before[i] = w.batch.facts[i];
            verdict[i] = plan.judgements[i].verdict;
            write[i] = plan.judgements[i].write && !has_copy(&w, i);
            place[i] = i;
        }
        size_t write_count = plan.write_count;
        for (size_t i = count; i > 1; i--) {
            size_t k = (size_t)random_below(&seed, i), swap = place[i - 1];
            place[i - 1] = place[k];
            place[k] = swap;
        }
        for (size_t i = 0; i < count; i++) w.batch.facts[i] = before[place[i]];
        merge_world(&w, &shuffled);
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(shuffled.judgements[i].verdict, verdict[place[i]]);
            cr_assert_eq(shuffled.judgements[i].write && !has_copy(&w, i), write[place[i]]);
        }
        cr_assert_eq(shuffled.write_count, write_count);
        world_deinit(&w);
    }
}

/* Facts in any order and in any number of batches: what is stored at the end is the same where no delete and
 * no resurrection is involved, which are judged against what came before. */
Test(merge, cells_end_up_the_same_however_they_are_cut_into_batches)
{
    uint64_t seed = 23;
    for (int round = 0; round < 2000; round++) {
        struct world whole = {0}, parts = {0};
        struct merge_plan plan;
        uint64_t count = 1 + random_below(&seed, 12);
        uint8_t row[16], column[16], site[16];
        uint64_t wall_ms[16];
        for (uint64_t i = 0; i < count; i++) {
            row[i] = (uint8_t)random_below(&seed, 2);
            column[i] = (uint8_t)random_below(&seed, 2);
            wall_ms[i] = 1 + random_below(&seed, 5);
            site[i] = (uint8_t)(1 + random_below(&seed, 2));
            add_cell(&whole, row[i], column[i], wall_ms[i], site[i]);
        }
        merge_world(&whole, &plan);
        carry_out(&whole, &plan);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t k = count - 1 - i;
            add_cell(&parts, row[k], column[k], wall_ms[k], site[k]);
            if (i + 1 < count && random_below(&seed, 2) == 0) continue;
            merge_world(&parts, &plan);
            carry_out(&parts, &plan);
        }
        cr_assert(same_stored(&whole, &parts), "round %d", round);
        world_deinit(&whole);
        world_deinit(&parts);
    }
}
