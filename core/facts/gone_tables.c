#include "core/facts/gone_tables.h"

#include "core/base/buf.h"
#include "core/facts/sql_value.h"

#include <search.h>
#include <stdlib.h>

struct gone_tables {
    void *root; /* a tsearch() tree of struct gone_table */
};

struct gone_table {
    struct slice key;
    char bytes[];
};

static int compare_entries(const void *x, const void *y)
{
    return slice_cmp(((const struct gone_table *)x)->key, ((const struct gone_table *)y)->key);
}

struct gone_tables *gone_tables_new(void)
{
    return calloc(1, sizeof(struct gone_tables));
}

void gone_tables_free(struct gone_tables *g)
{
    if (g == NULL) return;
    tdestroy(g->root, free);
    free(g);
}

static bool add(struct gone_tables *g, struct slice table_key)
{
    struct gone_table *e = malloc(sizeof *e + table_key.len);
    if (e == NULL) return false;
    memcpy(e->bytes, table_key.bytes, table_key.len);
    e->key = slice_of(e->bytes, table_key.len);
    struct gone_table *const *found = tsearch(e, &g->root, compare_entries);
    if (found == NULL || *found != e) free(e);
    return found != NULL;
}

static void drop(struct gone_tables *g, struct slice table_key)
{
    const struct gone_table probe = {.key = table_key};
    struct gone_table *const *found = tfind(&probe, &g->root, compare_entries);
    if (found == NULL) return;
    struct gone_table *e = *found;
    (void)tdelete(&probe, &g->root, compare_entries);
    free(e);
}

static bool add_renamed(struct gone_tables *g, const struct fact *f)
{
    struct buf key = buf_make(UINT32_MAX);
    key_put_text(&key, f->schema);
    key_put_text(&key, f->migration.from_table);
    bool added = key.failed == SYNC_OK && add(g, buf_slice(&key));
    buf_deinit(&key);
    return added;
}

bool gone_tables_replay(struct gone_tables *g, const struct fact *migration)
{
    switch (migration->migration.type) {
    case MIGRATION_DROP_TABLE: return add(g, fact_table_key(migration));
    case MIGRATION_CREATE_TABLE: drop(g, fact_table_key(migration)); return true;
    case MIGRATION_RENAME_TABLE:
        if (migration->migration.has_from_table && !add_renamed(g, migration)) return false;
        drop(g, fact_table_key(migration));
        return true;
    default: return true;
    }
}

bool gone_tables_has(const struct gone_tables *g, struct slice table_key)
{
    const struct gone_table probe = {.key = table_key};
    return tfind(&probe, &g->root, compare_entries) != NULL;
}
