#include "tests/objects/faults.h"

#include "storage/objects/object_writer.h"
#include "tests/objects/content.h"

#include <pthread.h>

enum { MEGABYTE = 1 << 20, PART = 5 * MEGABYTE };

static char *make_content(uint64_t seed, size_t len)
{
    char *bytes = malloc(len);
    CHECK(bytes != NULL);
    content_fill(seed, 0, bytes, len);
    return bytes;
}

static void put_content(const char *name, uint64_t seed, size_t len)
{
    char *bytes = make_content(seed, len);
    CHECK_OK(object_put(fx.direct, NULL, stores_key(name), slice_of(bytes, len), NULL, &fx.ec), &fx.ec);
    free(bytes);
}

static void a_read_that_breaks_goes_on_where_it_was(void)
{
    put_content("g", 1, 3 * MEGABYTE);
    faults_rule("GET * cut-answer 700000 times=3");
    faults_rule("GET * answer 503 SlowDown times=2");
    content_check_object(fx.store, stores_key("g"), 1, 3 * MEGABYTE);
    CHECK(fx.last.requests == 6, "%u requests", fx.last.requests);
    CHECK(fx.last.received_bytes < 3 * MEGABYTE + 4096, "nothing was read twice: %ju",
          (uintmax_t)fx.last.received_bytes);
}

static void a_read_may_break_more_often_than_a_request_is_repeated(void)
{
    put_content("g", 2, MEGABYTE);
    faults_rule("GET * cut-answer 60000");
    content_check_object(fx.store, stores_key("g"), 2, MEGABYTE);
    CHECK(fx.last.requests == MEGABYTE / 60000 + 1, "%u requests", fx.last.requests);
}

static void a_range_that_breaks_ends_where_it_should(void)
{
    struct object_range range = {.offset = 123456, .bytes = 500000};
    struct content_check check = {.seed = 3, .offset = 123456};
    struct object_sink sink = {.put = content_take, .arg = &check};
    struct object_info info;
    put_content("g", 3, MEGABYTE);
    faults_rule("GET * cut-answer 200000 times=2");
    CHECK_OK(object_get(fx.store, NULL, stores_key("g"), &range, &sink, &info, &fx.ec), &fx.ec);
    CHECK(check.offset == 623456 && info.bytes == MEGABYTE && fx.last.requests == 3);
}

static void *replace_when_held(void *arg)
{
    struct err_ctx ec;
    CHECK(fault_proxy_wait_hits(fx.proxy, *(int *)arg, 1, WAIT_MS));
    CHECK_OK(object_put(fx.direct, NULL, stores_key("g"), slice_str("other"), NULL, &ec), &ec);
    fault_proxy_release(fx.proxy);
    return NULL;
}

static void a_read_never_mixes_two_objects(void)
{
    struct content_check check = {.seed = 4};
    struct object_sink sink = {.put = content_take, .arg = &check};
    pthread_t thread;
    put_content("g", 4, MEGABYTE);
    faults_rule("GET * cut-answer 500000 times=1");
    int held = faults_rule("GET * hold times=1");
    CHECK(pthread_create(&thread, NULL, replace_when_held, &held) == 0);
    CHECK_RC(object_get(fx.store, NULL, stores_key("g"), NULL, &sink, NULL, &fx.ec), SYNC_EBUSY, &fx.ec);
    CHECK_TEXT(&fx.ec, "replaced while it was read");
    CHECK(check.offset <= 500000, "bytes of the other object were taken");
    CHECK(pthread_join(thread, NULL) == 0);
}

