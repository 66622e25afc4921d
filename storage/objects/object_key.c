#include "storage/objects/object_key.h"

#include "storage/objects/object_store.h"

/* Length of the well-formed UTF-8 character at the start of s, 0 when there is none. */
static size_t utf8_char_len(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.bytes;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    if (len == 0 || len > s.len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0; /* longer than needed */
    if (p[0] == 0xed && p[1] > 0x9f) return 0; /* a surrogate */
    if (p[0] == 0xf0 && p[1] < 0x90) return 0;
    if (p[0] == 0xf4 && p[1] > 0x8f) return 0; /* over U+10FFFF */
    return len;
}

static enum sync_err check_segment(struct slice segment, struct err_ctx *ec)
{
    if (segment.len == 0)
        return err_set(ec, SYNC_EBADMSG, "object key with an empty segment (two slashes, or one at an end)");
    if (slice_is(segment, ".") || slice_is(segment, ".."))
        return err_set(ec, SYNC_EBADMSG, "object key with a segment \"%.*s\"", SLICE_ARG(segment));
    return SYNC_OK;
}

enum sync_err object_key_check_utf8(struct slice text, const char *what, struct err_ctx *ec)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_char_len(slice_of(text.bytes + at, text.len - at));
        if (len == 0 || text.bytes[at] == '\0')
            return err_set(ec, SYNC_EBADMSG, "%s is not UTF-8 without zero bytes (byte %zu)", what, at);
        at += len;
    }
    return SYNC_OK;
}

enum sync_err object_key_check(struct slice key, struct err_ctx *ec)
{
    if (key.len == 0) return err_set(ec, SYNC_EBADMSG, "empty object key");
    if (key.len > OBJECT_KEY_MAX)
        return err_set(ec, SYNC_ELIMIT, "object key of %zu bytes, limit %d", key.len, OBJECT_KEY_MAX);
    enum sync_err rc = object_key_check_utf8(key, "object key", ec);
    if (rc != SYNC_OK) return rc;
    size_t segments = 0;
    for (size_t at = 0; at <= key.len; segments++) {
        const char *slash = at == key.len ? NULL : memchr(key.bytes + at, '/', key.len - at);
        size_t end = slash == NULL ? key.len : (size_t)(slash - key.bytes);
        rc = check_segment(slice_of(key.bytes + at, end - at), ec);
        if (rc != SYNC_OK) return rc;
        at = end + 1;
    }
    if (segments > OBJECT_KEY_SEGMENTS_MAX)
        return err_set(ec, SYNC_ELIMIT, "object key of %zu segments, limit %d", segments,
                       OBJECT_KEY_SEGMENTS_MAX);
    return SYNC_OK;
}
