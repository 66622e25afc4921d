#include "random.h"
#include "tidy_fixture.h"

#include "storage/sharedlog/log_known.h"
#include "storage/sharedlog/log_names.h"
#include "storage/sharedlog/log_plan.h"

#include <criterion/criterion.h>

TestSuite(log_tidy, .init = tidy_begin, .fini = tidy_end);

#define SCRIPT(...)                                                                                          \
    scripted_store_script(&f.objects, (enum scripted[]){__VA_ARGS__},                                        \
                          sizeof((enum scripted[]){__VA_ARGS__}) / sizeof(enum scripted))

/* ---- merging */

Test(log_tidy, small_objects_become_segments_and_those_larger_ones)
{
    write_up_to(15);
    const char *a = read_back("a"), *b = read_back("b");
    struct log_tidy_result r = go(false);
    cr_assert_eq(r.merged, 3);
    cr_assert_str_eq(parts(), "1-4 5-8 9-12 13 14 15");
    cr_assert(r.deleted == 12 && r.waiting == 0, "%u %u", r.deleted, r.waiting);
    cr_assert_str_eq(read_back("a"), a);
    cr_assert_str_eq(read_back("b"), b);
    write_up_to(18);
    a = read_back("a");
    r = go(false);
    cr_assert_eq(r.merged, 1, "at once what fits");
    cr_assert_str_eq(parts(), "1-16 17 18");
    cr_assert_eq(r.deleted, 7);
    cr_assert_str_eq(read_back("a"), a);
    r = go(false);
    cr_assert(r.merged == 0 && r.deleted == 0 && r.waiting == 0);
}

Test(log_tidy, what_the_writer_has_not_noted_is_left_alone)
{
    struct err_ctx ec = {""};
    struct log_tidy_result r;
    write_up_to(8);
    cr_assert_eq(log_tidy_round(tidy, 7, false, &r, &ec), SYNC_OK);
    cr_assert_str_eq(parts(), "1-4 5 6 7 8");
}

Test(log_tidy, a_segment_is_sorted_and_joins_what_follows_soon)
{
    struct err_ctx ec = {""};
    struct log_head head;
    struct log_section *sections;
    size_t count;
    uint32_t head_bytes;
    write_up_to(16);
    (void)go(false);
    struct log_list l = list();
    cr_assert_eq(
        log_part_head(f.dir, NULL, 0, &l.parts[0], &arena, &head, &sections, &count, &head_bytes, &ec),
        SYNC_OK);
    log_list_deinit(&l);
    cr_assert(head.is_segment && head.first == 1 && head.last == 16 && head.run_count == 1);
    cr_assert_eq(head.runs[0].flags, LOG_OPENED);
    cr_assert_lt(count, 15, "there were 15 sections");
    for (size_t i = 1; i < count; i++) cr_assert_lt(log_section_cmp(&sections[i - 1], &sections[i]), 0);
}

Test(log_tidy, parts_that_would_be_too_large_stay)
{
    struct log_tidy_config cfg = config();
    char value[4000];
    memset(value, 'x', sizeof value);
    value[0] = value[sizeof value - 2] = '"';
    value[sizeof value - 1] = '\0';
    cfg.merge.bytes_max = 8000;
    open_tidy(&cfg);
    for (int i = 0; i < 3; i++) {
        value[1] = (char)('a' + i);
        write_one("a", "[1]", value);
    }
    write_up_to(9);
    struct log_tidy_result r = go(true);
    cr_assert_eq(r.failures, 0, "%s", r.why.text);
    cr_assert_str_eq(parts(), "1 2 3 4 5-8 9");
    cover("a");
    (void)go(true);
    cr_assert_str_eq(parts(), "1-4 5-8 9", "without what is covered they are small enough");
}

Test(log_tidy, another_fan_in_goes_on_with_what_there_is)
{
    struct log_tidy_config cfg = config();
    write_up_to(9);
    (void)go(false);
    cr_assert_str_eq(parts(), "1-4 5-8 9");
    cfg.fan_in = 8;
    open_tidy(&cfg);
    (void)go(false);
    cr_assert_str_eq(parts(), "1-8 9");
    write_up_to(16);
    cfg.fan_in = 2;
    open_tidy(&cfg);
    (void)go(false);
    cr_assert_str_eq(parts(), "1-16");
}

/* ---- what a restore counts on */

