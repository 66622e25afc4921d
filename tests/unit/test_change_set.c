#include "core/change_set.h"

#include "tests/unit/change_set_texts.h"
#include "tests/unit/json_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The batch owns the text it was read from. */
static enum sync_err read_sets(const char *text, size_t len, struct batch *ret, struct err_ctx *ec)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx unfinished;
    *ret = (struct batch){.text = json_padded(text, len)};
    struct json_value root = json_open(r, ret->text, len);
    enum sync_err rc = change_sets_take(&root, ret, ec);
    enum sync_err closed = json_close(r, rc == SYNC_OK ? ec : &unfinished);
    json_reader_free(r);
    return rc != SYNC_OK ? rc : closed;
}

static void read_good(const char *text, struct batch *ret)
{
    struct err_ctx ec = {""};
    cr_assert_eq(read_sets(text, strlen(text), ret, &ec), SYNC_OK, "%s: %s", text, ec.text);
}

static bool same_part(struct slice a, struct slice b)
{
    return slice_eq(a, b);
}

static void assert_same_fact(const struct fact *a, const struct fact *b)
{
    cr_assert_eq(a->type, b->type);
    cr_assert_eq(a->set, b->set);
    cr_assert(hlc_eq(&a->hlc, &b->hlc));
    cr_assert(same_part(a->schema, b->schema) && same_part(a->table, b->table));
    cr_assert(same_part(a->key, b->key));
    cr_assert_eq(a->table_key_len, b->table_key_len);
    cr_assert_eq(a->row_key_len, b->row_key_len);
    switch (a->type) {
    case FACT_CELL:
        cr_assert(same_part(a->cell.column, b->cell.column));
        cr_assert(same_part(a->cell.pk, b->cell.pk) && same_part(a->cell.value, b->cell.value));
        cr_assert_eq(a->cell.has_prior, b->cell.has_prior);
        cr_assert(same_part(a->cell.prior_value, b->cell.prior_value));
        cr_assert(hlc_eq(&a->cell.prior_hlc, &b->cell.prior_hlc));
        break;
    case FACT_DELETE:
        cr_assert(same_part(a->del.pk, b->del.pk));
        cr_assert_eq(a->del.has_prior_row, b->del.has_prior_row);
        cr_assert(same_part(a->del.prior_row, b->del.prior_row));
        break;
    case FACT_MIGRATION:
        cr_assert_eq(a->migration.type, b->migration.type);
        cr_assert_eq(a->migration.has_from_table, b->migration.has_from_table);
        cr_assert(same_part(a->migration.from_table, b->migration.from_table));
        cr_assert(same_part(a->migration.ddl, b->migration.ddl));
        cr_assert(same_part(a->migration.schema_version, b->migration.schema_version));
        break;
    }
}

/* Writes the batch, reads that, and compares: nothing is lost on the way through the server. */
static void assert_round_trip(const struct batch *a)
{
    struct buf out = buf_make(8 << 20);
    struct batch b;
    struct err_ctx ec = {""};
    buf_put_char(&out, '[');
    batch_put(&out, a);
    buf_put_char(&out, ']');
    cr_assert_eq(out.failed, SYNC_OK);
    cr_assert_eq(read_sets(out.bytes, out.len, &b, &ec), SYNC_OK, "%.*s: %s", SLICE_ARG(buf_slice(&out)),
                 ec.text);
    cr_assert_eq(a->set_count, b.set_count);
    cr_assert_eq(a->fact_count, b.fact_count);
    cr_assert_eq(a->migration_count, b.migration_count);
    cr_assert(hlc_eq(&a->highest, &b.highest));
    for (size_t i = 0; i < a->set_count; i++) {
        cr_assert(site_id_eq(&a->sets[i].site, &b.sets[i].site));
        cr_assert(hlc_eq(&a->sets[i].hlc, &b.sets[i].hlc));
        cr_assert(slice_eq(a->sets[i].transaction_id, b.sets[i].transaction_id));
        cr_assert_eq(a->sets[i].fact_first, b.sets[i].fact_first);
        cr_assert_eq(a->sets[i].fact_count, b.sets[i].fact_count);
    }
    for (size_t i = 0; i < a->fact_count; i++) assert_same_fact(&a->facts[i], &b.facts[i]);
    batch_deinit(&b);
    buf_deinit(&out);
}

/* ---- what is taken */

