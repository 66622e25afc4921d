/* What snapshots cover goes from the shared log, and nothing else. */
#include "tidy_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(log_tidy_cover, .init = tidy_begin, .fini = tidy_end);

Test(log_tidy_cover, what_snapshots_cover_goes_and_nothing_else)
{
    write_up_to(16);
    cover("a");
    cover("b");
    const char *c = read_back("c");
    struct log_tidy_result r = go(true);
    cr_assert_str_eq(parts(), "1-16");
    cr_assert_gt(r.dropped_bytes, 0);
    cr_assert_str_eq(read_back("a"), "");
    cr_assert_str_eq(read_back("c"), c);
    cover("c");
    r = go(true);
    cr_assert_eq(r.thinned, 1);
    cr_assert_str_eq(parts(), "1-16'");
    cr_assert_str_eq(read_back("c"), "");
    r = go(true);
    cr_assert(r.thinned == 0 && r.deleted == 0, "once is enough");
    write_one("a", "[1]", "2");
    log_fixture_restart(&f); /* its end is still known */
    cr_assert_str_eq(read_back("a"), "[1]=2 ");
    write_up_to(20);
    (void)go(true);
    cr_assert_str_eq(parts(), "1-16' 17-20");
}

Test(log_tidy_cover, what_came_after_the_snapshot_stays_in_one_piece)
{
    write_up_to(6);
    cover("a");
    const struct stamp snapshot = covers[0].stamp;
    write_up_to(15);
    const char *rest = log_fixture_read(&f, "a", &snapshot, NULL, &arena);
    (void)go(true);
    struct log_summary sum;
    cr_assert_str_eq(log_fixture_read(&f, "a", &snapshot, &sum, &arena), rest);
    cr_assert(sum.found && !sum.gap);
    (void)log_fixture_read(&f, "a", NULL, &sum, &arena);
    cr_assert(sum.gap, "without the snapshot it is not all");
}

Test(log_tidy_cover, what_is_noted_goes_only_when_the_snapshot_is_still_there)
{
    write_up_to(16);
    cover("a");
    cover("b");
    covers[0].missing = true;
    const char *a = read_back("a"), *c = read_back("c");
    struct log_tidy_result r = go(true);
    cr_assert_str_eq(parts(), "1-16");
    cr_assert_gt(r.dropped_bytes, 0);
    cr_assert_str_eq(read_back("a"), a);
    cr_assert_str_eq(read_back("b"), "");
    cr_assert_str_eq(read_back("c"), c);
    cr_assert(covers[0].proofs == 1 && covers[1].proofs == 1, "five sections of each, asked for once");
    cover("c");
    covers[2].missing = true;
    r = go(true);
    cr_assert(r.thinned == 0 && r.failures == 0, "there is nothing to make anew");
    cr_assert_str_eq(parts(), "1-16");
    cr_assert(covers[0].proofs == 2 && covers[1].proofs == 1, "each round asks anew, for what would go");
    covers[0].missing = covers[2].missing = false;
    r = go(true);
    cr_assert_eq(r.thinned, 1);
    cr_assert_str_eq(parts(), "1-16'");
    cr_assert_str_eq(read_back("a"), "");
}

Test(log_tidy_cover, while_nobody_can_tell_whether_it_is_there_nothing_goes)
{
    struct err_ctx ec = {""};
    struct log_tidy_result r;
    write_up_to(9);
    const char *a = read_back("a");
    (void)go(false);
    cover("a");
    cover("b");
    cover("c");
    proofs_fail = true;
    cr_assert_eq(log_tidy_round(tidy, 9, true, &r, &ec), SYNC_EBUSY);
    cr_assert_str_eq(ec.text, "the store is away");
    cr_assert_str_eq(parts(), "1-4 5-8 9");
    cr_assert_str_eq(read_back("a"), a);
    proofs_fail = false;
    (void)go(true);
    cr_assert_str_eq(parts(), "1-4' 5-8' 9");
}

