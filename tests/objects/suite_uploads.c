#include "storage/objects/object_writer.h"
#include "tests/objects/content.h"
#include "tests/objects/races.h"
#include "tests/objects/stores.h"
#include "tests/objects/suite.h"

#include <pthread.h>

static struct object_store *store;
static struct err_ctx ec;

enum { PART = 5 * 1024 * 1024, LAST = 12345 };

static void send_part(struct object_upload *u, uint64_t seed, uint32_t number, size_t len)
{
    struct err_ctx local;
    char *bytes = malloc(len);
    CHECK(bytes != NULL);
    content_fill(seed, (uint64_t)(number - 1) * PART, bytes, len);
    CHECK_OK(object_upload_part(u, NULL, number, slice_of(bytes, len), &local), &local);
    free(bytes);
}

static void check_absent(const char *name)
{
    struct object_info info;
    CHECK_RC(object_head(store, NULL, stores_key(name), &info, &ec), SYNC_ENOTFOUND, &ec);
}

static void parts_in_any_order_make_one_object(void)
{
    struct object_upload *u;
    struct object_version version = {0};
    struct object_info info;
    CHECK_OK(object_upload_begin(store, NULL, stores_key("u"), PART, &u, &ec), &ec);
    send_part(u, 1, 3, LAST);
    send_part(u, 1, 1, PART);
    send_part(u, 99, 2, PART);
    send_part(u, 1, 2, PART); /* again, with other bytes: the last one counts */
    check_absent("u");
    CHECK_OK(object_upload_complete(u, NULL, 3, &version, &ec), &ec);
    object_upload_free(u);
    content_check_object(store, stores_key("u"), 1, 2 * PART + LAST);
    CHECK_OK(object_head(store, NULL, stores_key("u"), &info, &ec), &ec);
    CHECK(strcmp(info.version.text, version.text) == 0, "%s, %s", info.version.text, version.text);
    CHECK(info.bytes == 2 * PART + LAST);
    enum object_outcome outcome;
    CHECK_OK(object_put_if_match(store, NULL, stores_key("u"), slice_str("x"), &version, &outcome, NULL, &ec),
             &ec);
    CHECK(outcome == OBJECT_OK, "an upload's version can be matched too");
}

static void an_upload_replaces_at_its_end_only(void)
{
    struct object_upload *u;
    struct buf got = buf_make(100);
    CHECK_OK(object_put(store, NULL, stores_key("u"), slice_str("before"), NULL, &ec), &ec);
    CHECK_OK(object_upload_begin(store, NULL, stores_key("u"), PART, &u, &ec), &ec);
    send_part(u, 2, 1, LAST);
    CHECK_OK(object_get_buf(store, NULL, stores_key("u"), NULL, &got, NULL, &ec), &ec);
    CHECK(slice_is(buf_slice(&got), "before"));
    CHECK_OK(object_upload_complete(u, NULL, 1, NULL, &ec), &ec);
    object_upload_free(u);
    content_check_object(store, stores_key("u"), 2, LAST);
    buf_deinit(&got);
}

static void a_completed_upload_may_be_completed_again(void)
{
    struct object_upload *u;
    struct object_version first, second;
    CHECK_OK(object_upload_begin(store, NULL, stores_key("twice"), PART, &u, &ec), &ec);
    send_part(u, 3, 1, LAST);
    CHECK_OK(object_upload_complete(u, NULL, 1, &first, &ec), &ec);
    CHECK_OK(object_upload_complete(u, NULL, 1, &second, &ec), &ec);
    CHECK(strcmp(first.text, second.text) == 0);
    object_upload_free(u);
    content_check_object(store, stores_key("twice"), 3, LAST);
}

static void an_aborted_upload_leaves_nothing(void)
{
    struct object_upload *u;
    CHECK_OK(object_upload_begin(store, NULL, stores_key("u"), PART, &u, &ec), &ec);
    send_part(u, 1, 1, PART);
    CHECK_OK(object_upload_abort(u, NULL, &ec), &ec);
    char small[10] = {0};
    enum sync_err rc = object_upload_part(u, NULL, 2, slice_of(small, sizeof small), &ec);
    CHECK(rc == SYNC_EIO || rc == SYNC_ENOTFOUND, "%s", err_name(rc));
    object_upload_free(u);
    check_absent("u");
}

static void part_sizes_have_limits(void)
{
    struct object_upload *u;
    CHECK_RC(object_upload_begin(store, NULL, stores_key("u"), PART - 1, &u, &ec), SYNC_ELIMIT, &ec);
    CHECK_RC(object_upload_begin(store, NULL, stores_key("u"), OBJECT_PART_BYTES_MAX + 1, &u, &ec),
             SYNC_ELIMIT, &ec);
}

static void the_sweep_takes_what_was_left_lying(void)
{
    uint32_t count = 0;
    /* A process that ends in the middle of an upload; a store in this one sees its remains. */
    races_run_child("leave-upload");
    CHECK_OK(object_upload_sweep(store, NULL, slice_str(""), 3600 * 1000, &count, &ec), &ec);
    CHECK(count == 0, "none is an hour old, and %u went", count);
    CHECK_OK(object_upload_sweep(store, NULL, slice_str(""), 0, &count, &ec), &ec);
    CHECK(count == 1, "%u went", count);
    CHECK_OK(object_upload_sweep(store, NULL, slice_str(""), 0, &count, &ec), &ec);
    CHECK(count == 0, "%u more went", count);
}

