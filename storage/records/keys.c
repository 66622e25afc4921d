#include "storage/records/keys.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

static_assert(KEY_HASH_BYTES == SHA256_DIGEST_LENGTH, "SHA-256");
static_assert(KEY_HASH_BYTES <= KEY_PART_MAX, "a hash must be shorter than what it stands for");
static_assert(KEY_HEAD_BYTES + 255 <= KEY_BYTES_MAX, "the longest database name");

void key_kind_prefix(uint32_t database, enum key_kind kind, struct key *ret)
{
    uint8_t *at = key_put_be(ret->bytes, database, 4);
    *at = (uint8_t)kind;
    ret->len = KEY_HEAD_BYTES;
}

void key_counter(struct key *ret)
{
    key_kind_prefix(0, KEY_COUNTER, ret);
}

static void key_named(enum key_kind kind, struct slice name, struct key *ret)
{
    assert(name.len <= 255);
    key_kind_prefix(0, kind, ret);
    if (name.len > 0) memcpy(ret->bytes + ret->len, name.bytes, name.len);
    ret->len += (uint32_t)name.len;
}

void key_database(struct slice name, struct key *ret)
{
    key_named(KEY_DATABASE, name, ret);
}

void key_snapshot_note(struct slice name, struct key *ret)
{
    key_named(KEY_SNAPSHOT_NOTE, name, ret);
}

void key_left(struct slice name, struct key *ret)
{
    key_named(KEY_LEFT, name, ret);
}

void key_waiting(uint32_t database, struct key *ret)
{
    key_kind_prefix(0, KEY_WAITING, ret);
    (void)key_put_be(ret->bytes + ret->len, database, 4);
    ret->len += 4;
}

void key_log_state(uint32_t partition, struct key *ret)
{
    key_kind_prefix(0, KEY_LOG_STATE, ret);
    (void)key_put_be(ret->bytes + ret->len, partition, 4);
    ret->len += 4;
}

void key_log(uint32_t database, const struct stamp *s, struct key *ret)
{
    key_kind_prefix(database, KEY_LOG, ret);
    uint8_t *at = ret->bytes + ret->len;
    at = key_put_be(at, s->wall_ms, 8);
    at = key_put_be(at, s->counter, 2);
    (void)key_put_be(at, s->op_seq, 4);
    ret->len += KEY_STAMP_BYTES;
}

void key_asked(uint32_t database, const struct site_id *site, struct key *ret)
{
    key_kind_prefix(database, KEY_ASKED, ret);
    memcpy(ret->bytes + ret->len, site->bytes, SITE_ID_BYTES);
    ret->len += SITE_ID_BYTES;
}

void key_database_prefix(uint32_t database, struct key *ret)
{
    (void)key_put_be(ret->bytes, database, KEY_HEAD_BYTES - 1);
    ret->len = KEY_HEAD_BYTES - 1;
}

bool key_parse_stamp(struct slice rest, struct stamp *ret)
{
    const uint8_t *bytes = (const uint8_t *)rest.bytes;
    if (rest.len != KEY_STAMP_BYTES) return false;
    *ret = (struct stamp){.wall_ms = key_get_be(bytes, 8),
                          .counter = (uint16_t)key_get_be(bytes + 8, 2),
                          .op_seq = (uint32_t)key_get_be(bytes + 10, 4)};
    return true;
}

/* Clears *whole when the part had to be hashed. */
static enum sync_err put_part(struct key *k, struct slice part, bool *whole, struct err_ctx *ec)
{
    uint8_t *at = k->bytes + k->len;
    assert(sizeof k->bytes - k->len >= 1 + KEY_PART_MAX);
    if (part.len <= KEY_PART_MAX) {
        *at++ = (uint8_t)part.len;
        if (part.len > 0) memcpy(at, part.bytes, part.len);
        k->len += 1 + (uint32_t)part.len;
        return SYNC_OK;
    }
    *whole = false;
    *at++ = KEY_PART_HASHED;
    if (SHA256((const unsigned char *)part.bytes, part.len, at) == NULL)
        return err_set(ec, SYNC_ENOMEM, "no SHA-256 of a key of %zu bytes", part.len);
    k->len += 1 + KEY_HASH_BYTES;
    return SYNC_OK;
}

enum sync_err key_table(uint32_t database, enum key_kind kind, struct slice table_key, struct key *ret,
                        struct err_ctx *ec)
{
    bool whole = true;
    key_kind_prefix(database, kind, ret);
    return put_part(ret, table_key, &whole, ec);
}

enum sync_err key_row(uint32_t database, enum key_kind kind, struct slice row_key, uint32_t table_key_len,
                      struct key *ret, struct err_ctx *ec)
{
    bool whole = true;
    assert(table_key_len <= row_key.len);
    enum sync_err rc = key_table(database, kind, slice_of(row_key.bytes, table_key_len), ret, ec);
    if (rc != SYNC_OK) return rc;
    return put_part(ret, slice_of(row_key.bytes + table_key_len, row_key.len - table_key_len), &whole, ec);
}

