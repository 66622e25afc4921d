#include "tests/objects/faults.h"

#include "storage/objects/object_probe.h"

#include <pthread.h>

static enum object_outcome create(const char *name, const char *bytes, const struct object_call *call)
{
    enum object_outcome outcome;
    CHECK_OK(object_put_if_absent(fx.store, call, stores_key(name), slice_str(bytes), &outcome, NULL, &fx.ec),
             &fx.ec);
    return outcome;
}

static void a_lost_answer_is_unknown_though_it_was_written(void)
{
    int rule = faults_rule("PUT * lose-answer");
    CHECK(create("l", "mine", NULL) == OBJECT_UNKNOWN);
    CHECK(fx.last.requests == 1 && fault_proxy_hits(fx.proxy, rule) == 1);
    CHECK(fx.ec.text[0] != '\0');
    faults_check_holds("l", "mine");
}

/* The trap: on a connection that was kept, libcurl takes a close without an answer for a stale connection,
 * and sends the request again by itself. The second one would lose to the first, and a write that was made
 * would be called lost. */
static void a_kept_connection_that_breaks_is_not_asked_twice(void)
{
    struct object_info info;
    struct object_version version;
    enum object_outcome outcome;
    for (int i = 0; i < 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "kept%d", i);
        CHECK_RC(object_head(fx.store, NULL, stores_key("warm"), &info, &fx.ec), SYNC_ENOTFOUND, &fx.ec);
        int rule = faults_rule("PUT * lose-answer times=1");
        CHECK(create(name, "mine", NULL) == OBJECT_UNKNOWN);
        CHECK(fault_proxy_hits(fx.proxy, rule) == 1 && fx.last.requests == 1);
        faults_check_holds(name, "mine");

        CHECK_OK(object_head(fx.store, NULL, stores_key(name), &info, &fx.ec), &fx.ec);
        version = info.version;
        uint32_t before = fault_proxy_requests(fx.proxy);
        faults_rule("PUT * lose-answer times=1");
        CHECK_OK(object_put_if_match(fx.store, NULL, stores_key(name), slice_str("next"), &version, &outcome,
                                     NULL, &fx.ec),
                 &fx.ec);
        CHECK(outcome == OBJECT_UNKNOWN && fault_proxy_requests(fx.proxy) == before + 1);
        faults_check_holds(name, "next");
    }
    /* Even one with no body at all, of which nothing would have to be sent again but the head. */
    CHECK_RC(object_head(fx.store, NULL, stores_key("warm"), &info, &fx.ec), SYNC_ENOTFOUND, &fx.ec);
    uint32_t before = fault_proxy_requests(fx.proxy);
    faults_rule("PUT * lose-answer times=1");
    CHECK(create("empty", "", NULL) == OBJECT_UNKNOWN);
    CHECK(fault_proxy_requests(fx.proxy) == before + 1);
}

static void answers_that_decide_nothing_are_unknown(void)
{
    static const char *const faults[] = {"PUT * answer 500 InternalError times=1",
                                         "PUT * answer 500 UnknownError times=1",
                                         "PUT * answer 502 times=1",
                                         "PUT * answer 503 SlowDown times=1",
                                         "PUT * answer 504 times=1",
                                         "PUT * answer 409 ConditionalRequestConflict times=1",
                                         "PUT * answer 400 RequestTimeout times=1",
                                         "PUT * drop times=1",
                                         "PUT * cut-request 2 times=1"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        int rule = faults_rule(faults[i]);
        CHECK(create("d", "mine", NULL) == OBJECT_UNKNOWN, "%s", faults[i]);
        CHECK(fx.last.requests == 1 && fault_proxy_hits(fx.proxy, rule) == 1, "%s", faults[i]);
        faults_check_absent("d");
    }
}

static void answers_that_decide_are_believed(void)
{
    enum object_outcome outcome;
    faults_rule("PUT /c1 answer 412 PreconditionFailed");
    CHECK(create("c1", "x", NULL) == OBJECT_LOST);
    faults_rule("PUT /c2 answer 429 times=2");
    CHECK(create("c2", "x", NULL) == OBJECT_OK, "429 is said before anything is done");
    CHECK(fx.last.requests == 3);
    faults_rule("PUT /c3 answer 403 AccessDenied");
    CHECK_RC(object_put_if_absent(fx.store, NULL, stores_key("c3"), slice_str("x"), &outcome, NULL, &fx.ec),
             SYNC_ECONFIG, &fx.ec);
    faults_rule("PUT /c4 answer 404 NoSuchBucket");
    CHECK_RC(object_put_if_absent(fx.store, NULL, stores_key("c4"), slice_str("x"), &outcome, NULL, &fx.ec),
             SYNC_ECONFIG, &fx.ec);
    struct object_version any = {.text = "0123456789abcdef0123456789abcdef"};
    faults_rule("PUT /c5 answer 404 NoSuchKey");
    CHECK_OK(
        object_put_if_match(fx.store, NULL, stores_key("c5"), slice_str("x"), &any, &outcome, NULL, &fx.ec),
        &fx.ec);
    CHECK(outcome == OBJECT_LOST, "what is not there does not match");
}

static void a_write_that_cannot_have_arrived_is_no_unknown(void)
{
    struct object_s3_config cfg = faults_config();
    enum object_outcome outcome;
    char endpoint[64];
    struct fault_proxy *gone = fault_proxy_start(0, 1);
    CHECK(gone != NULL);
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", fault_proxy_port(gone));
    fault_proxy_stop(gone);
    cfg.endpoint = endpoint;
    faults_open(&cfg);
    CHECK_RC(object_put_if_absent(fx.store, NULL, stores_key("a"), slice_str("x"), &outcome, NULL, &fx.ec),
             SYNC_EBUSY, &fx.ec);
    CHECK(fx.last.requests == 6, "and it was tried again: %u", fx.last.requests);
}

