#include "core/protocol/change_set.h"

#include "core/json/json_text.h"

void json_put_site(struct buf *out, const struct site_id *site)
{
    char text[SITE_ID_TEXT + 1];
    site_id_format(site, text);
    buf_put_char(out, '"');
    buf_put(out, text, SITE_ID_TEXT);
    buf_put_char(out, '"');
}

void json_put_hlc(struct buf *out, const struct hlc *h)
{
    char text[HLC_TEXT + 2];
    text[0] = text[HLC_TEXT + 1] = '"';
    hlc_format(h, text + 1);
    buf_put(out, text, sizeof text);
}

static void put_place(struct buf *out, const char *type, const struct fact *f)
{
    BUF_PUT_LIT(out, "{\"type\":\"");
    buf_put_str(out, type);
    BUF_PUT_LIT(out, "\",\"schema\":");
    json_put_text(out, f->schema);
    BUF_PUT_LIT(out, ",\"table\":");
    json_put_text(out, f->table);
}

static void put_cell(struct buf *out, const struct fact *f)
{
    put_place(out, "column", f);
    BUF_PUT_LIT(out, ",\"pk\":");
    json_put_raw(out, f->cell.pk);
    BUF_PUT_LIT(out, ",\"column\":");
    json_put_text(out, f->cell.column);
    BUF_PUT_LIT(out, ",\"value\":");
    json_put_raw(out, f->cell.value);
    BUF_PUT_LIT(out, ",\"hlc\":");
    json_put_hlc(out, &f->hlc);
    if (f->cell.has_prior) {
        BUF_PUT_LIT(out, ",\"priorValue\":");
        json_put_raw(out, f->cell.prior_value);
        BUF_PUT_LIT(out, ",\"priorHlc\":");
        json_put_hlc(out, &f->cell.prior_hlc);
    }
    buf_put_char(out, '}');
}

static void put_delete(struct buf *out, const struct fact *f)
{
    put_place(out, "delete", f);
    BUF_PUT_LIT(out, ",\"pk\":");
    json_put_raw(out, f->del.pk);
    BUF_PUT_LIT(out, ",\"hlc\":");
    json_put_hlc(out, &f->hlc);
    if (f->del.has_prior_row) {
        BUF_PUT_LIT(out, ",\"priorRow\":");
        json_put_raw(out, f->del.prior_row);
    }
    buf_put_char(out, '}');
}

static void put_migration(struct buf *out, const struct fact *f)
{
    put_place(out, migration_type_name(f->migration.type), f);
    if (f->migration.has_from_table) {
        BUF_PUT_LIT(out, ",\"fromTable\":");
        json_put_text(out, f->migration.from_table);
    }
    BUF_PUT_LIT(out, ",\"ddl\":");
    json_put_raw(out, f->migration.ddl);
    BUF_PUT_LIT(out, ",\"hlc\":");
    json_put_hlc(out, &f->hlc);
    BUF_PUT_LIT(out, ",\"schemaVersion\":");
    json_put_raw(out, f->migration.schema_version);
    buf_put_char(out, '}');
}

void fact_put(struct buf *out, const struct fact *f)
{
    switch (f->type) {
    case FACT_CELL: put_cell(out, f); break;
    case FACT_DELETE: put_delete(out, f); break;
    case FACT_MIGRATION: put_migration(out, f); break;
    }
}

static void put_facts(struct buf *out, const struct batch *b, const struct change_set *set, bool migrations)
{
    bool first = true;
    for (size_t i = set->fact_first; i < set->fact_first + set->fact_count; i++) {
        if ((b->facts[i].type == FACT_MIGRATION) != migrations) continue;
        if (!first) buf_put_char(out, ',');
        first = false;
        fact_put(out, &b->facts[i]);
    }
}

void batch_put(struct buf *out, const struct batch *b)
{
    for (size_t i = 0; i < b->set_count; i++) {
        const struct change_set *set = &b->sets[i];
        if (i > 0) buf_put_char(out, ',');
        BUF_PUT_LIT(out, "{\"siteId\":");
        json_put_site(out, &set->site);
        BUF_PUT_LIT(out, ",\"transactionId\":\"");
        buf_put_slice(out, set->transaction_id);
        BUF_PUT_LIT(out, "\",\"hlc\":");
        json_put_hlc(out, &set->hlc);
        BUF_PUT_LIT(out, ",\"changes\":[");
        put_facts(out, b, set, false);
        BUF_PUT_LIT(out, "],\"schemaMigrations\":[");
        put_facts(out, b, set, true);
        BUF_PUT_LIT(out, "]}");
    }
}