/* A weighing round with nothing to drop asks for no snapshot. */
Test(log_tidy_cover, only_what_would_go_is_asked_for)
{
    write_up_to(3);
    cover("a");
    cover("b");
    write_up_to(16);
    (void)go(false);
    cr_assert_str_eq(parts(), "1-16");
    size_t proofs = covers[0].proofs + covers[1].proofs;
    struct log_tidy_result r = go(true);
    cr_assert_eq(r.thinned, 0);
    cr_assert_eq(covers[0].proofs + covers[1].proofs, proofs, "too little goes to make it anew");
}

static void summary_with_snapshot(const char *database, const uint8_t *run, struct log_summary *ret)
{
    struct err_ctx ec = {""};
    struct log_reader *r;
    struct moved_entry e;
    struct stamp pruned, snapshot = {0};
    bool found = true;
    for (size_t i = 0; i < cover_count; i++)
        if (strcmp(covers[i].database, database) == 0) snapshot = covers[i].stamp;
    cr_assert_eq(log_reader_open(f.dir, NULL, 1, slice_str(database), &snapshot, 0, &r, &ec), SYNC_OK);
    log_reader_has_snapshot(r, run);
    while (found) cr_assert_eq(log_reader_next(r, &e, &pruned, &found, &ec), SYNC_OK);
    log_reader_summary(r, ret);
    log_reader_close(r);
}

/* The trap: once its sections are gone, nothing but the runs tells whether the server that had a database
 * went without closing. */
Test(log_tidy_cover, how_servers_ended_is_known_without_any_section)
{
    struct err_ctx ec = {""};
    struct log_summary sum;
    enum log_step step;
    uint8_t first[LOG_RUN_BYTES], second[LOG_RUN_BYTES];
    write_one("a", "[1]", "1");
    memcpy(first, f.config.run, sizeof first);
    log_fixture_restart(&f); /* without closing */
    memcpy(second, f.config.run, sizeof second);
    write_one("b", "[1]", "1");
    cr_assert_eq(log_writer_close_mark(f.writer, &step, &ec), SYNC_OK);
    cover("a");
    cover("b");
    while (log_writer_number(f.writer) < 8) log_fixture_restart(&f);
    cr_assert_eq(log_writer_close_mark(f.writer, &step, &ec), SYNC_OK);
    (void)go(true);
    cr_assert_str_eq(parts(), "1-4 5-8 9");
    summary_with_snapshot("a", first, &sum);
    cr_assert_not(sum.closed, "who took the snapshot went without closing");
    summary_with_snapshot("a", NULL, &sum);
    cr_assert_not(sum.closed, "nobody knows who took it");
    summary_with_snapshot("b", second, &sum);
    cr_assert_not(sum.closed, "of those that came after it some did not close");
    summary_with_snapshot("b", f.config.run, &sum);
    cr_assert(sum.closed, "it was seen after that, and all has ended well since");
}

Test(log_tidy_cover, a_data_directory_from_before_a_segment_is_refused)
{
    char copy[80], command[256];
    struct err_ctx ec = {""};
    write_up_to(3);
    log_writer_close(f.writer);
    f.writer = NULL;
    store_close(f.x.store);
    f.x.store = NULL;
    snprintf(copy, sizeof copy, "%s-copy", f.x.dir);
    snprintf(command, sizeof command, "cp -r %s %s", f.x.dir, copy);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(store_open(&f.x.config, &f.x.store, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_OK, "%s", ec.text);
    write_up_to(8);
    cover("a");
    cover("b");
    cover("c");
    (void)go(true);
    log_writer_close(f.writer);
    f.writer = NULL;
    store_close(f.x.store);
    f.x.store = NULL;
    snprintf(command, sizeof command, "rm -rf %s && mv %s %s", f.x.dir, copy, f.x.dir);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(store_open(&f.x.config, &f.x.store, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(log_fixture_open(&f, &ec), SYNC_ECONFIG, "although no section is left to compare with");
    cr_assert_not_null(strstr(ec.text, "older than what it has written"), "%s", ec.text);
}
