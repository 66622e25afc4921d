/* Memory that is short in the middle of a conversation: each allocation of a step fails in turn (nomem.h).
 * The session has no error to return. What it could not do ends the connection, what it could not write is
 * marked, so that whoever carries it out closes: an answer must not be waited for. */
#include "nomem.h"
#include "session_fixture.h"

#include "json_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct session_fixture x;

static const struct err_ctx failure = {"it failed"};
static const struct site_id server_site = {.bytes = {TEST_SERVER_SITE}};

/* ---- steps, each after what `prepare` brought about */

struct step {
    const char *name;
    void (*prepare)(void);
    void (*take)(struct session_update *ret);
};

static void nothing(void) {}

static void live(void)
{
    go_live(&x);
}

static void opening(void)
{
    (void)says(&x, SAYS_HANDSHAKE);
}

/* The message is the carrier's, so its memory is not short. */
static void hear(const char *text, struct session_update *ret)
{
    struct err_ctx ec;
    nomem_pause();
    struct message *m = malloc(sizeof *m);
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    cr_assert(m != NULL && r != NULL);
    cr_assert_eq(message_read(r, json_padded(text, strlen(text)), strlen(text), m, &ec), SYNC_OK);
    json_reader_free(r);
    nomem_resume();
    session_message(&x.session, m, x.now_ms, ret);
}

static void handshake(struct session_update *ret)
{
    hear(SAYS_HANDSHAKE, ret);
}

static void handshake_without_database(struct session_update *ret)
{
    hear("{\"type\":\"handshake\",\"protocolVersion\":1}", ret);
}

static void ping(struct session_update *ret)
{
    hear("{\"type\":\"ping\"}", ret);
}

static void unknown_message(struct session_update *ret)
{
    hear("{\"type\":\"no such type\"}", ret);
}

static void broken_message(struct session_update *ret)
{
    session_broken_message(&x.session, &failure, ret);
}

static void opened_now(struct session_update *ret)
{
    session_opened(&x.session, SYNC_OK, &failure, &server_site, 0, x.now_ms, ret);
}

static void not_opened(struct session_update *ret)
{
    session_opened(&x.session, SYNC_ESTORE, &failure, NULL, 0, x.now_ms, ret);
}

static void asking(struct session_update *ret)
{
    session_ask(&x.session, x.now_ms, ret);
}

static void batch_under_way(void)
{
    go_live(&x);
    (void)sends_batch(&x);
}

/* Large: it is nudged for more. */
static void batch_done(struct session_update *ret)
{
    static const struct merge_result result = {.applied = 1000, .transactions = 1};
    session_applied(&x.session, slice_str("1"), 1000, SYNC_OK, NULL, &result, slice_of(NULL, 0), x.now_ms,
                    ret);
}

static void batch_refused(struct session_update *ret)
{
    session_applied(&x.session, slice_str("1"), 1, SYNC_ESTORE, &failure, NULL, slice_of(NULL, 0), x.now_ms,
                    ret);
}

/* What a site sends that was asked, and after which it is asked for more. */
static void answer_under_way(void)
{
    go_live(&x);
    (void)begins_to_ask(&x);
    (void)says_hlc(&x,
                   "{\"type\":\"apply_changes\",\"changes\":[{\"siteId\":\"BwAAAAAAAAAAAAAAAAAAAA\","
                   "\"transactionId\":\"t\",\"hlc\":\"%s\",\"changes\":[],\"schemaMigrations\":[]}]}",
                   5);
    x.session.ask.answers = 1; /* as for a batch with facts */
}

static void answer_done(struct session_update *ret)
{
    static const struct merge_result result = {.applied = 1, .transactions = 1};
    session_applied(&x.session, slice_of(NULL, 0), 1, SYNC_OK, NULL, &result, slice_of(NULL, 0), x.now_ms,
                    ret);
}

static void pruned(struct session_update *ret)
{
    session_pruned(&x.session, ret);
}

static void snapshot_under_way(void)
{
    go_live(&x);
    (void)says(&x, SAYS_GET_SNAPSHOT);
}

static void snapshot_done(struct session_update *ret)
{
    const struct session_read_result result = {.rc = SYNC_OK};
    session_read_done(&x.session, &result, x.now_ms, ret);
}

static void snapshot_failed(struct session_update *ret)
{
    const struct session_read_result result = {.rc = SYNC_ESTORE, .ec = &failure};
    session_read_done(&x.session, &result, x.now_ms, ret);
}

static void lagging(void)
{
    go_live(&x);
    session_lagged(&x.session);
}

static void drained_now(struct session_update *ret)
{
    session_drained(&x.session, x.now_ms, ret);
}

