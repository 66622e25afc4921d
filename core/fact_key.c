#include "core/fact_key.h"

#include "core/sql_value.h"

enum { DEPTH_MAX = 1024 }; /* what is stored was let in under the depth that was set then */

enum sync_err fact_keys_init(struct fact_keys *k, struct err_ctx *ec)
{
    *k = (struct fact_keys){.text = buf_make(UINT32_MAX / 2), .key = buf_make(UINT32_MAX / 2)};
    k->json = json_reader_new(DEPTH_MAX);
    return k->json == NULL ? err_set(ec, SYNC_ENOMEM, "no memory for keys") : SYNC_OK;
}

void fact_keys_deinit(struct fact_keys *k)
{
    json_reader_free(k->json);
    buf_deinit(&k->text);
    buf_deinit(&k->key);
    *k = (struct fact_keys){0};
}

/* Copies a JSON text to where padding may follow it. */
static enum sync_err load(struct fact_keys *k, struct slice text, struct err_ctx *ec)
{
    static const char padding[JSON_PADDING];
    buf_clear(&k->text);
    buf_put_slice(&k->text, text);
    buf_put(&k->text, padding, sizeof padding);
    return buf_check(&k->text, ec);
}

static enum sync_err put_pk(struct fact_keys *k, struct slice pk, struct err_ctx *ec)
{
    struct arena arena = {0};
    struct slice ignored;
    enum sync_err rc = load(k, pk, ec);
    if (rc != SYNC_OK) return rc;
    struct json_value v = json_open(k->json, k->text.bytes, pk.len);
    rc = sql_values_take(&v, &arena, &k->key, &ignored, ec);
    struct err_ctx closed;
    enum sync_err rc_close = json_close(k->json, &closed);
    if (rc == SYNC_OK && rc_close != SYNC_OK) {
        *ec = closed;
        rc = rc_close;
    }
    arena_deinit(&arena);
    return rc;
}

enum sync_err fact_keys_make(struct fact_keys *k, struct fact *f, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    buf_clear(&k->key);
    key_put_text(&k->key, f->schema);
    key_put_text(&k->key, f->table);
    size_t table_len = k->key.len, row_len = table_len;
    switch (f->type) {
    case FACT_CELL:
        rc = put_pk(k, f->cell.pk, ec);
        row_len = k->key.len;
        key_put_text(&k->key, f->cell.column);
        break;
    case FACT_DELETE:
        rc = put_pk(k, f->del.pk, ec);
        row_len = k->key.len;
        break;
    case FACT_MIGRATION:
        rc = load(k, f->migration.schema_version, ec);
        if (rc != SYNC_OK) break;
        buf_put_char(&k->key, migration_type_is_index(f->migration.type) ? 'i' : 't');
        key_put_number(&k->key, slice_of(k->text.bytes, f->migration.schema_version.len));
        break;
    }
    if (rc == SYNC_OK) rc = buf_check(&k->key, ec);
    if (rc != SYNC_OK) return rc;
    f->key = buf_slice(&k->key);
    f->table_key_len = (uint32_t)table_len;
    f->row_key_len = (uint32_t)row_len;
    return SYNC_OK;
}