/* As recorded from a client. */
static const char recorded[] =
    "[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"1735689600441:0:" SITE_A "\",\"hlc\":\"" HLC_A3
    "\",\"changes\":["
    "{\"type\":\"delete\",\"schema\":\"main\",\"table\":\"a.b\",\"pk\":[{\"__bin\":\"AQ==\"}],\"hlc\":"
    "\"" HLC_A0 "\",\"priorRow\":[]},"
    "{\"type\":\"column\",\"schema\":\"main\",\"table\":\"a:b\",\"pk\":[0,\"k1\"],"
    "\"column\":\"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\",\"value\":null,\"hlc\":\"" HLC_A1 "\"},"
    "{\"type\":\"column\",\"schema\":\"main\",\"table\":\"emoji\xf0\x9f\x99\x82\",\"pk\":[{\"__bigint\":"
    "\"3\"}],"
    "\"column\":\"note\",\"value\":-990,\"hlc\":\"" HLC_A2
    "\",\"priorValue\":{\"k\":[1,{\"z\":null}],\"a\":\"x\"},"
    "\"priorHlc\":\"AAABlB8pfbgAAAAAAAAAAEAAgAAAAAAAA+gAAAAA\"},"
    "{\"type\":\"delete\",\"schema\":\"main\",\"table\":\"emoji\xf0\x9f\x99\x82\",\"pk\":[0,\"k0\"],\"hlc\":"
    "\"" HLC_A3 "\"}],\"schemaMigrations\":[{\"type\":\"rename_table\",\"schema\":\"main\",\"table\":\"new\","
    "\"fromTable\":\"old\","
    "\"ddl\":\"alter table \\\"old\\\" rename to new\",\"hlc\":\"" HLC_A0 "\",\"schemaVersion\":7}]}]";

Test(change_set, a_recorded_set_is_taken_whole)
{
    struct batch b;
    read_good(recorded, &b);
    cr_assert_eq(b.set_count, 1);
    cr_assert_eq(b.fact_count, 5);
    cr_assert_eq(b.migration_count, 1);
    const struct fact *f = b.facts;
    cr_assert_eq(f[0].type, FACT_DELETE);
    cr_assert(f[0].del.has_prior_row && slice_is(f[0].del.prior_row, "[]"), "an empty row is a row");
    cr_assert(slice_is(f[0].del.pk, "[{\"__bin\":\"AQ==\"}]"));
    cr_assert(slice_is(f[0].table, "a.b"));
    cr_assert(slice_is(f[1].cell.column, "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87"));
    cr_assert(slice_is(f[1].cell.value, "null"));
    cr_assert_not(f[1].cell.has_prior);
    cr_assert_eq(f[1].hlc.wall_ms, 1735689600441);
    cr_assert_eq(f[1].hlc.op_seq, 1);
    cr_assert(f[2].cell.has_prior && slice_is(f[2].cell.prior_value, "{\"k\":[1,{\"z\":null}],\"a\":\"x\"}"));
    cr_assert_eq(f[2].cell.prior_hlc.wall_ms, 1735689600440);
    cr_assert_not(f[3].del.has_prior_row);
    cr_assert_eq(f[4].migration.type, MIGRATION_RENAME_TABLE);
    cr_assert(f[4].migration.has_from_table && slice_is(f[4].migration.from_table, "old"));
    cr_assert(slice_is(f[4].migration.ddl, "\"alter table \\\"old\\\" rename to new\""));
    cr_assert(slice_is(f[4].migration.schema_version, "7"));
    cr_assert_eq(b.highest.op_seq, 3);
    assert_round_trip(&b);
    batch_deinit(&b);
}

