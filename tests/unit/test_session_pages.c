/* Pages and their proof (protocol section 8.2): the next page goes once the client proved the last one. */
#include "session_fixture.h"

#include <criterion/criterion.h>

static struct session_fixture x;

/* A session that has just sent a page up to watermark 50, and its nudge. */
static void begin_with_page(void)
{
    session_fixture_init(&x);
    go_live(&x);
    cr_assert_str_eq(asks_since(&x, 10), "delta since 10");
    cr_assert_str_eq(page_done(&x, 50), "ack (page)");
}

static void end(void)
{
    session_fixture_free(&x);
}

TestSuite(session_pages, .init = begin_with_page, .fini = end);

Test(session_pages, the_right_watermark_brings_the_next_page)
{
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
    cr_assert_str_eq(delta_done(&x), "nothing");
    cr_assert_str_eq(time_passes(&x, 60000), "nothing");
}

Test(session_pages, a_higher_watermark_proves_too_and_is_where_the_next_page_begins)
{
    cr_assert_str_eq(asks_since(&x, 70), "delta since 70");
}

Test(session_pages, a_lower_watermark_waits_and_is_nudged_again)
{
    cr_assert_str_eq(asks_since(&x, 10), "nothing");
    cr_assert_str_eq(time_passes(&x, PAGE_PAUSE_MS - 1), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "ack (page)");
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
}

Test(session_pages, the_right_watermark_is_taken_during_the_pause)
{
    cr_assert_str_eq(asks_since(&x, 10), "nothing");
    cr_assert_str_eq(asks_since(&x, 20), "nothing");
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
    cr_assert_str_eq(time_passes(&x, 60000), "nothing");
}

Test(session_pages, each_further_pause_is_four_times_as_long)
{
    cr_assert_str_eq(asks_since(&x, 10), "nothing");
    cr_assert_str_eq(time_passes(&x, PAGE_PAUSE_MS), "ack (page)");
    cr_assert_str_eq(asks_since(&x, 10), "nothing");
    cr_assert_str_eq(time_passes(&x, 4 * PAGE_PAUSE_MS - 1), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "ack (page)");
}

Test(session_pages, after_the_third_lower_answer_the_page_is_sent_again_from_there)
{
    for (int i = 1; i < PAGE_NUDGES_MAX; i++) {
        cr_assert_str_eq(asks_since(&x, 20), "nothing");
        cr_assert_str_eq(time_passes(&x, 5000), "ack (page)");
    }
    cr_assert_str_eq(asks_since(&x, 12), "delta since 12");
    /* The page that was sent again has its own three nudges. */
    cr_assert_str_eq(page_done(&x, 50), "ack (page)");
    cr_assert_str_eq(asks_since(&x, 12), "nothing");
}

Test(session_pages, a_client_without_any_watermark_is_below_every_page)
{
    for (int i = 1; i < PAGE_NUDGES_MAX; i++) {
        cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing");
        cr_assert_str_eq(time_passes(&x, 5000), "ack (page)");
    }
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "delta");
}

Test(session_pages, who_says_nothing_in_time_gets_the_next_page)
{
    cr_assert_eq(session_deadline_ms(&x.session), x.now_ms + 5000);
    cr_assert_str_eq(time_passes(&x, 4999), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "delta since 50");
    cr_assert_str_eq(time_passes(&x, 60000), "nothing");
}

Test(session_pages, a_lower_answer_and_then_silence_is_owed_what_it_lacks)
{
    cr_assert_str_eq(asks_since(&x, 20), "nothing");
    cr_assert_str_eq(time_passes(&x, PAGE_PAUSE_MS), "ack (page)");
    cr_assert_str_eq(time_passes(&x, 5000), "delta since 20");
}

Test(session_pages, an_answer_during_the_pause_counts_for_the_silence_after_it)
{
    cr_assert_str_eq(asks_since(&x, 20), "nothing");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing");
    cr_assert_str_eq(time_passes(&x, PAGE_PAUSE_MS), "ack (page)");
    cr_assert_str_eq(time_passes(&x, 5000), "delta");
}

