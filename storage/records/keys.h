/* keys.h -- the keys of LevelDB: what lies where, and in which order.
 *
 *     database number u32 BE | kind byte | rest
 *
 * Number 0 is the shard itself: its counter, by name the record of each database, the note of its newest
 * snapshot and that of its having left, the mark of each database that waits for its upload by number, and in
 * shard 0 how far each partition of the shared log is, by its
 * number. Every other number is one database:
 *
 *     cell             table part, row part, column part
 *     tombstone        table part, row part
 *     migration        HLC (30 bytes), table part, rest part     -> in HLC order
 *     migration index  table part, rest part                     -> the HLC that stands for this identity
 *     log              wall u64 BE, counter u16 BE, op_seq u32 BE -> in arrival order
 *     asked            site id (16 bytes) that was asked for what it has
 *
 * Parts come from a fact's key (core/facts/fact.h). A part is one length byte and so many bytes; one that is
 * longer than KEY_PART_MAX is the byte 255 and its SHA-256. So a key says by itself where its parts end, all
 * rows of a table and all cells of a row stand together, two identities never share a key, and nothing a
 * client sends makes a key longer than KEY_BYTES_MAX. A record whose key was shortened keeps the whole key
 * inside.
 *
 * A migration's identity is behind its HLC, since nothing stops a client from giving two the same HLC.
 *
 * Pure, but for OpenSSL's SHA-256. Threads: any. */
#ifndef STORAGE_RECORDS_KEYS_H
#define STORAGE_RECORDS_KEYS_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/fact.h"
#include "core/facts/hlc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_kind {
    KEY_ASKED = 'q',
    KEY_COUNTER = 'n',       /* of number 0 */
    KEY_DATABASE = 'd',      /* of number 0 */
    KEY_SNAPSHOT_NOTE = 'v', /* of number 0 */
    KEY_CELL = 'c',
    KEY_LOG = 'l',
    KEY_MIGRATION = 'm',
    KEY_MIGRATION_INDEX = 'i',
    KEY_TOMBSTONE = 't',
    KEY_LEFT = 'e',      /* of number 0 */
    KEY_LOG_STATE = 's', /* of number 0 */
    KEY_WAITING = 'w',   /* of number 0 */
};

enum {
    KEY_HEAD_BYTES = 4 + 1,
    KEY_STAMP_BYTES = 8 + 2 + 4,
    KEY_PART_MAX = 254,
    KEY_PART_HASHED = 255, /* the length byte of a part that is replaced by its hash */
    KEY_HASH_BYTES = 32,
    KEY_BYTES_MAX = KEY_HEAD_BYTES + HLC_ENCODED_SIZE + 3 * (1 + KEY_PART_MAX),
};

struct key {
    uint32_t len;
    uint8_t bytes[KEY_BYTES_MAX];
};

static inline struct slice key_slice(const struct key *k)
{
    return slice_of(k->bytes, k->len);
}

/* What a stored key was made of. Parts that were hashed are gone: whole is then false. */
struct key_parts {
    struct slice table, row, column; /* what its kind does not have is empty */
    bool whole;
};

/* "number, kind" alone: the prefix of all keys of a kind. */
void key_kind_prefix(uint32_t database, enum key_kind kind, struct key *ret);

void key_counter(struct key *ret);

/* name: at most 255 bytes (DATABASE_ID_MAX), asserted. */
void key_database(struct slice name, struct key *ret);

void key_snapshot_note(struct slice name, struct key *ret); /* likewise */
void key_left(struct slice name, struct key *ret);          /* likewise */
void key_waiting(uint32_t database, struct key *ret);
void key_log_state(uint32_t partition, struct key *ret);

void key_log(uint32_t database, const struct stamp *s, struct key *ret);

void key_asked(uint32_t database, const struct site_id *site, struct key *ret);

/* All keys of a database but its record. */
void key_database_prefix(uint32_t database, struct key *ret);

/* False unless `rest`, a log key behind its head, is a stamp. */
bool key_parse_stamp(struct slice rest, struct stamp *ret);

/* The following hash what is too long. Errors: SYNC_ENOMEM, when OpenSSL cannot. */

/* The prefix of a table's cells or tombstones. */
enum sync_err key_table(uint32_t database, enum key_kind kind, struct slice table_key, struct key *ret,
                        struct err_ctx *ec);

/* Of a row: its tombstone's key, or the prefix of its cells. */
enum sync_err key_row(uint32_t database, enum key_kind kind, struct slice row_key, uint32_t table_key_len,
                      struct key *ret, struct err_ctx *ec);

/* Of the record that holds the fact: cell, tombstone or migration. *ret_whole says whether the fact's key can
 * be read back from it. *ret_row_len: how much of a cell's key is its row's prefix; else all of it. */
enum sync_err key_fact(uint32_t database, const struct fact *f, struct key *ret, uint32_t *ret_row_len,
                       bool *ret_whole, struct err_ctx *ec);

/* The same identity at another HLC than the fact's own: of a migration that the fact replaces. */
enum sync_err key_migration(uint32_t database, const struct fact *f, const struct hlc *hlc, struct key *ret,
                            bool *ret_whole, struct err_ctx *ec);

enum sync_err key_migration_index(uint32_t database, const struct fact *f, struct key *ret,
                                  struct err_ctx *ec);

/* Takes apart what is behind the head of a cell's, tombstone's or migration's key. Parts borrow from rest.
 * False when it is no such key. */
bool key_parse_parts(enum key_kind kind, struct slice rest, struct key_parts *ret);

static inline bool key_has_row(const struct key *k)
{
    uint8_t kind = k->bytes[KEY_HEAD_BYTES - 1];
    return kind == KEY_CELL || kind == KEY_TOMBSTONE;
}

/* Of any key: is it one of a database's arrival log? */
static inline bool key_is_log(struct slice key)
{
    return key.len >= KEY_HEAD_BYTES && key.bytes[KEY_HEAD_BYTES - 1] == KEY_LOG;
}

/* Of a cell's key or a tombstone's: the part that names the row. Empty for other keys. */
struct slice key_row_of(struct slice key);

/* Makes of a prefix the lowest key that is above all keys with it. */
void key_after_prefix(struct key *k);

static inline uint64_t key_get_be(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

static inline uint8_t *key_put_be(uint8_t *at, uint64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--, value >>= 8) at[i] = (uint8_t)value;
    return at + count;
}

/* KEY_STAMP_BYTES, as in a log key. */
static inline uint8_t *key_put_stamp(uint8_t *at, const struct stamp *s)
{
    at = key_put_be(at, s->wall_ms, 8);
    at = key_put_be(at, s->counter, 2);
    return key_put_be(at, s->op_seq, 4);
}

#endif
