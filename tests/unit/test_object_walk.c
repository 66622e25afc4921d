#include "storage/objects/object_walk.h"

#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { OBJECTS = 23 };

static uint32_t page_max;  /* keys of a page */
static uint32_t lists;     /* so many pages were asked for */
static uint32_t lists_max; /* and so many are given; 0: all */

enum sync_err __real_object_list(struct object_store *s, const struct object_call *call,
                                 const struct object_query *query, struct object_page *ret,
                                 struct err_ctx *ec);
enum sync_err __wrap_object_list(struct object_store *s, const struct object_call *call,
                                 const struct object_query *query, struct object_page *ret,
                                 struct err_ctx *ec);

enum sync_err __wrap_object_list(struct object_store *s, const struct object_call *call,
                                 const struct object_query *query, struct object_page *ret,
                                 struct err_ctx *ec)
{
    struct object_query q = *query;
    q.entries_max = page_max;
    lists++;
    if (lists_max != 0 && lists > lists_max) return err_set(ec, SYNC_EBUSY, "the store is away");
    return __real_object_list(s, call, &q, ret, ec);
}

static struct temp_dir dir;
static struct object_store *objects;

/* a/00 to a/22, two folders among them, and what lies before and behind. */
static void begin(void)
{
    struct err_ctx ec = {""};
    char key[32];
    temp_dir_make(&dir);
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = dir.path}, &objects, &ec), SYNC_OK);
    for (int i = -2; i < OBJECTS + 4; i++) {
        snprintf(key, sizeof key, "a/%02d", i);
        if (i == -2) snprintf(key, sizeof key, "A");
        if (i == -1) snprintf(key, sizeof key, "b/1");
        if (i >= OBJECTS) snprintf(key, sizeof key, "a/%d/%d", 10 + i % 2, i);
        cr_assert_eq(object_put(objects, NULL, slice_str(key), slice_str("xyz"), NULL, &ec), SYNC_OK);
    }
    page_max = lists = lists_max = 0;
}

static void end(void)
{
    object_store_close(objects);
    temp_dir_remove(&dir);
}

TestSuite(object_walk, .init = begin, .fini = end);

struct seen {
    size_t count;
    char last[OBJECT_KEY_MAX + 1];
    size_t stop_at; /* the entry that is refused; 0: none */
};

static enum sync_err see(void *arg, const struct object_entry *e, struct err_ctx *ec)
{
    struct seen *s = arg;
    s->count++;
    cr_assert_gt(slice_cmp(e->key, slice_str(s->last)), 0, "in order, each once");
    snprintf(s->last, sizeof s->last, "%.*s", SLICE_ARG(e->key));
    cr_assert_eq(e->bytes, e->is_prefix ? 0 : 3);
    return s->count == s->stop_at ? err_set(ec, SYNC_EFORMAT, "no, not %.*s", SLICE_ARG(e->key)) : SYNC_OK;
}

static enum sync_err walk(const struct object_query *q, struct seen *s, struct err_ctx *ec)
{
    lists = 0;
    return object_walk(objects, NULL, q, see, s, ec);
}

Test(object_walk, sees_everything_once_whatever_the_pages)
{
    for (page_max = 1; page_max < OBJECTS + 8; page_max++) {
        struct seen all = {0}, some = {0}, cut = {0};
        struct err_ctx ec = {""};
        cr_assert_eq(walk(&(struct object_query){.prefix = slice_str("")}, &all, &ec), SYNC_OK, "%s",
                     ec.text);
        cr_assert_eq(all.count, OBJECTS + 6, "pages of %u: %zu", page_max, all.count);
        cr_assert_geq(lists, (OBJECTS + 6 + page_max - 1) / page_max);
        const struct object_query after = {.prefix = slice_str("a/"), .start_after = slice_str("a/20")};
        cr_assert_eq(walk(&after, &some, &ec), SYNC_OK, "%s", ec.text);
        cr_assert(some.count == 2 && strcmp(some.last, "a/22") == 0, "pages of %u", page_max);
        const struct object_query folders = {.prefix = slice_str("a/"), .delimiter = '/'};
        cr_assert_eq(walk(&folders, &cut, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(cut.count, OBJECTS + 2, "folders count as one");
    }
}

Test(object_walk, of_nothing_is_one_request)
{
    struct seen none = {0};
    struct err_ctx ec;
    cr_assert_eq(walk(&(struct object_query){.prefix = slice_str("c/")}, &none, &ec), SYNC_OK);
    cr_assert(none.count == 0 && lists == 1);
}

Test(object_walk, ends_where_it_is_told_to)
{
    page_max = 5;
    for (size_t at = 1; at <= OBJECTS + 6; at++) {
        struct seen s = {.stop_at = at};
        struct err_ctx ec = {""};
        cr_assert_eq(walk(&(struct object_query){.prefix = slice_str("")}, &s, &ec), SYNC_EFORMAT);
        cr_assert_eq(s.count, at);
        cr_assert_eq(lists, (at + 4) / 5, "no page more is asked for");
        cr_assert_eq(strncmp(ec.text, "no, not ", 8), 0, "%s", ec.text);
    }
}

Test(object_walk, ends_with_the_stores_error)
{
    page_max = 5;
    for (lists_max = 1; lists_max < 6; lists_max++) {
        struct seen s = {0};
        struct err_ctx ec = {""};
        cr_assert_eq(walk(&(struct object_query){.prefix = slice_str("")}, &s, &ec), SYNC_EBUSY);
        cr_assert_eq(s.count, 5 * (size_t)lists_max, "what came before was seen");
        cr_assert_str_eq(ec.text, "the store is away");
    }
}