Test(change_set, members_come_in_any_order_and_unknown_ones_are_left_out)
{
    static const char reversed[] =
        "[{\"x\":[{\"type\":5}],\"schemaMigrations\":[{\"schemaVersion\":1,\"hlc\":\"" HLC_A1
        "\",\"ddl\":\"d\",\"table\":\"t\","
        "\"schema\":\"s\",\"type\":\"add_index\",\"later\":{}}],\"changes\":[{\"later\":[1],\"hlc\":\"" HLC_A0
        "\",\"value\":1,\"column\":\"c\",\"pk\":[1],\"table\":\"t\",\"schema\":\"s\",\"type\":\"column\"},"
        "{\"hlc\":\"" HLC_A2
        "\",\"pk\":[2],\"priorRow\":[null,1],\"table\":\"t\",\"schema\":\"s\",\"type\":\"delete\"}],"
        "\"hlc\":\"" HLC_A2 "\",\"transactionId\":\"x\",\"siteId\":\"" SITE_A "\"}]";
    static const char straight[] =
        "[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"x\",\"hlc\":\"" HLC_A2 "\",\"changes\":["
        "{\"type\":\"column\",\"schema\":\"s\",\"table\":\"t\",\"pk\":[1],\"column\":\"c\",\"value\":1,"
        "\"hlc\":\"" HLC_A0
        "\"},{\"type\":\"delete\",\"schema\":\"s\",\"table\":\"t\",\"pk\":[2],\"hlc\":\"" HLC_A2
        "\",\"priorRow\":[null,1]}],"
        "\"schemaMigrations\":[{\"type\":\"add_index\",\"schema\":\"s\",\"table\":\"t\",\"ddl\":\"d\","
        "\"hlc\":\"" HLC_A1 "\",\"schemaVersion\":1}]}]";
    struct batch b;
    struct buf out = buf_make(10000);
    read_good(reversed, &b);
    buf_put_char(&out, '[');
    batch_put(&out, &b);
    buf_put_char(&out, ']');
    cr_assert(slice_is(buf_slice(&out), straight), "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_deinit(&out);
    batch_deinit(&b);
}

Test(change_set, empty_batches_and_sets_are_good)
{
    struct batch b;
    read_good("[]", &b);
    cr_assert_eq(b.set_count, 0);
    batch_deinit(&b);
    read_good("[" CHANGE_SET(HLC_A1, "", "") ",{\"siteId\":\"" SITE_A
                                             "\",\"transactionId\":\"\",\"hlc\":\"" HLC_A0
                                             "\",\"changes\":[]}]",
              &b);
    cr_assert_eq(b.set_count, 2, "schemaMigrations may be missing");
    cr_assert_eq(b.fact_count, 0);
    cr_assert_eq(b.highest.op_seq, 1, "the hlc of a set counts, too");
    assert_round_trip(&b);
    batch_deinit(&b);
}

Test(change_set, facts_know_their_set)
{
    struct batch b;
    read_good("[" CHANGE_SET(HLC_A0, DELETE("[1]", HLC_A0), "") "," CHANGE_SET(HLC_A0, "", "") "," CHANGE_SET(
                  HLC_A0, DELETE("[2]", HLC_A0), MIGRATION("add_column", "2", HLC_A1)) "]",
              &b);
    cr_assert_eq(b.fact_count, 3);
    cr_assert_eq(b.facts[0].set, 0);
    cr_assert_eq(b.facts[1].set, 2);
    cr_assert_eq(b.facts[2].set, 2);
    cr_assert_eq(b.sets[2].fact_first, 1);
    cr_assert_eq(b.sets[2].fact_count, 2);
    assert_round_trip(&b);
    batch_deinit(&b);
}

/* The first fact of the only set. */
static void first_key(const char *change, char *ret, size_t *ret_len, size_t *ret_row_len)
{
    struct batch b;
    char text[2000];
    (void)snprintf(text, sizeof text, "[" CHANGE_SET(HLC_A0, "%s", "") "]", change);
    read_good(text, &b);
    cr_assert_leq(b.facts[0].key.len, 500u);
    memcpy(ret, b.facts[0].key.bytes, b.facts[0].key.len);
    *ret_len = b.facts[0].key.len;
    *ret_row_len = b.facts[0].row_key_len;
    assert_round_trip(&b);
    batch_deinit(&b);
}

static bool same_key(const char *a, const char *b)
{
    char key_a[500], key_b[500];
    size_t len_a, len_b, row_a, row_b;
    first_key(a, key_a, &len_a, &row_a);
    first_key(b, key_b, &len_b, &row_b);
    return slice_eq(slice_of(key_a, len_a), slice_of(key_b, len_b));
}

#define CELL_AT(schema, table, column)                                                                       \
    "{\"type\":\"column\",\"schema\":\"" schema "\",\"table\":\"" table "\",\"pk\":[1],\"column\":\"" column \
    "\",\"value\":1,\"hlc\":\"" HLC_A0 "\"}"

Test(change_set, two_spellings_of_a_name_are_one_table)
{
    cr_assert(same_key(CELL_AT("main", "a", "c"), CELL_AT("m\\u0061in", "\\u0061", "\\u0063")));
    cr_assert(same_key(CELL_AT("main", "\xf0\x9f\x99\x82", "c"), CELL_AT("main", "\\ud83d\\ude42", "c")));
    cr_assert(same_key(CELL_AT("main", "a/b", "\\n"), CELL_AT("main", "a\\/b", "\\u000a")));
    cr_assert(same_key(CELL_AT("", "", ""), CELL_AT("", "", "")), "names are arbitrary, empty ones as well");
    cr_assert_not(same_key(CELL_AT("main", "a", "c"), CELL_AT("main", "A", "c")));
    cr_assert_not(same_key(CELL_AT("main", "a:b", "c"), CELL_AT("main", "a.b", "c")));
    cr_assert_not(same_key(CELL_AT("main", "a", "c"), CELL_AT("main", "a:b", "c")));
    cr_assert_not(same_key(CELL_AT("a", "bc", "c"), CELL_AT("ab", "c", "c")));
    cr_assert_not(same_key(CELL_AT("a", "", "c"), CELL_AT("", "a", "c")));
    cr_assert_not(same_key(CELL_AT("a\\u0000b", "", "c"), CELL_AT("a", "b", "c")));
    cr_assert_not(same_key(CELL_AT("a", "\\u0000b", "c"), CELL_AT("a\\u0000", "b", "c")));
    cr_assert_not(same_key(CELL_AT("a", "b", "\\u0000"), CELL_AT("a", "b", "")));
}

Test(change_set, a_row_s_key_begins_the_keys_of_its_cells_and_of_nothing_else)
{
    struct batch b;
    read_good(
        "[" CHANGE_SET(
            HLC_A3,
            DELETE("[1,\"x\"]", HLC_A0) "," CELL("[true,\"x\"]", "c", "1", HLC_A1) "," CELL(
                "[1,\"x\"]", "", "1",
                HLC_A1) "," CELL("[1,\"x\",null]", "c", "1",
                                 HLC_A1) "," CELL("[1]", "x", "1",
                                                  HLC_A1) "," CELL("[1,\"xy\"]", "c", "1",
                                                                   HLC_A1) "," CELL("[]", "c", "1", HLC_A1),
            MIGRATION("create_table", "1", HLC_A2) "," MIGRATION("add_index", "1", HLC_A2)) "]",
        &b);
    struct slice row = fact_row_key(&b.facts[0]);
    cr_assert(slice_eq(row, b.facts[0].key));
    for (size_t i = 1; i < b.fact_count; i++) {
        bool of_row = i <= 2;
        cr_assert_eq(slice_starts_with(b.facts[i].key, row), of_row, "fact %zu", i);
        cr_assert_eq(slice_eq(fact_row_key(&b.facts[i]), row), of_row, "fact %zu", i);
        cr_assert(slice_eq(fact_table_key(&b.facts[i]), fact_table_key(&b.facts[0])));
    }
    cr_assert_not(slice_eq(b.facts[7].key, b.facts[8].key), "a table and an index of one name");
    batch_deinit(&b);
}

#define MIGRATION_OF(type, table, version)                                                                   \
    "[" CHANGE_SET(HLC_A0, "",                                                                               \
                   "{\"type\":\"" type "\",\"schema\":\"main\",\"table\":\"" table                           \
                   "\",\"ddl\":\"x\",\"hlc\":\"" HLC_A0 "\",\"schemaVersion\":" version "}") "]"

static bool same_migration(const char *a, const char *b)
{
    struct batch batch_a, batch_b;
    read_good(a, &batch_a);
    read_good(b, &batch_b);
    bool same = slice_eq(batch_a.facts[0].key, batch_b.facts[0].key);
    assert_round_trip(&batch_a);
    batch_deinit(&batch_a);
    batch_deinit(&batch_b);
    return same;
}

Test(change_set, a_migration_is_what_its_kind_name_and_version_say)
{
    cr_assert(
        same_migration(MIGRATION_OF("create_table", "t", "1"), MIGRATION_OF("drop_column", "t", "1.0")));
    cr_assert(
        same_migration(MIGRATION_OF("add_index", "t", "1"), MIGRATION_OF("drop_index", "\\u0074", "1e0")));
    cr_assert_not(same_migration(MIGRATION_OF("add_index", "t", "1"), MIGRATION_OF("drop_table", "t", "1")));
    cr_assert_not(
        same_migration(MIGRATION_OF("create_table", "t", "1"), MIGRATION_OF("create_table", "t", "2")));
    cr_assert_not(
        same_migration(MIGRATION_OF("create_table", "t", "1"), MIGRATION_OF("create_table", "u", "1")));
    static const char *const types[] = {"create_table", "drop_table",   "rename_table", "add_column",
                                        "drop_column",  "alter_column", "add_index",    "drop_index"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        enum migration_type type;
        cr_assert(migration_type_parse(slice_str(types[i]), &type));
        cr_assert_str_eq(migration_type_name(type), types[i]);
    }
}

Test(change_set, escapes_are_read_in_every_string)
{
    struct batch b;
    read_good(
        "[{\"\\u0073iteId\":\"\\u0041AAAAAAAQACAAAAAAAAD6A\",\"transactionId\":\"\\u0078\",\"hl\\u0063\":"
        "\"\\u0041AABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA\\u002bgAAAAB\",\"changes\":[{\"type\":\"c\\u006flumn\","
        "\"schema\":\"main\",\"t\\u0061ble\":\"t\",\"pk\":[1],\"column\":\"c\",\"value\":1,"
        "\"hlc\":\"AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA\\u002BgAAAAB\",\"priorValue\":0,"
        "\"priorHlc\":\"\\/\\/\\/BlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAA\"}],\"schemaMigrations\":"
        "[{\"type\":\"drop\\u005ftable\",\"schema\":\"main\",\"table\":\"t\",\"ddl\":\"\\u0078\",\"hlc\":"
        "\"" HLC_A0 "\",\"schemaVersi\\u006fn\":1}]}]",
        &b);
    cr_assert_eq(b.fact_count, 2);
    cr_assert_eq(b.facts[0].hlc.op_seq, 1);
    cr_assert_eq(b.facts[0].cell.prior_hlc.wall_ms >> 40, 0xffffc1u);
    cr_assert_eq(b.facts[1].migration.type, MIGRATION_DROP_TABLE);
    cr_assert(slice_is(b.sets[0].transaction_id, "\\u0078"), "travels as it came");
    assert_round_trip(&b);
    batch_deinit(&b);
}

Test(change_set, of_a_member_given_twice_the_last_one_counts)
{
    struct batch b;
    read_good(
        "[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"x\",\"hlc\":\"" HLC_A3 "\",\"hlc\":\"" HLC_A0
        "\",\"changes\":[" DELETE("[1]", HLC_A3) "," DELETE(
            "[2]",
            HLC_A3) "],\"schemaMigrations\":[" MIGRATION("drop_table", "1",
                                                         HLC_A0) "],\"changes\":[{\"type\":\"delete\","
                                                                 "\"type\":\"column\","
                                                                 "\"schema\":\"x\",\"schema\":\"main\","
                                                                 "\"table\":\"t\",\"pk\":[7,8],\"pk\":[9],"
                                                                 "\"column\":\"x\",\"column\":\"c\","
                                                                 "\"value\":1,\"value\":2,\"hlc\":\"" HLC_A3
                                                                 "\",\"hlc\":\"" HLC_A1
                                                                 "\"}],\"schemaMigrations\":[" MIGRATION(
                                                                     "drop_table", "2", HLC_A2) "]}]",
        &b);
    cr_assert_eq(b.fact_count, 2);
    cr_assert_eq(b.migration_count, 1);
    cr_assert_eq(b.sets[0].fact_count, 2);
    cr_assert_eq(b.facts[0].type, FACT_CELL);
    cr_assert(slice_is(b.facts[0].cell.pk, "[9]") && slice_is(b.facts[0].cell.value, "2"));
    cr_assert(slice_is(b.facts[1].migration.schema_version, "2"));
    cr_assert_eq(b.highest.op_seq, 2, "what was replaced does not count");
    assert_round_trip(&b);

    struct batch plain;
    read_good("[" CHANGE_SET(HLC_A0, CELL("[9]", "c", "2", HLC_A1), "") "]", &plain);
    cr_assert(slice_eq(b.facts[0].key, plain.facts[0].key));
    batch_deinit(&plain);
    batch_deinit(&b);
}

Test(change_set, values_travel_as_they_came)
{
    static const char *const values[] = {
        "null",
        "true",
        "-0",
        "1e400",
        "0.1000",
        "123456789012345678901234567890",
        "\"\\ud800\"",
        "\"\\u0000\\/\"",
        "\"\xf0\x9f\x99\x82\"",
        "{\"__bin\":\"AQ==\"}",
        "{\"__bin\":\"AQ\"}",
        "{\"__bigint\":\"-000\"}",
        "{\"b\":1,\"a\":2,\"b\":3}",
        "[[],{},[{\"__bin\":5}]]",
        "{\"0\":1}",
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[1000];
        struct batch b;
        (void)snprintf(text, sizeof text, "[" CHANGE_SET(HLC_A0, CELL("[%s]", "c", "%s", HLC_A0), "") "]",
                       values[i], values[i]);
        read_good(text, &b);
        cr_assert(slice_is(b.facts[0].cell.value, values[i]));
        assert_round_trip(&b);
        batch_deinit(&b);
    }
}

Test(change_set, line_breaks_between_tokens_become_blanks)
{
    struct batch b;
    struct buf out = buf_make(10000);
    read_good("[\n" CHANGE_SET(HLC_A0, CELL("[\n1,\r\n2]", "c", "{\n\"a\" :\n1}", HLC_A0), "") "\n]\n", &b);
    batch_put(&out, &b);
    cr_assert(memchr(out.bytes, '\n', out.len) == NULL && memchr(out.bytes, '\r', out.len) == NULL);
    buf_deinit(&out);
    batch_deinit(&b);
}

Test(change_set, very_long_texts_are_taken)
{
    enum { LONG = 1 << 20 };
    struct buf text = buf_make(4 * LONG);
    struct batch b;
    struct err_ctx ec = {""};
    BUF_PUT_LIT(&text, "[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"x\",\"hlc\":\"" HLC_A0
                       "\",\"changes\":[{\"type\":\"column\","
                       "\"schema\":\"main\",\"table\":\"\\u0061");
    for (int i = 0; i < LONG; i++) buf_put_char(&text, 'b');
    BUF_PUT_LIT(&text, "\",\"pk\":[\"\\n");
    for (int i = 0; i < LONG; i++) buf_put_char(&text, 'c');
    BUF_PUT_LIT(&text, "\"],\"column\":\"c\",\"value\":\"");
    for (int i = 0; i < LONG; i++) buf_put_char(&text, 'd');
    BUF_PUT_LIT(&text, "\",\"hlc\":\"" HLC_A0 "\"}]}]");
    cr_assert_eq(read_sets(text.bytes, text.len, &b, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(b.facts[0].table.len, (size_t)LONG + 1);
    cr_assert_gt(b.facts[0].key.len, (size_t)2 * LONG);
    assert_round_trip(&b);
    batch_deinit(&b);
    buf_deinit(&text);
}

/* ---- what is refused, and how the place is named */

#define CHANGE(members)    "[" CHANGE_SET(HLC_A0, DELETE("[1]", HLC_A0) ",{" members "}", "") "]"
#define MIGRATING(members) "[" CHANGE_SET(HLC_A0, "", "{" members "}") "]"
#define PLACE              "\"schema\":\"s\",\"table\":\"t\""
#define GOOD_CELL                                                                                            \
    "\"type\":\"column\"," PLACE ",\"pk\":[1],\"column\":\"c\",\"value\":1,\"hlc\":\"" HLC_A0 "\""
#define GOOD_DELETE "\"type\":\"delete\"," PLACE ",\"pk\":[1],\"hlc\":\"" HLC_A0 "\""
#define GOOD_MIGRATION                                                                                       \
    "\"type\":\"add_column\"," PLACE ",\"ddl\":\"x\",\"hlc\":\"" HLC_A0 "\",\"schemaVersion\":1"
#define NOT_HLC  "an HLC is 40 characters of standard base64"
#define NOT_SITE "a site id is 22 characters of base64url"

Test(change_set, one_wrong_thing_refuses_the_batch_and_is_named)
{
    static const char *const bad[][2] = {
        {"{}", "not an array"},
        {"[5]", "[0]: not an object"},
        {"[" CHANGE_SET(HLC_A0, "", "") ",null]", "[1]: not an object"},
        {"[{}]", "[0]: siteId is missing"},
        {"[{\"siteId\":\"" SITE_A "\"}]", "[0]: transactionId is missing"},
        {"[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"\"}]", "[0]: hlc is missing"},
        {"[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"\",\"hlc\":\"" HLC_A0 "\"}]",
         "[0]: changes is missing"},
        {"[{\"siteId\":5}]", "[0].siteId: not a string"},
        {"[{\"siteId\":\"" SITE_A "A\"}]", "[0].siteId: " NOT_SITE},
        {"[{\"siteId\":\"AAAAAAAAQACAAAAAAAAD6+\"}]", "[0].siteId: " NOT_SITE},
        {"[{\"siteId\":\"AAAAAAAAQACAAAAAAAAD6\\u00e9\"}]", "[0].siteId: " NOT_SITE},
        {"[{\"transactionId\":null}]", "[0].transactionId: not a string"},
        {"[{\"hlc\":5}]", "[0].hlc: not a string"},
        {"[{\"hlc\":null}]", "[0].hlc: not a string"},
        {"[{\"hlc\":\"\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"hlc\":\"" HLC_A0 "=\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"hlc\":\"AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA-gAAAAA\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"hlc\":\"AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAA=\"}]", "[0].hlc: " NOT_HLC},
        {"[{\"changes\":{}}]", "[0].changes: not an array"},
        {"[{\"changes\":null}]", "[0].changes: not an array"},
        {"[{\"changes\":[[]]}]", "[0].changes[0]: not an object"},
        {"[{\"schemaMigrations\":null}]", "[0].schemaMigrations: not an array"},
        {"[{\"schemaMigrations\":[7]}]", "[0].schemaMigrations[0]: not an object"},
        {CHANGE(""), "[0].changes[1]: type is missing or unknown"},
        {CHANGE("\"type\":5"), "[0].changes[1].type: not a string"},
        {CHANGE("\"type\":null"), "[0].changes[1].type: not a string"},
        {CHANGE("\"type\":\"colum\""), "[0].changes[1]: type is missing or unknown"},
        {CHANGE("\"type\":\"\""), "[0].changes[1]: type is missing or unknown"},
        {CHANGE(GOOD_MIGRATION), "[0].changes[1]: type is missing or unknown"},
        {CHANGE("\"type\":\"column\""), "[0].changes[1]: schema is missing"},
        {CHANGE("\"type\":\"column\",\"schema\":\"s\""), "[0].changes[1]: table is missing"},
        {CHANGE("\"type\":\"column\"," PLACE), "[0].changes[1]: hlc is missing"},
        {CHANGE("\"type\":\"column\"," PLACE ",\"hlc\":\"" HLC_A0 "\""), "[0].changes[1]: pk is missing"},
        {CHANGE("\"type\":\"column\"," PLACE ",\"hlc\":\"" HLC_A0 "\",\"pk\":[]"),
         "[0].changes[1]: column is missing"},
        {CHANGE("\"type\":\"column\"," PLACE ",\"hlc\":\"" HLC_A0 "\",\"pk\":[],\"column\":\"\""),
         "[0].changes[1]: value is missing"},
        {CHANGE("\"type\":\"delete\"," PLACE ",\"hlc\":\"" HLC_A0 "\""), "[0].changes[1]: pk is missing"},
        {CHANGE(GOOD_CELL ",\"schema\":null"), "[0].changes[1].schema: not a string"},
        {CHANGE(GOOD_CELL ",\"schema\":\"\\ud800\""),
         "[0].changes[1].schema: a name with half a surrogate pair"},
        {CHANGE(GOOD_CELL ",\"table\":7"), "[0].changes[1].table: not a string"},
        {CHANGE(GOOD_CELL ",\"table\":\"a\\udc00b\""),
         "[0].changes[1].table: a name with half a surrogate pair"},
        {CHANGE(GOOD_CELL ",\"column\":[]"), "[0].changes[1].column: not a string"},
        {CHANGE(GOOD_CELL ",\"column\":\"\\ude42\\ud83d\""),
         "[0].changes[1].column: a name with half a surrogate pair"},
        {CHANGE(GOOD_CELL ",\"hlc\":null"), "[0].changes[1].hlc: not a string"},
        {CHANGE(GOOD_CELL ",\"hlc\":\"x\""), "[0].changes[1].hlc: " NOT_HLC},
        {CHANGE(GOOD_CELL ",\"pk\":null"), "[0].changes[1].pk: not an array"},
        {CHANGE(GOOD_CELL ",\"pk\":5"), "[0].changes[1].pk: not an array"},
        {CHANGE(GOOD_CELL ",\"pk\":[1,{\"__bin\":5}]"),
         "[0].changes[1].pk[1]: __bin is not a string of standard base64"},
        {CHANGE(GOOD_CELL ",\"value\":{\"__bin\":\"A\"}"),
         "[0].changes[1].value: __bin is not a string of standard base64"},
        {CHANGE(GOOD_CELL ",\"value\":{\"__bigint\":5}"),
         "[0].changes[1].value: __bigint is not a string of decimal digits"},
        {CHANGE(GOOD_CELL ",\"priorHlc\":null"), "[0].changes[1].priorHlc: not a string"},
        {CHANGE(GOOD_CELL ",\"priorHlc\":\"" HLC_A0 "\""),
         "[0].changes[1]: priorValue and priorHlc come together"},
        {CHANGE(GOOD_CELL ",\"priorValue\":null"), "[0].changes[1]: priorValue and priorHlc come together"},
        {CHANGE(GOOD_CELL ",\"priorHlc\":\"" HLC_A0 "\",\"priorValue\":{\"__bin\":null}"),
         "[0].changes[1].priorValue: __bin is not a string of standard base64"},
        {CHANGE(GOOD_DELETE ",\"priorRow\":null"), "[0].changes[1].priorRow: not an array"},
        {CHANGE(GOOD_DELETE ",\"priorRow\":{}"), "[0].changes[1].priorRow: not an array"},
        {CHANGE(GOOD_DELETE ",\"priorRow\":[1,2,{\"__bigint\":\"1.\"}]"),
         "[0].changes[1].priorRow[2]: __bigint is not a string of decimal digits"},
        {MIGRATING(GOOD_CELL), "[0].schemaMigrations[0]: type is missing or unknown"},
        {MIGRATING("\"type\":\"delete\""), "[0].schemaMigrations[0]: type is missing or unknown"},
        {MIGRATING("\"type\":\"add_table\""), "[0].schemaMigrations[0]: type is missing or unknown"},
        {MIGRATING("\"type\":\"add_column\"," PLACE ",\"hlc\":\"" HLC_A0 "\""),
         "[0].schemaMigrations[0]: ddl is missing"},
        {MIGRATING("\"type\":\"add_column\"," PLACE ",\"hlc\":\"" HLC_A0 "\",\"ddl\":\"\""),
         "[0].schemaMigrations[0]: schemaVersion is missing"},
        {MIGRATING("\"type\":\"add_column\"," PLACE), "[0].schemaMigrations[0]: hlc is missing"},
        {MIGRATING(GOOD_MIGRATION ",\"ddl\":null"), "[0].schemaMigrations[0].ddl: not a string"},
        {MIGRATING(GOOD_MIGRATION ",\"schemaVersion\":\"1\""),
         "[0].schemaMigrations[0].schemaVersion: not a number"},
        {MIGRATING(GOOD_MIGRATION ",\"schemaVersion\":null"),
         "[0].schemaMigrations[0].schemaVersion: not a number"},
        {MIGRATING(GOOD_MIGRATION ",\"fromTable\":null"), "[0].schemaMigrations[0].fromTable: not a string"},
        {MIGRATING(GOOD_MIGRATION ",\"fromTable\":\"\\udfff\""),
         "[0].schemaMigrations[0].fromTable: a name with half a surrogate pair"},
        {"[" CHANGE_SET(HLC_A0, CELL("[1]", "c", "01", HLC_A0), "") "]",
         "[0].changes[0].value: JSON: not a JSON value"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct batch b;
        struct err_ctx ec = {""};
        cr_assert_eq(read_sets(bad[i][0], strlen(bad[i][0]), &b, &ec), SYNC_EBADMSG, "accepted: %s",
                     bad[i][0]);
        cr_assert_str_eq(ec.text, bad[i][1]);
        batch_deinit(&b);
    }
}

Test(change_set, what_the_refusals_differ_from_is_good)
{
    static const char *const good[] = {
        CHANGE(GOOD_CELL),
        CHANGE(GOOD_DELETE),
        CHANGE(GOOD_DELETE ",\"priorRow\":[]"),
        CHANGE(GOOD_CELL ",\"priorHlc\":\"" HLC_A0 "\",\"priorValue\":null"),
        CHANGE(GOOD_CELL ",\"column\":\"\\ud83d\\ude42\""),
        CHANGE(GOOD_CELL ",\"pk\":[\"\\ud800\"]"),
        CHANGE(GOOD_CELL ",\"value\":\"\\ud800\""),
        CHANGE(GOOD_CELL ",\"value\":[{\"__bin\":5}]"),
        MIGRATING(GOOD_MIGRATION),
        MIGRATING(GOOD_MIGRATION ",\"fromTable\":\"x\""),
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct batch b;
        read_good(good[i], &b);
        assert_round_trip(&b);
        batch_deinit(&b);
    }
}

Test(change_set, a_text_cut_anywhere_is_refused)
{
    for (size_t len = 0; len + 1 < sizeof recorded; len++) {
        struct batch b;
        struct err_ctx ec = {""};
        cr_assert_eq(read_sets(recorded, len, &b, &ec), SYNC_EBADMSG, "cut at %zu", len);
        cr_assert_neq(ec.text[0], '\0');
        batch_deinit(&b);
    }
}
