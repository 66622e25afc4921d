/* Any bytes as a record, a key or the FORMAT file of the store; the first byte says as which. What is
 * accepted is written back the same, and every slice of it lies within the bytes. */
#include "storage/format_file.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <stdlib.h>

static void assert_within(struct slice s, struct slice whole)
{
    if (s.len == 0) return;
    assert(s.bytes >= whole.bytes && s.len <= whole.len - (size_t)(s.bytes - whole.bytes));
}

static void assert_fact_within(const struct fact *f, struct slice whole)
{
    assert_within(f->schema, whole);
    assert_within(f->table, whole);
    assert_within(f->key, whole);
    assert(f->table_key_len <= f->row_key_len && f->row_key_len <= f->key.len);
    switch (f->type) {
    case FACT_CELL:
        assert_within(f->cell.column, whole);
        assert_within(f->cell.pk, whole);
        assert_within(f->cell.value, whole);
        assert_within(f->cell.prior_value, whole);
        break;
    case FACT_DELETE:
        assert_within(f->del.pk, whole);
        assert_within(f->del.prior_row, whole);
        break;
    case FACT_MIGRATION:
        assert(f->migration.type < MIGRATION_TYPE_COUNT);
        assert_within(f->migration.from_table, whole);
        assert_within(f->migration.ddl, whole);
        assert_within(f->migration.schema_version, whole);
        break;
    }
}

static void assert_same(const uint8_t *again, size_t len, struct slice bytes)
{
    assert(slice_eq(slice_of(again, len), bytes));
}

static void check_stored(struct slice bytes, enum fact_type type)
{
    struct err_ctx ec;
    struct stored_record r;
    struct stamp stamp;
    enum sync_err rc = record_get_stamp(bytes, type, &stamp, &ec);
    if (record_get_stored(bytes, type, &r, &ec) != SYNC_OK) return;
    assert(rc == SYNC_OK && stamp_cmp(&stamp, &r.stamp) == 0 && r.fact.type == type);
    assert_fact_within(&r.fact, bytes);
    assert(record_stored_size(&r.fact, r.has_key) == bytes.len);
    uint8_t *again = malloc(bytes.len);
    if (again == NULL) abort();
    record_put_stored(&r.fact, &r.stamp, r.created_ms, r.has_key, again);
    assert_same(again, bytes.len, bytes);
    free(again);
}

static void check_logged(struct slice bytes)
{
    struct err_ctx ec;
    struct logged_record r;
    if (record_get_logged(bytes, &r, &ec) != SYNC_OK) return;
    assert_within(r.pointer, bytes);
    assert_fact_within(&r.fact, bytes);
    uint8_t *again = malloc(bytes.len);
    if (again == NULL) abort();
    if (r.is_pointer) {
        assert(r.pointer.len + 1 == bytes.len);
        record_put_pointer(r.type, r.pointer, again);
    } else {
        assert(record_logged_size(&r.fact) == bytes.len);
        record_put_logged(&r.fact, r.created_ms, again);
    }
    assert_same(again, bytes.len, bytes);
    free(again);
}

static void check_fixed(struct slice bytes)
{
    struct err_ctx ec;
    struct database_record d;
    struct hlc hlc;
    struct stamp stamp;
    uint32_t count;
    uint8_t database[DATABASE_RECORD_BYTES_MAX], counter[COUNTER_RECORD_BYTES], index[MIGRATION_INDEX_BYTES];
    if (record_get_database(bytes, &d, &ec) == SYNC_OK) {
        size_t len = record_put_database(&d, database);
        assert_same(database, len, bytes);
    }
    if (record_get_counter(bytes, &count, &ec) == SYNC_OK) {
        record_put_counter(count, counter);
        assert_same(counter, sizeof counter, bytes);
    }
    if (record_get_migration_index(bytes, &hlc, &stamp, &ec) == SYNC_OK) {
        record_put_migration_index(&hlc, &stamp, index);
        assert_same(index, sizeof index, bytes);
    }
}

/* A stored key taken apart, and, where nothing of it was hashed, put together again. */
static void check_key(struct slice rest, enum key_kind kind)
{
    struct err_ctx ec;
    struct key_parts parts;
    struct stamp stamp;
    struct key key;
    if (key_parse_stamp(rest, &stamp)) {
        key_log(1, &stamp, &key);
        assert_same(key.bytes + KEY_HEAD_BYTES, key.len - KEY_HEAD_BYTES, rest);
    }
    if (!key_parse_parts(kind, rest, &parts)) return;
    assert_within(parts.table, rest);
    assert_within(parts.row, rest);
    assert_within(parts.column, rest);
    if (!parts.whole) return;

    char text[3 * KEY_PART_MAX];
    size_t len = 0;
    const struct slice pieces[] = {parts.table, parts.row, parts.column};
    for (size_t i = 0; i < 3; i++) {
        if (pieces[i].len > 0) memcpy(text + len, pieces[i].bytes, pieces[i].len);
        len += pieces[i].len;
    }
    struct fact f = {.key = slice_of(text, len), .table_key_len = (uint32_t)parts.table.len};
    f.type = kind == KEY_CELL ? FACT_CELL : kind == KEY_TOMBSTONE ? FACT_DELETE : FACT_MIGRATION;
    f.row_key_len = f.table_key_len + (kind == KEY_MIGRATION ? 0 : (uint32_t)parts.row.len);
    if (kind == KEY_MIGRATION) hlc_decode((const uint8_t *)rest.bytes, &f.hlc);
    uint32_t row_len;
    bool whole;
    enum sync_err rc = key_fact(1, &f, &key, &row_len, &whole, &ec);
    assert(rc == SYNC_OK && whole);
    assert_same(key.bytes + KEY_HEAD_BYTES, key.len - KEY_HEAD_BYTES, rest);
}

static void check_format_file(struct slice text)
{
    struct err_ctx ec;
    struct format_file f;
    char again[FORMAT_FILE_BYTES_MAX];
    if (format_file_parse(text, &f, &ec) != SYNC_OK) return;
    /* A number may have been written with zeros in front: then only what it says is the same. */
    struct format_file back;
    size_t len = format_file_text(&f, again);
    enum sync_err rc = format_file_parse(slice_of(again, len), &back, &ec);
    assert(rc == SYNC_OK && back.shards == f.shards);
    assert(memcmp(back.identity, f.identity, sizeof f.identity) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct slice bytes = slice_of(data + 1, size - 1);
    switch (data[0] % 8) {
    case 0: check_stored(bytes, FACT_CELL); break;
    case 1: check_stored(bytes, FACT_DELETE); break;
    case 2: check_stored(bytes, FACT_MIGRATION); break;
    case 3: check_logged(bytes); break;
    case 4: check_fixed(bytes); break;
    case 5: check_key(bytes, KEY_CELL); break;
    case 6: check_key(bytes, data[0] & 8 ? KEY_TOMBSTONE : KEY_MIGRATION); break;
    default: check_format_file(bytes); break;
    }
    return 0;
}
