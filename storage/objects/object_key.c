#include "storage/objects/object_key.h"

#include "core/base/utf8.h"
#include "storage/objects/object_store.h"

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
        size_t len = utf8_len(text.bytes + at, text.len - at);
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
