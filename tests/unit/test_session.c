/* The conversation but for pages, which test_session_pages.c has: handshake, order, nudges, limits. */
#include "session_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct session_fixture x;

static void begin(void)
{
    session_fixture_init(&x);
}

static void begin_live(void)
{
    session_fixture_init(&x);
    go_live(&x);
}

static void end(void)
{
    session_fixture_free(&x);
}

TestSuite(handshake, .init = begin, .fini = end);
TestSuite(session, .init = begin_live, .fini = end);

/* ---- handshake */

Test(handshake, a_good_one_opens_the_database_and_holds_input_until_it_is_open)
{
    cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "open, hold");
    cr_assert(slice_is(session_database(&x.session), "shop"));
    cr_assert_eq(x.session.site.bytes[0], TEST_SITE);
    cr_assert_not(session_takes_pushes(&x.session));
    cr_assert_str_eq(opened(&x, SYNC_OK), "ack, release");
    cr_assert(session_takes_pushes(&x.session));
}

Test(handshake, its_checks_come_in_the_order_of_the_protocol)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        /* Everything is wrong: the version is looked at first. */
        {"{\"type\":\"handshake\"}", "error PROTOCOL_VERSION_MISMATCH fatal, close 4003"},
        {"{\"type\":\"handshake\",\"protocolVersion\":\"1\",\"databaseId\":\"\",\"siteId\":\"x\"}",
         "error PROTOCOL_VERSION_MISMATCH fatal, close 4003"},
        {"{\"type\":\"handshake\",\"protocolVersion\":2,\"databaseId\":\"shop\"}",
         "error PROTOCOL_VERSION_MISMATCH fatal, close 4003"},
        {"{\"type\":\"handshake\",\"protocolVersion\":1,\"siteId\":\"x\"}",
         "error MISSING_DATABASE_ID fatal, close 4002"},
        {"{\"type\":\"handshake\",\"protocolVersion\":1,\"databaseId\":\"\",\"siteId\":\"x\"}",
         "error MISSING_DATABASE_ID fatal, close 4002"},
        {"{\"type\":\"handshake\",\"protocolVersion\":1,\"databaseId\":null}",
         "error MISSING_DATABASE_ID fatal, close 4002"},
        {"{\"type\":\"handshake\",\"protocolVersion\":1,\"databaseId\":\"a/b\",\"siteId\":\"x\"}",
         "error AUTH_FAILED fatal, close 4001"},
        {"{\"type\":\"handshake\",\"protocolVersion\":1,\"databaseId\":\"shop\"}",
         "error AUTH_FAILED fatal, close 4001"},
        {"{\"type\":\"handshake\",\"protocolVersion\":1,\"databaseId\":\"a/b\","
         "\"siteId\":\"BwAAAAAAAAAAAAAAAAAAAA\"}",
         "error AUTH_FAILED fatal, close 4001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        session_fixture_free(&x);
        session_fixture_init(&x);
        cr_assert_str_eq(says(&x, cases[i].text), cases[i].told, "%s", cases[i].text);
        cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "nothing", "a closed session is deaf");
    }
}

Test(handshake, before_it_only_ping_is_answered)
{
    static const char *const texts[] = {SAYS_GET_CHANGES,
                                        SAYS_GET_SNAPSHOT,
                                        SAYS_APPLY,
                                        "{\"type\":\"resume_snapshot\"}",
                                        "{\"type\":\"nonsense\"}",
                                        "{}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_str_eq(says(&x, texts[i]), "error NOT_AUTHENTICATED", "%s", texts[i]);
    cr_assert_str_eq(says(&x, "{\"type\":\"ping\"}"), "pong");
    cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "open, hold", "it is not too late for the handshake");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "error NOT_AUTHENTICATED", "not open yet");
}

