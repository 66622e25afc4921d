#include "tests/objects/stores.h"
#include "tests/objects/suite.h"

static struct object_store *store;
static struct err_ctx ec;

/* In key order; among them what directories and escapes could get wrong. */
static const char *const names[] = {
    "a",
    "a b",
    "a!",
    "a-b",
    "a.b",
    "a/",
    "a/b",
    "a/b/c",
    "a/b/d",
    "a/b/d/e",
    "a/c",
    "a0",
    "aa",
    "ab/c",
    "b+c",
    "b/1",
    "b/10",
    "b/2",
    "c%",
    "c%2",
    "c%2F",
    "c%2Fx",
    "d/e/f",
    "d/e/g",
    "log/0/000001",
    "log/0/000002",
    "log/0/000003",
    "log/1/000001",
    "z",
    "\xc3\xa4/\xc3\xb6",
    "\xc3\xa4/\xc3\xbc",
};
enum { NAMES = sizeof names / sizeof *names, NAME_ROOM = 160 };

/* "a/" is no key; it is in the list only to be a start-after. */
static bool is_key(const char *name)
{
    return name[strlen(name) - 1] != '/';
}

static void put_names(void)
{
    for (size_t i = 0; i < NAMES; i++)
        if (is_key(names[i]))
            CHECK_OK(object_put(store, NULL, stores_key(names[i]), slice_str(names[i]), NULL, &ec), &ec);
}

struct wanted {
    char key[NAME_ROOM];
    bool is_prefix;
    uint64_t bytes;
};

/* What the query must give, worked out the simple way. */
static size_t expect(const char *prefix, const char *after, char delimiter, struct wanted ret[NAMES])
{
    size_t count = 0, prefix_len = strlen(prefix);
    for (size_t i = 0; i < NAMES; i++) {
        const char *name = names[i];
        if (!is_key(name) || strncmp(name, prefix, prefix_len) != 0) continue;
        if (after[0] != '\0' && strcmp(name, after) <= 0) continue;
        const char *cut = delimiter == 0 ? NULL : strchr(name + prefix_len, delimiter);
        size_t len = cut == NULL ? strlen(name) : (size_t)(cut - name) + 1;
        bool same = count > 0 && ret[count - 1].is_prefix && cut != NULL &&
                    strlen(ret[count - 1].key) == len && strncmp(ret[count - 1].key, name, len) == 0;
        if (same) continue;
        (void)snprintf(ret[count].key, NAME_ROOM, "%.*s", (int)len, name);
        ret[count].is_prefix = cut != NULL;
        ret[count].bytes = cut != NULL ? 0 : strlen(name);
        count++;
    }
    return count;
}

/* Reads all pages of the query and compares them with what must come. */
static void check_list(const char *prefix, const char *after, char delimiter, uint32_t page_max)
{
    struct wanted wanted[NAMES];
    char next[OBJECT_TOKEN_MAX + 1] = "";
    size_t count = expect(prefix, after, delimiter, wanted), at = 0, folder_len = stores_key("").len;
    struct object_page page = {.more = true};
    for (size_t pages = 0; page.more; pages++) {
        struct object_query query = {
            .prefix = stores_key(prefix), .delimiter = delimiter, .entries_max = page_max};
        if (after[0] != '\0') query.start_after = stores_key(after);
        query.continuation = slice_str(next);
        CHECK(pages <= NAMES, "it does not end");
        CHECK_OK(object_list(store, NULL, &query, &page, &ec), &ec);
        for (size_t i = 0; i < page.count; i++, at++) {
            struct object_entry *e = &page.entries[i];
            struct slice name = slice_of(e->key.bytes + folder_len, e->key.len - folder_len);
            CHECK(at < count, "prefix %s after %s delimiter %c: %.*s too many", prefix, after, delimiter,
                  SLICE_ARG(name));
            CHECK(slice_is(name, wanted[at].key) && e->is_prefix == wanted[at].is_prefix,
                  "prefix \"%s\" after \"%s\" delimiter %d, entry %zu is %.*s, not %s", prefix, after,
                  delimiter, at, SLICE_ARG(name), wanted[at].key);
            CHECK(e->bytes == wanted[at].bytes && (e->is_prefix || e->modified_ms > 0));
        }
        CHECK(page.count <= page_max && (page.more || page.next[0] == '\0'));
        memcpy(next, page.next, sizeof next);
        bool more = page.more;
        object_page_deinit(&page);
        page.more = more;
    }
    CHECK(at == count, "prefix \"%s\" after \"%s\" delimiter %d page %u: %zu entries, not %zu", prefix, after,
          delimiter, page_max, at, count);
}

