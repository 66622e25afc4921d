#include "storage/objects/object_key.h"

#include "storage/objects/object_store.h"

#include <criterion/criterion.h>

static enum sync_err check(struct slice key)
{
    struct err_ctx ec;
    return object_key_check(key, &ec);
}

Test(object_key, takes_what_every_store_can_hold)
{
    static const char *const good[] = {"a",
                                       "a/b",
                                       "a b",
                                       "...",
                                       ".a",
                                       "a.",
                                       "..a/b..",
                                       "\x01",
                                       "\xc3\xa4",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xef\xbf\xbd",
                                       "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert_eq(check(slice_str(good[i])), SYNC_OK, "%zu", i);
}

Test(object_key, refuses_empty_and_relative_segments)
{
    static const char *const bad[] = {"",  "/",  "//",  "a/",  "/a",     "a//b",
                                      ".", "..", "./a", "a/.", "a/../b", "a/.."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(check(slice_str(bad[i])), SYNC_EBADMSG, "%s", bad[i]);
    cr_assert_eq(check(slice_of(NULL, 0)), SYNC_EBADMSG);
    cr_assert_eq(check(slice_of("a\0b", 3)), SYNC_EBADMSG);
}

Test(object_key, refuses_what_is_not_utf8)
{
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xc3(",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "a\xe2\x28\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(check(slice_str(bad[i])), SYNC_EBADMSG, "%zu", i);
}

Test(object_key, counts_bytes_and_segments)
{
    char key[OBJECT_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    cr_assert_eq(check(slice_of(key, OBJECT_KEY_MAX)), SYNC_OK);
    cr_assert_eq(check(slice_of(key, OBJECT_KEY_MAX + 1)), SYNC_ELIMIT);
    for (size_t i = 1; i < 2 * OBJECT_KEY_SEGMENTS_MAX + 1; i += 2) key[i] = '/';
    cr_assert_eq(check(slice_of(key, 2 * OBJECT_KEY_SEGMENTS_MAX - 1)), SYNC_OK);
    cr_assert_eq(check(slice_of(key, 2 * OBJECT_KEY_SEGMENTS_MAX + 1)), SYNC_ELIMIT);
}