Test(handshake, what_the_server_refuses_is_fatal_what_fails_in_it_is_not)
{
    static const struct {
        enum sync_err rc;
        const char *told;
    } cases[] = {
        {SYNC_EAUTH, "error AUTH_FAILED fatal, close 4001"},
        {SYNC_EFORBIDDEN, "error AUTH_FAILED fatal, close 4001"},
        {SYNC_ESTORE, "error MESSAGE_ERROR, close 1011"},
        {SYNC_ENOMEM, "error MESSAGE_ERROR, close 1011"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        session_fixture_free(&x);
        session_fixture_init(&x);
        (void)says(&x, SAYS_HANDSHAKE);
        cr_assert_str_eq(opened(&x, cases[i].rc), cases[i].told, "%s", err_name(cases[i].rc));
        cr_assert_eq(session_deadline_ms(&x.session), UINT64_MAX);
    }
}

Test(handshake, is_waited_for_no_longer_than_its_time)
{
    cr_assert_eq(session_deadline_ms(&x.session), x.now_ms + 10000);
    cr_assert_str_eq(time_passes(&x, 9999), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "error HANDSHAKE_TIMEOUT, close 1008");
    cr_assert_str_eq(time_passes(&x, 10000), "nothing");
}

Test(handshake, no_time_runs_while_the_database_is_looked_up)
{
    (void)says(&x, SAYS_HANDSHAKE);
    cr_assert_eq(session_deadline_ms(&x.session), UINT64_MAX);
    cr_assert_str_eq(time_passes(&x, 1000000), "nothing");
}

Test(handshake, database_ids_are_1_to_255_of_the_named_characters)
{
    char longest[DATABASE_ID_BYTES_MAX + 1];
    memset(longest, 'a', sizeof longest);
    cr_assert(database_id_is_valid(slice_of(longest, DATABASE_ID_BYTES_MAX)));
    cr_assert_not(database_id_is_valid(slice_of(longest, DATABASE_ID_BYTES_MAX + 1)));
    cr_assert_not(database_id_is_valid(slice_str("")));
    for (int c = 0; c < 256; c++) {
        char text = (char)c;
        bool allowed =
            c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:.-", c);
        cr_assert_eq(database_id_is_valid(slice_of(&text, 1)), allowed, "character %d", c);
    }
}

Test(session, a_second_handshake_is_fatal_and_does_not_close)
{
    cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "error ALREADY_AUTHENTICATED fatal");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "delta");
    cr_assert_str_eq(says(&x, "{\"type\":\"handshake\"}"),
                     "error PROTOCOL_VERSION_MISMATCH fatal, close 4003", "the version comes first here too");
}

/* ---- messages */

Test(session, unknown_and_broken_messages_are_not_fatal)
{
    struct session_update u;
    const struct err_ctx ec = {"not JSON"};
    cr_assert_str_eq(says(&x, "{\"type\":\"nonsense\"}"), "error UNKNOWN_MESSAGE");
    cr_assert_str_eq(says(&x, "{}"), "error UNKNOWN_MESSAGE");
    session_broken_message(&x.session, &ec, &u);
    cr_assert_eq(u.count, 1);
    cr_assert_not_null(memmem(u.actions[0].text.bytes, u.actions[0].text.len, "MESSAGE_ERROR", 13));
    cr_assert_not_null(memmem(u.actions[0].text.bytes, u.actions[0].text.len, "\"fatal\":false", 13));
    session_update_deinit(&u);
    cr_assert_str_eq(says(&x, "{\"type\":\"ping\"}"), "pong");
}

Test(session, every_get_changes_is_answered_one_after_the_other)
{
    cr_assert_str_eq(asks_since(&x, 1), "delta since 1");
    cr_assert_str_eq(asks_since(&x, 2), "nothing");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing");
    cr_assert_str_eq(delta_done(&x), "delta since 2");
    cr_assert_str_eq(delta_done(&x), "delta");
    cr_assert_str_eq(delta_done(&x), "nothing");
}

Test(session, reads_wait_for_the_batches_sent_before_them_and_for_no_others)
{
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing");
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(says(&x, SAYS_GET_SNAPSHOT), "nothing");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1", "the snapshot made the delta superfluous");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1, snapshot");
}

Test(session, a_delta_starts_with_the_answer_to_the_batch_before_it)
{
    (void)sends_batch(&x);
    (void)says(&x, SAYS_GET_CHANGES);
    (void)sends_batch(&x);
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1, delta");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1");
}

Test(session, a_refused_batch_lets_the_reads_behind_it_go)
{
    (void)sends_batch(&x);
    (void)asks_since(&x, 4);
    cr_assert_str_eq(apply_failed(&x), "error APPLY_CHANGES_ERROR, delta since 4");
}

Test(session, a_request_id_comes_back_as_it_was_or_not_at_all)
{
    for (int i = 0; i < 3; i++) (void)sends_batch(&x);
    cr_assert_str_eq(applied(&x, "\"\\u0041b\"", 1), "apply_result \"\\u0041b\", release");
    cr_assert_str_eq(applied(&x, "{\"a\":[1]}", 1), "apply_result {\"a\":[1]}");
    cr_assert_str_eq(applied(&x, "", 1), "apply_result");
}

