/* How long somebody who was let in may stay: expiry, rechecks, and what a session does meanwhile. */
#include "session_fixture.h"

#include <criterion/criterion.h>

static struct session_fixture x;

static void begin(void)
{
    session_fixture_init(&x);
}

static void end(void)
{
    session_fixture_free(&x);
}

TestSuite(session_identity, .init = begin, .fini = end);

/* Live, after an authentication that is asked again and ends at these times. */
static void enter(uint64_t recheck_in_ms, uint64_t expires_in_ms)
{
    cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "open, hold");
    identified(&x, recheck_in_ms, expires_in_ms);
    cr_assert_str_eq(opened(&x, SYNC_OK), "ack, release");
}

/* The time from now until something is due. */
static uint64_t due_in_ms(void)
{
    return session_deadline_ms(&x.session) - x.now_ms;
}

Test(session_identity, without_a_limit_nobody_is_asked_again)
{
    enter(0, 0);
    cr_assert_eq(session_deadline_ms(&x.session), x.session.renudge_ms, "the next nudge is all that is due");
    cr_assert_str_eq(time_passes(&x, 500000), "nothing");
}

Test(session_identity, an_expired_one_is_asked_about_and_nothing_is_done_for_it_until_then)
{
    enter(0, 5000);
    cr_assert_eq(due_in_ms(), 5000);
    cr_assert_str_eq(time_passes(&x, 4999), "nothing");
    cr_assert(session_takes_pushes(&x.session));
    cr_assert_str_eq(time_passes(&x, 1), "recheck, hold", "with the same token, at its very end");
    cr_assert_not(session_takes_pushes(&x.session));
    cr_assert_str_eq(time_passes(&x, 3000), "nothing", "once is enough, and no nudge meanwhile");
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 0, 60000), "release");
    cr_assert(session_takes_pushes(&x.session));
    cr_assert_str_eq(time_passes(&x, 0), "ack (periodic)", "it asks for the pushes that were kept from it");
    cr_assert_eq(due_in_ms(), 60000, "and may stay for a while");
}

Test(session_identity, what_was_asked_before_the_end_is_read_after_the_recheck)
{
    enter(0, 5000);
    cr_assert_str_eq(asks_since(&x, 3), "delta since 3");
    cr_assert_str_eq(asks_since(&x, 4), "nothing", "one at a time");
    cr_assert_str_eq(time_passes(&x, 5000), "recheck, hold");
    cr_assert_str_eq(delta_done(&x), "nothing", "the one that waits begins no more");
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 0, 0), "delta since 4, release");
}

Test(session_identity, a_batch_that_was_taken_before_the_end_is_answered)
{
    enter(0, 5000);
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(time_passes(&x, 5000), "recheck, hold");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1", "it is in the store: that was promised");
}

Test(session_identity, a_refusal_ends_it_and_lets_it_come_again)
{
    enter(0, 5000);
    (void)time_passes(&x, 5000);
    cr_assert_str_eq(rechecked(&x, SYNC_EAUTH, 0, 0), "error AUTH_EXPIRED, close 4001", "not fatal");
    cr_assert_str_eq(time_passes(&x, 100000), "nothing");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing", "a closed session is deaf");
}

Test(session_identity, a_revoked_user_loses_the_connection_at_the_next_recheck)
{
    enter(20000, 0);
    cr_assert_str_eq(time_passes(&x, 19999), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "recheck");
    cr_assert(session_takes_pushes(&x.session), "nobody has said no yet");
    cr_assert_str_eq(sends_batch(&x), "apply", "it goes on meanwhile");
    cr_assert_str_eq(rechecked(&x, SYNC_EFORBIDDEN, 0, 0), "error AUTH_EXPIRED, close 4001");
}

Test(session_identity, rechecks_go_on_at_the_times_that_each_grant_gives)
{
    enter(20000, 0);
    cr_assert_str_eq(time_passes(&x, 20000), "recheck");
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 30000, 0), "nothing");
    cr_assert_eq(due_in_ms(), 30000);
    cr_assert_str_eq(time_passes(&x, 29999), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "recheck");
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 0, 0), "nothing");
    cr_assert_str_eq(time_passes(&x, 500000), "nothing", "asked no more");
}

