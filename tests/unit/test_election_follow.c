#include "election_rig.h"

/* Followers: how long they wait, and what they do then. */

static const char *const only_the_leader[] = {"epochs/epoch-0000000007", "workers/m.json", NULL};

Test(election_follow, waits_a_whole_lease_of_its_own_clock_whatever_the_wall_clock_says)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m"); /* its renewed_wall_ms is 0: by the wall clock the lease ended long ago */
    uint64_t seen_ms = r.now_ms;
    while (r.now_ms < seen_ms + 14999) {
        rig_after(&r, 1);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        cr_assert_not(rig_asks(&r, ELECTION_CREATE_EPOCH));
        cr_assert_neq(rig_status(&r).role, ELECTION_CANDIDATE, "after %" PRIu64 " ms", r.now_ms - seen_ms);
    }
    rig_after(&r, 1);
    cr_assert_eq(rig_status(&r).role, ELECTION_CANDIDATE);
    if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
    rig_lists(&r, only_the_leader, "v1");
    cr_assert_eq(r.asked[ELECTION_CREATE_EPOCH].epoch.epoch, 8);
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    cr_assert_str_eq(r.asked[ELECTION_WRITE_STATE].if_match.text, r.etag.text,
                     "it replaces what it waited for");
    rig_writes(&r);
    cr_assert(rig_leads(&r));
    cr_assert_eq(r.u.lead.epoch, 8);
    rig_free(&r);
}

Test(election_follow, a_lease_longer_than_its_own_is_respected)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    struct election_state s = rig_foreign("m", 7, 1);
    s.lease_ms = 60000;
    rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    rig_set_state(&r, &s);
    rig_shows(&r);
    uint64_t seen_ms = r.now_ms;
    while (r.now_ms < seen_ms + 59999) {
        rig_after(&r, 1);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        cr_assert_neq(rig_status(&r).role, ELECTION_CANDIDATE);
    }
    rig_free(&r);
}

Test(election_follow, every_change_of_the_record_starts_the_wait_anew)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    for (uint64_t ms = 1; ms < 200000; ms++) {
        rig_after(&r, 1);
        if (ms % 9577 == 0) {
            struct election_state s = rig_foreign("m", 7, 1 + ms / 9577);
            rig_set_state(&r, &s);
        }
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        if (rig_asks(&r, ELECTION_PUT_WORKER)) rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    }
    cr_assert_eq(rig_status(&r).counters.elections, 0);
    cr_assert_eq(rig_status(&r).counters.leader_changes, 1);
    rig_free(&r);
}

Test(election_follow, a_smaller_id_does_not_replace_a_live_leader)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a"); /* sorts before m */
    rig_follow(&r, "m");
    rig_after(&r, 9000);
    cr_assert_eq(rig_status(&r).counters.elections, 0);
    rig_free(&r);
}

Test(election_follow, a_released_lease_is_taken_at_once)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    rig_after(&r, 2000);
    struct election_state s = rig_foreign("m", 7, 2);
    s.hold = ELECTION_RELEASED;
    rig_set_state(&r, &s);
    rig_put(&r, ELECTION_HINT, NULL);
    uint64_t hinted_ms = r.now_ms;
    rig_shows(&r);
    rig_shows(&r);
    rig_lists(&r, only_the_leader, "v1");
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    rig_writes(&r);
    cr_assert(rig_leads(&r));
    cr_assert_eq(r.now_ms, hinted_ms, "no time passed but for the requests");
    rig_free(&r);
}

Test(election_follow, hints_cannot_make_it_look_faster_than_a_step)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    uint64_t looks = rig_status(&r).counters.requests[ELECTION_READ_STATE];
    for (int i = 0; i < 100; i++) {
        rig_put(&r, ELECTION_HINT, NULL);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        rig_after(&r, 1);
    }
    cr_assert_eq(rig_status(&r).counters.requests[ELECTION_READ_STATE], looks + 1);
    rig_free(&r);
}

/* Runs out m's lease, so that the rig stands at the start of a campaign, its look and its list answered. */
static void campaign(struct rig *r, const char *const *keys)
{
    rig_follow(r, "m");
    while (rig_status(r).role != ELECTION_CANDIDATE) {
        rig_after(r, 1);
        if (rig_asks(r, ELECTION_READ_STATE) && rig_status(r).role == ELECTION_FOLLOWER) rig_shows(r);
    }
    rig_shows(r);
    rig_lists(r, keys, "v1");
}

