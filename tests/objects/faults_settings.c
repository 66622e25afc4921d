#include "tests/objects/faults.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static enum sync_err try_put(void)
{
    return object_put(fx.store, NULL, stores_key("s"), slice_str("x"), NULL, &fx.ec);
}

static void wrong_keys_say_so(void)
{
    struct object_s3_config cfg = faults_config();
    struct object_info info;
    cfg.credentials.secret_access_key = "wrong";
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "403 SignatureDoesNotMatch; the secret is wrong: correct S3_SECRET_ACCESS_KEY");
    CHECK(fx.last.requests == 1);
    CHECK_RC(object_head(fx.store, NULL, stores_key("s"), &info, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "correct the S3 keys");

    cfg.credentials.access_key_id = "NOBODY";
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec,
               "403 InvalidAccessKeyId; the service does not know this key: correct S3_ACCESS_KEY_ID");
}

static void a_missing_bucket_says_so(void)
{
    struct object_s3_config cfg = faults_config();
    struct object_page page;
    struct object_query query = {.entries_max = 1};
    struct buf got = buf_make(100);
    cfg.bucket = "no-such-bucket-here";
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "404 NoSuchBucket; create the bucket, or correct S3_BUCKET or S3_ENDPOINT");
    CHECK_RC(object_list(fx.store, NULL, &query, &page, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_RC(object_get_buf(fx.store, NULL, stores_key("s"), NULL, &got, NULL, &fx.ec), SYNC_ECONFIG, &fx.ec);
    buf_deinit(&got);
}

static void a_bucket_of_somebody_else_says_so(void)
{
    struct object_s3_config cfg = faults_config();
    cfg.bucket = "s3-server-probe"; /* tests/s3-server's own */
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "403 AccessDenied; the keys are known but may not do this");
}

/* ---- the clock */

static int64_t clock_off_ms;

static uint64_t wrong_clock(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_REALTIME, &ts) == 0);
    return (uint64_t)(ts.tv_sec * 1000 + clock_off_ms);
}

static void a_clock_that_is_an_hour_off_is_made_good(void)
{
    static const int64_t off_by[] = {3600 * 1000, -3600 * 1000, 400L * 86400 * 1000};
    for (size_t i = 0; i < sizeof off_by / sizeof *off_by; i++) {
        struct object_s3_config cfg = faults_config();
        struct object_info info;
        cfg.wall_ms = wrong_clock;
        clock_off_ms = off_by[i];
        faults_open(&cfg);
        CHECK_OK(try_put(), &fx.ec);
        CHECK(fx.last.requests == 2, "%u requests", fx.last.requests);
        CHECK(fx.skew_ms + off_by[i] < 5000 && fx.skew_ms + off_by[i] > -5000, "%jd", (intmax_t)fx.skew_ms);
        CHECK_OK(try_put(), &fx.ec);
        CHECK(fx.last.requests == 1, "the skew is remembered");

        clock_off_ms = 0; /* somebody has set the clock */
        CHECK_OK(object_head(fx.store, NULL, stores_key("s"), &info, &fx.ec), &fx.ec);
        CHECK(fx.last.requests == 2, "%u requests", fx.last.requests);
        CHECK(fx.skew_ms < 5000 && fx.skew_ms > -5000, "%jd", (intmax_t)fx.skew_ms);
    }
}

static void a_clock_that_cannot_be_made_good_says_so(void)
{
    faults_rule("PUT * answer 403 RequestTimeTooSkewed");
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "set the clock");
}

/* ---- keys from a file */

static char profile_path[] = "/tmp/test_faults_keys_XXXXXX";

static void write_profile(const char *id, const char *secret)
{
    char next[sizeof profile_path + 4];
    (void)snprintf(next, sizeof next, "%s.new", profile_path);
    FILE *f = fopen(next, "w");
    CHECK(f != NULL);
    fprintf(f, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret);
    CHECK(fclose(f) == 0);
    CHECK(rename(next, profile_path) == 0);
}

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static void *renew_when_held(void *arg)
{
    CHECK(fault_proxy_wait_answered(fx.proxy, *(int *)arg, 1, WAIT_MS));
    write_profile(need_env("S3_ACCESS_KEY"), need_env("S3_SECRET_KEY"));
    fault_proxy_release(fx.proxy);
    return NULL;
}