static void a_list_is_in_key_order_and_whole(void)
{
    put_names();
    check_list("", "", 0, 1000);
}

static void pages_of_any_size_make_the_same_list(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 30, 31};
    put_names();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_list("", "", 0, sizes[i]);
}

static void a_prefix_need_not_end_at_a_slash(void)
{
    static const char *const prefixes[] = {"a",    "a/",          "a/b",     "a/b/", "b/1", "c%",      "c%2",
                                           "log/", "log/0/00000", "nothing", "z",    "zz",  "\xc3\xa4"};
    put_names();
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        check_list(prefixes[i], "", 0, 1000);
        check_list(prefixes[i], "", 0, 2);
    }
}

static void a_list_can_start_after_any_text(void)
{
    put_names();
    for (size_t i = 0; i < NAMES; i++) {
        check_list("", names[i], 0, 1000);
        check_list("a", names[i], 0, 4);
    }
    check_list("", "a/b/c0", 0, 1000);
    check_list("log/0/", "log/0/000002", 0, 1000);
    check_list("log/0/", "log/0/0000015", 0, 1000);
}

static void a_delimiter_folds_what_lies_deeper(void)
{
    static const char *const prefixes[] = {"", "a", "a/", "a/b/", "d/", "log/", "log", "\xc3\xa4/"};
    put_names();
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        check_list(prefixes[i], "", '/', 1000);
        check_list(prefixes[i], "", '/', 1);
        check_list(prefixes[i], "", '/', 3);
    }
    check_list("", "", '%', 1000);
    check_list("", "a0", '/', 1000);
    check_list("log/", "log/0/000009", '/', 1000);
}

static void a_list_shows_what_was_just_written_and_deleted(void)
{
    struct object_page page;
    struct object_query query = {.prefix = stores_key("n/")};
    char name[32];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "n/%03d", i);
        CHECK_OK(object_put(store, NULL, stores_key(name), slice_str("x"), NULL, &ec), &ec);
        CHECK_OK(object_list(store, NULL, &query, &page, &ec), &ec);
        CHECK(page.count == (size_t)i % 5 + 1, "after put %d: %zu", i, page.count);
        object_page_deinit(&page);
        for (int j = i - 4; i % 5 == 4 && j <= i; j++) {
            (void)snprintf(name, sizeof name, "n/%03d", j);
            CHECK_OK(object_delete(store, NULL, stores_key(name), &ec), &ec);
            CHECK_OK(object_list(store, NULL, &query, &page, &ec), &ec);
            CHECK(page.count == (size_t)(i - j), "after delete %d: %zu", j, page.count);
            object_page_deinit(&page);
        }
    }
}

static void more_than_a_page_of_the_largest_size(void)
{
    enum { COUNT = 1203 };
    char name[32], last[OBJECT_KEY_MAX + 1] = "", next[OBJECT_TOKEN_MAX + 1] = "";
    struct object_page page = {.more = true};
    size_t count = 0;
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "m/%05d", i * 7 % COUNT);
        CHECK_OK(object_put(store, NULL, stores_key(name), slice_str(""), NULL, &ec), &ec);
    }
    while (page.more) {
        struct object_query query = {.prefix = stores_key("m/"), .continuation = slice_str(next)};
        CHECK_OK(object_list(store, NULL, &query, &page, &ec), &ec);
        CHECK(page.count <= OBJECT_PAGE_MAX && page.count > 0);
        for (size_t i = 0; i < page.count; i++) {
            CHECK(slice_cmp(slice_str(last), page.entries[i].key) < 0, "out of order");
            (void)snprintf(last, sizeof last, "%.*s", SLICE_ARG(page.entries[i].key));
        }
        count += page.count;
        memcpy(next, page.next, sizeof next);
        bool more = page.more;
        object_page_deinit(&page);
        page.more = more;
    }
    CHECK(count == COUNT, "%zu", count);
}

#define LISTS(X)                                                                                             \
    X(a_list_is_in_key_order_and_whole)                                                                      \
    X(pages_of_any_size_make_the_same_list)                                                                  \
    X(a_prefix_need_not_end_at_a_slash)                                                                      \
    X(a_list_can_start_after_any_text)                                                                       \
    X(a_delimiter_folds_what_lies_deeper)                                                                    \
    X(a_list_shows_what_was_just_written_and_deleted)                                                        \
    X(more_than_a_page_of_the_largest_size)

LISTS(IN_FOLDER)

size_t suite_lists(struct test *ret)
{
    size_t count = 0;
#define X(name) ret[count++] = (struct test){#name, run_##name};
    LISTS(X)
#undef X
    return count;
}
