#include "storage/shard/snapshot_note.h"

#include "storage/shard/shard_internal.h"
#include "storage/views/view.h"

#include <assert.h>

enum {
    NOTE_FORMAT = 2,
    NOTE_FORMAT_SIZELESS = 1, /* the same without the last field */
    NOTE_SIZELESS_BYTES = SNAPSHOT_NOTE_BYTES - 8,
};

static void get_stamp(const uint8_t *at, struct stamp *ret)
{
    (void)key_parse_stamp(slice_of(at, KEY_STAMP_BYTES), ret); /* 14 bytes are always one */
}

void snapshot_note_put(const struct snapshot_note *n, uint8_t ret[SNAPSHOT_NOTE_BYTES])
{
    uint8_t *at = ret;
    *at++ = NOTE_FORMAT;
    at = key_put_stamp(at, &n->newest);
    at = key_put_be(at, n->made_ms, 8);
    at = key_put_stamp(at, &n->before);
    at = key_put_be(at, n->bytes, 8);
    assert(at == ret + SNAPSHOT_NOTE_BYTES);
}

enum sync_err snapshot_note_get(struct slice bytes, struct snapshot_note *ret, struct err_ctx *ec)
{
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    bool sized = bytes.len == SNAPSHOT_NOTE_BYTES && at[0] == NOTE_FORMAT;
    if (!sized && (bytes.len != NOTE_SIZELESS_BYTES || at[0] != NOTE_FORMAT_SIZELESS))
        return err_set(ec, SYNC_EFORMAT, "damaged note of a snapshot, %zu bytes", bytes.len);
    get_stamp(at + 1, &ret->newest);
    ret->made_ms = key_get_be(at + 1 + KEY_STAMP_BYTES, 8);
    get_stamp(at + 1 + KEY_STAMP_BYTES + 8, &ret->before);
    ret->bytes = sized ? key_get_be(at + NOTE_SIZELESS_BYTES, 8) : 0;
    return SYNC_OK;
}

static enum sync_err check_name(struct slice database, struct err_ctx *ec)
{
    if (database.len > 0 && database.len <= DATABASE_ID_MAX) return SYNC_OK;
    return err_set(ec, SYNC_ELIMIT, "a database's name has 1 to %d bytes", DATABASE_ID_MAX);
}

enum sync_err shard_note_snapshot(struct shard *sh, struct slice database, const struct snapshot_note *note,
                                  struct err_ctx *ec)
{
    struct group g;
    struct key key;
    uint8_t bytes[SNAPSHOT_NOTE_BYTES];
    enum sync_err rc = check_name(database, ec);
    if (rc != SYNC_OK) return rc;
    rc = group_begin(&g, sh, ec);
    key_snapshot_note(database, &key);
    snapshot_note_put(note, bytes);
    if (rc == SYNC_OK && !overlay_put(&g.overlay, key_slice(&key), 0, slice_of(bytes, sizeof bytes), false))
        rc = err_set(ec, SYNC_ENOMEM, "no memory to note a snapshot");
    if (rc == SYNC_OK) rc = group_commit(&g, ec);
    group_end(&g);
    return rc;
}

enum sync_err shard_snapshot_note(struct shard *sh, struct slice database, bool *ret_found,
                                  struct snapshot_note *ret, struct err_ctx *ec)
{
    struct reader *reader = NULL;
    struct key key;
    struct instance_value value = {0};
    enum sync_err rc = check_name(database, ec);
    if (rc != SYNC_OK) return rc;
    key_snapshot_note(database, &key);
    rc = reader_open(sh->instance, &reader, ec);
    if (rc == SYNC_OK) rc = reader_get(reader, key_slice(&key), &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL) rc = snapshot_note_get(instance_value_slice(&value), ret, ec);
    if (rc == SYNC_OK) *ret_found = value.bytes != NULL;
    instance_value_deinit(&value);
    reader_close(reader);
    return rc;
}
