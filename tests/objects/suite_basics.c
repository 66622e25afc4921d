#include "storage/objects/object_probe.h"
#include "tests/objects/stores.h"
#include "tests/objects/suite.h"

#include <sys/random.h>

static struct object_store *store;
static struct err_ctx ec;

static void put(const char *name, const char *bytes)
{
    CHECK_OK(object_put(store, NULL, stores_key(name), slice_str(bytes), NULL, &ec), &ec);
}

static void check_reads(struct slice key, struct slice bytes)
{
    struct buf got = buf_make(1 << 20);
    struct object_info info = {0};
    CHECK_OK(object_get_buf(store, NULL, key, NULL, &got, &info, &ec), &ec);
    CHECK(slice_eq(buf_slice(&got), bytes), "%.*s: %zu bytes, not %zu", SLICE_ARG(key), got.len, bytes.len);
    CHECK(info.bytes == bytes.len);
    buf_deinit(&got);
}

static void what_is_put_is_read(void)
{
    struct object_version first, second, unused;
    struct object_info info;
    struct slice key = stores_key("a");
    CHECK_OK(object_put(store, NULL, key, slice_str("one"), &first, &ec), &ec);
    check_reads(key, slice_str("one"));
    CHECK_OK(object_put(store, NULL, key, slice_str("two, longer"), &second, &ec), &ec);
    check_reads(key, slice_str("two, longer"));
    CHECK(strcmp(first.text, second.text) != 0, "other bytes, other version");
    CHECK_OK(object_head(store, NULL, key, &info, &ec), &ec);
    CHECK(strcmp(info.version.text, second.text) == 0, "head says %s, put said %s", info.version.text,
          second.text);
    CHECK(info.bytes == 11);
    CHECK(info.modified_ms > 1600000000000u && info.modified_ms < 4100000000000u);
    CHECK_OK(object_put(store, NULL, stores_key("empty"), slice_of(NULL, 0), &unused, &ec), &ec);
    check_reads(stores_key("empty"), slice_str(""));
}

static void what_is_not_there_is_not_found(void)
{
    struct object_info info;
    struct buf got = buf_make(100);
    put("dir/there", "x");
    const char *missing[] = {"nothing", "dir", "dir/ther", "dir/there2", "dir/there/below"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        struct slice key = stores_key(missing[i]);
        CHECK_RC(object_head(store, NULL, key, &info, &ec), SYNC_ENOTFOUND, &ec);
        CHECK_RC(object_get_buf(store, NULL, key, NULL, &got, NULL, &ec), SYNC_ENOTFOUND, &ec);
        CHECK_OK(object_delete(store, NULL, key, &ec), &ec);
    }
    check_reads(stores_key("dir/there"), slice_str("x"));
    buf_deinit(&got);
}

static void a_deleted_object_is_gone_and_can_come_again(void)
{
    struct object_info info;
    put("k", "1");
    CHECK_OK(object_delete(store, NULL, stores_key("k"), &ec), &ec);
    CHECK_RC(object_head(store, NULL, stores_key("k"), &info, &ec), SYNC_ENOTFOUND, &ec);
    CHECK_OK(object_delete(store, NULL, stores_key("k"), &ec), &ec);
    put("k", "2");
    check_reads(stores_key("k"), slice_str("2"));
}