/* Writes `bytes` in pieces of odd sizes. */
static void stream(const char *name, uint64_t bytes, uint32_t threads)
{
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    struct object_writer *w;
    struct object_version version = {0};
    struct object_info info;
    char piece[70001];
    cfg.part_bytes = PART;
    cfg.threads = threads;
    CHECK_OK(object_writer_open(store, stores_key(name), &cfg, &w, &ec), &ec);
    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < sizeof piece ? (size_t)(bytes - at) : sizeof piece;
        content_fill(bytes, at, piece, n);
        CHECK_OK(object_writer_put(w, slice_of(piece, n), &ec), &ec);
        at += n;
    }
    CHECK_OK(object_writer_finish(w, &version, &ec), &ec);
    object_writer_close(w);
    content_check_object(store, stores_key(name), bytes, bytes);
    CHECK_OK(object_head(store, NULL, stores_key(name), &info, &ec), &ec);
    CHECK(strcmp(info.version.text, version.text) == 0);
}

static void a_stream_of_any_length_becomes_its_object(void)
{
    static const uint64_t lengths[] = {0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (uint32_t threads = 0; threads <= 2; threads += 2) stream("s", lengths[i], threads);
}

static void a_stream_that_is_not_finished_leaves_nothing(void)
{
    for (uint32_t threads = 0; threads <= 2; threads++) {
        struct object_writer_config cfg = {.part_bytes = PART, .threads = threads};
        struct object_writer *w;
        char *bytes = calloc(1, PART);
        uint32_t count;
        CHECK(bytes != NULL);
        CHECK_OK(object_writer_open(store, stores_key("s"), &cfg, &w, &ec), &ec);
        for (int i = 0; i < 3; i++) CHECK_OK(object_writer_put(w, slice_of(bytes, PART), &ec), &ec);
        object_writer_close(w);
        free(bytes);
        check_absent("s");
        CHECK_OK(object_upload_sweep(store, NULL, slice_str(""), 0, &count, &ec), &ec);
        CHECK(count == 0, "its upload was dropped");
    }
}

static void a_canceled_stream_ends(void)
{
    atomic_bool flag = false;
    struct object_writer_config cfg = {.part_bytes = PART, .threads = 1, .call = {.cancel = &flag}};
    struct object_writer *w;
    char *bytes = calloc(1, PART);
    CHECK(bytes != NULL);
    CHECK_OK(object_writer_open(store, stores_key("s"), &cfg, &w, &ec), &ec);
    CHECK_OK(object_writer_put(w, slice_of(bytes, PART), &ec), &ec);
    atomic_store(&flag, true);
    enum sync_err rc = SYNC_OK;
    for (int i = 0; i < 10 && rc == SYNC_OK; i++) rc = object_writer_put(w, slice_of(bytes, PART), &ec);
    CHECK(rc == SYNC_ECANCELED, "%s", err_name(rc));
    CHECK_RC(object_writer_finish(w, NULL, &ec), SYNC_ECANCELED, &ec);
    object_writer_close(w);
    free(bytes);
    check_absent("s");
}

static void a_large_object_needs_little_memory(void)
{
    races_run_child("large");
}

struct parallel {
    struct object_upload *upload;
    uint32_t number;
};

static void *send_parallel(void *arg)
{
    struct parallel *p = arg;
    send_part(p->upload, 5, p->number, p->number == 4 ? LAST : PART);
    return NULL;
}

static void parts_may_go_at_once(void)
{
    struct object_upload *u;
    struct parallel parts[4];
    pthread_t threads[4];
    CHECK_OK(object_upload_begin(store, NULL, stores_key("p"), PART, &u, &ec), &ec);
    for (uint32_t i = 0; i < 4; i++) {
        parts[i] = (struct parallel){.upload = u, .number = i + 1};
        CHECK(pthread_create(&threads[i], NULL, send_parallel, &parts[i]) == 0);
    }
    for (uint32_t i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_OK(object_upload_complete(u, NULL, 4, NULL, &ec), &ec);
    object_upload_free(u);
    content_check_object(store, stores_key("p"), 5, 3 * PART + LAST);
}

#define UPLOADS(X)                                                                                           \
    X(parts_in_any_order_make_one_object)                                                                    \
    X(parts_may_go_at_once)                                                                                  \
    X(an_upload_replaces_at_its_end_only)                                                                    \
    X(a_completed_upload_may_be_completed_again)                                                             \
    X(an_aborted_upload_leaves_nothing)                                                                      \
    X(part_sizes_have_limits)                                                                                \
    X(the_sweep_takes_what_was_left_lying)                                                                   \
    X(a_stream_of_any_length_becomes_its_object)                                                             \
    X(a_stream_that_is_not_finished_leaves_nothing)                                                          \
    X(a_canceled_stream_ends)                                                                                \
    X(a_large_object_needs_little_memory)

UPLOADS(IN_FOLDER)

size_t suite_uploads(struct test *ret)
{
    size_t count = 0;
#define X(name) ret[count++] = (struct test){#name, run_##name};
    UPLOADS(X)
#undef X
    return count;
}