static void keys_in_a_file_may_be_renewed_at_any_time(void)
{
    struct object_s3_config cfg = faults_config();
    pthread_t thread;
    int fd = mkstemp(profile_path);
    CHECK(fd >= 0 && close(fd) == 0);
    write_profile("OLD", "old");
    cfg.credentials = (struct credentials_config){.file = profile_path, .environment = no_environment};
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    write_profile(need_env("S3_ACCESS_KEY"), need_env("S3_SECRET_KEY"));
    CHECK_OK(try_put(), &fx.ec);
    CHECK(fx.last.requests == 1);

    /* Renewed while a request with the old ones is under way: it is refused, and the call goes on with the
     * new. */
    write_profile("OLD", "old");
    int rule = faults_rule("PUT * hold-answer times=1");
    CHECK(pthread_create(&thread, NULL, renew_when_held, &rule) == 0);
    CHECK_OK(try_put(), &fx.ec);
    CHECK(fx.last.requests == 2, "%u requests", fx.last.requests);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(unlink(profile_path) == 0);
}

static void a_session_token_goes_along_signed(void)
{
    struct object_s3_config cfg = faults_config();
    char head[FAULT_HEAD_MAX];
    cfg.credentials.session_token = "TOKEN/with+all==";
    faults_open(&cfg);
    faults_rule("* * answer 403 AccessDenied"); /* the test's server knows no tokens */
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    fault_proxy_last_head(fx.proxy, head, sizeof head);
    CHECK(strstr(head, "\r\nx-amz-security-token: TOKEN/with+all==\r\n") != NULL, "%s", head);
    CHECK(strstr(head, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,") != NULL,
          "%s", head);
}

static void check_last_head(const char *method, const char *wanted)
{
    char head[FAULT_HEAD_MAX];
    fault_proxy_last_head(fx.proxy, head, sizeof head);
    CHECK(strncmp(head, method, strlen(method)) == 0 && strstr(head, wanted) != NULL, "%s", head);
}

static void parts_may_go_without_a_hash_and_nothing_else(void)
{
    struct object_s3_config cfg = faults_config();
    struct object_upload *u;
    cfg.unsigned_parts = true;
    faults_open(&cfg);
    CHECK_OK(try_put(), &fx.ec);
    check_last_head("PUT", /* of "x" */
                    "sha256: 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\r\n");
    CHECK_OK(object_upload_begin(fx.store, NULL, stores_key("u"), OBJECT_PART_BYTES_MIN, &u, &fx.ec), &fx.ec);
    CHECK_OK(object_upload_part(u, NULL, 1, slice_str("part"), &fx.ec), &fx.ec);
    check_last_head("PUT", "sha256: UNSIGNED-PAYLOAD\r\n");
    CHECK_OK(object_upload_complete(u, NULL, 1, NULL, &fx.ec), &fx.ec);
    object_upload_free(u);
    faults_check_holds("u", "part");
}

/* ---- addresses */

static void both_styles_of_address_work(void)
{
    struct object_s3_config cfg = faults_config();
    char endpoint[64], head[FAULT_HEAD_MAX], wanted[128];
    struct object_page page;
    struct object_query query = {.prefix = stores_key("")};
    (void)snprintf(endpoint, sizeof endpoint, "http://localhost:%u", fault_proxy_port(fx.proxy));
    cfg.endpoint = endpoint;
    cfg.force_path_style = false;
    faults_open(&cfg);
    CHECK_OK(try_put(), &fx.ec);
    fault_proxy_last_head(fx.proxy, head, sizeof head);
    (void)snprintf(wanted, sizeof wanted, "PUT /%s/", stores_run());
    CHECK(strstr(head, wanted) == head, "%s", head);
    (void)snprintf(wanted, sizeof wanted, "\r\nhost: %s.localhost:%u\r\n", cfg.bucket,
                   fault_proxy_port(fx.proxy));
    CHECK(strcasestr(head, wanted) != NULL, "%s", head);
    faults_check_holds("s", "x");
    CHECK_OK(object_list(fx.store, NULL, &query, &page, &fx.ec), &fx.ec);
    CHECK(page.count == 1);
    object_page_deinit(&page);
}

static void tls_is_checked_against_the_ca_file(void)
{
    struct object_s3_config cfg = faults_config();
    cfg.endpoint = need_env("S3_TLS_ENDPOINT");
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "certificate");
    CHECK(fx.last.requests == 1, "a certificate does not become good by asking again");

    cfg.ca_file = need_env("S3_CA_FILE");
    faults_open(&cfg);
    CHECK_OK(try_put(), &fx.ec);
    CHECK_OK(try_put(), &fx.ec);
    faults_check_holds("s", "x");

    cfg.ca_file = "/nonexistent/ca.pem";
    faults_open(&cfg);
    CHECK_RC(try_put(), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "CA file");
}