Test(session_pages, a_watermark_that_cannot_be_read_is_no_answer)
{
    cr_assert_str_eq(says(&x, "{\"type\":\"get_changes\",\"sinceHLC\":\"x\"}"), "error GET_CHANGES_ERROR");
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
}

/* The answer may lie in the socket that nobody reads, or behind a batch that waits for the disk. */
Test(session_pages, silence_does_not_count_while_input_is_held)
{
    for (int i = 0; i < 2; i++) cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(sends_batch(&x), "apply, hold");
    cr_assert_str_eq(time_passes(&x, 5000), "nothing");
    cr_assert_str_eq(time_passes(&x, 5000), "nothing");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1, release");
    cr_assert_str_eq(time_passes(&x, 5000), "nothing");
    cr_assert_str_eq(asks_since(&x, 10), "nothing");
    cr_assert_str_eq(time_passes(&x, PAGE_PAUSE_MS), "ack (page)");
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
}

Test(session_pages, a_short_hold_gives_the_whole_time_again)
{
    for (int i = 0; i < 2; i++) (void)sends_batch(&x);
    cr_assert_str_eq(sends_batch(&x), "apply, hold");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1, release");
    cr_assert_str_eq(time_passes(&x, 5000), "nothing");
    cr_assert_str_eq(time_passes(&x, 4999), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "delta since 50");
}

Test(session_pages, a_page_that_ends_while_input_is_held_waits_as_long)
{
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
    for (int i = 0; i < 2; i++) (void)sends_batch(&x);
    cr_assert_str_eq(sends_batch(&x), "apply, hold");
    cr_assert_str_eq(page_done(&x, 90), "ack (page)");
    cr_assert_str_eq(time_passes(&x, 5000), "nothing");
}

Test(session_pages, batches_are_taken_while_a_page_waits)
{
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(applied(&x, "1", 1000), "apply_result 1, ack (bulk)");
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
}

Test(session_pages, deltas_asked_for_during_a_page_are_answered_by_the_next)
{
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
    cr_assert_str_eq(asks_since(&x, 50), "nothing");
    cr_assert_str_eq(page_done(&x, 90), "ack (page)");
    cr_assert_str_eq(asks_since(&x, 90), "delta since 90");
    cr_assert_str_eq(delta_done(&x), "nothing");
}

Test(session_pages, deltas_asked_for_during_the_last_page_are_answered_after_it)
{
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
    cr_assert_str_eq(asks_since(&x, 51), "nothing");
    cr_assert_str_eq(delta_done(&x), "delta since 51");
}

/* The page before went without proof; now the client, late, says that it lacks it. */
Test(session_pages, a_late_lower_answer_is_not_dropped_with_the_page_that_went_without_proof)
{
    cr_assert_str_eq(time_passes(&x, 5000), "delta since 50");
    cr_assert_str_eq(asks_since(&x, 10), "nothing");
    cr_assert_str_eq(page_done(&x, 90), "delta since 10");
}

Test(session_pages, a_snapshot_ends_the_wait)
{
    cr_assert_str_eq(says(&x, SAYS_GET_SNAPSHOT), "snapshot");
    cr_assert_str_eq(time_passes(&x, 60000), "nothing");
    cr_assert_str_eq(delta_done(&x), "snapshot_complete, ack (snapshot)");
}

Test(session_pages, a_snapshot_asked_for_during_a_page_comes_instead_of_the_next)
{
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
    cr_assert_str_eq(says(&x, SAYS_GET_SNAPSHOT), "cut");
    cr_assert_str_eq(page_done(&x, 60), "snapshot");
}

Test(session_pages, the_periodic_nudge_does_not_come_between)
{
    x.session.renudge_ms = x.now_ms + 10;
    cr_assert_str_eq(time_passes(&x, 10), "nothing");
    cr_assert_str_eq(asks_since(&x, 50), "delta since 50");
}

Test(session_pages, what_the_client_said_last_is_what_it_has_proven)
{
    (void)asks_since(&x, 20);
    cr_assert(x.session.has_proven);
    cr_assert_eq(x.session.proven.wall_ms, 20);
    (void)says(&x, SAYS_GET_CHANGES);
    cr_assert_not(x.session.has_proven);
}
