#include "tests/objects/faults.h"

#include <pthread.h>

static enum sync_err put(const char *name, const char *bytes)
{
    return object_put(fx.store, NULL, stores_key(name), slice_str(bytes), NULL, &fx.ec);
}

static void what_may_pass_is_repeated_until_it_succeeds(void)
{
    static const char *const faults[] = {"* * answer 500 InternalError times=2",
                                         "* * answer 503 SlowDown times=2",
                                         "* * answer 503 times=2",
                                         "* * answer 502 times=2",
                                         "* * answer 504 times=2",
                                         "* * answer 429 times=2",
                                         "* * answer 400 RequestTimeout times=2",
                                         "* * answer 409 OperationAborted times=2",
                                         "* * drop times=2",
                                         "* * lose-answer times=2"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct buf got = buf_make(100);
        struct object_info info;
        struct object_page page;
        struct object_query query = {.prefix = stores_key("")};
        faults_rule(faults[i]);
        CHECK_OK(put("r", faults[i]), &fx.ec);
        CHECK(fx.last.requests == 3 && fx.last.retries == 2, "%s: %u requests", faults[i], fx.last.requests);
        CHECK(fx.last.cost_nano_usd == 3 * 5000);
        faults_check_holds("r", faults[i]);
        faults_rule(faults[i]);
        CHECK_OK(object_get_buf(fx.store, NULL, stores_key("r"), NULL, &got, NULL, &fx.ec), &fx.ec);
        CHECK(fx.last.requests == 3 && slice_is(buf_slice(&got), faults[i]));
        faults_rule(faults[i]);
        CHECK_OK(object_list(fx.store, NULL, &query, &page, &fx.ec), &fx.ec);
        CHECK(fx.last.requests == 3 && page.count == 1);
        object_page_deinit(&page);
        if (strstr(faults[i], "400") == NULL) { /* a HEAD's answer has no code that could say "try again" */
            faults_rule(faults[i]);
            CHECK_OK(object_head(fx.store, NULL, stores_key("r"), &info, &fx.ec), &fx.ec);
            CHECK(fx.last.requests == 3, "%s: %u requests", faults[i], fx.last.requests);
        }
        fault_proxy_clear(fx.proxy);
        faults_rule(faults[i]);
        CHECK_OK(object_delete(fx.store, NULL, stores_key("r"), &fx.ec), &fx.ec);
        CHECK(fx.last.requests == 3);
        buf_deinit(&got);
    }
}

