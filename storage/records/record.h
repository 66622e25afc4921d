/* record.h -- what the values of LevelDB look like in bytes. docs/storage-format.md tells it in prose.
 *
 * A fact rests in two places: under its own key ("stored": with its stamp, found by identity) and in the
 * arrival log ("logged": found by stamp). A large fact rests only under its own key, and its log entry says
 * where ("pointer").
 *
 *     stored    head, stamp (14), created_ms (8, of a delete), body, key (where the head says so)
 *     logged    head, created_ms (8, of a delete), body
 *     pointer   head, kind and rest of the key where the fact is stored
 *
 *     head      type in bits 0-1, then flags: prior 4, from_table 8, key 16, pointer 32
 *     body      HLC (30), schema, table, then
 *                 cell       column, pk, value; prior HLC (30) and prior value
 *                 delete     pk; prior row
 *                 migration  type (1), from_table if any, ddl, schema version
 *     key       the fact's whole key, length of its table key, of its row key
 *
 * Texts are a varint length (7 bits a byte, lowest first, no longer than needed) and so many bytes. Integers
 * of fixed width are big-endian.
 *
 * Decoders read untrusted bytes: they refuse whatever the encoders would not have written, and what they
 * accept encodes to the same bytes again.
 *
 * Pure: no allocation. Threads: any. */
#ifndef STORAGE_RECORDS_RECORD_H
#define STORAGE_RECORDS_RECORD_H

#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/facts/fact.h"
#include "core/facts/hlc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RECORD_BYTES_MAX = 1 << 29, /* of one record; a message is smaller, its setting included */
    RECORD_POINTER_BYTES_MIN = 2,
    RECORD_INLINE_BYTES_MAX = 4096, /* a fact whose log record would be longer is only pointed to there */
    DATABASE_RECORD_BYTES = 1 + 4 + SITE_ID_BYTES + 2 * 14,
    DATABASE_RECORD_BYTES_MAX = DATABASE_RECORD_BYTES + 1 + 4,
    COUNTER_RECORD_BYTES = 1 + 4,
    MIGRATION_INDEX_BYTES = HLC_ENCODED_SIZE + 14,
    DATABASE_FORMAT = 1,        /* of a database's records; kept in its own record */
    DATABASE_FORMAT_MARKED = 2, /* the same, with a mark that a server without object store does not know */
};

struct stored_record {
    struct fact fact; /* its key is empty unless the record keeps it */
    struct stamp stamp;
    uint64_t created_ms; /* 0 unless it is a delete */
    bool has_key;
};

struct logged_record {
    bool is_pointer;
    enum fact_type type;  /* also of what the pointer points to */
    struct slice pointer; /* kind byte and rest of the key */
    struct fact fact;     /* its key is empty */
    uint64_t created_ms;  /* 0 unless it is a delete; of a pointer it is in what that points to */
};

/* Sizes first, so that the caller can get the memory in one piece; `ret` takes exactly so many bytes. */
size_t record_stored_size(const struct fact *f, bool keep_key);
void record_put_stored(const struct fact *f, const struct stamp *s, uint64_t created_ms, bool keep_key,
                       uint8_t *ret);
size_t record_logged_size(const struct fact *f);
void record_put_logged(const struct fact *f, uint64_t created_ms, uint8_t *ret);
void record_put_pointer(enum fact_type type, struct slice key_rest, uint8_t *ret); /* 1 + key_rest.len */

/* What they return borrows from `bytes`. Errors: SYNC_EFORMAT. */
enum sync_err record_get_stored(struct slice bytes, enum fact_type type, struct stored_record *ret,
                                struct err_ctx *ec);
enum sync_err record_get_logged(struct slice bytes, struct logged_record *ret, struct err_ctx *ec);

/* The stamp of a stored fact, without looking at the rest. */
enum sync_err record_get_stamp(struct slice bytes, enum fact_type type, struct stamp *ret,
                               struct err_ctx *ec);

/* Is all of the database here? */
enum database_state {
    DATABASE_LIVE,
    DATABASE_RESTORING, /* facts are still coming in: nobody reads or writes it, and a restart begins anew */
    DATABASE_LEAVING,   /* the object store has all of it, and it is being removed from here */
};

/* What is kept of a database as a whole. */
struct database_record {
    uint32_t number; /* from 1 */
    struct site_id server_site;
    struct stamp last;   /* zero before the first batch */
    struct stamp pruned; /* the highest that the retention sweep removed */
    enum database_state state;
    bool asks; /* was restored without its end: sites are asked for what they have (protocol 8.6) */
    uint32_t asked_count; /* of sites that were; 0 unless asks */
};

/* ret takes up to DATABASE_RECORD_BYTES_MAX. Returns the length: DATABASE_RECORD_BYTES for a live database
 * that asks nobody, which is format 1. */
size_t record_put_database(const struct database_record *d, uint8_t *ret);
enum sync_err record_get_database(struct slice bytes, struct database_record *ret, struct err_ctx *ec);

/* How many databases the shard ever gave a number to. */
void record_put_counter(uint32_t count, uint8_t ret[COUNTER_RECORD_BYTES]);
enum sync_err record_get_counter(struct slice bytes, uint32_t *ret, struct err_ctx *ec);

void record_put_migration_index(const struct hlc *hlc, const struct stamp *s,
                                uint8_t ret[MIGRATION_INDEX_BYTES]);
enum sync_err record_get_migration_index(struct slice bytes, struct hlc *ret_hlc, struct stamp *ret_stamp,
                                         struct err_ctx *ec);

#endif
