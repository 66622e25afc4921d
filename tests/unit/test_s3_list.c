#include "storage/objects/s3_list.h"

#include <criterion/criterion.h>

static enum sync_err parse(const char *inside, const char *prefix, struct object_page *ret,
                           struct err_ctx *ec)
{
    struct buf document = buf_make(1 << 20);
    buf_put_str(&document, "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    buf_put_str(&document, inside);
    buf_put_str(&document, "</ListBucketResult>");
    *ret = (struct object_page){0};
    enum sync_err rc = s3_list_parse(buf_slice(&document), prefix, ret, ec);
    buf_deinit(&document);
    return rc;
}

#define ENTRY(key)                                                                                           \
    "<Contents><Key>" key                                                                                    \
    "</Key><LastModified>2024-02-29T23:59:59.987Z</LastModified><ETag>&quot;e&quot;</ETag>"                  \
    "<Size>42</Size><Owner><ID>x</ID></Owner></Contents>"
#define FOLDER(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

Test(s3_list, keys_and_prefixes_come_out_in_one_order)
{
    struct object_page page;
    struct err_ctx ec;
    cr_assert_eq(parse("<IsTruncated>true</IsTruncated>" ENTRY("p/a") ENTRY("p/c") FOLDER("p/b/")
                           FOLDER("p/d/") "<NextContinuationToken>tok+/=</NextContinuationToken>",
                       "p/", &page, &ec),
                 SYNC_OK, "%s", ec.text);
    static const char *const keys[] = {"a", "b/", "c", "d/"};
    cr_assert_eq(page.count, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert(slice_is(page.entries[i].key, keys[i]));
        cr_assert_eq(page.entries[i].is_prefix, i % 2 == 1);
        cr_assert_eq(page.entries[i].bytes, i % 2 == 1 ? 0 : 42);
        cr_assert_eq(page.entries[i].modified_ms, i % 2 == 1 ? 0 : 1709251199987u);
    }
    cr_assert(page.more);
    cr_assert_str_eq(page.next, "tok+/=");
    object_page_deinit(&page);
}

Test(s3_list, keys_are_decoded_only_where_the_answer_says_so)
{
    struct object_page page;
    struct err_ctx ec;
    cr_assert_eq(parse(ENTRY("a%2Bb+c%01") "<EncodingType>url</EncodingType>", "", &page, &ec), SYNC_OK);
    cr_assert(slice_is(page.entries[0].key, "a+b c\x01"), "also when it says it behind them");
    object_page_deinit(&page);
    cr_assert_eq(parse(ENTRY("a%2Bb+c"), "", &page, &ec), SYNC_OK);
    cr_assert(slice_is(page.entries[0].key, "a%2Bb+c"));
    object_page_deinit(&page);
    cr_assert_eq(parse("<EncodingType>url</EncodingType>" ENTRY("a%2"), "", &page, &ec), SYNC_EIO);
}

Test(s3_list, objects_of_others_that_no_key_can_name_are_left_out)
{
    struct object_page page;
    struct err_ctx ec;
    cr_assert_eq(parse(ENTRY("p/") ENTRY("p/folder/") ENTRY("p/a//b") ENTRY("p/good"), "p/", &page, &ec),
                 SYNC_OK);
    cr_assert_eq(page.count, 1);
    cr_assert(slice_is(page.entries[0].key, "good"));
    object_page_deinit(&page);
}

Test(s3_list, answers_that_cannot_be_right_are_refused)
{
    static const char *const bad[] = {
        ENTRY("elsewhere/a"),
        "<IsTruncated>true</IsTruncated>" ENTRY("p/a"),
        "<Contents><Key>p/a</Key></Contents>",
        "<Contents><Key>p/a</Key><Size>many</Size></Contents>",
        "<Contents><Key>p/a</Key>",
    };
    struct object_page page;
    struct err_ctx ec;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(parse(bad[i], "p/", &page, &ec), SYNC_EIO, "case %zu", i);
}

Test(s3_list, a_page_has_a_ceiling)
{
    struct buf b = buf_make(1 << 20);
    struct object_page page;
    struct err_ctx ec;
    for (int i = 0; i <= OBJECT_PAGE_MAX; i++) buf_printf(&b, ENTRY("p/%05d"), i);
    buf_put_char(&b, '\0');
    cr_assert_eq(parse(b.bytes, "p/", &page, &ec), SYNC_EIO);
    buf_deinit(&b);
}