static void ranges_are_cut_out_of_the_object(void)
{
    static const struct {
        uint64_t offset, bytes;
        const char *right; /* NULL: refused */
    } cases[] = {{0, 1, "0"},
                 {0, 10, "0123456789"},
                 {3, 4, "3456"},
                 {9, 1, "9"},
                 {5, UINT64_MAX, "56789"},
                 {8, 100, "89"},
                 {0, UINT64_MAX, "0123456789"},
                 {1, UINT64_MAX - 1, "123456789"},
                 {10, 1, NULL},
                 {1000, 5, NULL}};
    struct object_version version;
    CHECK_OK(object_put(store, NULL, stores_key("r"), slice_str("0123456789"), &version, &ec), &ec);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct object_range range = {.offset = cases[i].offset, .bytes = cases[i].bytes};
        struct object_info info = {0};
        struct buf got = buf_make(100);
        enum sync_err right = cases[i].right == NULL ? SYNC_EBADMSG : SYNC_OK;
        CHECK_RC(object_get_buf(store, NULL, stores_key("r"), &range, &got, &info, &ec), right, &ec);
        if (right == SYNC_OK) {
            CHECK(slice_is(buf_slice(&got), cases[i].right), "case %zu: %.*s", i, SLICE_ARG(buf_slice(&got)));
            CHECK(info.bytes == 10 && strcmp(info.version.text, version.text) == 0, "case %zu", i);
        }
        buf_deinit(&got);
    }
}

static void any_name_will_do(void)
{
    static const char *const names[] = {
        "with space", "a+b",         "100%",        "%41",         "a%2Fb",         "q?x=1&y=2#z",
        "ümläut/ß",   "日本語",      "😀",           "tilde~",      "quote'\"",      "a\\b",
        ".hidden",    "..twodots",   "a/.b/..c",    "trailing.",   "semi;colon:",   "star*(x)!",
        "<xml>&amp;", "a=b",         "name=",       "name+",       "$dollar,comma", "[]{}|^`",
        "-dash",      "@at",         "UPPER/lower", "upper/LOWER", "\xc2\xa0nbsp",  "e\xcc\x81",
        "tab\there",  "line\nbreak", "\x01\x7f",
    };
    enum { COUNT = sizeof names / sizeof *names };
    for (size_t i = 0; i < COUNT; i++) put(names[i], names[i]);
    for (size_t i = 0; i < COUNT; i++) check_reads(stores_key(names[i]), slice_str(names[i]));

    struct object_page page;
    struct object_query query = {.prefix = stores_key("")};
    bool seen[COUNT] = {false};
    CHECK_OK(object_list(store, NULL, &query, &page, &ec), &ec);
    CHECK(page.count == COUNT, "%zu of %d names are listed", page.count, COUNT);
    for (size_t i = 0; i < page.count; i++) {
        struct slice name = slice_of(page.entries[i].key.bytes + query.prefix.len,
                                     page.entries[i].key.len - query.prefix.len);
        for (size_t j = 0; j < COUNT; j++) seen[j] |= slice_is(name, names[j]);
    }
    for (size_t j = 0; j < COUNT; j++) CHECK(seen[j], "%s is not listed", names[j]);
    object_page_deinit(&page);
    for (size_t i = 0; i < COUNT; i++) CHECK_OK(object_delete(store, NULL, stores_key(names[i]), &ec), &ec);
}

static void keys_may_be_long_and_deep(void)
{
    char key[OBJECT_KEY_MAX + 2];
    memset(key, 'x', sizeof key);
    struct slice longest = slice_of(key, OBJECT_KEY_MAX);
    CHECK_OK(object_put(store, NULL, longest, slice_str("long"), NULL, &ec), &ec);
    check_reads(longest, slice_str("long"));
    CHECK_OK(object_delete(store, NULL, longest, &ec), &ec);
    CHECK_RC(object_put(store, NULL, slice_of(key, OBJECT_KEY_MAX + 1), slice_str(""), NULL, &ec),
             SYNC_ELIMIT, &ec);

    for (size_t i = 1; i < 2 * OBJECT_KEY_SEGMENTS_MAX; i += 2) key[i] = '/';
    struct slice deepest = slice_of(key, 2 * OBJECT_KEY_SEGMENTS_MAX - 1);
    CHECK_OK(object_put(store, NULL, deepest, slice_str("deep"), NULL, &ec), &ec);
    check_reads(deepest, slice_str("deep"));
    CHECK_OK(object_delete(store, NULL, deepest, &ec), &ec);
    struct slice deeper = slice_of(key, 2 * OBJECT_KEY_SEGMENTS_MAX + 1);
    CHECK_RC(object_put(store, NULL, deeper, slice_str(""), NULL, &ec), SYNC_ELIMIT, &ec);

    /* Around the length at which the directory cuts a name, and longer by bytes that it must escape. */
    for (size_t len = 60; len < 70; len++) {
        memset(key, 'y', len);
        struct slice flat = slice_of(key, len);
        CHECK_OK(object_put(store, NULL, flat, slice_of(key, len), NULL, &ec), &ec);
        check_reads(flat, slice_of(key, len));
        CHECK_OK(object_delete(store, NULL, flat, &ec), &ec);
        memset(key, ' ', len);
        CHECK_OK(object_put(store, NULL, flat, slice_of(key, len), NULL, &ec), &ec);
        check_reads(flat, slice_of(key, len));
        CHECK_OK(object_delete(store, NULL, flat, &ec), &ec);
    }
}