static void a_write_out_of_time_may_land_later(void)
{
    struct object_call call = {.timeout_ms = 300};
    int rule = faults_rule("PUT * hold times=1");
    CHECK(create("late", "first", &call) == OBJECT_UNKNOWN);
    CHECK_TEXT(&fx.ec, "out of time");
    faults_check_absent("late");
    fault_proxy_release(fx.proxy);
    CHECK(fault_proxy_wait_answered(fx.proxy, rule, 1, WAIT_MS), "it never landed");
    faults_check_holds("late", "first");
    CHECK(create("late", "second", NULL) == OBJECT_LOST);
}

/* Which of the two lands first is open; that one of them does, and the other not, is not. */
static void of_two_writes_one_of_them_late_one_wins(void)
{
    struct object_call call = {.timeout_ms = 300};
    int rule = faults_rule("PUT * hold times=1");
    CHECK(create("two", "first", &call) == OBJECT_UNKNOWN);
    CHECK(create("two", "second", NULL) == OBJECT_OK);
    fault_proxy_release(fx.proxy);
    CHECK(fault_proxy_wait_answered(fx.proxy, rule, 1, WAIT_MS));
    faults_check_holds("two", "second");
}

static atomic_bool cancel;

static void *cancel_when_held(void *arg)
{
    CHECK(fault_proxy_wait_hits(fx.proxy, *(int *)arg, 1, WAIT_MS));
    atomic_store(&cancel, true);
    return NULL;
}

static void a_canceled_write_that_was_sent_is_unknown(void)
{
    struct object_call call = {.cancel = &cancel};
    pthread_t thread;
    int rule = faults_rule("PUT * hold");
    atomic_store(&cancel, false);
    CHECK(pthread_create(&thread, NULL, cancel_when_held, &rule) == 0);
    CHECK(create("c", "x", &call) == OBJECT_UNKNOWN);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void conditions_go_out_as_every_server_takes_them(void)
{
    char head[FAULT_HEAD_MAX];
    struct object_info info;
    enum object_outcome outcome;
    CHECK(create("h", "1", NULL) == OBJECT_OK);
    fault_proxy_last_head(fx.proxy, head, sizeof head);
    CHECK(strstr(head, "\r\nif-none-match: *\r\n") != NULL, "%s", head);
    CHECK(strstr(head, ";if-none-match;") != NULL, "it is signed: %s", head);
    CHECK_OK(object_head(fx.store, NULL, stores_key("h"), &info, &fx.ec), &fx.ec);
    CHECK_OK(object_put_if_match(fx.store, NULL, stores_key("h"), slice_str("2"), &info.version, &outcome,
                                 NULL, &fx.ec),
             &fx.ec);
    CHECK(outcome == OBJECT_OK);
    char wanted[OBJECT_VERSION_MAX + 20];
    (void)snprintf(wanted, sizeof wanted, "\r\nif-match: %s\r\n", info.version.text);
    fault_proxy_last_head(fx.proxy, head, sizeof head);
    CHECK(strchr(info.version.text, '"') == NULL && strstr(head, wanted) != NULL, "%s", head);
}

static void the_probe_finds_a_service_that_ignores_conditions(void)
{
    faults_rule("PUT probe/ answer 200 times=1 after=1");
    CHECK_RC(object_probe(fx.store, NULL, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "it overwrites objects in spite of If-None-Match");
    fault_proxy_clear(fx.proxy);
    faults_rule("PUT probe/ answer 200 times=1 after=3");
    CHECK_RC(object_probe(fx.store, NULL, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "it overwrites objects in spite of If-Match");
    fault_proxy_clear(fx.proxy);
    faults_rule("PUT -none answer 200");
    CHECK_RC(object_probe(fx.store, NULL, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "it creates missing objects in spite of If-Match");
    fault_proxy_clear(fx.proxy);
    faults_rule("PUT probe/ answer 501 NotImplemented after=1");
    CHECK_RC(object_probe(fx.store, NULL, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "cannot do what is needed");
    fault_proxy_clear(fx.proxy);
    faults_rule("DELETE probe/ answer 403 AccessDenied");
    CHECK_RC(object_probe(fx.store, NULL, &fx.ec), SYNC_ECONFIG, &fx.ec);
    fault_proxy_clear(fx.proxy);
    faults_rule("* * answer 503");
    CHECK_RC(object_probe(fx.store, NULL, &fx.ec), SYNC_EBUSY, &fx.ec);
}

#define CONDITIONS(X)                                                                                        \
    X(a_lost_answer_is_unknown_though_it_was_written)                                                        \
    X(a_kept_connection_that_breaks_is_not_asked_twice)                                                      \
    X(answers_that_decide_nothing_are_unknown)                                                               \
    X(answers_that_decide_are_believed)                                                                      \
    X(a_write_out_of_time_may_land_later)                                                                    \
    X(of_two_writes_one_of_them_late_one_wins)                                                               \
    X(a_canceled_write_that_was_sent_is_unknown)                                                             \
    X(conditions_go_out_as_every_server_takes_them)                                                          \
    X(the_probe_finds_a_service_that_ignores_conditions)

CONDITIONS(WITH_FAULTS)
WITH_PROXY(a_write_that_cannot_have_arrived_is_no_unknown)

size_t faults_conditions(struct test *ret)
{
    size_t count = 0;
    CONDITIONS(ADD_TEST)
    ADD_TEST(a_write_that_cannot_have_arrived_is_no_unknown)
    return count;
}
