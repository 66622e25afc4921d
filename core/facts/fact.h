/* fact.h -- what transactions are made of: cells, row deletions, schema migrations (protocol section 2).
 *
 * A fact borrows its bytes: from the message that brought it, or from the stored record it was read from.
 * Names (schema, table, column, from_table) are resolved UTF-8; values stay the JSON text they came as.
 *
 * `key` says what a fact is about, in bytes that are equal exactly when the identities are (sql_value.h):
 *
 *     cell        table key, row identity, column
 *     delete      table key, row identity
 *     migration   table key, kind, schema version
 *
 * so the table key is a prefix of them all, and a row's key a prefix of the keys of its cells and of nothing
 * else. */
#ifndef CORE_FACTS_FACT_H
#define CORE_FACTS_FACT_H

#include "core/base/slice.h"
#include "core/facts/hlc.h"

#include <stdbool.h>
#include <stdint.h>

enum fact_type { FACT_CELL, FACT_DELETE, FACT_MIGRATION };

/* X(constant, wire name, does it concern an index) */
#define MIGRATION_TYPE_MAP(X)                                                                                \
    X(CREATE_TABLE, "create_table", false)                                                                   \
    X(DROP_TABLE, "drop_table", false)                                                                       \
    X(RENAME_TABLE, "rename_table", false)                                                                   \
    X(ADD_COLUMN, "add_column", false)                                                                       \
    X(DROP_COLUMN, "drop_column", false)                                                                     \
    X(ALTER_COLUMN, "alter_column", false)                                                                   \
    X(ADD_INDEX, "add_index", true)                                                                          \
    X(DROP_INDEX, "drop_index", true)

enum migration_type {
#define X(c, name, index) MIGRATION_##c,
    MIGRATION_TYPE_MAP(X)
#undef X
        MIGRATION_TYPE_COUNT
};

/* What only a cell has. */
struct cell_part {
    struct slice column;
    struct slice pk;    /* JSON array, spelled as the winning fact spelled it */
    struct slice value; /* JSON */
    bool has_prior;     /* prior_value and prior_hlc come together */
    struct slice prior_value;
    struct hlc prior_hlc;
};

struct delete_part {
    struct slice pk;        /* JSON array */
    bool has_prior_row;     /* an empty row is there, and different from none */
    struct slice prior_row; /* JSON array */
};

struct migration_part {
    enum migration_type type;
    bool has_from_table;
    struct slice from_table;     /* rename_table: the name before */
    struct slice ddl;            /* JSON string, with its quotes */
    struct slice schema_version; /* JSON number */
};

struct fact {
    enum fact_type type;
    uint32_t set; /* index of its ChangeSet in the batch that brought it */
    struct hlc hlc;
    struct slice schema, table;
    struct slice key;
    uint32_t table_key_len; /* of key */
    uint32_t row_key_len;   /* of key; of a migration: that of the table key */
    union {
        struct cell_part cell;
        struct delete_part del;
        struct migration_part migration;
    };
};

static inline struct slice fact_table_key(const struct fact *f)
{
    return slice_of(f->key.bytes, f->table_key_len);
}

static inline struct slice fact_row_key(const struct fact *f)
{
    return slice_of(f->key.bytes, f->row_key_len);
}

const char *migration_type_name(enum migration_type type);
bool migration_type_parse(struct slice name, enum migration_type *ret); /* false: no such type */
bool migration_type_is_index(enum migration_type type);

#endif