static void compare(const struct log_summary *a, const struct log_summary *b, const char *database, int round)
{
    cr_assert_eq(a->found, b->found, "%s, round %d", database, round);
    cr_assert_eq(a->gap, b->gap, "%s, round %d", database, round);
    cr_assert_eq(a->closed, b->closed, "%s, round %d: closed was %d", database, round, a->closed);
    cr_assert_eq(a->object_durable, b->object_durable, "%s, round %d", database, round);
    cr_assert_eq(a->sequence, b->sequence);
    cr_assert_eq(a->wall_ms, b->wall_ms);
    cr_assert(site_id_eq(&a->server_site, &b->server_site));
    cr_assert_eq(stamp_cmp(&a->last, &b->last), 0);
    cr_assert_eq(stamp_cmp(&a->pruned, &b->pruned), 0);
}

Test(log_tidy, merging_changes_nothing_of_what_is_read)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    uint64_t seed = 42;
    for (int round = 0; round < 12; round++) {
        struct log_summary before[4], after;
        const char *text[4];
        struct err_ctx ec = {""};
        enum log_step step;
        for (int i = 0; i < 25; i++) {
            char pk[32];
            snprintf(pk, sizeof pk, "[%d]", (int)random_below(&seed, 6));
            uint64_t what = random_below(&seed, 10);
            if (what == 0) {
                cr_assert_eq(log_writer_close_mark(f.writer, &step, &ec), SYNC_OK, "%s", ec.text);
            } else if (what > 1) {
                char value[32];
                snprintf(value, sizeof value, "%d", round * 100 + i);
                write_one(names[random_below(&seed, 4)], pk, value);
                continue;
            }
            f.config.object_durable = random_below(&seed, 3) == 0;
            log_fixture_restart(&f);
        }
        for (int i = 0; i < 4; i++) text[i] = log_fixture_read(&f, names[i], NULL, &before[i], &arena);
        (void)go(round % 2 == 0);
        for (int i = 0; i < 4; i++) {
            cr_assert_str_eq(log_fixture_read(&f, names[i], NULL, &after, &arena), text[i]);
            compare(&before[i], &after, names[i], round);
        }
    }
}

/* ---- crashes and bad answers */

Test(log_tidy, a_crash_after_any_request_changes_nothing)
{
    write_up_to(21);
    cover("c");
    const char *a = read_back("a"), *b = read_back("b");
    for (uint32_t fuse = 0;; fuse++) {
        const struct log_tidy_config cfg = config();
        struct err_ctx ec = {""};
        struct log_tidy_result r;
        open_tidy(&cfg);
        f.objects.has_fuse = true;
        f.objects.fuse = fuse;
        enum sync_err rc = log_tidy_round(tidy, log_writer_number(f.writer), true, &r, &ec);
        f.objects.has_fuse = false;
        cr_assert_str_eq(read_back("a"), a, "after %u requests", fuse);
        cr_assert_str_eq(read_back("b"), b, "after %u requests", fuse);
        if (rc == SYNC_OK) break;
        cr_assert_eq(rc, SYNC_EBUSY, "%s", ec.text);
    }
    cr_assert_str_eq(parts(), "1-16 17-20 21");
    struct log_list l = list();
    cr_assert_eq(l.replaced_count, 0);
    log_list_deinit(&l);
    cr_assert_str_eq(read_back("c"), "");
}

Test(log_tidy, an_answer_that_got_lost_is_decided_by_looking)
{
    struct err_ctx ec = {""};
    struct log_tidy_result r;
    write_up_to(5);
    const char *a = read_back("a");
    SCRIPT(SCRIPTED_UNKNOWN);
    cr_assert_eq(log_tidy_round(tidy, 5, false, &r, &ec), SYNC_EBUSY);
    cr_assert_str_eq(parts(), "1 2 3 4 5");
    SCRIPT(SCRIPTED_UNKNOWN_WRITTEN);
    r = go(false);
    cr_assert(r.merged == 1 && r.deleted == 4);
    cr_assert_str_eq(parts(), "1-4 5");
    cr_assert_str_eq(read_back("a"), a);
}

