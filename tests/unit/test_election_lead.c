#include "election_rig.h"

/* Leaders: what they list, clean up and give back, and what operators may ask for. */

static const char *const three[] = {"workers/a.json", "workers/b.json", "workers/c.json", NULL};

/* Answers whatever comes, for so long: renewals succeed, lists show the keys, which change every 8 s if they
 * are those of live workers. */
static void run(struct rig *r, uint64_t ms, const char *const *keys, bool alive)
{
    uint64_t end_ms = r->now_ms + ms;
    while (r->now_ms < end_ms) {
        char version[32];
        (void)snprintf(version, sizeof version, "v%" PRIu64, alive ? r->now_ms / 8000 : 0);
        rig_after(r, 1);
        if (rig_asks(r, ELECTION_WRITE_STATE)) rig_writes(r);
        if (rig_asks(r, ELECTION_LIST)) rig_lists(r, keys, version);
        if (rig_asks(r, ELECTION_PUT_METADATA)) rig_answer(r, ELECTION_PUT_METADATA, ELECTION_OK);
        if (rig_asks(r, ELECTION_PUT_WORKER)) rig_answer(r, ELECTION_PUT_WORKER, ELECTION_OK);
    }
}

Test(election_lead, tells_of_workers_that_join_and_of_those_that_time_out)
{
    static const char *const two[] = {"workers/a.json", "workers/b.json", NULL};
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, two);
    run(&r, 5000, two, true);
    cr_assert_null(rig_event(&r, ELECTION_EVENT_WORKER_JOINED), "b was there at the election");
    run(&r, 60000, three, true);
    cr_assert_str_eq(rig_event(&r, ELECTION_EVENT_WORKER_JOINED)->to, "c");
    cr_assert_eq(rig_status(&r).workers, 3);
    cr_assert_null(rig_event(&r, ELECTION_EVENT_WORKER_TIMED_OUT));
    run(&r, 60000, three, false); /* neither b nor c writes any more */
    cr_assert_not_null(rig_event(&r, ELECTION_EVENT_WORKER_TIMED_OUT));
    cr_assert_eq(rig_status(&r).counters.worker_timeouts, 2, "not itself");
    cr_assert_eq(rig_status(&r).workers, 1);
    cr_assert(rig_leads(&r));
    rig_free(&r);
}

Test(election_lead, deletes_records_of_the_dead_and_old_epochs_but_never_the_first)
{
    const char *keys[] = {"epochs/epoch-0000000001", "epochs/epoch-0000000002", "epochs/epoch-0000000003",
                          "epochs/epoch-0000000019", "workers/b.json",          NULL};
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    bool deleted_worker = false, deleted_epoch = false;
    struct election_state s = rig_foreign("m", 18, 1);
    s.hold = ELECTION_RELEASED;
    rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    rig_set_state(&r, &s);
    rig_shows(&r);
    rig_shows(&r);
    rig_lists(&r, rig_no_keys, "v1");
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    rig_writes(&r);
    for (int i = 0; i < 600; i++) {
        run(&r, 1000, keys, false);
        if (!rig_asks(&r, ELECTION_DELETE)) continue;
        const char *key = r.asked[ELECTION_DELETE].key.text;
        cr_assert_str_neq(key, "epochs/epoch-0000000001");
        cr_assert_str_neq(key, "epochs/epoch-0000000019");
        if (strcmp(key, "workers/b.json") == 0) {
            deleted_worker = true;
            keys[4] = NULL; /* so it is listed no more */
        }
        if (strcmp(key, "epochs/epoch-0000000002") == 0) deleted_epoch = true;
        rig_answer(&r, ELECTION_DELETE, ELECTION_OK);
    }
    cr_assert(deleted_worker);
    cr_assert(deleted_epoch);
    rig_free(&r);
}