static void keys_that_some_store_could_not_hold_are_refused_by_all(void)
{
    static const char *const bad[] = {
        "",     "/",     "/a",     "a/",   "a//b",  ".",        "..",           "../a",
        "a/..", "a/./b", "a/../b", "\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"};
    struct object_info info;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_RC(object_put(store, NULL, slice_str(bad[i]), slice_str("x"), NULL, &ec), SYNC_EBADMSG, &ec);
        CHECK_RC(object_head(store, NULL, slice_str(bad[i]), &info, &ec), SYNC_EBADMSG, &ec);
        CHECK_RC(object_delete(store, NULL, slice_str(bad[i]), &ec), SYNC_EBADMSG, &ec);
    }
    CHECK_RC(object_put(store, NULL, slice_of("a\0b", 3), slice_str("x"), NULL, &ec), SYNC_EBADMSG, &ec);
}

static void bytes_come_back_whatever_they_are(void)
{
    enum { BYTES = 3 * 1024 * 1024 + 17 };
    char *bytes = malloc(BYTES);
    struct buf got = buf_make(BYTES);
    CHECK(bytes != NULL);
    for (size_t at = 0; at < BYTES;) {
        ssize_t n = getrandom(bytes + at, BYTES - at, 0);
        CHECK(n > 0);
        at += (size_t)n;
    }
    CHECK_OK(object_put(store, NULL, stores_key("random"), slice_of(bytes, BYTES), NULL, &ec), &ec);
    CHECK_OK(object_get_buf(store, NULL, stores_key("random"), NULL, &got, NULL, &ec), &ec);
    CHECK(slice_eq(buf_slice(&got), slice_of(bytes, BYTES)));
    buf_clear(&got);
    struct object_range range = {.offset = 1234567, .bytes = 1000000};
    CHECK_OK(object_get_buf(store, NULL, stores_key("random"), &range, &got, NULL, &ec), &ec);
    CHECK(slice_eq(buf_slice(&got), slice_of(bytes + 1234567, 1000000)));
    buf_deinit(&got);
    free(bytes);
}

/* A sink that takes so many bytes and then refuses, with a code that would be worth a repeat of the store's
 * own. */
struct limited {
    size_t left;
    unsigned calls_after;
};

static enum sync_err take_some(void *arg, struct slice bytes, struct err_ctx *ret)
{
    struct limited *l = arg;
    if (l->left == 0) l->calls_after++;
    if (bytes.len > l->left) {
        l->left = 0;
        return err_set(ret, SYNC_EBUSY, "full up");
    }
    l->left -= bytes.len;
    return SYNC_OK;
}

