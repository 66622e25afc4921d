#include "core/election/ticket.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct ticket_board board;

static void end(void)
{
    ticket_board_deinit(&board);
}

TestSuite(ticket, .fini = end);

static void see(const char *key, uint64_t now_ms)
{
    ticket_board_see(&board, slice_str(key), now_ms);
}

static bool handles_all(void *arg, struct slice task)
{
    (void)arg;
    (void)task;
    return true;
}

static bool handles_only(void *arg, struct slice task)
{
    return slice_is(task, arg);
}

/* The id that `self` may take now, "" for none; *claim its number. */
static const char *next(const char *self, uint64_t now_ms, uint32_t *claim)
{
    const struct ticket_seen *t = ticket_board_next(&board, self, handles_all, NULL, now_ms, 1000, claim);
    return t == NULL ? "" : t->id.text;
}

Test(ticket, ids_say_task_round_and_who_may_take_it)
{
    struct ticket_name name;
    struct ticket_id id = ticket_id_for_worker("snapshot-schedule", 7, "gcs-default-17-abc");
    cr_assert_str_eq(id.text, "snapshot-schedule-0000000007-w-gcs-default-17-abc");
    cr_assert(ticket_id_parse(slice_str(id.text), &name));
    cr_assert(slice_is(name.task, "snapshot-schedule"));
    cr_assert_eq(name.round, 7);
    cr_assert(slice_is(name.worker, "gcs-default-17-abc"));

    id = ticket_id_numbered("probe", UINT64_C(12345678901), 0);
    cr_assert_str_eq(id.text, "probe-12345678901-n-0");
    cr_assert(ticket_id_parse(slice_str(id.text), &name));
    cr_assert_eq(name.round, UINT64_C(12345678901));
    cr_assert_eq(name.worker.len, 0);
}

Test(ticket, a_task_or_worker_that_looks_like_a_round_does_not_confuse)
{
    struct ticket_name name;
    struct ticket_id id = ticket_id_for_worker("t-0000000001", 2, "w-0000000003-n-4");
    cr_assert(ticket_id_parse(slice_str(id.text), &name), "%s", id.text);
    /* Read from the left: the shortest task for which the rest is a round and a part. Here it is none. */
    cr_assert(slice_is(name.task, "t-0000000001"));
    cr_assert_eq(name.round, 2);
    cr_assert(slice_is(name.worker, "w-0000000003-n-4"));
}

Test(ticket, what_is_no_id_is_refused)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "probe",
                                      "probe-1-n-0",
                                      "probe-0000000000-n-0",
                                      "probe-0000000001",
                                      "probe-0000000001-",
                                      "probe-0000000001-x-1",
                                      "probe-0000000001-n-",
                                      "probe-0000000001-n-x",
                                      "probe-0000000001-w-",
                                      "probe-0000000001-w-.hidden",
                                      "Probe-0000000001-n-1",
                                      "-0000000001-n-1",
                                      "probe-00000x0001-n-1",
                                      "probe-0000000001-w-a/b",
                                      "probe-99999999999999999999-n-1",
                                      "probe-0000000001-n-99999999999"};
    struct ticket_name name;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(ticket_id_parse(slice_str(bad[i]), &name), "%s", bad[i]);
}

Test(ticket, keys_are_read_back)
{
    struct slice id;
    enum ticket_object object;
    uint32_t claim;
    cr_assert_str_eq(ticket_body_key("probe-0000000001-n-0").text,
                     "tickets/probe-0000000001-n-0/ticket.json");
    cr_assert(
        ticket_key_parse(slice_str(ticket_body_key("probe-0000000001-n-0").text), &id, &object, &claim));
    cr_assert(slice_is(id, "probe-0000000001-n-0"));
    cr_assert_eq(object, TICKET_BODY);
    cr_assert(
        ticket_key_parse(slice_str(ticket_claim_key("probe-0000000001-n-0", 12).text), &id, &object, &claim));
    cr_assert_eq(object, TICKET_CLAIM);
    cr_assert_eq(claim, 12);
    cr_assert(
        ticket_key_parse(slice_str(ticket_result_key("probe-0000000001-n-0").text), &id, &object, &claim));
    cr_assert_eq(object, TICKET_RESULT);
    static const char *const bad[] = {"",
                                      "tickets/",
                                      "tickets/probe-0000000001-n-0",
                                      "tickets/probe-0000000001-n-0/",
                                      "tickets/probe-0000000001-n-0/other.json",
                                      "tickets/probe-0000000001-n-0/claim-0000.json",
                                      "tickets/probe-0000000001-n-0/claim-1.json",
                                      "tickets/probe-0000000001-n-0/claim-0001.jsonx",
                                      "tickets/x/ticket.json",
                                      "other/probe-0000000001-n-0/ticket.json"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(ticket_key_parse(slice_str(bad[i]), &id, &object, &claim), "%s", bad[i]);
}

Test(ticket, one_that_nobody_claimed_may_be_taken_by_whom_it_is_for)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/retention-0000000001-w-a/ticket.json", 0);
    see("tickets/retention-0000000001-w-b/ticket.json", 0);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 0, &claim), "retention-0000000001-w-b");
    cr_assert_eq(claim, 1);
    cr_assert_str_eq(next("c", 0, &claim), "", "only the worker it is for");
}