Test(election_follow, those_that_sort_before_it_come_first_the_dead_leader_excepted)
{
    static const char *const keys[] = {"epochs/epoch-0000000007", "workers/b.json", "workers/m.json",
                                       "workers/x.json", NULL};
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "x");
    campaign(&r, keys); /* b comes before x; m does as well, but its lease is the one that ran out */
    cr_assert_not(rig_asks(&r, ELECTION_CREATE_EPOCH));
    rig_after(&r, 1251);
    cr_assert_not(rig_asks(&r, ELECTION_CREATE_EPOCH), "it looks first whether b was there");
    rig_shows(&r);
    cr_assert(rig_asks(&r, ELECTION_CREATE_EPOCH));
    rig_free(&r);
}

Test(election_follow, gives_up_when_another_was_faster)
{
    static const char *const keys[] = {"workers/b.json", "workers/x.json", NULL};
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "x");
    campaign(&r, keys);
    rig_after(&r, 1251);
    struct election_state s = rig_foreign("b", 8, 1);
    rig_set_state(&r, &s);
    rig_shows(&r);
    cr_assert_eq(rig_status(&r).role, ELECTION_FOLLOWER);
    cr_assert_str_eq(rig_event(&r, ELECTION_EVENT_LEADER_CHANGED)->to, "b");
    cr_assert_null(rig_event(&r, ELECTION_EVENT_ELECTION_FAILED), "that is how it should be");
    rig_free(&r);
}

Test(election_follow, an_epoch_taken_by_another_is_left_to_it_for_a_step)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    campaign(&r, only_the_leader);
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_LOST);
    rig_after(&r, 1250);
    cr_assert_not(rig_asks(&r, ELECTION_READ_STATE));
    rig_after(&r, 1);
    rig_shows(&r); /* it never wrote state.json */
    cr_assert_eq(r.asked[ELECTION_CREATE_EPOCH].epoch.epoch, 9);
    rig_free(&r);
}

Test(election_follow, an_epoch_whose_creation_is_unknown_is_its_own_when_the_key_says_so)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    campaign(&r, only_the_leader);
    struct election_epoch mine = r.asked[ELECTION_CREATE_EPOCH].epoch;
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_UNKNOWN);
    rig_after(&r, 1250);
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_LOST);
    struct election_result result = rig_result(&r, ELECTION_READ_EPOCH, ELECTION_OK);
    result.epoch = mine;
    rig_put(&r, ELECTION_RESULT, &result);
    cr_assert_eq(r.asked[ELECTION_WRITE_STATE].state.epoch, 8);
    rig_writes(&r);
    cr_assert(rig_leads(&r));
    rig_free(&r);
}

Test(election_follow, taking_over_with_unknown_outcome_does_not_make_it_lead)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    campaign(&r, only_the_leader);
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    uint64_t sent_ms = r.now_ms;
    struct election_state written = r.asked[ELECTION_WRITE_STATE].state;
    rig_after(&r, 50);
    rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_UNKNOWN);
    cr_assert_not(rig_leads(&r));
    rig_set_state(&r, &written);
    rig_shows(&r);
    cr_assert(rig_leads(&r));
    cr_assert_eq(r.u.lead.until_ms, sent_ms + 11972);
    rig_free(&r);
}

Test(election_follow, the_highest_epoch_there_can_be_is_not_passed)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    struct election_state s = rig_foreign("m", ELECTION_EPOCH_MAX, 1);
    s.hold = ELECTION_RELEASED;
    rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    rig_set_state(&r, &s);
    rig_shows(&r);
    rig_shows(&r);
    rig_lists(&r, rig_no_keys, "v1");
    cr_assert_not(rig_asks(&r, ELECTION_CREATE_EPOCH));
    cr_assert_not_null(rig_event(&r, ELECTION_EVENT_ELECTION_FAILED));
    rig_free(&r);
}

