#include "storage/objects/s3_xml.h"

#include "core/base/buf.h"

#include <expat.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

struct reader {
    XML_Parser parser;
    const struct s3_xml_fields *fields;
    struct err_ctx *ec;
    enum sync_err rc; /* why it was stopped */
    size_t depth;
    size_t path_len;
    char path[S3_XML_PATH_MAX];
    struct buf text;
};

static void stop(struct reader *r, enum sync_err rc)
{
    if (r->rc == SYNC_OK) r->rc = rc;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = arg;
    (void)attributes;
    size_t room = sizeof r->path - r->path_len;
    int n = snprintf(r->path + r->path_len, room, "%s%s", r->depth == 0 ? "" : "/", name);
    if (r->depth == S3_XML_DEPTH_MAX || n < 0 || (size_t)n >= room) {
        r->path[r->path_len] = '\0';
        stop(r, err_set(r->ec, SYNC_EIO, "XML answer nested too deep"));
        return;
    }
    r->path_len += (size_t)n;
    r->depth++;
    buf_clear(&r->text);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *r = arg;
    if (r->rc != SYNC_OK) return; /* expat still closes the element that on_start() stopped at */
    if (r->text.failed != SYNC_OK) {
        enum sync_err failed = r->text.failed == SYNC_ENOMEM ? SYNC_ENOMEM : SYNC_EIO;
        stop(r, err_set(r->ec, failed, "XML answer with a text over %d bytes", S3_XML_TEXT_MAX));
        return;
    }
    enum sync_err rc = r->fields->end(r->fields->arg, r->path, buf_slice(&r->text), r->ec);
    buf_clear(&r->text); /* an element around this one has no text of its own */
    r->depth--;
    r->path_len -= strlen(name) + (r->depth == 0 ? 0 : 1);
    r->path[r->path_len] = '\0';
    if (rc != SYNC_OK) stop(r, rc);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    buf_put(&((struct reader *)arg)->text, text, (size_t)len);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_internal)
{
    struct reader *r = arg;
    (void)name, (void)system_id, (void)public_id, (void)has_internal;
    stop(r, err_set(r->ec, SYNC_EIO, "XML answer with a document type definition"));
}

enum sync_err s3_xml_read(struct slice document, const struct s3_xml_fields *fields, struct err_ctx *ec)
{
    struct reader r = {.fields = fields, .ec = ec, .text = buf_make(S3_XML_TEXT_MAX)};
    if (document.len > INT_MAX) return err_set(ec, SYNC_EIO, "XML answer of %zu bytes", document.len);
    r.parser = XML_ParserCreate("UTF-8");
    if (r.parser == NULL) return err_set(ec, SYNC_ENOMEM, "XML parser");
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    enum XML_Status status = XML_Parse(r.parser, document.bytes, (int)document.len, 1);
    if (status != XML_STATUS_OK && r.rc == SYNC_OK) {
        enum XML_Error error = XML_GetErrorCode(r.parser);
        r.rc = err_set(ec, error == XML_ERROR_NO_MEMORY ? SYNC_ENOMEM : SYNC_EIO, "XML answer, line %lu: %s",
                       XML_GetCurrentLineNumber(r.parser), XML_ErrorString(error));
    }
    XML_ParserFree(r.parser);
    buf_deinit(&r.text);
    return r.rc;
}

bool s3_xml_u64(struct slice text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len == 0) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9') return false;
        uint64_t digit = (uint64_t)(text.bytes[i] - '0');
        if (n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return true;
}

uint64_t s3_xml_time_ms(struct slice text)
{
    char copy[40];
    struct tm tm = {0};
    if (text.len >= sizeof copy) return 0;
    if (text.len > 0) memcpy(copy, text.bytes, text.len);
    copy[text.len] = '\0';
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL) return 0;
    time_t seconds = timegm(&tm);
    unsigned ms = 0;
    if (rest[0] == '.') (void)sscanf(rest + 1, "%3u", &ms); /* no fraction: whole seconds */
    return seconds <= 0 ? 0 : (uint64_t)seconds * 1000 + ms;
}