/* The bytes [from, to) of the fact's key. */
static struct slice key_piece(const struct fact *f, size_t from, size_t to)
{
    assert(from <= to && to <= f->key.len);
    return slice_of(f->key.bytes + from, to - from);
}

enum sync_err key_migration(uint32_t database, const struct fact *f, const struct hlc *hlc, struct key *ret,
                            bool *ret_whole, struct err_ctx *ec)
{
    assert(f->type == FACT_MIGRATION);
    *ret_whole = true;
    key_kind_prefix(database, KEY_MIGRATION, ret);
    hlc_encode(hlc, ret->bytes + ret->len);
    ret->len += HLC_ENCODED_SIZE;
    enum sync_err rc = put_part(ret, key_piece(f, 0, f->table_key_len), ret_whole, ec);
    if (rc != SYNC_OK) return rc;
    return put_part(ret, key_piece(f, f->table_key_len, f->key.len), ret_whole, ec);
}

enum sync_err key_migration_index(uint32_t database, const struct fact *f, struct key *ret,
                                  struct err_ctx *ec)
{
    bool whole = true;
    assert(f->type == FACT_MIGRATION);
    key_kind_prefix(database, KEY_MIGRATION_INDEX, ret);
    enum sync_err rc = put_part(ret, key_piece(f, 0, f->table_key_len), &whole, ec);
    if (rc != SYNC_OK) return rc;
    return put_part(ret, key_piece(f, f->table_key_len, f->key.len), &whole, ec);
}

enum sync_err key_fact(uint32_t database, const struct fact *f, struct key *ret, uint32_t *ret_row_len,
                       bool *ret_whole, struct err_ctx *ec)
{
    enum sync_err rc;
    if (f->type == FACT_MIGRATION) {
        rc = key_migration(database, f, &f->hlc, ret, ret_whole, ec);
        *ret_row_len = ret->len;
        return rc;
    }
    *ret_whole = true;
    key_kind_prefix(database, f->type == FACT_CELL ? KEY_CELL : KEY_TOMBSTONE, ret);
    rc = put_part(ret, key_piece(f, 0, f->table_key_len), ret_whole, ec);
    if (rc == SYNC_OK) rc = put_part(ret, key_piece(f, f->table_key_len, f->row_key_len), ret_whole, ec);
    *ret_row_len = ret->len;
    if (rc == SYNC_OK && f->type == FACT_CELL)
        rc = put_part(ret, key_piece(f, f->row_key_len, f->key.len), ret_whole, ec);
    return rc;
}

static bool take_part(struct slice *rest, struct slice *ret, bool *whole)
{
    if (rest->len == 0) return false;
    size_t len = (uint8_t)rest->bytes[0];
    if (len == KEY_PART_HASHED) {
        *whole = false;
        len = KEY_HASH_BYTES;
    }
    if (len > rest->len - 1) return false;
    *ret = slice_of(rest->bytes + 1, len);
    *rest = slice_of(rest->bytes + 1 + len, rest->len - 1 - len);
    return true;
}

bool key_parse_parts(enum key_kind kind, struct slice rest, struct key_parts *ret)
{
    struct key_parts parts = {.whole = true};
    if (kind == KEY_MIGRATION) {
        if (rest.len < HLC_ENCODED_SIZE) return false;
        rest = slice_of(rest.bytes + HLC_ENCODED_SIZE, rest.len - HLC_ENCODED_SIZE);
    }
    if (!take_part(&rest, &parts.table, &parts.whole)) return false;
    if (!take_part(&rest, &parts.row, &parts.whole)) return false;
    if (kind == KEY_CELL && !take_part(&rest, &parts.column, &parts.whole)) return false;
    if (rest.len != 0) return false;
    *ret = parts;
    return true;
}

struct slice key_row_of(struct slice key)
{
    struct slice none = slice_of(NULL, 0), part;
    bool whole;
    if (key.len < KEY_HEAD_BYTES) return none;
    char kind = key.bytes[KEY_HEAD_BYTES - 1];
    if (kind != KEY_CELL && kind != KEY_TOMBSTONE) return none;
    struct slice rest = slice_of(key.bytes + KEY_HEAD_BYTES, key.len - KEY_HEAD_BYTES);
    if (!take_part(&rest, &part, &whole) || !take_part(&rest, &part, &whole)) return none;
    return slice_of(key.bytes, key.len - rest.len);
}

void key_after_prefix(struct key *k)
{
    while (k->len > 0 && k->bytes[k->len - 1] == 0xff) k->len--;
    assert(k->len > 0); /* every key has a kind byte, and none is 0xff */
    k->bytes[k->len - 1]++;
}