Test(session, a_request_id_may_have_64_KiB)
{
    for (size_t len = REQUEST_ID_BYTES_MAX; len <= REQUEST_ID_BYTES_MAX + 1; len++) {
        char *text = malloc(len + 100);
        int n = sprintf(text, "{\"type\":\"apply_changes\",\"changes\":[],\"requestId\":\"");
        memset(text + n, 'x', len - 2);
        strcpy(text + n + len - 2, "\"}");
        cr_assert_str_eq(says(&x, text), len == REQUEST_ID_BYTES_MAX ? "apply" : "error APPLY_CHANGES_ERROR");
        free(text);
    }
}

Test(session, requests_that_are_wrong_in_themselves_are_refused_by_their_own_error)
{
    cr_assert_str_eq(says(&x, "{\"type\":\"apply_changes\"}"), "error APPLY_CHANGES_ERROR");
    cr_assert_str_eq(says(&x, "{\"type\":\"apply_changes\",\"changes\":[1]}"), "error APPLY_CHANGES_ERROR");
    cr_assert_str_eq(says(&x, "{\"type\":\"get_changes\",\"sinceHLC\":7}"), "error GET_CHANGES_ERROR");
    cr_assert_str_eq(says(&x, "{\"type\":\"resume_snapshot\"}"), "error SNAPSHOT_ERROR");
    cr_assert_str_eq(says(&x, "{\"type\":\"resume_snapshot\",\"checkpoint\":{}}"), "error SNAPSHOT_ERROR");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "delta", "and leave nothing behind");
}

Test(session, a_pruned_watermark_is_told_with_the_code_in_the_text)
{
    struct session_update u;
    session_pruned(&x.session, &u);
    cr_assert_eq(u.count, 1);
    const struct buf *text = &u.actions[0].text;
    cr_assert_not_null(memmem(text->bytes, text->len, "\"code\":\"SNAPSHOT_REQUIRED\"", 26));
    cr_assert_not_null(memmem(text->bytes, text->len, "\"message\":\"SNAPSHOT_REQUIRED", 28));
    cr_assert_not_null(memmem(text->bytes, text->len, "\"fatal\":false", 13));
    session_update_deinit(&u);
}

/* ---- snapshots */

Test(session, a_snapshot_cancels_the_delta_under_way_and_those_that_wait)
{
    cr_assert_str_eq(asks_since(&x, 1), "delta since 1");
    cr_assert_str_eq(asks_since(&x, 2), "nothing");
    cr_assert_str_eq(says(&x, SAYS_GET_SNAPSHOT), "cut");
    cr_assert_str_eq(delta_done(&x), "snapshot");
    cr_assert_str_eq(delta_done(&x), "snapshot_complete, ack (snapshot)");
}

Test(session, what_is_asked_for_behind_a_snapshot_is_answered_behind_it)
{
    cr_assert_str_eq(says(&x, SAYS_GET_SNAPSHOT), "snapshot");
    cr_assert_str_eq(asks_since(&x, 5), "nothing");
    cr_assert_str_eq(delta_done(&x), "snapshot_complete, ack (snapshot), delta since 5");
}

Test(session, no_push_is_taken_while_a_snapshot_is_sent)
{
    cr_assert(session_takes_pushes(&x.session));
    (void)says(&x, SAYS_GET_SNAPSHOT);
    cr_assert_not(session_takes_pushes(&x.session));
    (void)delta_done(&x);
    cr_assert(session_takes_pushes(&x.session));
    (void)says(&x, SAYS_GET_CHANGES);
    cr_assert(session_takes_pushes(&x.session), "a delta is no hindrance");
}

Test(session, a_snapshot_is_resumed_with_its_checkpoint)
{
    cr_assert_str_eq(says_hlc(&x, SAYS_RESUME, 9), "resume s1");
}

Test(session, a_checkpoint_that_waits_goes_with_the_session)
{
    (void)says(&x, SAYS_GET_SNAPSHOT);
    cr_assert_str_eq(says_hlc(&x, SAYS_RESUME, 9), "nothing");
    cr_assert_eq(x.session.read_count, 1);
    session_deinit(&x.session);
    cr_assert_eq(x.session.read_count, 0);
}

Test(session, a_delta_that_fails_is_told_and_the_next_is_read)
{
    (void)asks_since(&x, 1);
    (void)asks_since(&x, 2);
    cr_assert_str_eq(read_failed(&x), "error GET_CHANGES_ERROR, delta since 2");
}

