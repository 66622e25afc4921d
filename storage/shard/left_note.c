#include "storage/shard/left_note.h"

#include "storage/shard/shard_internal.h"

#include <assert.h>
#include <string.h>

enum { NOTE_FORMAT = 1 };

static_assert(LEFT_NOTE_BYTES == 1 + KEY_STAMP_BYTES + SITE_ID_BYTES, "left_note.h");

void left_note_put(const struct left_note *n, uint8_t ret[LEFT_NOTE_BYTES])
{
    ret[0] = NOTE_FORMAT;
    memcpy(key_put_stamp(ret + 1, &n->last), n->server_site.bytes, SITE_ID_BYTES);
}

enum sync_err left_note_get(struct slice bytes, struct left_note *ret, struct err_ctx *ec)
{
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    if (bytes.len != LEFT_NOTE_BYTES || at[0] != NOTE_FORMAT ||
        !key_parse_stamp(slice_of(at + 1, KEY_STAMP_BYTES), &ret->last))
        return err_set(ec, SYNC_EFORMAT, "damaged note of a database that has left, %zu bytes", bytes.len);
    memcpy(ret->server_site.bytes, at + 1 + KEY_STAMP_BYTES, SITE_ID_BYTES);
    return SYNC_OK;
}

enum sync_err shard_left_note(struct shard *sh, struct slice database, bool *ret_found, struct left_note *ret,
                              struct err_ctx *ec)
{
    struct reader *reader = NULL;
    struct key key;
    struct instance_value value = {0};
    key_left(database, &key);
    enum sync_err rc = reader_open(sh->instance, &reader, ec);
    if (rc == SYNC_OK) rc = reader_get(reader, key_slice(&key), &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL) rc = left_note_get(instance_value_slice(&value), ret, ec);
    if (rc == SYNC_OK) *ret_found = value.bytes != NULL;
    instance_value_deinit(&value);
    reader_close(reader);
    return rc;
}

enum sync_err shard_any_elsewhere(struct shard *sh, char ret[DATABASE_ID_MAX], size_t *ret_len,
                                  bool *ret_found, struct err_ctx *ec)
{
    struct reader *reader = NULL;
    struct scan *scan = NULL;
    struct key prefix;
    struct slice key, value;
    enum sync_err rc = shard_next_unfinished(sh, slice_of(NULL, 0), ret, ret_len, ret_found, ec);
    if (rc != SYNC_OK || *ret_found) return rc;
    key_kind_prefix(0, KEY_LEFT, &prefix);
    rc = reader_open(sh->instance, &reader, ec);
    if (rc == SYNC_OK) rc = scan_open(reader, key_slice(&prefix), true, &scan, ec);
    if (rc == SYNC_OK) rc = scan_next(scan, ret_found, &key, &value, ec);
    if (rc == SYNC_OK && *ret_found) {
        *ret_len = key.len - KEY_HEAD_BYTES;
        if (*ret_len > DATABASE_ID_MAX)
            rc = err_set(ec, SYNC_EFORMAT, "a database's name of %zu bytes", *ret_len);
        else
            memcpy(ret, key.bytes + KEY_HEAD_BYTES, *ret_len);
    }
    scan_close(scan);
    reader_close(reader);
    return rc;
}