Test(log_tidy, a_request_that_lands_late_is_only_deleted)
{
    struct err_ctx ec = {""};
    struct log_tidy_result r;
    write_up_to(16);
    const char *a = read_back("a");
    cr_assert_eq(log_tidy_round(tidy, 4, false, &r, &ec), SYNC_OK);
    SCRIPT(SCRIPTED_UNKNOWN_LATE);
    cr_assert_eq(log_tidy_round(tidy, 8, false, &r, &ec), SYNC_EBUSY);
    r = go(false);
    cr_assert_str_eq(parts(), "1-16");
    cr_assert_eq(scripted_store_land(&f.objects), OBJECT_OK);
    cr_assert_str_eq(parts(), "1-16", "the larger one counts");
    cr_assert_str_eq(read_back("a"), a);
    r = go(false);
    cr_assert_eq(r.deleted, 1);
}

Test(log_tidy, a_damaged_object_stays_and_does_not_hold_up_the_others)
{
    struct err_ctx ec = {""};
    struct log_name name;
    struct buf bytes = buf_make(1 << 20);
    write_up_to(9);
    const char *b = read_back("b");
    log_object_name(0, 4, &name); /* of a */
    cr_assert_eq(object_get_buf(f.dir, NULL, log_name_slice(&name), NULL, &bytes, NULL, &ec), SYNC_OK);
    bytes.bytes[bytes.len - 1] ^= 1;
    cr_assert_eq(object_put(f.dir, NULL, log_name_slice(&name), buf_slice(&bytes), NULL, &ec), SYNC_OK);
    buf_deinit(&bytes);
    struct log_tidy_result r = go(false);
    cr_assert_eq(r.failures, 1);
    cr_assert_not_null(strstr(r.why.text, "log/0/00000000000000000004: damaged section"), "%s", r.why.text);
    cr_assert_str_eq(parts(), "1 2 3 4 5-8 9");
    cr_assert_eq(r.deleted, 4);
    cr_assert_str_eq(read_back("b"), b);
}

/* ---- deleting */

Test(log_tidy, what_was_replaced_goes_after_the_grace_time)
{
    struct log_tidy_config cfg = config();
    cfg.grace_ms = 1000;
    open_tidy(&cfg);
    write_up_to(5);
    struct log_tidy_result r = go(false);
    cr_assert(r.merged == 1 && r.deleted == 0 && r.waiting == 4);
    now_ms += 999;
    r = go(false);
    cr_assert(r.deleted == 0 && r.waiting == 4);
    open_tidy(&cfg); /* after a start it counts anew */
    r = go(false);
    now_ms += 999;
    r = go(false);
    cr_assert(r.deleted == 0 && r.waiting == 4);
    now_ms += 1;
    r = go(false);
    cr_assert(r.deleted == 4 && r.waiting == 0);
    cr_assert_str_eq(parts(), "1-4 5");
}

static uint32_t allowed;

static bool may_delete(void *arg)
{
    (void)arg;
    if (allowed == 0) return false;
    allowed--;
    return true;
}

Test(log_tidy, deletions_stop_when_they_are_told_to)
{
    struct log_tidy_config cfg = config();
    cfg.may_delete = may_delete;
    open_tidy(&cfg);
    write_up_to(9);
    allowed = 3;
    struct log_tidy_result r = go(false);
    cr_assert(r.deleted == 3 && r.waiting == 5, "%u %u", r.deleted, r.waiting);
    const char *a = read_back("a");
    allowed = 100;
    r = go(false);
    cr_assert(r.deleted == 5 && r.waiting == 0);
    cr_assert_str_eq(read_back("a"), a);
}

Test(log_tidy, nothing_goes_for_a_segment_that_is_not_what_it_says)
{
    struct log_tidy_config cfg = config();
    struct err_ctx ec = {""};
    struct log_name name;
    struct log_tidy_result r;
    cfg.grace_ms = 1;
    open_tidy(&cfg);
    write_up_to(5);
    (void)go(false);
    log_segment_name(0, 1, 4, 0, &name);
    cr_assert_eq(object_put(f.dir, NULL, log_name_slice(&name), slice_str("synclog"), NULL, &ec), SYNC_OK);
    now_ms += 10;
    cr_assert_eq(log_tidy_round(tidy, 5, false, &r, &ec), SYNC_EFORMAT);
    cr_assert_eq(r.deleted, 0);
    cr_assert_eq(f.objects.removals, 0);
}