Test(election_lead, leaving_gives_the_lease_back_and_hints_at_the_next_ones)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, three);
    rig_put(&r, ELECTION_LEAVE, NULL);
    cr_assert_not(rig_leads(&r), "it stops before it says so to anyone");
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_LEFT);
    cr_assert_eq(r.asked[ELECTION_WRITE_STATE].state.hold, ELECTION_RELEASED);
    rig_writes(&r);
    cr_assert(rig_hinted(&r, "b"));
    cr_assert(rig_hinted(&r, "c"));
    cr_assert_str_eq(r.asked[ELECTION_DELETE].key.text, "workers/a.json");
    rig_answer(&r, ELECTION_DELETE, ELECTION_OK);
    cr_assert_not_null(rig_event(&r, ELECTION_EVENT_GONE));
    cr_assert_eq(r.u.wake_ms, UINT64_MAX);
    rig_free(&r);
}

Test(election_lead, leaving_does_not_wait_for_a_store_that_is_silent)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, three);
    rig_put(&r, ELECTION_LEAVE, NULL);
    rig_after(&r, 5000 + 2501 + 1);
    cr_assert_not_null(rig_event(&r, ELECTION_EVENT_GONE));
    rig_free(&r);
}

Test(election_lead, a_release_that_meets_a_late_renewal_is_tried_again)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, three);
    rig_after(&r, 9577);
    struct election_state renewal = r.asked[ELECTION_WRITE_STATE].state;
    rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_UNKNOWN);
    rig_put(&r, ELECTION_LEAVE, NULL);
    rig_set_state(&r, &renewal); /* it had landed */
    while (!rig_asks(&r, ELECTION_WRITE_STATE)) {
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        rig_after(&r, 1);
    }
    if (strcmp(r.asked[ELECTION_WRITE_STATE].if_match.text, r.etag.text) != 0) {
        rig_answer(&r, ELECTION_WRITE_STATE, ELECTION_LOST);
        rig_shows(&r);
        while (!rig_asks(&r, ELECTION_WRITE_STATE)) rig_after(&r, 1);
    }
    cr_assert_eq(r.asked[ELECTION_WRITE_STATE].state.hold, ELECTION_RELEASED);
    cr_assert_str_eq(r.asked[ELECTION_WRITE_STATE].if_match.text, r.etag.text);
    rig_free(&r);
}

Test(election_lead, stepping_down_leaves_the_lease_to_others_for_a_lease)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, three);
    rig_put(&r, ELECTION_STEP_DOWN, NULL);
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_STEPPED_DOWN);
    rig_writes(&r);
    cr_assert_eq(r.state.hold, ELECTION_RELEASED);
    uint64_t down_ms = r.now_ms;
    while (r.now_ms < down_ms + 14990) {
        rig_after(&r, 10);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        if (rig_asks(&r, ELECTION_PUT_WORKER)) rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
        cr_assert_eq(rig_status(&r).role, ELECTION_FOLLOWER);
    }
    rig_after(&r, 20); /* nobody came */
    cr_assert_eq(rig_status(&r).role, ELECTION_CANDIDATE);
    rig_free(&r);
}

Test(election_lead, who_does_not_lead_cannot_step_down)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    rig_put(&r, ELECTION_STEP_DOWN, NULL);
    cr_assert_not_null(rig_event(&r, ELECTION_EVENT_REFUSED));
    rig_free(&r);
}

Test(election_lead, a_forced_election_waits_for_the_minimum_of_the_epoch)
{
    struct election_config cfg = rig_config();
    cfg.epoch_min_ms = 30000;
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    rig_put(&r, ELECTION_FORCE, NULL);
    run(&r, 29990, rig_no_keys, false);
    cr_assert(rig_leads(&r));
    rig_after(&r, 20);
    cr_assert_not(rig_leads(&r));
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_FORCED);
    cr_assert_eq(rig_status(&r).role, ELECTION_CANDIDATE, "being the first, it runs again itself");
    rig_free(&r);
}

Test(election_lead, a_forced_election_at_a_follower_takes_the_next_epoch_and_hints_the_leader)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    rig_put(&r, ELECTION_FORCE, NULL);
    cr_assert_eq(r.asked[ELECTION_CREATE_EPOCH].epoch.epoch, 8);
    rig_answer(&r, ELECTION_CREATE_EPOCH, ELECTION_OK);
    cr_assert(rig_hinted(&r, "m"));
    cr_assert_eq(rig_status(&r).role, ELECTION_FOLLOWER, "m still has its lease");
    rig_free(&r);
}

