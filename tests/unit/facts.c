#include "facts.h"

#include "core/base/buf.h"
#include "core/facts/sql_value.h"

#include <assert.h>
#include <stdlib.h>

struct batch facts_batch(void)
{
    struct batch b = {0};
    b.sets = calloc(1, sizeof *b.sets);
    assert(b.sets != NULL);
    b.set_count = 1;
    return b;
}

struct hlc facts_hlc(uint64_t wall_ms, uint16_t counter, char site, uint32_t op_seq)
{
    struct hlc h = {.wall_ms = wall_ms, .counter = counter, .op_seq = op_seq};
    h.site.bytes[0] = (uint8_t)site;
    return h;
}

struct key_of {
    struct slice key;
    uint32_t table_len, row_len;
};

/* row and last may be NULL */
static struct key_of make_key(struct batch *b, const char *schema, const char *table, const char *row,
                              const char *last)
{
    struct buf key = buf_make(1 << 20);
    struct key_of k;
    key_put_text(&key, slice_str(schema));
    key_put_text(&key, slice_str(table));
    k.table_len = k.row_len = (uint32_t)key.len;
    if (row != NULL) {
        key_put_text(&key, slice_str(row));
        k.row_len = (uint32_t)key.len;
    }
    if (last != NULL) key_put_text(&key, slice_str(last));
    assert(key.failed == SYNC_OK);
    k.key = arena_copy(&b->arena, buf_slice(&key));
    assert(k.key.bytes != NULL);
    buf_deinit(&key);
    return k;
}

static struct fact *add(struct batch *b, enum fact_type type, struct hlc hlc, const char *schema,
                        const char *table)
{
    if ((b->fact_count & (b->fact_count - 1)) == 0) { /* 0, 1, 2, 4, ...: time for twice as many */
        size_t count = b->fact_count == 0 ? 1 : b->fact_count * 2;
        struct fact *facts = realloc(b->facts, count * sizeof *facts);
        assert(facts != NULL);
        b->facts = facts;
    }
    struct fact *f = &b->facts[b->fact_count++];
    *f = (struct fact){.type = type, .hlc = hlc, .schema = slice_str(schema), .table = slice_str(table)};
    b->sets[0].fact_count = b->fact_count;
    if (hlc_cmp(&hlc, &b->highest) > 0) b->highest = b->sets[0].hlc = hlc;
    return f;
}

static struct fact *set_key(struct fact *f, struct key_of k)
{
    f->key = k.key;
    f->table_key_len = k.table_len;
    f->row_key_len = k.row_len;
    return f;
}

struct fact *facts_cell(struct batch *b, struct hlc hlc, const char *table, const char *pk,
                        const char *column, const char *value)
{
    return facts_cell_in(b, hlc, "main", table, pk, column, value);
}

struct fact *facts_cell_in(struct batch *b, struct hlc hlc, const char *schema, const char *table,
                           const char *pk, const char *column, const char *value)
{
    struct fact *f = add(b, FACT_CELL, hlc, schema, table);
    f->cell = (struct cell_part){.column = slice_str(column), .pk = slice_str(pk), .value = slice_str(value)};
    return set_key(f, make_key(b, schema, table, pk, column));
}

struct fact *facts_delete(struct batch *b, struct hlc hlc, const char *table, const char *pk,
                          const char *prior_row)
{
    return facts_delete_in(b, hlc, "main", table, pk, prior_row);
}

struct fact *facts_delete_in(struct batch *b, struct hlc hlc, const char *schema, const char *table,
                             const char *pk, const char *prior_row)
{
    struct fact *f = add(b, FACT_DELETE, hlc, schema, table);
    f->del = (struct delete_part){.pk = slice_str(pk), .has_prior_row = prior_row != NULL};
    if (prior_row != NULL) f->del.prior_row = slice_str(prior_row);
    return set_key(f, make_key(b, schema, table, pk, NULL));
}

struct fact *facts_migration(struct batch *b, struct hlc hlc, const char *table, enum migration_type type,
                             const char *schema_version, const char *ddl)
{
    struct fact *f = add(b, FACT_MIGRATION, hlc, "main", table);
    f->migration = (struct migration_part){
        .type = type, .ddl = slice_str(ddl), .schema_version = slice_str(schema_version)};
    b->migration_count++;
    struct key_of k = make_key(b, "main", table, NULL, schema_version);
    char *bytes = arena_get(&b->arena, k.key.len + 1);
    assert(bytes != NULL);
    memcpy(bytes, k.key.bytes, k.key.len);
    bytes[k.key.len] = migration_type_is_index(type) ? 'i' : 't';
    k.key = slice_of(bytes, k.key.len + 1);
    return set_key(f, k);
}

struct slice facts_table_key(struct batch *b, const char *table)
{
    return make_key(b, "main", table, NULL, NULL).key;
}

struct slice facts_row_key(struct batch *b, const char *table, const char *pk)
{
    return make_key(b, "main", table, pk, NULL).key;
}