/* Pushes were kept from the client for the snapshot's sake: it must ask for them. */
Test(session, a_snapshot_that_fails_is_told_and_the_client_is_nudged_all_the_same)
{
    (void)says(&x, SAYS_GET_SNAPSHOT);
    cr_assert_str_eq(read_failed(&x), "error SNAPSHOT_ERROR, ack (snapshot)");
}

/* ---- nudges */

Test(session, a_full_message_is_followed_by_a_nudge_a_smaller_one_is_not)
{
    for (int i = 0; i < 3; i++) (void)sends_batch(&x);
    cr_assert_str_eq(applied(&x, "1", 999), "apply_result 1, release");
    cr_assert_str_eq(applied(&x, "1", 1000), "apply_result 1, ack (bulk)");
    cr_assert_str_eq(applied(&x, "1", 4000), "apply_result 1, ack (bulk)");
}

Test(session, a_refused_message_is_not_followed_by_a_nudge)
{
    (void)sends_batch(&x);
    cr_assert_str_eq(apply_failed(&x), "error APPLY_CHANGES_ERROR");
}

Test(session, who_lagged_is_nudged_once_its_socket_has_drained)
{
    cr_assert_str_eq(drained(&x), "nothing");
    session_lagged(&x.session);
    session_lagged(&x.session);
    cr_assert_not(session_takes_pushes(&x.session));
    cr_assert_str_eq(drained(&x), "ack (lagging)");
    cr_assert(session_takes_pushes(&x.session));
    cr_assert_str_eq(drained(&x), "nothing");
}

Test(session, who_stays_is_nudged_again_and_again)
{
    uint64_t first_ms = session_deadline_ms(&x.session);
    cr_assert_eq(first_ms, x.now_ms + 900000, "a tenth early, with a spread of 0");
    cr_assert_str_eq(time_passes(&x, 899999), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "ack (periodic)");
    cr_assert_str_eq(time_passes(&x, 900000), "ack (periodic)");
}

Test(session, the_periodic_nudge_is_spread_by_a_tenth_to_both_sides)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t spread = 0; spread < 400000; spread += 7) {
        struct session_update u;
        x.session.renudge_ms = x.now_ms;
        session_tick(&x.session, spread, x.now_ms, &u);
        session_update_deinit(&u);
        uint64_t after_ms = session_deadline_ms(&x.session) - x.now_ms;
        if (after_ms < least) least = after_ms;
        if (after_ms > most) most = after_ms;
    }
    cr_assert_eq(least, 900000);
    cr_assert_leq(most, 1100000);
    cr_assert_geq(most, 1099990);
}

Test(session, an_interval_of_a_few_milliseconds_has_no_spread)
{
    x.config.renudge_interval_ms = 9;
    x.session.renudge_ms = x.now_ms;
    cr_assert_str_eq(time_passes(&x, 0), "ack (periodic)");
    cr_assert_eq(session_deadline_ms(&x.session), x.now_ms + 9);
}

Test(session, who_is_being_sent_something_is_not_nudged_periodically)
{
    (void)says(&x, SAYS_GET_CHANGES);
    cr_assert_str_eq(time_passes(&x, 900000), "nothing");
    cr_assert_str_eq(delta_done(&x), "nothing");
    cr_assert_str_eq(time_passes(&x, 900000), "ack (periodic)");
}

/* ---- limits */

Test(session, input_is_held_at_the_limit_of_batches_and_released_below_it)
{
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(sends_batch(&x), "apply, hold");
    cr_assert(x.session.holds_input);
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1, release");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1");
}

Test(session, input_is_held_when_as_many_reads_wait_as_may)
{
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "delta");
    for (int i = 1; i < SESSION_READS_MAX; i++) cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "hold");
    cr_assert_str_eq(delta_done(&x), "delta, release");
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "hold");
    for (int i = 0; i < SESSION_READS_MAX; i++)
        cr_assert_str_eq(delta_done(&x), i == 0 ? "delta, release" : "delta");
    cr_assert_str_eq(delta_done(&x), "nothing");
}

Test(session, waiting_reads_keep_their_order_around_the_end_of_their_ring)
{
    (void)asks_since(&x, 1);
    for (uint64_t i = 2; i < 40; i++) {
        char told[32];
        cr_assert_str_eq(asks_since(&x, i), "nothing");
        (void)snprintf(told, sizeof told, "delta since %llu", (unsigned long long)i);
        cr_assert_str_eq(delta_done(&x), told);
    }
}

/* ---- the end */

