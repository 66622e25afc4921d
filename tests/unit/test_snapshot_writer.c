#include "core/protocol/snapshot_writer.h"

#include "tests/unit/change_set_texts.h"
#include "tests/unit/json_fixture.h"

#include <criterion/criterion.h>

static void is_json(const struct buf *out)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx ec = {""};
    cr_assert_eq(out->failed, SYNC_OK);
    char *bytes = json_padded(out->bytes, out->len);
    struct json_value root = json_open(r, bytes, out->len);
    (void)json_take(&root);
    cr_assert_eq(json_close(r, &ec), SYNC_OK, "%.*s: %s", SLICE_ARG(buf_slice(out)), ec.text);
    cr_assert_null(memchr(out->bytes, '\n', out->len), "a chunk is a line");
    json_reader_free(r);
    free(bytes);
}

static void assert_chunk(struct buf *out, const char *want)
{
    is_json(out);
    cr_assert(slice_is(buf_slice(out), want), "%.*s", SLICE_ARG(buf_slice(out)));
    buf_clear(out);
}

static struct hlc hlc_of(const char *text)
{
    struct hlc h;
    struct err_ctx ec;
    cr_assert_eq(hlc_parse(slice_str(text), &h, &ec), SYNC_OK);
    return h;
}

static struct fact fact_of(enum fact_type type, const char *schema, const char *table, const char *hlc)
{
    return (struct fact){
        .type = type, .schema = slice_str(schema), .table = slice_str(table), .hlc = hlc_of(hlc)};
}

Test(snapshot_writer, chunks_are_those_of_the_protocol)
{
    struct buf out = buf_make(10000);
    struct snapshot_header h = {
        .snapshot_id = slice_str("s\\u0031"), .hlc = hlc_of(HLC_A3), .table_count = 2, .migration_count = 3};
    h.site = h.hlc.site;
    snapshot_put_header(&out, &h);
    assert_chunk(
        &out, "{\"type\":\"header\",\"siteId\":\"" SITE_A "\",\"hlc\":\"" HLC_A3
              "\",\"snapshotFormat\":1,\"tableCount\":2,\"migrationCount\":3,\"snapshotId\":\"s\\u0031\"}");

    struct fact m = fact_of(FACT_MIGRATION, "main", "t\"\n", HLC_A0);
    m.migration = (struct migration_part){.type = MIGRATION_RENAME_TABLE,
                                          .has_from_table = true,
                                          .from_table = slice_str("\xd0\xba"),
                                          .ddl = slice_str("\"d\""),
                                          .schema_version = slice_str("1.0")};
    snapshot_put_migration(&out, &m);
    assert_chunk(
        &out, "{\"type\":\"schema-migration\",\"migration\":{\"type\":\"rename_table\",\"schema\":\"main\","
              "\"table\":\"t\\\"\\n\",\"fromTable\":\"\xd0\xba\",\"ddl\":\"d\",\"hlc\":\"" HLC_A0
              "\",\"schemaVersion\":1.0}}");
    buf_deinit(&out);
}

Test(snapshot_writer, tables_and_the_footer_carry_their_counts)
{
    struct buf out = buf_make(10000);
    struct fact f = fact_of(FACT_CELL, "main", "a.b", HLC_A0);
    snapshot_put_table_start(&out, &f, 18446744073709551615u);
    assert_chunk(&out, "{\"type\":\"table-start\",\"schema\":\"main\",\"table\":\"a.b\",\"estimatedEntries\":"
                       "18446744073709551615}");
    snapshot_put_table_end(&out, f.schema, f.table, 0);
    assert_chunk(&out, "{\"type\":\"table-end\",\"schema\":\"main\",\"table\":\"a.b\",\"entriesWritten\":0}");
    snapshot_put_footer(&out, slice_str("id"), 1, 2, 3);
    assert_chunk(&out, "{\"type\":\"footer\",\"snapshotId\":\"id\",\"totalTables\":1,\"totalEntries\":2,"
                       "\"totalMigrations\":3}");
    buf_deinit(&out);
}

Test(snapshot_writer, entries_stand_between_begin_and_end)
{
    struct buf out = buf_make(10000);
    struct fact cell = fact_of(FACT_CELL, "main", "t", HLC_A1),
                del = fact_of(FACT_DELETE, "main", "t", HLC_A2);
    cell.cell = (struct cell_part){.column = slice_str("c"),
                                   .pk = slice_str("[1,\n\"x\"]"),
                                   .value = slice_str("{\"a\":\r\n1}"),
                                   .has_prior = true,
                                   .prior_value = slice_str("7"),
                                   .prior_hlc = cell.hlc};
    del.del = (struct delete_part){.pk = slice_str("[2]"), .has_prior_row = false};

    snapshot_begin_entries(&out, &cell);
    snapshot_end_entries(&out);
    assert_chunk(&out, "{\"type\":\"column-versions\",\"schema\":\"main\",\"table\":\"t\",\"entries\":[]}");

    snapshot_begin_entries(&out, &cell);
    snapshot_put_cell(&out, &cell, true);
    snapshot_put_cell(&out, &cell, false);
    snapshot_end_entries(&out);
#define ENTRY "{\"column\":\"c\",\"hlc\":\"" HLC_A1 "\",\"value\":{\"a\":  1},\"pk\":[1, \"x\"]}"
    assert_chunk(&out, "{\"type\":\"column-versions\",\"schema\":\"main\",\"table\":\"t\",\"entries\":[" ENTRY
                       "," ENTRY "]}");

    snapshot_begin_entries(&out, &del);
    snapshot_put_tombstone(&out, &del, 1735689600441, true);
    del.del.has_prior_row = true;
    del.del.prior_row = slice_str("[]");
    snapshot_put_tombstone(&out, &del, 0, false);
    snapshot_end_entries(&out);
    assert_chunk(&out, "{\"type\":\"tombstone\",\"schema\":\"main\",\"table\":\"t\",\"entries\":[{\"pk\":[2],"
                       "\"hlc\":\"" HLC_A2 "\",\"createdAt\":1735689600441},{\"pk\":[2],\"hlc\":\"" HLC_A2
                       "\",\"createdAt\":0,\"priorRow\":[]}]}");
    buf_deinit(&out);
}