static void a_sink_that_refuses_ends_the_get(void)
{
    char *bytes = calloc(1, 1 << 20);
    struct limited l = {.left = 300000};
    struct object_sink sink = {.put = take_some, .arg = &l};
    CHECK(bytes != NULL);
    CHECK_OK(object_put(store, NULL, stores_key("s"), slice_of(bytes, 1 << 20), NULL, &ec), &ec);
    CHECK_RC(object_get(store, NULL, stores_key("s"), NULL, &sink, NULL, &ec), SYNC_EBUSY, &ec);
    CHECK_TEXT(&ec, "full up");
    CHECK(l.calls_after == 0, "it was called again");
    struct buf small = buf_make(1000);
    CHECK_RC(object_get_buf(store, NULL, stores_key("s"), NULL, &small, NULL, &ec), SYNC_ELIMIT, &ec);
    buf_deinit(&small);
    free(bytes);
}

static void a_condition_decides_the_write(void)
{
    enum object_outcome outcome;
    struct object_version v1 = {0}, v2 = {0}, v3 = {0};
    struct slice key = stores_key("c");
    CHECK_OK(object_put_if_absent(store, NULL, key, slice_str("1"), &outcome, &v1, &ec), &ec);
    CHECK(outcome == OBJECT_OK);
    CHECK_OK(object_put_if_absent(store, NULL, key, slice_str("x"), &outcome, &v2, &ec), &ec);
    CHECK(outcome == OBJECT_LOST && v2.text[0] == '\0');
    check_reads(key, slice_str("1"));
    CHECK_OK(object_put_if_match(store, NULL, key, slice_str("2"), &v1, &outcome, &v2, &ec), &ec);
    CHECK(outcome == OBJECT_OK);
    CHECK_OK(object_put_if_match(store, NULL, key, slice_str("3"), &v1, &outcome, &v3, &ec), &ec);
    CHECK(outcome == OBJECT_LOST, "%s", object_outcome_name(outcome));
    check_reads(key, slice_str("2"));
    CHECK_OK(object_put_if_match(store, NULL, key, slice_str("3"), &v2, &outcome, &v3, &ec), &ec);
    CHECK(outcome == OBJECT_OK);
    CHECK_OK(object_delete(store, NULL, key, &ec), &ec);
    CHECK_OK(object_put_if_match(store, NULL, key, slice_str("4"), &v3, &outcome, &v1, &ec), &ec);
    CHECK(outcome == OBJECT_LOST, "nothing there to match: %s", object_outcome_name(outcome));
    CHECK_OK(object_put_if_absent(store, NULL, key, slice_str("5"), &outcome, &v1, &ec), &ec);
    CHECK(outcome == OBJECT_OK, "it was deleted, so it is absent");
}

static void a_version_that_was_read_can_be_matched(void)
{
    enum object_outcome outcome;
    struct object_info head, got;
    struct buf bytes = buf_make(100);
    put("v", "1");
    CHECK_OK(object_head(store, NULL, stores_key("v"), &head, &ec), &ec);
    CHECK_OK(object_get_buf(store, NULL, stores_key("v"), NULL, &bytes, &got, &ec), &ec);
    CHECK(strcmp(head.version.text, got.version.text) == 0);
    CHECK_OK(
        object_put_if_match(store, NULL, stores_key("v"), slice_str("2"), &got.version, &outcome, NULL, &ec),
        &ec);
    CHECK(outcome == OBJECT_OK);
    buf_deinit(&bytes);
}

static void a_raised_flag_cancels(void)
{
    atomic_bool flag = true;
    struct object_call call = {.cancel = &flag};
    enum object_outcome outcome = OBJECT_UNKNOWN;
    char *bytes = calloc(1, 8 << 20);
    struct slice big = slice_of(bytes, 8 << 20);
    CHECK(bytes != NULL);
    CHECK_RC(object_put(store, &call, stores_key("x"), big, NULL, &ec), SYNC_ECANCELED, &ec);
    /* What has begun may have gone through; saying "canceled" would promise that it has not. */
    enum sync_err rc = object_put_if_absent(store, &call, stores_key("y"), big, &outcome, NULL, &ec);
    CHECK(rc == SYNC_ECANCELED || (rc == SYNC_OK && outcome == OBJECT_UNKNOWN), "%s, %s", err_name(rc),
          object_outcome_name(outcome));
    free(bytes);
}