Test(election_lead, a_leader_that_lists_a_higher_epoch_ends_its_own)
{
    static const char *const higher[] = {"epochs/epoch-0000000001", "epochs/epoch-0000000002",
                                         "workers/0.json", "workers/a.json", NULL};
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    rig_after(&r, 100);
    rig_put(&r, ELECTION_HINT, NULL);
    rig_lists(&r, higher, "v1");
    cr_assert_not(rig_leads(&r));
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_SUPERSEDED);
    cr_assert_eq(r.asked[ELECTION_WRITE_STATE].state.hold, ELECTION_RELEASED, "0 sorts before it");
    rig_writes(&r);
    cr_assert(rig_hinted(&r, "0"));
    rig_free(&r);
}

Test(election_lead, an_epoch_ends_at_its_maximum)
{
    struct election_config cfg = rig_config();
    cfg.epoch_max_ms = 60000;
    struct rig r = rig_new(&cfg, "a");
    rig_found(&r, rig_no_keys);
    uint64_t won_ms = r.now_ms;
    while (rig_leads(&r)) {
        run(&r, 1, rig_no_keys, false);
        cr_assert_leq(r.now_ms - won_ms, 60000);
    }
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_DEMOTED)->reason, ELECTION_EPOCH_ENDED);
    cr_assert_eq(r.now_ms - won_ms, 60000);
    rig_free(&r);
}

Test(election_lead, an_open_breaker_stops_all_but_looks_until_one_is_answered)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    while (rig_status(&r).breaker == BREAKER_CLOSED) { /* nothing is answered */
        rig_after(&r, 100);
        cr_assert_lt(r.now_ms - r.start_ms, 100000);
    }
    cr_assert_eq(rig_event(&r, ELECTION_EVENT_BREAKER)->breaker, BREAKER_OPEN);
    uint64_t puts = rig_status(&r).counters.requests[ELECTION_PUT_WORKER];
    uint64_t looks = rig_status(&r).counters.requests[ELECTION_READ_STATE];
    rig_after(&r, 20000);
    struct election_status st = rig_status(&r);
    cr_assert_eq(st.counters.requests[ELECTION_PUT_WORKER], puts);
    cr_assert_leq(st.counters.requests[ELECTION_READ_STATE] - looks, 5, "about one a heartbeat");
    cr_assert_gt(st.counters.requests[ELECTION_READ_STATE], looks);
    while (!rig_asks(&r, ELECTION_READ_STATE)) rig_after(&r, 10);
    rig_shows(&r);
    cr_assert_eq(rig_status(&r).breaker, BREAKER_CLOSED);
    rig_free(&r);
}

Test(election_lead, heartbeats_that_take_too_long_are_contention_told_once_in_a_while)
{
    struct election_config cfg = rig_config();
    struct rig r = rig_new(&cfg, "a");
    rig_follow(&r, "m");
    while (!rig_asks(&r, ELECTION_PUT_WORKER)) {
        rig_after(&r, 10);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
    }
    uint64_t due_ms = r.now_ms;
    while (r.now_ms - due_ms < 10100) { /* every try fails for more than twice the heartbeat interval */
        rig_after(&r, 10);
        if (rig_asks(&r, ELECTION_PUT_WORKER)) rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_UNKNOWN);
        if (rig_asks(&r, ELECTION_READ_STATE)) rig_shows(&r);
        if (rig_asks(&r, ELECTION_LIST)) rig_lists(&r, rig_no_keys, "v1");
    }
    cr_assert_null(rig_event(&r, ELECTION_EVENT_CONTENTION));
    cr_assert_not_null(rig_event(&r, ELECTION_EVENT_REGISTER_FAILED));
    while (!rig_asks(&r, ELECTION_PUT_WORKER)) rig_after(&r, 1);
    rig_answer(&r, ELECTION_PUT_WORKER, ELECTION_OK);
    const struct election_event *ev = rig_event(&r, ELECTION_EVENT_CONTENTION);
    cr_assert_not_null(ev);
    cr_assert_gt(ev->duration_ms, 10000);
    cr_assert_eq(ev->expected_ms, 5000);
    cr_assert_eq(rig_status(&r).counters.contentions, 1);
    rig_free(&r);
}