static void what_will_not_pass_is_not_repeated(void)
{
    static const struct {
        const char *fault;
        enum sync_err rc;
        const char *text;
    } cases[] = {
        {"PUT * answer 403 AccessDenied", SYNC_ECONFIG, "grant it in the policy"},
        {"PUT * answer 403 QuotaExceeded", SYNC_EIO, "full: make room"},
        {"PUT * answer 507 XMinioStorageFull", SYNC_EIO, "full: make room"},
        {"PUT * answer 501 NotImplemented", SYNC_ECONFIG, "use another"},
        {"PUT * answer 301 PermanentRedirect", SYNC_ECONFIG, "S3_REGION"},
        {"PUT * answer 400 ExpiredToken", SYNC_ECONFIG, "renew the keys"},
        {"PUT * answer 400 InvalidDigest", SYNC_EIO, "InvalidDigest; it says: said by the fault proxy"},
        {"PUT * answer 418", SYNC_EIO, "418"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fault_proxy_clear(fx.proxy);
        faults_rule(cases[i].fault);
        CHECK_RC(put("n", "x"), cases[i].rc, &fx.ec);
        CHECK_TEXT(&fx.ec, cases[i].text);
        CHECK_TEXT(&fx.ec, "S3 put f");
        CHECK(fx.last.requests == 1, "%s: %u requests", cases[i].fault, fx.last.requests);
    }
    faults_check_absent("n");
}

static void repeats_have_an_end(void)
{
    faults_rule("PUT * answer 503 SlowDown");
    CHECK_RC(put("e", "x"), SYNC_EBUSY, &fx.ec);
    CHECK(fx.last.requests == 6 && fx.last.retries == 5, "%u requests", fx.last.requests);
    CHECK_TEXT(&fx.ec, "(6 requests): 503 SlowDown");
}

static void the_service_may_say_when_to_come_again(void)
{
    faults_rule("PUT * answer 503 SlowDown retry-after=1 times=1");
    uint64_t begin_ms = faults_clock_ms();
    CHECK_OK(put("w", "x"), &fx.ec);
    CHECK(faults_clock_ms() - begin_ms >= 1000, "it came again too early");
    CHECK(fx.last.requests == 2);
}

static void a_call_that_has_no_time_for_a_repeat_ends_with_its_reason(void)
{
    struct object_call call = {.timeout_ms = 5000};
    faults_rule("PUT * answer 503 SlowDown retry-after=30");
    uint64_t begin_ms = faults_clock_ms();
    CHECK_RC(object_put(fx.store, &call, stores_key("t"), slice_str("x"), NULL, &fx.ec), SYNC_EBUSY, &fx.ec);
    CHECK_TEXT(&fx.ec, "503 SlowDown");
    CHECK(faults_clock_ms() - begin_ms < 5000 && fx.last.requests == 1);
}

static void a_service_that_is_not_there_is_reported(void)
{
    struct object_s3_config cfg = faults_config();
    struct fault_proxy *gone = fault_proxy_start(0, 1);
    char endpoint[64];
    CHECK(gone != NULL);
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", fault_proxy_port(gone));
    fault_proxy_stop(gone);
    cfg.endpoint = endpoint;
    faults_open(&cfg);
    CHECK_RC(put("x", "x"), SYNC_EBUSY, &fx.ec);
    CHECK_TEXT(&fx.ec, "Failed to connect");
    CHECK(fx.last.requests == 6);
}

/* ---- the breaker */

/* Calls until one goes out to the service again. */
static enum sync_err put_until_admitted(void)
{
    uint64_t end_ms = faults_clock_ms() + WAIT_MS;
    enum sync_err rc;
    do {
        rc = put("b", "x");
        CHECK(faults_clock_ms() < end_ms, "the breaker does not let anything out");
    } while (fx.last.requests == 0);
    return rc;
}

static void the_breaker_opens_probes_and_closes(void)
{
    static const enum breaker_state story[] = {BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_OPEN,
                                               BREAKER_HALF_OPEN, BREAKER_CLOSED};
    struct object_s3_config cfg = faults_config();
    cfg.breaker = (struct breaker_config){.failures_max = 4, .reset_ms = 100};
    cfg.repeats_max = 1;
    faults_open(&cfg);
    faults_rule("* * answer 500 InternalError");
    CHECK_RC(put("b", "x"), SYNC_EBUSY, &fx.ec);
    CHECK(fx.moves_count == 0);
    CHECK_RC(put("b", "x"), SYNC_EBUSY, &fx.ec);
    CHECK(fx.moves_count == 1 && fx.last.requests == 2);

    CHECK_RC(put("b", "x"), SYNC_EBUSY, &fx.ec);
    CHECK(fx.last.requests == 0, "an open breaker asks nothing");
    CHECK_TEXT(&fx.ec, "it has kept failing, next try in");
    CHECK_RC(put_until_admitted(), SYNC_EBUSY, &fx.ec);
    CHECK(fx.last.requests == 1, "the probe failed, and with it the call: %u requests", fx.last.requests);
    fault_proxy_clear(fx.proxy);
    CHECK_OK(put_until_admitted(), &fx.ec);
    CHECK_OK(put("b", "y"), &fx.ec);
    CHECK(fx.moves_count == 5 && memcmp(fx.moves, story, sizeof story) == 0, "%u moves", fx.moves_count);
}

static void refusals_do_not_open_the_breaker(void)
{
    struct object_s3_config cfg = faults_config();
    struct object_info info;
    enum object_outcome outcome;
    cfg.breaker = (struct breaker_config){.failures_max = 2, .reset_ms = 60000};
    faults_open(&cfg);
    faults_put_direct("there", "x");
    faults_rule("PUT /denied answer 403 AccessDenied");
    faults_rule("PUT /race answer 500 UnknownError");
    for (int i = 0; i < 10; i++) {
        CHECK_RC(object_head(fx.store, NULL, stores_key("missing"), &info, &fx.ec), SYNC_ENOTFOUND, &fx.ec);
        CHECK_RC(put("denied", "x"), SYNC_ECONFIG, &fx.ec);
        CHECK_OK(
            object_put_if_absent(fx.store, NULL, stores_key("there"), slice_str("y"), &outcome, NULL, &fx.ec),
            &fx.ec);
        CHECK(outcome == OBJECT_LOST);
    }
    for (int i = 0; i < 5; i++) { /* Ceph's answer to who loses a race */
        CHECK_OK(
            object_put_if_absent(fx.store, NULL, stores_key("race"), slice_str("y"), &outcome, NULL, &fx.ec),
            &fx.ec);
        CHECK(outcome == OBJECT_UNKNOWN);
    }
    CHECK(fx.moves_count == 0);
}

/* ---- connections */

enum { CALLERS = 24, CALLS_EACH = 10 };

static void *call_often(void *arg)
{
    struct err_ctx ec;
    char name[32];
    for (int i = 0; i < CALLS_EACH; i++) {
        struct object_info info;
        (void)snprintf(name, sizeof name, "pool/%d", *(int *)arg);
        CHECK_RC(object_head(fx.store, NULL, slice_str(name), &info, &ec), SYNC_ENOTFOUND, &ec);
    }
    return NULL;
}

static void connections_are_few_and_kept(void)
{
    struct object_s3_config cfg = faults_config();
    pthread_t threads[CALLERS];
    int numbers[CALLERS];
    cfg.connections_max = 4;
    cfg.observer = (struct object_observer){0};
    faults_open(&cfg);
    for (int i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, call_often, &numbers[i]) == 0);
    }
    for (int i = 0; i < CALLERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(fault_proxy_requests(fx.proxy) == CALLERS * CALLS_EACH);
    CHECK(fault_proxy_connections(fx.proxy) <= 4, "%u connections", fault_proxy_connections(fx.proxy));
}