Test(session, a_closed_session_takes_nothing_and_does_nothing)
{
    struct session_update u;
    const struct err_ctx ec = {"not JSON"};
    (void)sends_batch(&x);
    (void)says(&x, SAYS_GET_CHANGES);
    (void)says(&x, "{\"type\":\"handshake\"}");
    cr_assert_eq(x.session.state, SESSION_CLOSED);
    cr_assert_not(session_takes_pushes(&x.session));
    cr_assert_eq(session_deadline_ms(&x.session), UINT64_MAX);
    cr_assert_str_eq(says(&x, SAYS_GET_CHANGES), "nothing");
    cr_assert_str_eq(says(&x, SAYS_HANDSHAKE), "nothing");
    cr_assert_str_eq(applied(&x, "1", 5000), "nothing");
    cr_assert_str_eq(opened(&x, SYNC_OK), "nothing");
    cr_assert_str_eq(time_passes(&x, 10000000), "nothing");
    session_lagged(&x.session);
    cr_assert_str_eq(drained(&x), "nothing");
    session_broken_message(&x.session, &ec, &u);
    cr_assert_eq(u.count, 0);
    session_pruned(&x.session, &u);
    cr_assert_eq(u.count, 0);
}

Test(session, a_read_that_ends_after_the_session_says_nothing)
{
    (void)says(&x, SAYS_GET_CHANGES);
    (void)says(&x, SAYS_GET_SNAPSHOT);
    (void)says(&x, "{\"type\":\"handshake\"}");
    cr_assert_str_eq(page_done(&x, 5), "nothing");
}

/* ---- asking a site for what it has (protocol section 8.6) */

#define ANSWER                                                                                               \
    "{\"type\":\"apply_changes\",\"changes\":[{\"siteId\":\"BwAAAAAAAAAAAAAAAAAAAA\",\"transactionId\":"     \
    "\"x\","                                                                                                 \
    "\"hlc\":\"%s\",\"changes\":[{\"type\":\"delete\",\"schema\":\"main\",\"table\":\"t\",\"pk\":[1],"       \
    "\"hlc\":"                                                                                               \
    "\"AAAAAAAAAAEAAAcAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}]}"

Test(session, a_site_is_asked_again_from_the_highest_of_its_answer_until_none_comes)
{
    cr_assert_str_eq(begins_to_ask(&x), "request_changes");
    cr_assert_str_eq(says_hlc(&x, ANSWER, 70), "apply");
    cr_assert_str_eq(applied(&x, "", 1), "apply_result, request_changes since 70");
    cr_assert_str_eq(says_hlc(&x, ANSWER, 90), "apply");
    cr_assert_str_eq(time_passes(&x, ASK_PATIENCE_MS + 1), "nothing", "one is not durable yet");
    cr_assert_str_eq(applied(&x, "", 1), "apply_result, request_changes since 90");
    cr_assert_str_eq(time_passes(&x, ASK_PATIENCE_MS - 1), "nothing");
    cr_assert_str_eq(time_passes(&x, 1), "asked");
    cr_assert_str_eq(time_passes(&x, ASK_PATIENCE_MS), "nothing", "once");
    cr_assert_str_eq(says_hlc(&x, ANSWER, 95), "apply");
    cr_assert_str_eq(applied(&x, "", 1), "apply_result, request_changes since 95", "late, but all the same");
}

Test(session, batches_of_the_sites_own_accord_are_no_answers)
{
    cr_assert_str_eq(begins_to_ask(&x), "request_changes");
    cr_assert_str_eq(sends_batch(&x), "apply");
    cr_assert_str_eq(applied(&x, "1", 1), "apply_result 1");
    cr_assert_str_eq(time_passes(&x, ASK_PATIENCE_MS), "asked");
}

Test(session, a_site_whose_answer_was_refused_does_not_count_as_asked)
{
    struct session_update u;
    const struct err_ctx why = {"no"};
    cr_assert_str_eq(begins_to_ask(&x), "request_changes");
    cr_assert_str_eq(says_hlc(&x, ANSWER, 70), "apply");
    session_applied(&x.session, slice_of(NULL, 0), 1, SYNC_ESTORE, &why, NULL, slice_of(NULL, 0), x.now_ms,
                    &u);
    cr_assert_eq(u.count, 1);
    session_update_deinit(&u);
    cr_assert_str_eq(time_passes(&x, ASK_PATIENCE_MS), "nothing");
}

Test(session, who_was_not_asked_is_never_asked)
{
    cr_assert_str_eq(says_hlc(&x, ANSWER, 70), "apply");
    cr_assert_str_eq(applied(&x, "", 1), "apply_result");
    cr_assert_str_eq(time_passes(&x, ASK_PATIENCE_MS), "nothing");
}
