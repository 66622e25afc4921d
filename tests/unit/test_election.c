#include "election_rig.h"

/* The machine as a whole: what a leader and a follower do, and until when. */

static const uint32_t LEAD_MS = 11972, RENEW_MS = 9577; /* of the default lease of 15 s */

Test(election, first_instance_of_a_new_namespace_leads_after_six_answers)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    cr_assert(rig_leads(&r));
    cr_assert_eq(r.u.lead.epoch, 1);
    const struct election_event *ev = rig_event(&r, ELECTION_EVENT_LEADER_CHANGED);
    cr_assert_str_eq(ev->from, "");
    cr_assert_str_eq(ev->to, "a");
    cr_assert_eq(ev->epoch, 1);
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_ELECTED)->epoch, 1);
    rig_free(&r);
}

Test(election, a_lead_ends_by_the_clock_alone)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    uint64_t sent_ms = r.now_ms;
    cr_assert_eq(r.u.lead.until_ms, sent_ms + LEAD_MS);
    struct election_lead lead = r.u.lead; /* nobody calls the machine: it stands still, or is stopped */
    cr_assert(election_may_lead(&lead, sent_ms + LEAD_MS - 1));
    cr_assert_not(election_may_lead(&lead, sent_ms + LEAD_MS));
    rig_free(&r);
}

Test(election, a_renewal_counts_from_before_it_was_sent)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    uint64_t won_ms = r.now_ms;
    rig_after(&r, RENEW_MS - 1);
    cr_assert_not(rig_asks(&r, ELECTION_WRITE_STATE));
    rig_after(&r, 1);
    cr_assert(rig_asks(&r, ELECTION_WRITE_STATE));
    cr_assert_str_eq(r.asked[ELECTION_WRITE_STATE].if_match.text, r.etag.text);
    rig_after(&r, 1000); /* the answer takes a second */
    rig_writes(&r);
    cr_assert_eq(r.u.lead.until_ms, won_ms + RENEW_MS + LEAD_MS);
    cr_assert_eq(r.u.lead.epoch, 1);
    rig_free(&r);
}

Test(election, an_unknown_renewal_counts_only_when_a_look_shows_it)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    uint64_t until_ms = r.u.lead.until_ms;
    rig_after(&r, RENEW_MS);
    uint64_t sent_ms = r.now_ms;
    struct election_state written = r.asked[ELECTION_WRITE_STATE].state;
    rig_after(&r, 100);
    rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_UNKNOWN);
    cr_assert_eq(r.u.lead.until_ms, until_ms, "unknown is not a renewal");
    rig_shows(&r); /* the old record: not written yet */
    cr_assert_eq(r.u.lead.until_ms, until_ms);
    rig_after(&r, 500);
    struct election_state again = r.asked[ELECTION_WRITE_STATE].state;
    cr_assert(election_token_eq(again.token, written.token), "the same bytes once more");
    rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_LOST); /* since the first try has landed meanwhile */
    rig_set_state(&r, &written);
    rig_shows(&r);
    cr_assert_eq(r.u.lead.until_ms, sent_ms + LEAD_MS, "it counts from the first try");
    rig_free(&r);
}

Test(election, a_leader_whose_writes_fail_stops_before_its_lease_is_over)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    uint64_t won_ms = r.now_ms;
    while (r.now_ms < won_ms + LEAD_MS) {
        rig_after(&r, 1);
        for (int k = 0; k < ELECTION_OP_KINDS; k++)
            if (r.open[k]) rig_answer(&r, (enum election_op_kind)k, ELECTION_UNKNOWN);
    }
    cr_assert_not(rig_leads(&r));
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_LEASE_RAN_OUT);
    cr_assert_eq(r.u.lead.epoch, 0);
    rig_free(&r);
}

