#include "core/facts/fact_key.h"

#include "core/facts/sql_value.h"

void fact_key_put(struct buf *key, struct fact *f, struct slice pk_identity)
{
    size_t start = key->len;
    key_put_text(key, f->schema);
    key_put_text(key, f->table);
    f->table_key_len = f->row_key_len = (uint32_t)(key->len - start);
    if (f->type == FACT_MIGRATION) {
        buf_put_char(key, migration_type_is_index(f->migration.type) ? 'i' : 't');
        key_put_number(key, f->migration.schema_version);
        return;
    }
    buf_put_slice(key, pk_identity);
    f->row_key_len = (uint32_t)(key->len - start);
    if (f->type == FACT_CELL) key_put_text(key, f->cell.column);
}

/* The text with readable bytes behind it. */
static enum sync_err padded(struct arena *arena, struct slice text, struct slice *ret, struct err_ctx *ec)
{
    char *copy = arena_get(arena, text.len + JSON_PADDING);
    if (copy == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a key");
    if (text.len > 0) memcpy(copy, text.bytes, text.len);
    memset(copy + text.len, 0, JSON_PADDING);
    *ret = slice_of(copy, text.len);
    return SYNC_OK;
}

static enum sync_err take_pk(struct json_reader *reader, struct arena *arena, struct slice pk,
                             struct buf *identity, struct err_ctx *ec)
{
    struct slice text, taken;
    enum sync_err rc = padded(arena, pk, &text, ec);
    if (rc != SYNC_OK) return rc;
    struct json_value v = json_open(reader, text.bytes, text.len);
    rc = sql_values_take(&v, arena, identity, &taken, ec);
    struct err_ctx close_ec;
    enum sync_err close_rc = json_close(reader, &close_ec);
    if (rc == SYNC_OK && close_rc != SYNC_OK) {
        rc = close_rc;
        *ec = close_ec;
    }
    if (rc != SYNC_OK) err_wrap(ec, "pk");
    return rc;
}

enum sync_err fact_key_make(struct json_reader *reader, struct arena *arena, struct fact *f,
                            struct err_ctx *ec)
{
    struct buf key = buf_make(UINT32_MAX / 2), identity = buf_make(UINT32_MAX / 4);
    struct fact keyed = *f;
    enum sync_err rc = SYNC_OK;
    switch (f->type) {
    case FACT_CELL: rc = take_pk(reader, arena, f->cell.pk, &identity, ec); break;
    case FACT_DELETE: rc = take_pk(reader, arena, f->del.pk, &identity, ec); break;
    case FACT_MIGRATION:
        rc = padded(arena, f->migration.schema_version, &keyed.migration.schema_version, ec);
        break;
    }
    if (rc == SYNC_OK) fact_key_put(&key, &keyed, buf_slice(&identity));
    if (rc == SYNC_OK) rc = buf_check(&identity, ec);
    if (rc == SYNC_OK) rc = buf_check(&key, ec);
    if (rc == SYNC_OK) {
        f->key = arena_copy(arena, buf_slice(&key));
        f->table_key_len = keyed.table_key_len;
        f->row_key_len = keyed.row_key_len;
        if (f->key.bytes == NULL) rc = err_set(ec, SYNC_ENOMEM, "no memory for a key");
    }
    buf_deinit(&identity);
    buf_deinit(&key);
    return rc;
}
