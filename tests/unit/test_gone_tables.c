#include "core/facts/gone_tables.h"

#include "core/base/buf.h"
#include "core/facts/sql_value.h"
#include "tests/unit/random.h"

#include <criterion/criterion.h>

/* A migration with its key; key_deinit() frees it. */
static struct fact migration(enum migration_type type, const char *schema, const char *table,
                             const char *from)
{
    struct buf key = buf_make(1000);
    struct fact f = {.type = FACT_MIGRATION, .schema = slice_str(schema), .table = slice_str(table)};
    size_t len;
    key_put_text(&key, f.schema);
    key_put_text(&key, f.table);
    f.table_key_len = f.row_key_len = (uint32_t)key.len;
    f.migration.type = type;
    f.migration.has_from_table = from != NULL;
    if (from != NULL) f.migration.from_table = slice_str(from);
    char *bytes = buf_take(&key, &len);
    f.key = slice_of(bytes, len);
    return f;
}

static void key_deinit(struct fact *f)
{
    free((char *)f->key.bytes);
}

static void replay(struct gone_tables *g, enum migration_type type, const char *schema, const char *table,
                   const char *from)
{
    struct fact f = migration(type, schema, table, from);
    cr_assert(gone_tables_replay(g, &f));
    key_deinit(&f);
}

static bool has(const struct gone_tables *g, const char *schema, const char *table)
{
    struct fact f = migration(MIGRATION_ADD_COLUMN, schema, table, NULL);
    bool found = gone_tables_has(g, fact_table_key(&f));
    key_deinit(&f);
    return found;
}

Test(gone_tables, a_table_that_no_migration_mentions_is_present)
{
    struct gone_tables *g = gone_tables_new();
    cr_assert_not(has(g, "main", "t"));
    gone_tables_free(g);
    gone_tables_free(NULL);
}

Test(gone_tables, drop_makes_a_table_gone_and_create_brings_it_back)
{
    struct gone_tables *g = gone_tables_new();
    for (int i = 0; i < 3; i++) {
        replay(g, MIGRATION_DROP_TABLE, "main", "t", NULL);
        cr_assert(has(g, "main", "t"));
        replay(g, MIGRATION_DROP_TABLE, "main", "t", NULL); /* twice is once */
        cr_assert(has(g, "main", "t"));
        replay(g, MIGRATION_CREATE_TABLE, "main", "t", NULL);
        cr_assert_not(has(g, "main", "t"));
    }
    gone_tables_free(g);
}

Test(gone_tables, a_rename_moves_presence_from_the_old_name_to_the_new)
{
    struct gone_tables *g = gone_tables_new();
    replay(g, MIGRATION_DROP_TABLE, "main", "b", NULL);
    replay(g, MIGRATION_RENAME_TABLE, "main", "b", "a");
    cr_assert(has(g, "main", "a"));
    cr_assert_not(has(g, "main", "b"));
    replay(g, MIGRATION_RENAME_TABLE, "main", "a", "b");
    cr_assert_not(has(g, "main", "a"));
    cr_assert(has(g, "main", "b"));
    replay(g, MIGRATION_RENAME_TABLE, "main", "a", "a");
    cr_assert_not(has(g, "main", "a"), "renamed to itself");
    replay(g, MIGRATION_DROP_TABLE, "main", "c", NULL);
    replay(g, MIGRATION_RENAME_TABLE, "main", "c", NULL);
    cr_assert_not(has(g, "main", "c"), "a rename that does not say from what");
    gone_tables_free(g);
}

Test(gone_tables, other_migrations_change_nothing)
{
    static const enum migration_type others[] = {MIGRATION_ADD_COLUMN, MIGRATION_DROP_COLUMN,
                                                 MIGRATION_ALTER_COLUMN, MIGRATION_ADD_INDEX,
                                                 MIGRATION_DROP_INDEX};
    struct gone_tables *g = gone_tables_new();
    replay(g, MIGRATION_DROP_TABLE, "main", "gone", NULL);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        replay(g, others[i], "main", "gone", NULL);
        replay(g, others[i], "main", "here", "other");
        cr_assert(has(g, "main", "gone"));
        cr_assert_not(has(g, "main", "here"));
        cr_assert_not(has(g, "main", "other"), "fromTable means something to rename_table only");
    }
    gone_tables_free(g);
}

Test(gone_tables, schemas_and_alike_names_are_kept_apart)
{
    struct gone_tables *g = gone_tables_new();
    replay(g, MIGRATION_DROP_TABLE, "main", "a", NULL);
    replay(g, MIGRATION_RENAME_TABLE, "other", "y", "x");
    cr_assert_not(has(g, "other", "a"));
    cr_assert_not(has(g, "main", "a:b"));
    cr_assert_not(has(g, "main", ""));
    cr_assert_not(has(g, "mai", "na"));
    cr_assert_not(has(g, "main", "x"));
    cr_assert(has(g, "other", "x"));
    gone_tables_free(g);
}

Test(gone_tables, agrees_with_a_list_kept_by_hand)
{
    static const char *const names[] = {"a", "b", "c", "ab", "", "a.b", "z", "y"};
    enum { NAMES = sizeof names / sizeof names[0] };
    bool gone[2][NAMES] = {{false}};
    static const char *const schemas[] = {"main", "s"};
    uint64_t seed = 9;
    struct gone_tables *g = gone_tables_new();
    for (int i = 0; i < 3000; i++) {
        enum migration_type type = (enum migration_type)random_below(&seed, MIGRATION_TYPE_COUNT);
        size_t schema = random_below(&seed, 2), table = random_below(&seed, NAMES),
               from = random_below(&seed, NAMES);
        replay(g, type, schemas[schema], names[table], names[from]);
        if (type == MIGRATION_DROP_TABLE) gone[schema][table] = true;
        if (type == MIGRATION_RENAME_TABLE) gone[schema][from] = true;
        if (type == MIGRATION_RENAME_TABLE || type == MIGRATION_CREATE_TABLE) gone[schema][table] = false;
        for (size_t s = 0; s < 2; s++)
            for (size_t n = 0; n < NAMES; n++)
                cr_assert_eq(has(g, schemas[s], names[n]), gone[s][n], "step %d", i);
    }
    gone_tables_free(g);
}