static void long_ago(void)
{
    go_live(&x);
    x.now_ms += 2 * x.config.renudge_interval_ms;
}

static void too_late(void)
{
    x.now_ms += 2 * x.config.handshake_timeout_ms;
}

static void tick(struct session_update *ret)
{
    session_tick(&x.session, 0, x.now_ms, ret);
}

static void rechecking(void)
{
    go_live(&x);
    identified(&x, 1000, 2000);
    (void)time_passes(&x, 1000);
}

static void refused_at_last(struct session_update *ret)
{
    session_rechecked(&x.session, SYNC_EAUTH, &failure, UINT64_MAX, UINT64_MAX, x.now_ms, ret);
}

static const struct step steps[] = {
    {"a handshake", nothing, handshake},
    {"a handshake without a database", nothing, handshake_without_database},
    {"a second handshake", live, handshake},
    {"a broken message", nothing, broken_message},
    {"no handshake in time", too_late, tick},
    {"a database that is open", opening, opened_now},
    {"a database that is not", opening, not_opened},
    {"a ping", live, ping},
    {"an unknown message", live, unknown_message},
    {"a question", live, asking},
    {"a batch that is durable", batch_under_way, batch_done},
    {"a batch that is refused", batch_under_way, batch_refused},
    {"an answer that is durable", answer_under_way, answer_done},
    {"a delta below what was pruned", live, pruned},
    {"a snapshot that was sent", snapshot_under_way, snapshot_done},
    {"a snapshot that failed", snapshot_under_way, snapshot_failed},
    {"a nudge after lagging", lagging, drained_now},
    {"a nudge now and then", long_ago, tick},
    {"a recheck that says no", rechecking, refused_at_last},
};

/* Is something of the update marked, or does it end the connection? */
static bool is_told(const struct session_update *u)
{
    for (size_t i = 0; i < u->count; i++) {
        if (u->actions[i].text.failed == SYNC_ENOMEM) return true;
        if (u->actions[i].type == SESSION_CLOSE && u->actions[i].close_code == 1011) return true;
    }
    return false;
}

/* True when an allocation of the step failed. */
static bool take_step(const struct step *step, int at)
{
    struct session_update u;
    session_fixture_init(&x);
    step->prepare();
    nomem_arm(at, 1);
    step->take(&u);
    bool failed = nomem_disarm();
    if (failed) cr_assert(is_told(&u), "%s: allocation %d", step->name, at);
    for (size_t i = 0; i < u.count && !failed; i++)
        cr_assert_eq(u.actions[i].text.failed, SYNC_OK, "%s", step->name);
    session_update_deinit(&u);
    session_fixture_free(&x);
    cr_assert_eq(nomem_live_blocks(), 0, "%s: allocation %d leaks", step->name, at);
    return failed;
}

Test(session_nomem, what_finds_no_room_closes_or_is_marked)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int at = 1;
        while (take_step(&steps[i], at)) at++;
        cr_assert_gt(at, 1, "%s: nothing was allocated", steps[i].name);
    }
}

/* The first allocation of a handshake is the name. */
Test(session_nomem, a_database_name_that_finds_no_room_closes_and_is_not_fatal)
{
    struct session_update u;
    session_fixture_init(&x);
    nomem_arm(1, 1);
    handshake(&u);
    cr_assert(nomem_disarm());
    cr_assert_eq(u.count, 2);
    cr_assert_neq(memmem(u.actions[0].text.bytes, u.actions[0].text.len, "MESSAGE_ERROR", 13), NULL);
    cr_assert_eq(memmem(u.actions[0].text.bytes, u.actions[0].text.len, "\"fatal\":true", 12), NULL);
    cr_assert_eq(u.actions[1].type, SESSION_CLOSE);
    cr_assert_eq(u.actions[1].close_code, 1011);
    session_update_deinit(&u);
    session_fixture_free(&x);
    cr_assert_eq(nomem_live_blocks(), 0);
}

Test(session_nomem, an_update_that_nobody_carries_out_is_freed)
{
    static const char *const texts[] = {SAYS_HANDSHAKE, SAYS_APPLY, SAYS_GET_SNAPSHOT};
    session_fixture_init(&x);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        (void)says(&x, texts[i]); /* tells what came of it, and takes nothing */
        if (i == 0) (void)opened(&x, SYNC_OK);
    }
    (void)says_hlc(&x, SAYS_RESUME, 9); /* waits */
    cr_assert_gt(nomem_live_blocks(), 0);
    session_fixture_free(&x);
    cr_assert_eq(nomem_live_blocks(), 0);
}