Test(election_follow, a_removed_state_json_is_marked_vacant_and_waited_for)
{
    static const char *const keys[] = {"epochs/epoch-0000000001", "epochs/epoch-0000000007", NULL};
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    rig_answer(&r, ELECTION_READ_STATE, ELECTION_ABSENT);
    if (rig_asks(&r, ELECTION_LIST)) rig_lists(&r, keys, "v1");
    if (rig_asks(&r, ELECTION_READ_STATE)) rig_answer(&r, ELECTION_READ_STATE, ELECTION_ABSENT);
    while (!rig_asks(&r, ELECTION_WRITE_STATE)) {
        rig_after(&r, 1);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_answer(&r, ELECTION_READ_STATE, ELECTION_ABSENT);
        cr_assert_lt(r.now_ms - r.start_ms, 3000);
        cr_assert_not(rig_asks(&r, ELECTION_CREATE_EPOCH));
    }
    cr_assert_eq(r.asked[ELECTION_WRITE_STATE].state.hold, ELECTION_VACANT);
    cr_assert_eq(r.asked[ELECTION_WRITE_STATE].state.epoch, 7);
    cr_assert_str_eq(r.asked[ELECTION_WRITE_STATE].if_match.text, "");
    rig_writes(&r);
    uint64_t marked_ms = r.now_ms;
    while (!rig_asks(&r, ELECTION_CREATE_EPOCH)) {
        rig_after(&r, 1);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        if (rig_asks(&r, ELECTION_LIST)) rig_lists(&r, keys, "v1");
        cr_assert_lt(r.now_ms - marked_ms, 16000);
    }
    cr_assert_geq(r.now_ms - marked_ms, 15000, "whoever led until it was removed must have stopped");
    cr_assert_eq(r.asked[ELECTION_CREATE_EPOCH].epoch.epoch, 8);
    rig_free(&r);
}

Test(election_follow, a_record_that_it_cannot_read_is_left_alone_while_it_changes)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    for (int i = 0; i < 2000; i++) { /* a newer build leads, and renews every 9 s */
        if (rig_asks(&r, ELECTION_READ_STATE)) {
            struct election_result result = rig_result(&r, ELECTION_READ_STATE, ELECTION_OK);
            result.readable = false;
            (void)snprintf(result.etag.text, sizeof result.etag.text, "newer-%" PRIu64, r.now_ms / 9000);
            rig_put(&r, ELECTION_RESULT, &result);
        }
        if (rig_asks(&r, ELECTION_LIST)) rig_lists(&r, rig_no_keys, "v1");
        rig_after(&r, 50);
        cr_assert_not(rig_asks(&r, ELECTION_WRITE_STATE));
        cr_assert_not(rig_asks(&r, ELECTION_CREATE_EPOCH));
    }
    rig_free(&r);
}

Test(election_follow, a_cold_start_goes_through_its_phases_in_order)
{
    struct election_config cfg = rig_config();
    cfg.cold_start.skip = false;
    struct rig r = rig_new(&cfg, "a");
    uint64_t begin_ms = r.start_ms;
    while (!rig_leads(&r)) {
        rig_after(&r, 1);
        if (rig_asks(&r, ELECTION_PUT_WORKER)) rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
        if (rig_asks(&r, ELECTION_READ_STATE) && r.etags == 0)
            rig_answer(&r, ELECTION_READ_STATE, ELECTION_ABSENT);
        if (rig_asks(&r, ELECTION_LIST)) rig_lists(&r, rig_no_keys, "v1");
        if (rig_asks(&r, ELECTION_CREATE_EPOCH)) {
            cr_assert_geq(r.now_ms - begin_ms, 15000, "observing takes 15 s");
            rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
        }
        if (rig_asks(&r, ELECTION_WRITE_STATE)) rig_writes(&r);
        cr_assert_lt(r.now_ms - begin_ms, 21000);
    }
    cr_assert_geq(r.now_ms - begin_ms, 20000, "preparation takes another 5 s");
    enum election_phase expected = ELECTION_ELECTING;
    for (size_t i = 0; i < r.event_count; i++)
        if (r.events[i].kind == ELECTION_EVENT_PHASE) cr_assert_eq(r.events[i].phase, expected++);
    cr_assert_eq(expected, ELECTION_READY + 1);
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_PHASE)->duration_ms, 5000);
    rig_free(&r);
}

Test(election_follow, a_cold_start_ends_when_a_leader_is_seen_to_be_alive)
{
    struct election_config cfg = rig_config();
    cfg.cold_start.skip = false;
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    cr_assert_eq(rig_status(&r).phase, ELECTION_OBSERVING, "the record may be that of a dead leader");
    rig_after(&r, 9900);
    struct election_state s = rig_foreign("m", 7, 2);
    rig_set_state(&r, &s);
    rig_shows(&r);
    cr_assert_eq(rig_status(&r).phase, ELECTION_READY);
    rig_free(&r);
}