Test(log_tidy, a_reader_that_is_under_way_reads_on)
{
    struct err_ctx ec = {""};
    struct log_reader *r;
    struct moved_entry e;
    struct stamp pruned, last = {0};
    struct log_summary sum;
    bool found = true;
    uint32_t deleted = 0;
    write_up_to(40);
    cr_assert_eq(log_reader_open(f.dir, NULL, 1, slice_str("a"), NULL, 0, &r, &ec), SYNC_OK);
    size_t count = 0;
    for (;; count++) {
        cr_assert_eq(log_reader_next(r, &e, &pruned, &found, &ec), SYNC_OK, "%s", ec.text);
        if (!found) break;
        cr_assert_gt(stamp_cmp(&e.stamp, &last), 0, "in order, each once");
        last = e.stamp;
        struct log_tidy_result result;
        uint64_t until = 4 + 4 * count;
        cr_assert_eq(log_tidy_round(tidy, until < 40 ? until : 40, false, &result, &ec), SYNC_OK);
        deleted += result.deleted;
    }
    log_reader_summary(r, &sum);
    log_reader_close(r);
    cr_assert_eq(count, 13);
    cr_assert_gt(deleted, 32, "all of it was replaced meanwhile");
    cr_assert(sum.found && !sum.gap && sum.sequence == 40);
}

/* ---- which databases there are */

Test(log_tidy, the_filter_knows_what_is_in_the_log_and_hardly_more)
{
    struct err_ctx ec = {""};
    struct log_known *k;
    char name[32];
    cr_assert(log_known_may_have(NULL, slice_str("a")), "without a filter one has to look");
    write_up_to(6);
    (void)go(false); /* a segment, and objects */
    cr_assert_eq(log_known_new(4096, &k, &ec), SYNC_OK);
    cr_assert(log_known_may_have(k, slice_str("nobody")), "it is not filled yet");
    log_known_add(k, slice_str("uploaded meanwhile"));
    f.objects.has_fuse = true;
    f.objects.fuse = 3;
    cr_assert_eq(log_known_fill(k, &f.objects.base, NULL, 0, &ec), SYNC_EBUSY);
    cr_assert(log_known_may_have(k, slice_str("nobody")));
    f.objects.has_fuse = false;
    cr_assert_eq(log_known_fill(k, &f.objects.base, NULL, 0, &ec), SYNC_OK);
    for (int i = 0; i < 3; i++)
        cr_assert(log_known_may_have(k, slice_str(((const char *[]){"a", "b", "c"})[i])));
    cr_assert(log_known_may_have(k, slice_str("uploaded meanwhile")));
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "tenant-%d", i);
        log_known_add(k, slice_str(name));
        cr_assert(log_known_may_have(k, slice_str(name)));
    }
    size_t wrong = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "stranger-%d", i);
        if (log_known_may_have(k, slice_str(name))) wrong++;
    }
    cr_assert_lt(wrong, 200, "%zu of 10000", wrong);
    log_known_free(k);
}

/* ---- what it costs */

/* 1,000 tenants that write once a second, for two minutes: counted, and extrapolated to an hour. */
Test(log_tidy, a_thousand_tenants_cost_at_most_a_request_a_second, .timeout = 300)
{
    enum { TENANTS = 1000, TICKS = 128, TICK_MS = 1000, FAN = 32 };
    struct log_tidy_config cfg = config();
    char name[32], value[32];
    cfg.fan_in = FAN;
    cfg.merge.bytes_max = 32 << 20;
    cfg.thin_bytes_min = 1 << 15;
    open_tidy(&cfg);
    f.deaf = true;
    f.config.bytes = 4 << 20;
    log_fixture_restart(&f);
    size_t before = f.objects.creations;
    for (int tick = 0; tick < TICKS; tick++) {
        snprintf(value, sizeof value, "%d", tick);
        for (int i = 0; i < TENANTS; i++) {
            snprintf(name, sizeof name, "t%d", i);
            log_fixture_put(&f, name, "[1]", value);
        }
        cr_assert_eq(log_fixture_step(&f), LOG_WROTE);
        if (log_writer_number(f.writer) % FAN == 0) (void)go(true);
    }
    double made = (double)(f.objects.creations - before);
    double seconds = TICKS * (double)log_plan_pause_ms(TICK_MS, FAN) / 1000;
    double an_hour = made / seconds * 3600;
    cr_log_info("%.0f requests in %.0f s: %.0f in an hour", made, seconds, an_hour);
    cr_assert_geq(made, TICKS + TICKS / FAN - 1, "the segments are among them");
    cr_assert_leq(an_hour, 3600);
}