static void one_caller_uses_one_connection(void)
{
    for (int i = 0; i < 20; i++) CHECK_OK(put("one", "x"), &fx.ec);
    CHECK(fault_proxy_connections(fx.proxy) == 1, "%u connections", fault_proxy_connections(fx.proxy));
}

static void the_upload_ceiling_holds(void)
{
    struct object_s3_config cfg = faults_config();
    char *bytes = calloc(1, 1 << 20);
    CHECK(bytes != NULL);
    cfg.upload_bytes_per_s = 2 << 20;
    cfg.stall_ms = 200; /* waiting for the ceiling is not a stall */
    faults_open(&cfg);
    uint64_t begin_ms = faults_clock_ms();
    CHECK_OK(object_put(fx.store, NULL, stores_key("slow"), slice_of(bytes, 1 << 20), NULL, &fx.ec), &fx.ec);
    uint64_t took_ms = faults_clock_ms() - begin_ms;
    CHECK(took_ms >= 350 && took_ms < 3000, "%ju ms for half a second's worth", (uintmax_t)took_ms);
    CHECK(fx.last.requests == 1);
    free(bytes);
}

WITH_FAULTS(what_may_pass_is_repeated_until_it_succeeds)
WITH_FAULTS(what_will_not_pass_is_not_repeated)
WITH_FAULTS(repeats_have_an_end)
WITH_FAULTS(the_service_may_say_when_to_come_again)
WITH_FAULTS(a_call_that_has_no_time_for_a_repeat_ends_with_its_reason)
WITH_PROXY(a_service_that_is_not_there_is_reported)
WITH_PROXY(the_breaker_opens_probes_and_closes)
WITH_PROXY(refusals_do_not_open_the_breaker)
WITH_PROXY(connections_are_few_and_kept)
WITH_FAULTS(one_caller_uses_one_connection)
WITH_PROXY(the_upload_ceiling_holds)

size_t faults_repeats(struct test *ret)
{
    size_t count = 0;
    ADD_TEST(what_may_pass_is_repeated_until_it_succeeds)
    ADD_TEST(what_will_not_pass_is_not_repeated)
    ADD_TEST(repeats_have_an_end)
    ADD_TEST(the_service_may_say_when_to_come_again)
    ADD_TEST(a_call_that_has_no_time_for_a_repeat_ends_with_its_reason)
    ADD_TEST(a_service_that_is_not_there_is_reported)
    ADD_TEST(the_breaker_opens_probes_and_closes)
    ADD_TEST(refusals_do_not_open_the_breaker)
    ADD_TEST(connections_are_few_and_kept)
    ADD_TEST(one_caller_uses_one_connection)
    ADD_TEST(the_upload_ceiling_holds)
    return count;
}
