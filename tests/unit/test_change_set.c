#include "core/protocol/change_set.h"

#include "tests/unit/change_set_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

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
