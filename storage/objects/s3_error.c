#include "storage/objects/s3_error.h"

#include "storage/objects/s3_xml.h"

#include <stdio.h>

/* The codes of AWS, and of Ceph (QuotaExceeded), MinIO (XMinio...) and others that mean the same. */
static const struct known {
    const char *code;
    struct s3_meaning meaning;
} known_codes[] = {
#define MOVED      "the bucket is in another region or at another address: correct S3_REGION or S3_ENDPOINT"
#define STALE_KEYS "the session token has expired or is wrong: renew the keys"
#define FULL       "the bucket or the service is full: make room, or raise the quota"
    {"AccessDenied", {SYNC_ECONFIG, false, "the keys are known but may not do this: grant it in the policy"}},
    {"AccountProblem", {SYNC_ECONFIG, false, "see to the account"}},
    {"AuthorizationHeaderMalformed", {SYNC_ECONFIG, false, MOVED}},
    {"ConditionalRequestConflict", {SYNC_EBUSY, true, ""}},
    {"ExpiredToken", {SYNC_ECONFIG, false, STALE_KEYS}},
    {"IllegalLocationConstraintException", {SYNC_ECONFIG, false, MOVED}},
    {"InvalidAccessKeyId",
     {SYNC_ECONFIG, false, "the service does not know this key: correct S3_ACCESS_KEY_ID"}},
    {"InvalidBucketName", {SYNC_ECONFIG, false, "correct S3_BUCKET"}},
    {"InvalidToken", {SYNC_ECONFIG, false, STALE_KEYS}},
    {"NoSuchBucket", {SYNC_ECONFIG, false, "create the bucket, or correct S3_BUCKET or S3_ENDPOINT"}},
    {"NoSuchKey", {SYNC_ENOTFOUND, false, ""}},
    {"NotImplemented", {SYNC_ECONFIG, false, "this service cannot do what is needed: use another"}},
    {"OperationAborted", {SYNC_EBUSY, true, ""}},
    {"PermanentRedirect", {SYNC_ECONFIG, false, MOVED}},
    {"QuotaExceeded", {SYNC_EIO, false, FULL}},
    {"RequestTimeTooSkewed",
     {SYNC_ECONFIG, false, "this machine's clock and the service's are too far apart: set the clock"}},
    {"RequestTimeout", {SYNC_EBUSY, true, ""}},
    {"SignatureDoesNotMatch", {SYNC_ECONFIG, false, "the secret is wrong: correct S3_SECRET_ACCESS_KEY"}},
    {"SlowDown", {SYNC_EBUSY, true, ""}},
    {"TemporaryRedirect", {SYNC_ECONFIG, false, MOVED}},
    {"TokenRefreshRequired", {SYNC_ECONFIG, false, STALE_KEYS}},
    {"XMinioAdminBucketQuotaExceeded", {SYNC_EIO, false, FULL}},
    {"XMinioStorageFull", {SYNC_EIO, false, FULL}},
};

static void copy_clean(char *ret, size_t room, struct slice text)
{
    size_t len = text.len < room - 1 ? text.len : room - 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.bytes[i];
        ret[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    ret[len] = '\0';
}

static enum sync_err take_field(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct s3_error *e = arg;
    (void)ec;
    if (strcmp(path, "Error/Code") == 0) copy_clean(e->code, sizeof e->code, text);
    if (strcmp(path, "Error/Message") == 0) copy_clean(e->message, sizeof e->message, text);
    if (strcmp(path, "Error/Region") == 0) copy_clean(e->region, sizeof e->region, text);
    return SYNC_OK;
}

bool s3_error_parse(struct slice body, struct s3_error *ret)
{
    struct err_ctx ignored; /* a body that is no XML is what a proxy in between says: the status has to do */
    struct s3_xml_fields fields = {.end = take_field, .arg = ret};
    *ret = (struct s3_error){0};
    if (body.len == 0) return false;
    if (s3_xml_read(body, &fields, &ignored) != SYNC_OK) *ret = (struct s3_error){0};
    return ret->code[0] != '\0';
}

static struct s3_meaning meaning_of_status(int status)
{
    switch (status) {
    case 301:
    case 307:
    case 308: return (struct s3_meaning){SYNC_ECONFIG, false, MOVED};
    case 401: return (struct s3_meaning){SYNC_ECONFIG, false, "correct the S3 keys"};
    case 403:
        return (struct s3_meaning){SYNC_ECONFIG, false,
                                   "correct the S3 keys, or grant them this in the policy"};
    case 404: return (struct s3_meaning){SYNC_ENOTFOUND, false, ""};
    case 408:
    case 409:
    case 425:
    case 429: return (struct s3_meaning){SYNC_EBUSY, true, ""};
    case 501:
        return (struct s3_meaning){SYNC_ECONFIG, false, "this service cannot do what is needed: use another"};
    case 507: return (struct s3_meaning){SYNC_EIO, false, FULL};
    default: break;
    }
    if (status >= 500) return (struct s3_meaning){SYNC_EBUSY, true, ""};
    if (status >= 300 && status < 400) return (struct s3_meaning){SYNC_ECONFIG, false, MOVED};
    return (struct s3_meaning){SYNC_EIO, false, ""};
}

struct s3_meaning s3_error_meaning(int status, const struct s3_error *e)
{
    for (size_t i = 0; i < sizeof known_codes / sizeof *known_codes; i++)
        if (strcmp(known_codes[i].code, e->code) == 0) return known_codes[i].meaning;
    return meaning_of_status(status);
}

enum sync_err s3_error_set(struct err_ctx *ec, int status, const struct s3_error *e)
{
    struct s3_meaning m = s3_error_meaning(status, e);
    bool told = e->message[0] != '\0', placed = e->region[0] != '\0', advised = m.advice[0] != '\0';
    return err_set(ec, m.rc, "%d%s%s%s%s%s%s%s%s%s", status, e->code[0] == '\0' ? "" : " ", e->code,
                   advised ? "; " : "", m.advice, placed ? " (the bucket is in " : "", e->region,
                   placed ? ")" : "", told ? "; it says: " : "", e->message);
}
