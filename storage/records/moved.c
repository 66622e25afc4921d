#include "storage/records/moved.h"

#include "storage/records/keys.h"
#include "storage/records/record.h"

#include <assert.h>
#include <string.h>

enum { MOVED_BYTES_MAX = RECORD_BYTES_MAX + KEY_STAMP_BYTES };

size_t moved_size(const struct moved_entry *e)
{
    return KEY_STAMP_BYTES + record_logged_size(&e->fact);
}

void moved_put(const struct moved_entry *e, uint8_t *ret)
{
    record_put_logged(&e->fact, e->created_ms, key_put_stamp(ret, &e->stamp));
}

enum sync_err moved_get(struct slice bytes, struct moved_entry *ret, struct err_ctx *ec)
{
    struct moved_entry e;
    struct logged_record r;
    if (bytes.len <= KEY_STAMP_BYTES || !key_parse_stamp(slice_of(bytes.bytes, KEY_STAMP_BYTES), &e.stamp))
        return err_set(ec, SYNC_EFORMAT, "damaged log entry of %zu bytes", bytes.len);
    enum sync_err rc =
        record_get_logged(slice_of(bytes.bytes + KEY_STAMP_BYTES, bytes.len - KEY_STAMP_BYTES), &r, ec);
    if (rc != SYNC_OK) return rc;
    if (r.is_pointer) return err_set(ec, SYNC_EFORMAT, "a log entry that points somewhere else");
    e.fact = r.fact;
    e.created_ms = r.created_ms;
    *ret = e;
    return SYNC_OK;
}

void moved_put_framed(const struct moved_entry *e, struct buf *ret)
{
    size_t size = moved_size(e), n = size;
    assert(size <= MOVED_BYTES_MAX);
    if (!buf_reserve(ret, MOVED_FRAME_BYTES + size)) return;
    for (; n >= 0x80; n >>= 7) buf_put_char(ret, (char)(n | 0x80));
    buf_put_char(ret, (char)n);
    moved_put(e, (uint8_t *)ret->bytes + ret->len);
    ret->len += size;
}

/* The length in front: *ret_prefix bytes of it, 0 where it is not there as a whole. */
static enum sync_err frame(struct slice bytes, size_t *ret_len, size_t *ret_prefix, struct err_ctx *ec)
{
    uint64_t len = 0;
    for (size_t i = 0; i < MOVED_FRAME_BYTES; i++) {
        if (i == bytes.len) {
            *ret_prefix = 0;
            return SYNC_OK;
        }
        uint8_t byte = (uint8_t)bytes.bytes[i];
        len |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80) continue;
        if ((byte == 0 && i > 0) || len > MOVED_BYTES_MAX) break;
        *ret_len = (size_t)len;
        *ret_prefix = i + 1;
        return SYNC_OK;
    }
    return err_set(ec, SYNC_EFORMAT, "damaged length of a log entry");
}

enum sync_err moved_frame_size(struct slice bytes, size_t *ret, struct err_ctx *ec)
{
    size_t len = 0, prefix = 0;
    enum sync_err rc = frame(bytes, &len, &prefix, ec);
    if (rc == SYNC_OK) *ret = prefix == 0 ? 0 : prefix + len;
    return rc;
}

enum sync_err moved_take_framed(struct slice *bytes, struct moved_entry *ret, struct err_ctx *ec)
{
    size_t len = 0, prefix = 0;
    enum sync_err rc = frame(*bytes, &len, &prefix, ec);
    if (rc != SYNC_OK) return rc;
    if (prefix == 0 || len > bytes->len - prefix)
        return err_set(ec, SYNC_EFORMAT, "a log entry is cut: %zu bytes are left", bytes->len);
    rc = moved_get(slice_of(bytes->bytes + prefix, len), ret, ec);
    if (rc != SYNC_OK) return rc;
    *bytes = slice_of(bytes->bytes + prefix + len, bytes->len - prefix - len);
    return SYNC_OK;
}
