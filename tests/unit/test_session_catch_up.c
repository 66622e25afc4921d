/* Who lagged and was nudged, and does not ask for what it lacks (session.h, struct catch_up). */
#include "session_fixture.h"

#include <criterion/criterion.h>

enum { TIMEOUT_MS = 5000, SINCE = 1000 };

static struct session_fixture x;

static void begin(void)
{
    session_fixture_init(&x);
    go_live(&x);
    (void)asks_since(&x, SINCE);
    (void)delta_done(&x);
}

/* It lagged, its socket has drained. */
static const char *lags(void)
{
    session_lagged(&x.session);
    return drained(&x);
}

static const char *end_of_page(uint64_t watermark_ms, bool has_more)
{
    if (has_more) return page_done(&x, watermark_ms);
    return last_page_done(&x, watermark_ms);
}

static void end(void)
{
    session_fixture_free(&x);
}

TestSuite(session_catch_up, .init = begin, .fini = end);

Test(session_catch_up, who_answers_the_nudge_is_left_alone)
{
    cr_assert_str_eq(lags(), "ack (lagging)");
    cr_assert_str_eq(asks_since(&x, SINCE), "delta since 1000");
    cr_assert_str_eq(delta_done(&x), "nothing");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "nothing");
    cr_assert_str_eq(lags(), "ack (lagging)", "and is nudged the next time too");
}

Test(session_catch_up, who_does_not_answer_in_time_is_pushed_what_it_lacks)
{
    cr_assert_str_eq(lags(), "ack (lagging)");
    cr_assert_eq(session_deadline_ms(&x.session), x.now_ms + TIMEOUT_MS);
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS - 1), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "push since 1000");
    cr_assert(session_takes_pushes(&x.session));
    cr_assert_str_eq(end_of_page(2000, true), "push since 2000", "page after page, without proof");
    cr_assert_str_eq(end_of_page(3000, false), "nothing");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "nothing", "once");
}

Test(session_catch_up, who_lags_again_before_its_answer_is_not_nudged_twice)
{
    cr_assert_str_eq(lags(), "ack (lagging)");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS - 1), "nothing");
    cr_assert_str_eq(lags(), "nothing", "its answer will bring it all");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS - 1), "nothing", "and has its time from now");
    cr_assert_str_eq(time_passes(&x, 1), "push since 1000");
    cr_assert_str_eq(asks_since(&x, SINCE), "nothing");
    cr_assert_str_eq(end_of_page(2000, true), "delta since 1000");
    (void)delta_done(&x);
    cr_assert_str_eq(lags(), "ack (lagging)", "it answers after all");
}

Test(session_catch_up, who_did_not_answer_is_not_nudged_again_and_goes_on_where_it_stood)
{
    (void)lags();
    (void)time_passes(&x, TIMEOUT_MS);
    (void)end_of_page(3000, false);
    cr_assert_str_eq(lags(), "push since 3000");
    (void)end_of_page(4000, false);
    cr_assert_str_eq(lags(), "push since 4000");
    (void)delta_done(&x); /* nothing new */
    cr_assert_str_eq(lags(), "push since 4000");
}

Test(session_catch_up, who_asks_at_last_is_nudged_again_afterwards)
{
    (void)lags();
    (void)time_passes(&x, TIMEOUT_MS);
    (void)end_of_page(3000, false);
    cr_assert_str_eq(asks_since(&x, 2500), "delta since 2500", "its own word counts");
    (void)delta_done(&x);
    cr_assert_str_eq(lags(), "ack (lagging)");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "push since 3000");
}

Test(session_catch_up, a_client_that_never_asked_gets_all_there_is)
{
    session_fixture_free(&x);
    session_fixture_init(&x);
    go_live(&x);
    (void)lags();
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "push");
}

Test(session_catch_up, what_it_asks_for_during_a_page_comes_next)
{
    (void)lags();
    (void)time_passes(&x, TIMEOUT_MS);
    cr_assert_str_eq(asks_since(&x, 1500), "nothing");
    cr_assert_str_eq(end_of_page(2000, true), "delta since 1500");
    cr_assert_str_eq(delta_done(&x), "nothing");
}

Test(session_catch_up, a_snapshot_cuts_the_page)
{
    (void)lags();
    (void)time_passes(&x, TIMEOUT_MS);
    cr_assert_str_eq(says(&x, SAYS_GET_SNAPSHOT), "cut");
    cr_assert_str_eq(end_of_page(2000, true), "snapshot");
}

Test(session_catch_up, a_page_that_cannot_be_read_is_tried_again_and_the_client_told_nothing)
{
    (void)lags();
    (void)time_passes(&x, TIMEOUT_MS);
    cr_assert_str_eq(read_failed(&x), "nothing");
    cr_assert_str_eq(time_passes(&x, RETRY_NUDGE_MS), "push since 1000");
}

Test(session_catch_up, silence_does_not_count_while_input_is_held)
{
    (void)lags();
    for (uint32_t i = 0; i < x.config.requests_max; i++) (void)sends_batch(&x);
    cr_assert(x.session.holds_input);
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "nothing");
    (void)applied(&x, "1", 1);
    cr_assert_not(x.session.holds_input);
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "nothing", "it was held when that time began");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "push since 1000");
}

Test(session_catch_up, who_lags_while_a_delta_is_read_waits_for_it)
{
    (void)asks_since(&x, SINCE);
    cr_assert_str_eq(lags(), "ack (lagging)");
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "nothing");
    (void)delta_done(&x);
    cr_assert_str_eq(time_passes(&x, TIMEOUT_MS), "push since 1000");
}