Test(session_identity, a_hook_cannot_have_rechecks_without_a_pause)
{
    enter(1, 0);
    cr_assert_eq(due_in_ms(), RECHECK_PAUSE_MS);
    cr_assert_str_eq(time_passes(&x, RECHECK_PAUSE_MS), "recheck");
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 1, 0), "nothing");
    cr_assert_eq(due_in_ms(), RECHECK_PAUSE_MS);
}

Test(session_identity, the_end_is_a_recheck_though_one_was_to_come_later)
{
    enter(60000, 5000);
    cr_assert_eq(due_in_ms(), 5000);
    cr_assert_str_eq(time_passes(&x, 5000), "recheck, hold");
}

Test(session_identity, the_end_may_come_while_a_recheck_is_under_way)
{
    enter(20000, 25000);
    cr_assert_str_eq(time_passes(&x, 20000), "recheck");
    cr_assert_eq(due_in_ms(), 5000, "its end is due all the same");
    cr_assert_str_eq(time_passes(&x, 5000), "hold", "it is being asked about already");
    cr_assert_not(session_takes_pushes(&x.session));
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 0, 30000), "release");
}

/* A check that nobody can decide: the hook hangs, its process is gone. */
static void nobody_knows(enum sync_err rc, bool expired)
{
    uint64_t spent_ms = 0;
    while (spent_ms < RECHECK_PATIENCE_MS) {
        cr_assert_str_eq(rechecked(&x, rc, 0, 0), "nothing", "after %d ms", (int)spent_ms);
        cr_assert_eq(session_takes_pushes(&x.session), !expired);
        cr_assert_eq(due_in_ms(), RECHECK_RETRY_MS);
        cr_assert_str_eq(time_passes(&x, RECHECK_RETRY_MS - 1), "nothing");
        cr_assert_str_eq(time_passes(&x, 1), "recheck");
        spent_ms += RECHECK_RETRY_MS;
    }
    cr_assert_str_eq(rechecked(&x, rc, 0, 0), "error AUTH_EXPIRED, close 4001", "patience has an end");
}

Test(session_identity, an_undecided_recheck_is_tried_again_for_a_minute)
{
    enter(20000, 0);
    cr_assert_str_eq(time_passes(&x, 20000), "recheck");
    nobody_knows(SYNC_EBUSY, false);
}

Test(session_identity, an_undecided_end_is_tried_again_but_nothing_gets_through)
{
    enter(0, 5000);
    cr_assert_str_eq(time_passes(&x, 5000), "recheck, hold");
    nobody_knows(SYNC_ENOMEM, true);
}

Test(session_identity, patience_begins_anew_after_a_recheck_that_was_decided)
{
    enter(20000, 0);
    (void)time_passes(&x, 20000);
    for (int i = 0; i < 11; i++) { /* 55 of 60 seconds */
        cr_assert_str_eq(rechecked(&x, SYNC_EBUSY, 0, 0), "nothing");
        cr_assert_str_eq(time_passes(&x, RECHECK_RETRY_MS), "recheck");
    }
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 20000, 0), "nothing");
    cr_assert_str_eq(time_passes(&x, 20000), "recheck");
    nobody_knows(SYNC_EBUSY, false);
}

Test(session_identity, a_reload_brings_the_next_recheck_forward_and_never_back)
{
    enter(60000, 0);
    session_recheck_at(&x.session, x.now_ms + 5000);
    cr_assert_eq(due_in_ms(), 5000);
    session_recheck_at(&x.session, x.now_ms + 9000);
    cr_assert_eq(due_in_ms(), 5000);
    cr_assert_str_eq(time_passes(&x, 5000), "recheck");
}

Test(session_identity, an_answer_that_comes_after_the_session_ended_does_nothing)
{
    enter(20000, 0);
    (void)time_passes(&x, 20000);
    cr_assert_str_eq(rechecked(&x, SYNC_EAUTH, 0, 0), "error AUTH_EXPIRED, close 4001");
    cr_assert_str_eq(rechecked(&x, SYNC_OK, 0, 0), "nothing");
}
