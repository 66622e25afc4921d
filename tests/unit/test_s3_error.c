#include "storage/objects/s3_error.h"

#include <criterion/criterion.h>

static struct s3_error parsed(const char *body)
{
    struct s3_error e;
    cr_assert(s3_error_parse(slice_str(body), &e));
    return e;
}

Test(s3_error, a_refusal_is_told_with_what_to_do_about_it)
{
    struct err_ctx ec;
    struct s3_error e =
        parsed("<Error><Code>SignatureDoesNotMatch</Code><Message>The signature does not match."
               "</Message><StringToSign>secret things</StringToSign></Error>");
    cr_assert_eq(s3_error_set(&ec, 403, &e), SYNC_ECONFIG);
    cr_assert_str_eq(ec.text,
                     "403 SignatureDoesNotMatch; the secret is wrong: correct S3_SECRET_ACCESS_KEY; it says: "
                     "The signature does not match.");
    e = parsed("<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>");
    cr_assert_eq(s3_error_set(&ec, 301, &e), SYNC_ECONFIG);
    cr_assert(strstr(ec.text, "S3_REGION") != NULL &&
              strstr(ec.text, "(the bucket is in eu-west-1)") != NULL);
}

Test(s3_error, the_code_counts_more_than_the_status)
{
    static const struct {
        int status;
        const char *code;
        enum sync_err rc;
        bool retry;
    } cases[] = {
        {404, "NoSuchBucket", SYNC_ECONFIG, false},
        {404, "NoSuchKey", SYNC_ENOTFOUND, false},
        {404, "", SYNC_ENOTFOUND, false},
        {403, "AccessDenied", SYNC_ECONFIG, false},
        {403, "", SYNC_ECONFIG, false},
        {403, "QuotaExceeded", SYNC_EIO, false},
        {507, "XMinioStorageFull", SYNC_EIO, false},
        {507, "", SYNC_EIO, false},
        {503, "SlowDown", SYNC_EBUSY, true},
        {503, "", SYNC_EBUSY, true},
        {500, "InternalError", SYNC_EBUSY, true},
        {500, "UnknownError", SYNC_EBUSY, true},
        {429, "", SYNC_EBUSY, true},
        {409, "OperationAborted", SYNC_EBUSY, true},
        {400, "RequestTimeout", SYNC_EBUSY, true},
        {400, "InvalidDigest", SYNC_EIO, false},
        {400, "ExpiredToken", SYNC_ECONFIG, false},
        {501, "NotImplemented", SYNC_ECONFIG, false},
        {307, "", SYNC_ECONFIG, false},
        {418, "", SYNC_EIO, false},
        {403, "RequestTimeTooSkewed", SYNC_ECONFIG, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct s3_error e = {0};
        strncpy(e.code, cases[i].code, sizeof e.code - 1);
        struct s3_meaning m = s3_error_meaning(cases[i].status, &e);
        cr_assert_eq(m.rc, cases[i].rc, "%d %s", cases[i].status, cases[i].code);
        cr_assert_eq(m.retry, cases[i].retry, "%d %s", cases[i].status, cases[i].code);
        cr_assert_eq(m.retry, m.rc == SYNC_EBUSY, "what is worth a repeat is busy, and the reverse");
    }
}

Test(s3_error, what_is_not_an_error_document_has_no_code)
{
    struct s3_error e;
    static const char *const bodies[] = {
        "",
        "<html><body>Bad gateway</body></html>",
        "Forbidden",
        "<Error>",
        "<Error><Code>Cut",
        "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_assert_not(s3_error_parse(slice_str(bodies[i]), &e), "%s", bodies[i]);
        cr_assert(e.code[0] == '\0' && e.message[0] == '\0');
    }
}

Test(s3_error, the_services_words_are_cut_and_cleaned)
{
    char body[1000] = "<Error><Code>X</Code><Message>line&#10;break&#9;and ";
    memset(body + strlen(body), 'm', 500);
    strcat(body, "</Message></Error>");
    struct s3_error e = parsed(body);
    cr_assert_eq(strlen(e.message), sizeof e.message - 1);
    cr_assert_eq(strncmp(e.message, "line?break?and mmm", 18), 0, "%s", e.message);
}