Test(election, a_leader_that_finds_another_in_state_json_stops_at_once)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    rig_after(&r, RENEW_MS);
    rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_LOST);
    struct election_state other = rig_foreign("b", 2, 1);
    rig_set_state(&r, &other);
    rig_shows(&r);
    cr_assert_not(rig_leads(&r));
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_TAKEN_OVER);
    cr_assert_str_eq(rig_event(&r, ELECTION_EVENT_LEADER_CHANGED)->to, "b");
    rig_free(&r);
}

Test(election, after_a_suspension_it_stops_and_runs_again_with_a_new_epoch)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    r.now_ms += 3600 * 1000; /* SIGSTOP for an hour */
    r.wall_ms += 3600 * 1000;
    cr_assert_not(rig_leads(&r), "not even before the machine is called");
    rig_tick(&r);
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_LEASE_RAN_OUT);
    rig_shows(&r); /* still its own record: nobody else was there */
    if (rig_asks(&r, ELECTION_LIST)) rig_lists(&r, rig_no_keys, "v1");
    cr_assert_eq(r.asked[ELECTION_CREATE_EPOCH].epoch.epoch, 2);
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    rig_writes(&r);
    cr_assert(rig_leads(&r));
    cr_assert_eq(r.u.lead.epoch, 2);
    rig_free(&r);
}

Test(election, a_wall_clock_far_ahead_of_the_monotonic_one_ends_the_epoch)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    r.wall_ms += 60000; /* a virtual machine was stopped, and its wall clock set right since */
    rig_after(&r, 10);
    rig_tick(&r);
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_CLOCK_JUMPED);
    cr_assert_not(rig_leads(&r));
    rig_free(&r);
}

Test(election, a_wall_clock_set_back_changes_nothing)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    r.wall_ms -= 600000;
    rig_after(&r, 10);
    rig_tick(&r);
    cr_assert(rig_leads(&r));
    rig_free(&r);
}

Test(election, state_json_removed_under_a_leader_ends_its_lead)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    rig_after(&r, RENEW_MS);
    rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_LOST);
    rig_answer(&r, ELECTION_READ_STATE, ELECTION_ABSENT);
    cr_assert_not(rig_leads(&r));
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_STATE_GONE);
    rig_free(&r);
}

Test(election, answers_that_come_after_it_gave_up_waiting_are_ignored)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    uint64_t until_ms = r.u.lead.until_ms;
    rig_after(&r, RENEW_MS);
    struct election_op first = r.asked[ELECTION_WRITE_STATE];
    rig_after(&r, first.wait_ms);
    cr_assert(rig_asks(&r, ELECTION_READ_STATE), "no answer is an unknown outcome");
    struct election_result late = {
        .kind = ELECTION_WRITE_STATE, .op_id = first.id, .outcome = ELECTION_OK, .etag = {"late"}};
    rig_put(&r, ELECTION_RESULT, &late);
    cr_assert_eq(r.u.lead.until_ms, until_ms);
    rig_free(&r);
}

Test(election, status_tells_who_leads_and_for_how_long)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    rig_after(&r, 1000);
    struct election_status st = rig_status(&r);
    cr_assert_eq(st.role, ELECTION_LEADER);
    cr_assert_eq(st.phase, ELECTION_READY);
    cr_assert_eq(st.epoch, 1);
    cr_assert_str_eq(st.leader_id, "a");
    cr_assert_eq(st.lease_left_ms, 14000);
    cr_assert_eq(st.workers, 1);
    cr_assert_eq(st.heartbeat_age_ms, 1000);
    cr_assert_eq(st.counters.elections_won, 1);
    cr_assert_eq(st.counters.leader_changes, 1);
    cr_assert_gt(st.latency_ms.count, 0);
    rig_free(&r);
}

Test(election, a_worker_id_that_is_no_key_is_refused)
{
    struct election_config cfg = rig_config();
    struct election_self self = {.worker_id = "../state"};
    struct election *e = NULL;
    struct err_ctx ec;
    cr_assert_eq(election_new(&cfg, &self, &e, &ec), SYNC_ECONFIG);
    cr_assert_null(e);
}
