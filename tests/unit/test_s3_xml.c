#include "storage/objects/s3_xml.h"

#include "core/base/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* Writes "path=text;" for every element. */
static enum sync_err record(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct buf *b = arg;
    (void)ec;
    buf_put_str(b, path);
    buf_put_char(b, '=');
    buf_put_slice(b, text);
    buf_put_char(b, ';');
    return SYNC_OK;
}

static enum sync_err read_all(const char *document, struct buf *ret, struct err_ctx *ec)
{
    struct s3_xml_fields fields = {.end = record, .arg = ret};
    buf_clear(ret);
    return s3_xml_read(slice_str(document), &fields, ec);
}

Test(s3_xml, tells_every_element_at_its_end_with_its_own_text)
{
    struct buf b = buf_make(4096);
    struct err_ctx ec;
    cr_assert_eq(
        read_all("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\"> <A>1</A>\n<B><C>x &amp; "
                 "&lt;y&gt;&#13;</C><C/></B>tail</R>",
                 &b, &ec),
        SYNC_OK);
    cr_assert(slice_is(buf_slice(&b), "R/A=1;R/B/C=x & <y>\r;R/B/C=;R/B=;R=tail;"), "%.*s",
              SLICE_ARG(buf_slice(&b)));
    buf_deinit(&b);
}

Test(s3_xml, refuses_what_is_not_whole_or_not_xml)
{
    static const char *const bad[] = {"",         "no",          "<a>",           "<a></b>",
                                      "<a/><b/>", "<a>\x01</a>", "<a>&nope;</a>", "<a>\xff</a>"};
    struct buf b = buf_make(4096);
    struct err_ctx ec;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(read_all(bad[i], &b, &ec), SYNC_EIO, "%s", bad[i]);
    buf_deinit(&b);
}

Test(s3_xml, refuses_a_document_type_definition_before_it_expands_anything)
{
    struct buf b = buf_make(4096);
    struct err_ctx ec;
    const char *bomb =
        "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><r>&b;</r>";
    cr_assert_eq(read_all(bomb, &b, &ec), SYNC_EIO);
    cr_assert_str_eq(ec.text, "XML answer with a document type definition");
    cr_assert_eq(b.len, 0);
    buf_deinit(&b);
}

Test(s3_xml, has_ceilings_for_depth_names_and_texts)
{
    struct buf b = buf_make(64 * 1024), document = buf_make(64 * 1024);
    struct err_ctx ec;
    cr_assert_eq(read_all("<a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>", &b, &ec), SYNC_OK);
    cr_assert_eq(read_all("<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>", &b, &ec), SYNC_EIO);

    for (int extra = 0; extra <= 1; extra++) {
        buf_clear(&document);
        buf_put_str(&document, "<a>");
        for (int i = 0; i < S3_XML_TEXT_MAX + extra; i++) buf_put_char(&document, 'x');
        buf_put(&document, "</a>", 5);
        cr_assert_eq(read_all(document.bytes, &b, &ec), extra ? SYNC_EIO : SYNC_OK);
    }
    buf_clear(&document);
    buf_put_char(&document, '<');
    for (int i = 0; i < S3_XML_PATH_MAX; i++) buf_put_char(&document, 'n');
    buf_put(&document, "/>", 3);
    cr_assert_eq(read_all(document.bytes, &b, &ec), SYNC_EIO);
    buf_deinit(&b);
    buf_deinit(&document);
}

static enum sync_err refuse_second(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    int *calls = arg;
    (void)path, (void)text;
    return ++*calls == 2 ? err_set(ec, SYNC_ELIMIT, "enough") : SYNC_OK;
}

Test(s3_xml, stops_when_the_reader_has_enough)
{
    int calls = 0;
    struct err_ctx ec;
    struct s3_xml_fields fields = {.end = refuse_second, .arg = &calls};
    cr_assert_eq(s3_xml_read(slice_str("<r><a/><b/><c/><d/></r>"), &fields, &ec), SYNC_ELIMIT);
    cr_assert_str_eq(ec.text, "enough");
    cr_assert_eq(calls, 2);
}

Test(s3_xml, numbers_are_digits_that_fit)
{
    uint64_t n = 7;
    cr_assert(s3_xml_u64(slice_str("18446744073709551615"), &n) && n == UINT64_MAX);
    cr_assert(s3_xml_u64(slice_str("0"), &n) && n == 0);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(s3_xml_u64(slice_str(bad[i]), &n), "%s", bad[i]);
}

Test(s3_xml, times_are_read_to_the_millisecond)
{
    cr_assert_eq(s3_xml_time_ms(slice_str("2009-10-12T17:50:30.000Z")), 1255369830000u);
    cr_assert_eq(s3_xml_time_ms(slice_str("2024-02-29T23:59:59.987Z")), 1709251199987u);
    cr_assert_eq(s3_xml_time_ms(slice_str("2024-02-29T23:59:59Z")), 1709251199000u);
    cr_assert_eq(s3_xml_time_ms(slice_str("yesterday")), 0);
    cr_assert_eq(s3_xml_time_ms(slice_str("")), 0);
    cr_assert_eq(s3_xml_time_ms(slice_str("2009-10-12T17:50:30.000Z                            ")), 0);
}