/* What the observer has been told last. */
static struct object_event last_event;
static unsigned events;

static void on_ended(void *arg, const struct object_event *ev)
{
    CHECK(arg == &last_event);
    last_event = *ev;
    events++;
}

static void every_call_is_reported(void)
{
    struct object_store *s =
        stores_open_observed(&(struct object_observer){.ended = on_ended, .arg = &last_event});
    struct buf got = buf_make(100);
    enum object_outcome outcome;
    bool costs = strcmp(stores_kind(), "s3") == 0;
    events = 0;
    CHECK_OK(object_put(s, NULL, stores_key("o"), slice_str("12345"), NULL, &ec), &ec);
    CHECK(events == 1 && last_event.op == OBJECT_OP_PUT && last_event.rc == SYNC_OK);
    CHECK(last_event.requests == 1 && last_event.retries == 0 && last_event.sent_bytes == 5);
    CHECK(last_event.cost_nano_usd == (costs ? 5000 : 0) && last_event.latency_us > 0);
    CHECK_OK(object_get_buf(s, NULL, stores_key("o"), NULL, &got, NULL, &ec), &ec);
    CHECK(events == 2 && last_event.op == OBJECT_OP_GET && last_event.received_bytes == 5);
    CHECK(last_event.cost_nano_usd == (costs ? 400 : 0));
    CHECK_OK(object_put_if_absent(s, NULL, stores_key("o"), slice_str("x"), &outcome, NULL, &ec), &ec);
    CHECK(events == 3 && last_event.op == OBJECT_OP_PUT_IF_ABSENT && last_event.outcome == OBJECT_LOST);
    CHECK_OK(object_delete(s, NULL, stores_key("o"), &ec), &ec);
    CHECK(events == 4 && last_event.op == OBJECT_OP_DELETE && last_event.cost_nano_usd == 0);
    CHECK_RC(object_get_buf(s, NULL, stores_key("o"), NULL, &got, NULL, &ec), SYNC_ENOTFOUND, &ec);
    CHECK(events == 5 && last_event.rc == SYNC_ENOTFOUND);
    buf_deinit(&got);
    object_store_close(s);
}

static void the_probe_finds_it_good_and_leaves_nothing(void)
{
    struct object_page page;
    struct object_query query = {.prefix = slice_str(OBJECT_PROBE_PREFIX)};
    CHECK_OK(object_probe(store, NULL, &ec), &ec);
    CHECK_OK(object_list(store, NULL, &query, &page, &ec), &ec);
    CHECK(page.count == 0 && !page.more);
    object_page_deinit(&page);
}

#define BASICS(X)                                                                                            \
    X(what_is_put_is_read)                                                                                   \
    X(what_is_not_there_is_not_found)                                                                        \
    X(a_deleted_object_is_gone_and_can_come_again)                                                           \
    X(ranges_are_cut_out_of_the_object)                                                                      \
    X(any_name_will_do)                                                                                      \
    X(keys_may_be_long_and_deep)                                                                             \
    X(keys_that_some_store_could_not_hold_are_refused_by_all)                                                \
    X(bytes_come_back_whatever_they_are)                                                                     \
    X(a_sink_that_refuses_ends_the_get)                                                                      \
    X(a_condition_decides_the_write)                                                                         \
    X(a_version_that_was_read_can_be_matched)                                                                \
    X(a_raised_flag_cancels)                                                                                 \
    X(every_call_is_reported)                                                                                \
    X(the_probe_finds_it_good_and_leaves_nothing)

BASICS(IN_FOLDER)

size_t suite_basics(struct test *ret)
{
    size_t count = 0;
#define X(name) ret[count++] = (struct test){#name, run_##name};
    BASICS(X)
#undef X
    return count;
}