static void an_address_that_is_not_s3_says_something_useful(void)
{
    struct object_page page;
    struct object_query query = {.entries_max = 1};
    faults_rule("GET * answer 200"); /* some web server */
    CHECK_RC(object_list(fx.store, NULL, &query, &page, &fx.ec), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "S3 list: XML answer");
    faults_rule("PUT * answer 405");
    CHECK_RC(try_put(), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "405");
}

static void settings_that_cannot_work_are_refused_when_opened(void)
{
    struct object_store *s;
    struct object_s3_config cfg;
    static const struct {
        const char *bucket, *endpoint, *prefix;
    } cases[] = {{"", NULL, NULL},
                 {NULL, NULL, NULL},
                 {"b!", NULL, NULL},
                 {"bucket", "nonsense", NULL},
                 {"bucket", NULL, "/begins/with/slash/"},
                 {"bucket", NULL, "\xff"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfg = faults_config();
        cfg.bucket = cases[i].bucket;
        cfg.endpoint = cases[i].endpoint;
        cfg.key_prefix = cases[i].prefix;
        CHECK_RC(object_s3_open(&cfg, &s, &fx.ec), SYNC_ECONFIG, &fx.ec);
    }
    cfg = faults_config();
    cfg.credentials = (struct credentials_config){.file = "/nonexistent", .environment = no_environment};
    CHECK_RC(object_s3_open(&cfg, &s, &fx.ec), SYNC_ECONFIG, &fx.ec);
    CHECK_TEXT(&fx.ec, "no S3 keys");
}

static void another_prefix_is_another_world(void)
{
    struct object_s3_config cfg = faults_config();
    struct object_page page;
    struct object_query query = {0};
    struct object_info info;
    char prefix[100];
    faults_put_direct("s", "x");
    (void)snprintf(prefix, sizeof prefix, "%s/elsewhere ü/", stores_run());
    cfg.key_prefix = prefix;
    faults_open(&cfg);
    CHECK_RC(object_head(fx.store, NULL, stores_key("s"), &info, &fx.ec), SYNC_ENOTFOUND, &fx.ec);
    CHECK_OK(object_put(fx.store, NULL, slice_str("only"), slice_str("x"), NULL, &fx.ec), &fx.ec);
    CHECK_OK(object_list(fx.store, NULL, &query, &page, &fx.ec), &fx.ec);
    CHECK(page.count == 1 && slice_is(page.entries[0].key, "only"));
    object_page_deinit(&page);
}

#define SETTINGS(X)                                                                                          \
    X(wrong_keys_say_so)                                                                                     \
    X(a_missing_bucket_says_so)                                                                              \
    X(a_bucket_of_somebody_else_says_so)                                                                     \
    X(a_clock_that_is_an_hour_off_is_made_good)                                                              \
    X(keys_in_a_file_may_be_renewed_at_any_time)                                                             \
    X(a_session_token_goes_along_signed)                                                                     \
    X(parts_may_go_without_a_hash_and_nothing_else)                                                          \
    X(both_styles_of_address_work)                                                                           \
    X(tls_is_checked_against_the_ca_file)                                                                    \
    X(settings_that_cannot_work_are_refused_when_opened)                                                     \
    X(another_prefix_is_another_world)

SETTINGS(WITH_PROXY)
WITH_FAULTS(a_clock_that_cannot_be_made_good_says_so)
WITH_FAULTS(an_address_that_is_not_s3_says_something_useful)

size_t faults_settings(struct test *ret)
{
    size_t count = 0;
    SETTINGS(ADD_TEST)
    ADD_TEST(a_clock_that_cannot_be_made_good_says_so)
    ADD_TEST(an_address_that_is_not_s3_says_something_useful)
    return count;
}