static void an_answer_to_another_range_is_refused(void)
{
    struct object_range range = {.offset = 10, .bytes = 5};
    struct buf got = buf_make(1000);
    put_content("g", 5, 1000);
    faults_rule("GET * answer 200 Whatever"); /* a service that ignores ranges */
    CHECK_RC(object_get_buf(fx.store, NULL, stores_key("g"), &range, &got, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "asked for a range");
    CHECK(got.len == 0);
    fault_proxy_clear(fx.proxy);
    faults_rule("GET * answer 206 Whatever content-range=11-15/1000");
    CHECK_RC(object_get_buf(fx.store, NULL, stores_key("g"), &range, &got, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "asked for a range");
    fault_proxy_clear(fx.proxy);
    faults_rule("GET * answer 206 Whatever content-range=10-14/1000"); /* with a body of more than 5 bytes */
    CHECK_RC(object_get_buf(fx.store, NULL, stores_key("g"), &range, &got, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "sends more than");
    CHECK(got.len == 0);
    fault_proxy_clear(fx.proxy);
    range.bytes = 900;
    faults_rule("GET * answer 206 Whatever content-range=10-909/1000"); /* of less than 900 */
    CHECK_RC(object_get_buf(fx.store, NULL, stores_key("g"), &range, &got, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "bytes came of 900");
    buf_deinit(&got);
}

static void a_read_that_stalls_is_begun_again(void)
{
    struct object_s3_config cfg = faults_config();
    cfg.stall_ms = 200;
    faults_open(&cfg);
    put_content("g", 6, MEGABYTE);
    faults_rule("GET * stall-answer 300000 times=1");
    uint64_t begin_ms = faults_clock_ms();
    content_check_object(fx.store, stores_key("g"), 6, MEGABYTE);
    uint64_t took_ms = faults_clock_ms() - begin_ms;
    CHECK(fx.last.requests == 2 && took_ms >= 200 && took_ms < 5000, "%u requests, %ju ms", fx.last.requests,
          (uintmax_t)took_ms);
}

static void a_request_that_is_not_answered_is_sent_again(void)
{
    struct object_s3_config cfg = faults_config();
    cfg.first_byte_ms = 200;
    faults_open(&cfg);
    faults_rule("PUT * hold times=1");
    uint64_t begin_ms = faults_clock_ms();
    CHECK_OK(object_put(fx.store, NULL, stores_key("p"), slice_str("x"), NULL, &fx.ec), &fx.ec);
    uint64_t took_ms = faults_clock_ms() - begin_ms;
    CHECK(fx.last.requests == 2 && took_ms >= 200 && took_ms < 5000, "%u requests, %ju ms", fx.last.requests,
          (uintmax_t)took_ms);
}

static void a_call_ends_at_its_time(void)
{
    struct object_call call = {.timeout_ms = 250};
    struct object_info info;
    faults_rule("* * hold");
    uint64_t begin_ms = faults_clock_ms();
    CHECK_RC(object_head(fx.store, &call, stores_key("t"), &info, &fx.ec), SYNC_EBUSY, &fx.ec);
    CHECK_TEXT(&fx.ec, "out of time");
    uint64_t took_ms = faults_clock_ms() - begin_ms;
    CHECK(took_ms >= 250 && took_ms < 5000, "%ju ms", (uintmax_t)took_ms);
}

static atomic_bool cancel;
static uint64_t canceled_ms;

static void *cancel_when_held(void *arg)
{
    CHECK(fault_proxy_wait_hits(fx.proxy, *(int *)arg, 1, WAIT_MS));
    canceled_ms = faults_clock_ms();
    atomic_store(&cancel, true);
    return NULL;
}

static void a_canceled_call_ends_soon(void)
{
    struct object_call call = {.cancel = &cancel};
    struct object_info info;
    pthread_t thread;
    int rule = faults_rule("* * hold");
    atomic_store(&cancel, false);
    CHECK(pthread_create(&thread, NULL, cancel_when_held, &rule) == 0);
    CHECK_RC(object_head(fx.store, &call, stores_key("t"), &info, &fx.ec), SYNC_ECANCELED, &fx.ec);
    uint64_t end_ms = faults_clock_ms();
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(end_ms - canceled_ms < 30 * OBJECT_CANCEL_MS_MAX, "%ju ms", (uintmax_t)(end_ms - canceled_ms));
}

static void a_canceled_wait_for_a_repeat_ends_soon(void)
{
    struct object_call call = {.cancel = &cancel};
    pthread_t thread;
    int rule = faults_rule("PUT * answer 503 SlowDown retry-after=30");
    atomic_store(&cancel, false);
    CHECK(pthread_create(&thread, NULL, cancel_when_held, &rule) == 0);
    CHECK_RC(object_put(fx.store, &call, stores_key("t"), slice_str("x"), NULL, &fx.ec), SYNC_ECANCELED,
             &fx.ec);
    uint64_t end_ms = faults_clock_ms();
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(end_ms - canceled_ms < 30 * OBJECT_CANCEL_MS_MAX, "%ju ms", (uintmax_t)(end_ms - canceled_ms));
}

static void a_write_cut_in_the_middle_leaves_nothing(void)
{
    char *bytes = make_content(7, MEGABYTE);
    struct object_s3_config cfg = faults_config();
    cfg.repeats_max = 0;
    faults_open(&cfg);
    faults_rule("PUT * cut-request 400000");
    CHECK_RC(object_put(fx.store, NULL, stores_key("w"), slice_of(bytes, MEGABYTE), NULL, &fx.ec), SYNC_EBUSY,
             &fx.ec);
    faults_check_absent("w");
    free(bytes);
}

static void a_stale_list_is_what_the_proxy_makes_of_it(void)
{
    struct object_page page;
    struct object_query query = {.prefix = stores_key("")};
    faults_put_direct("1", "x");
    for (size_t wanted = 1; wanted <= 2; wanted++) {
        CHECK_OK(object_list(fx.store, NULL, &query, &page, &fx.ec), &fx.ec);
        CHECK(page.count == 1);
        object_page_deinit(&page);
        faults_put_direct("2", "x");
        if (wanted == 1) faults_rule("GET list-type=2 stale times=1");
    }
    CHECK_OK(object_list(fx.store, NULL, &query, &page, &fx.ec), &fx.ec);
    CHECK(page.count == 2);
    object_page_deinit(&page);
}

/* ---- uploads */

static void an_upload_gets_through_whatever_breaks(void)
{
    struct object_writer_config cfg = {.part_bytes = PART, .threads = 2};
    struct object_writer *w;
    struct object_version version;
    struct object_info info;
    char *bytes = make_content(8, 2 * PART + 1000);
    faults_rule("POST uploads= answer 503 SlowDown times=1");
    faults_rule("PUT partNumber=1 lose-answer times=1");
    faults_rule("PUT partNumber=2 cut-request 1000000 times=1");
    faults_rule("PUT partNumber=3 answer 500 InternalError times=2");
    faults_rule(
        "POST uploadId= answer 200 InternalError times=1"); /* as AWS may fail while it puts together */
    faults_rule("POST uploadId= lose-answer times=1");
    CHECK_OK(object_writer_open(fx.store, stores_key("u"), &cfg, &w, &fx.ec), &fx.ec);
    CHECK_OK(object_writer_put(w, slice_of(bytes, 2 * PART + 1000), &fx.ec), &fx.ec);
    CHECK_OK(object_writer_finish(w, &version, &fx.ec), &fx.ec);
    object_writer_close(w);
    content_check_object(fx.direct, stores_key("u"), 8, 2 * PART + 1000);
    CHECK_OK(object_head(fx.direct, NULL, stores_key("u"), &info, &fx.ec), &fx.ec);
    CHECK(strcmp(info.version.text, version.text) == 0);
    free(bytes);
}

static struct object_upload *begin_with_part(const char *name)
{
    struct object_upload *u;
    char *bytes = make_content(9, 5000);
    CHECK_OK(object_upload_begin(fx.store, NULL, stores_key(name), PART, &u, &fx.ec), &fx.ec);
    CHECK_OK(object_upload_part(u, NULL, 1, slice_of(bytes, 5000), &fx.ec), &fx.ec);
    free(bytes);
    return u;
}

/* AWS forgets an upload that was completed: then what is there tells what became of it. */
static void a_complete_whose_answer_was_lost_is_recognized(void)
{
    struct object_upload *u = begin_with_part("u");
    struct object_version version;
    struct object_info info;
    faults_rule("POST uploadId= lose-answer times=1");
    faults_rule("POST uploadId= answer 404 NoSuchUpload");
    CHECK_OK(object_upload_complete(u, NULL, 1, &version, &fx.ec), &fx.ec);
    CHECK_OK(object_head(fx.direct, NULL, stores_key("u"), &info, &fx.ec), &fx.ec);
    CHECK(strcmp(info.version.text, version.text) == 0 && info.bytes == 5000);
    object_upload_free(u);
}

static void check_not_taken(const char *name)
{
    struct object_upload *u = begin_with_part(name);
    fault_proxy_clear(fx.proxy);
    faults_rule("POST uploadId= answer 500 InternalError times=1");
    faults_rule("POST uploadId= answer 404 NoSuchUpload");
    CHECK_RC(object_upload_complete(u, NULL, 1, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    CHECK_TEXT(&fx.ec, "somebody dropped the upload");
    object_upload_free(u);
    fault_proxy_clear(fx.proxy);
}

static void a_complete_that_did_not_happen_is_not_taken_for_one(void)
{
    struct object_upload *u;
    char *bytes = make_content(11, 5001);
    check_not_taken("nothing there");
    put_content("as long", 12, 5000);
    check_not_taken("as long");
    CHECK_OK(object_upload_begin(fx.direct, NULL, stores_key("as many parts"), PART, &u, &fx.ec), &fx.ec);
    CHECK_OK(object_upload_part(u, NULL, 1, slice_of(bytes, 5001), &fx.ec), &fx.ec);
    CHECK_OK(object_upload_complete(u, NULL, 1, NULL, &fx.ec), &fx.ec);
    object_upload_free(u);
    check_not_taken("as many parts");

    u = begin_with_part("dropped at once");
    faults_rule("POST uploadId= answer 404 NoSuchUpload");
    CHECK_RC(object_upload_complete(u, NULL, 1, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    object_upload_free(u);
    free(bytes);
}

static void a_complete_that_got_no_answer_can_be_tried_again_later(void)
{
    struct object_upload *u = begin_with_part("u");
    struct object_call call = {.timeout_ms = 300};
    struct object_version version;
    int rule = faults_rule("POST uploadId= hold times=1");
    CHECK_RC(object_upload_complete(u, &call, 1, &version, &fx.ec), SYNC_EBUSY, &fx.ec);
    fault_proxy_release(fx.proxy);
    CHECK(fault_proxy_wait_answered(fx.proxy, rule, 1, WAIT_MS));
    faults_rule("POST uploadId= answer 404 NoSuchUpload");
    CHECK_OK(object_upload_complete(u, NULL, 1, &version, &fx.ec), &fx.ec);
    content_check_object(fx.direct, stores_key("u"), 9, 5000);
    object_upload_free(u);
}

static void a_part_that_fails_for_good_fails_the_stream(void)
{
    struct object_writer_config cfg = {.part_bytes = PART, .threads = 1};
    struct object_writer *w;
    char *bytes = make_content(10, PART);
    enum sync_err rc = SYNC_OK;
    faults_rule("PUT partNumber=2 answer 403 QuotaExceeded");
    CHECK_OK(object_writer_open(fx.store, stores_key("u"), &cfg, &w, &fx.ec), &fx.ec);
    for (int i = 0; i < 6 && rc == SYNC_OK; i++) rc = object_writer_put(w, slice_of(bytes, PART), &fx.ec);
    CHECK(rc == SYNC_EIO, "%s", err_name(rc));
    CHECK_TEXT(&fx.ec, "make room");
    CHECK_RC(object_writer_finish(w, NULL, &fx.ec), SYNC_EIO, &fx.ec);
    object_writer_close(w);
    faults_check_absent("u");
    free(bytes);
}

#define TRANSFERS(X)                                                                                         \
    X(a_read_that_breaks_goes_on_where_it_was)                                                               \
    X(a_read_may_break_more_often_than_a_request_is_repeated)                                                \
    X(a_range_that_breaks_ends_where_it_should)                                                              \
    X(a_read_never_mixes_two_objects)                                                                        \
    X(an_answer_to_another_range_is_refused)                                                                 \
    X(a_call_ends_at_its_time)                                                                               \
    X(a_canceled_call_ends_soon)                                                                             \
    X(a_canceled_wait_for_a_repeat_ends_soon)                                                                \
    X(a_stale_list_is_what_the_proxy_makes_of_it)                                                            \
    X(an_upload_gets_through_whatever_breaks)                                                                \
    X(a_complete_whose_answer_was_lost_is_recognized)                                                        \
    X(a_complete_that_did_not_happen_is_not_taken_for_one)                                                   \
    X(a_complete_that_got_no_answer_can_be_tried_again_later)                                                \
    X(a_part_that_fails_for_good_fails_the_stream)

TRANSFERS(WITH_FAULTS)
WITH_PROXY(a_read_that_stalls_is_begun_again)
WITH_PROXY(a_request_that_is_not_answered_is_sent_again)
WITH_PROXY(a_write_cut_in_the_middle_leaves_nothing)

size_t faults_transfers(struct test *ret)
{
    size_t count = 0;
    TRANSFERS(ADD_TEST)
    ADD_TEST(a_read_that_stalls_is_begun_again)
    ADD_TEST(a_request_that_is_not_answered_is_sent_again)
    ADD_TEST(a_write_cut_in_the_middle_leaves_nothing)
    return count;
}
