#include "core/election/election_text.h"

#include <criterion/criterion.h>

static void is_line(struct election_event ev, const char *line)
{
    struct buf out = buf_make(1024);
    struct err_ctx ec;
    election_event_line(&out, "global", "default", &ev);
    cr_assert_eq(buf_check(&out, &ec), SYNC_OK);
    cr_assert(slice_is(buf_slice(&out), line), "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_deinit(&out);
}

Test(election_text, lines_are_those_that_operators_know)
{
    is_line((struct election_event){.kind = ELECTION_EVENT_STARTED},
            "[coordinator:global] [default] Service started");
    is_line(
        (struct election_event){.kind = ELECTION_EVENT_LEADER_CHANGED, .to = "gcs-default-1-a", .epoch = 1},
        "[coordinator:global] [default] Leader changed: none -> gcs-default-1-a (epoch: 1)");
    is_line(
        (struct election_event){.kind = ELECTION_EVENT_LEADER_CHANGED, .from = "a", .to = "b", .epoch = 2},
        "[coordinator:global] [default] Leader changed: a -> b (epoch: 2)");
    is_line((struct election_event){.kind = ELECTION_EVENT_REGISTERED},
            "[coordinator:global] [default] Worker registered");
    is_line((struct election_event){.kind = ELECTION_EVENT_HEARTBEAT},
            "[coordinator:global] [default] Heartbeat cycle executed");
    is_line(
        (struct election_event){.kind = ELECTION_EVENT_DEMOTED, .epoch = 2, .reason = ELECTION_LEASE_RAN_OUT},
        "[coordinator:global] [default] This instance leads no more (epoch: 2): lease ran out");
    is_line((struct election_event){.kind = ELECTION_EVENT_PHASE,
                                    .phase = ELECTION_ELECTING,
                                    .duration_ms = 15000},
            "[coordinator:global] [default] Cold start phase: election (after 15000 ms)");
}

Test(election_text, every_event_reason_phase_and_request_has_its_words)
{
    for (int k = ELECTION_EVENT_STARTED; k <= ELECTION_EVENT_GONE; k++) {
        struct election_event ev = {.kind = (enum election_event_kind)k, .to = "a"};
        struct buf out = buf_make(1024);
        election_event_line(&out, "global", "default", &ev);
        cr_assert_gt(out.len, sizeof "[coordinator:global] [default] ");
        cr_assert_not_null(election_event_topic(&ev));
        cr_assert_not_null(election_event_name(ev.kind));
        buf_deinit(&out);
    }
    for (int k = 0; k <= ELECTION_LEFT; k++)
        cr_assert_not_null(election_reason_name((enum election_reason)k));
    for (int k = 0; k <= ELECTION_READY; k++) cr_assert_not_null(election_phase_name((enum election_phase)k));
    for (int k = 0; k <= ELECTION_OUT; k++) cr_assert_not_null(election_role_name((enum election_role)k));
    for (int k = 0; k < ELECTION_OP_KINDS; k++)
        cr_assert_not_null(election_op_name((enum election_op_kind)k));
}

Test(election_text, what_comes_with_every_heartbeat_is_for_diagnostics)
{
    cr_assert(election_event_is_diagnostic(ELECTION_EVENT_HEARTBEAT));
    cr_assert(election_event_is_diagnostic(ELECTION_EVENT_RENEWED));
    cr_assert_not(election_event_is_diagnostic(ELECTION_EVENT_LEADER_CHANGED));
    cr_assert_not(election_event_is_diagnostic(ELECTION_EVENT_DEMOTED));
}
