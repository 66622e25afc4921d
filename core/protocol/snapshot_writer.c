#include "core/protocol/snapshot_writer.h"

#include "core/json/json_text.h"
#include "core/protocol/change_set.h"

static void put_place(struct buf *out, const char *type, struct slice schema, struct slice table)
{
    BUF_PUT_LIT(out, "{\"type\":\"");
    buf_put_str(out, type);
    BUF_PUT_LIT(out, "\",\"schema\":");
    json_put_text(out, schema);
    BUF_PUT_LIT(out, ",\"table\":");
    json_put_text(out, table);
}

void snapshot_put_header(struct buf *out, const struct snapshot_header *h)
{
    BUF_PUT_LIT(out, "{\"type\":\"header\",\"siteId\":");
    json_put_site(out, &h->site);
    BUF_PUT_LIT(out, ",\"hlc\":");
    json_put_hlc(out, &h->hlc);
    BUF_PUT_LIT(out, ",\"snapshotFormat\":");
    buf_put_u64(out, SNAPSHOT_FORMAT);
    BUF_PUT_LIT(out, ",\"tableCount\":");
    buf_put_u64(out, h->table_count);
    BUF_PUT_LIT(out, ",\"migrationCount\":");
    buf_put_u64(out, h->migration_count);
    BUF_PUT_LIT(out, ",\"snapshotId\":\"");
    buf_put_slice(out, h->snapshot_id);
    BUF_PUT_LIT(out, "\"}");
}

void snapshot_put_migration(struct buf *out, const struct fact *migration)
{
    BUF_PUT_LIT(out, "{\"type\":\"schema-migration\",\"migration\":");
    fact_put(out, migration);
    buf_put_char(out, '}');
}

void snapshot_put_table_start(struct buf *out, const struct fact *any_of_table, uint64_t estimated_entries)
{
    put_place(out, "table-start", any_of_table->schema, any_of_table->table);
    BUF_PUT_LIT(out, ",\"estimatedEntries\":");
    buf_put_u64(out, estimated_entries);
    buf_put_char(out, '}');
}

void snapshot_put_table_end(struct buf *out, struct slice schema, struct slice table, uint64_t entries)
{
    put_place(out, "table-end", schema, table);
    BUF_PUT_LIT(out, ",\"entriesWritten\":");
    buf_put_u64(out, entries);
    buf_put_char(out, '}');
}

void snapshot_put_footer(struct buf *out, struct slice snapshot_id, uint64_t tables, uint64_t entries,
                         uint64_t migrations)
{
    BUF_PUT_LIT(out, "{\"type\":\"footer\",\"snapshotId\":\"");
    buf_put_slice(out, snapshot_id);
    BUF_PUT_LIT(out, "\",\"totalTables\":");
    buf_put_u64(out, tables);
    BUF_PUT_LIT(out, ",\"totalEntries\":");
    buf_put_u64(out, entries);
    BUF_PUT_LIT(out, ",\"totalMigrations\":");
    buf_put_u64(out, migrations);
    buf_put_char(out, '}');
}

void snapshot_begin_entries(struct buf *out, const struct fact *first)
{
    put_place(out, first->type == FACT_CELL ? "column-versions" : "tombstone", first->schema, first->table);
    BUF_PUT_LIT(out, ",\"entries\":[");
}

void snapshot_put_cell(struct buf *out, const struct fact *cell, bool first)
{
    if (!first) buf_put_char(out, ',');
    BUF_PUT_LIT(out, "{\"column\":");
    json_put_text(out, cell->cell.column);
    BUF_PUT_LIT(out, ",\"hlc\":");
    json_put_hlc(out, &cell->hlc);
    BUF_PUT_LIT(out, ",\"value\":");
    json_put_raw(out, cell->cell.value);
    BUF_PUT_LIT(out, ",\"pk\":");
    json_put_raw(out, cell->cell.pk);
    buf_put_char(out, '}');
}

void snapshot_put_tombstone(struct buf *out, const struct fact *del, uint64_t created_ms, bool first)
{
    if (!first) buf_put_char(out, ',');
    BUF_PUT_LIT(out, "{\"pk\":");
    json_put_raw(out, del->del.pk);
    BUF_PUT_LIT(out, ",\"hlc\":");
    json_put_hlc(out, &del->hlc);
    BUF_PUT_LIT(out, ",\"createdAt\":");
    buf_put_u64(out, created_ms);
    if (del->del.has_prior_row) {
        BUF_PUT_LIT(out, ",\"priorRow\":");
        json_put_raw(out, del->del.prior_row);
    }
    buf_put_char(out, '}');
}

void snapshot_end_entries(struct buf *out)
{
    BUF_PUT_LIT(out, "]}");
}