Test(ticket, a_claim_keeps_others_away_until_it_is_old)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/probe-0000000001-n-0/claim-0001.json", 500);
    see("tickets/probe-0000000001-n-0/ticket.json", 500);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 1499, &claim), "", "it counts from when this instance first saw it");
    cr_assert_str_eq(next("b", 1500, &claim), "probe-0000000001-n-0");
    cr_assert_eq(claim, 2);

    ticket_board_list_start(&board); /* seen again: its age goes on */
    see("tickets/probe-0000000001-n-0/claim-0001.json", 1400);
    see("tickets/probe-0000000001-n-0/ticket.json", 1400);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 1500, &claim), "probe-0000000001-n-0");

    ticket_board_list_start(&board); /* a newer claim: its age begins */
    see("tickets/probe-0000000001-n-0/claim-0001.json", 1600);
    see("tickets/probe-0000000001-n-0/claim-0002.json", 1600);
    see("tickets/probe-0000000001-n-0/ticket.json", 1600);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 2599, &claim), "");
    cr_assert_str_eq(next("b", 2600, &claim), "probe-0000000001-n-0");
    cr_assert_eq(claim, 3);
}

Test(ticket, one_with_a_result_is_left_alone)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/probe-0000000001-n-0/claim-0001.json", 0);
    see("tickets/probe-0000000001-n-0/result.json", 0);
    see("tickets/probe-0000000001-n-0/ticket.json", 0);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 99999, &claim), "");
}

Test(ticket, claims_whose_ticket_was_removed_bring_nobody_to_work)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/probe-0000000001-n-0/claim-0001.json", 0);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 99999, &claim), "");
}

Test(ticket, what_this_instance_did_counts_before_the_next_listing)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/probe-0000000001-n-0/ticket.json", 0);
    see("tickets/probe-0000000001-n-1/ticket.json", 0);
    ticket_board_list_end(&board, true);
    ticket_board_claimed(&board, "probe-0000000001-n-0", 1, 10);
    cr_assert_str_eq(next("b", 20, &claim), "probe-0000000001-n-1");
    ticket_board_done(&board, "probe-0000000001-n-1");
    cr_assert_str_eq(next("b", 20, &claim), "");
    cr_assert_str_eq(next("b", 1010, &claim), "probe-0000000001-n-0");
    ticket_board_claimed(&board, "unknown-0000000001-n-0", 1, 10); /* does nothing */
    ticket_board_done(&board, "unknown-0000000001-n-0");
}

Test(ticket, only_a_complete_listing_forgets)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/probe-0000000001-n-0/ticket.json", 0);
    ticket_board_list_end(&board, true);
    ticket_board_list_start(&board);
    ticket_board_list_end(&board, false);
    cr_assert_str_eq(next("b", 0, &claim), "probe-0000000001-n-0");
    ticket_board_list_start(&board);
    ticket_board_list_end(&board, true);
    cr_assert_str_eq(next("b", 0, &claim), "");
}

Test(ticket, tasks_of_another_build_are_passed_over)
{
    uint32_t claim;
    ticket_board_list_start(&board);
    see("tickets/unheard-of-0000000001-n-0/ticket.json", 0);
    see("tickets/zebra-0000000001-n-0/ticket.json", 0);
    ticket_board_list_end(&board, true);
    const struct ticket_seen *t = ticket_board_next(&board, "b", handles_only, "zebra", 0, 1000, &claim);
    cr_assert_not_null(t);
    cr_assert_str_eq(t->id.text, "zebra-0000000001-n-0");
}

Test(ticket, a_board_has_a_ceiling)
{
    char key[128];
    ticket_board_list_start(&board);
    for (int i = 0; i < TICKETS_SEEN_MAX + 50; i++) {
        (void)snprintf(key, sizeof key, "tickets/probe-0000000001-n-%d/ticket.json", i);
        see(key, 0);
    }
    ticket_board_list_end(&board, true);
    cr_assert_eq(board.count, TICKETS_SEEN_MAX);
}

Test(ticket, every_writer_writes_other_bytes)
{
    struct ticket_stamp a = {.worker_id = "a", .incarnation = 1, .wall_ms = 5}, b = a;
    struct buf x = buf_make(4096), y = buf_make(4096);
    b.incarnation = 2;
    ticket_claim_put(&x, "probe-0000000001-n-0", 1, &a);
    ticket_claim_put(&y, "probe-0000000001-n-0", 1, &b);
    cr_assert_not(slice_eq(buf_slice(&x), buf_slice(&y)),
                  "a restarted worker must not take its old claim for its own");
    cr_assert(slice_is(buf_slice(&x),
                       "{ \"format\":1,\"ticket\":\"probe-0000000001-n-0\",\"worker\":\"a\","
                       "\"incarnation\":\"0000000000000001\",\"claimedAt\":5,\"claim\":1 }\n"));
    buf_clear(&x);
    ticket_result_put(&x, "probe-0000000001-n-0", 1, false, "disk \"full\"", &a);
    cr_assert(slice_is(buf_slice(&x), "{ \"format\":1,\"ticket\":\"probe-0000000001-n-0\",\"worker\":\"a\","
                                      "\"incarnation\":\"0000000000000001\",\"finishedAt\":5,\"claim\":1,"
                                      "\"ok\":false,\"text\":\"disk \\\"full\\\"\" }\n"));
    buf_deinit(&x);
    buf_deinit(&y);
}
