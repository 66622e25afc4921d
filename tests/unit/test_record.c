#include "storage/records/record.h"

#include "facts.h"
#include "random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct slice encode_stored(const struct fact *f, const struct stamp *s, uint64_t created_ms,
                                  bool keep_key)
{
    size_t len = record_stored_size(f, keep_key);
    uint8_t *bytes = malloc(len);
    record_put_stored(f, s, created_ms, keep_key, bytes);
    return slice_of(bytes, len);
}

static struct slice encode_logged(const struct fact *f)
{
    size_t len = record_logged_size(f);
    uint8_t *bytes = malloc(len);
    record_put_logged(f, 123, bytes);
    return slice_of(bytes, len);
}

static void free_slice(struct slice s)
{
    free((void *)(uintptr_t)s.bytes);
}

/* One of each form that a fact can have. */
static struct batch all_forms(void)
{
    struct batch b = facts_batch();
    facts_cell(&b, facts_hlc(1, 2, 'a', 3), "t", "[1]", "c", "null");
    struct fact *f = facts_cell(&b, facts_hlc(1, 2, 'a', 4), "t", "[1]", "d", "\"x\"");
    f->cell.has_prior = true;
    f->cell.prior_value = slice_str("\"w\"");
    f->cell.prior_hlc = facts_hlc(9, 9, 'z', 9);
    facts_delete(&b, facts_hlc(UINT64_MAX, UINT16_MAX, 'b', UINT32_MAX), "t", "[2]", NULL);
    facts_delete(&b, facts_hlc(5, 0, 'b', 0), "t", "[2]", "[]");
    facts_migration(&b, facts_hlc(5, 0, 'b', 1), "t", MIGRATION_DROP_INDEX, "1.5", "\"ddl\"");
    f = facts_migration(&b, facts_hlc(5, 0, 'b', 2), "t", MIGRATION_RENAME_TABLE, "2", "\"\"");
    f->migration.has_from_table = true;
    f->migration.from_table = slice_str("");
    return b;
}

static void expect_same_body(const struct fact *a, const struct fact *b)
{
    cr_assert_eq(a->type, b->type);
    cr_assert(hlc_eq(&a->hlc, &b->hlc));
    cr_assert(slice_eq(a->schema, b->schema) && slice_eq(a->table, b->table));
    switch (a->type) {
    case FACT_CELL:
        cr_assert(slice_eq(a->cell.column, b->cell.column) && slice_eq(a->cell.pk, b->cell.pk) &&
                  slice_eq(a->cell.value, b->cell.value));
        cr_assert_eq(a->cell.has_prior, b->cell.has_prior);
        if (!a->cell.has_prior) break;
        cr_assert(slice_eq(a->cell.prior_value, b->cell.prior_value) &&
                  hlc_eq(&a->cell.prior_hlc, &b->cell.prior_hlc));
        break;
    case FACT_DELETE:
        cr_assert(slice_eq(a->del.pk, b->del.pk) && slice_eq(a->del.prior_row, b->del.prior_row));
        cr_assert_eq(a->del.has_prior_row, b->del.has_prior_row);
        break;
    case FACT_MIGRATION:
        cr_assert_eq(a->migration.type, b->migration.type);
        cr_assert_eq(a->migration.has_from_table, b->migration.has_from_table);
        cr_assert(slice_eq(a->migration.from_table, b->migration.from_table) &&
                  slice_eq(a->migration.ddl, b->migration.ddl) &&
                  slice_eq(a->migration.schema_version, b->migration.schema_version));
        break;
    }
}

Test(record, every_form_of_a_fact_comes_back)
{
    struct batch b = all_forms();
    struct err_ctx ec;
    struct stamp s = {.wall_ms = 77, .counter = 8, .op_seq = 9};
    for (size_t i = 0; i < b.fact_count; i++) {
        const struct fact *f = &b.facts[i];
        for (int keep_key = 0; keep_key < 2; keep_key++) {
            struct slice bytes = encode_stored(f, &s, 123, keep_key != 0);
            struct stored_record r;
            struct stamp stamp;
            cr_assert_eq(record_get_stored(bytes, f->type, &r, &ec), SYNC_OK, "form %zu: %s", i, ec.text);
            expect_same_body(f, &r.fact);
            cr_assert_eq(stamp_cmp(&r.stamp, &s), 0);
            cr_assert_eq(r.created_ms, f->type == FACT_DELETE ? 123u : 0u);
            cr_assert_eq(r.has_key, keep_key != 0);
            if (keep_key)
                cr_assert(slice_eq(r.fact.key, f->key) && r.fact.table_key_len == f->table_key_len &&
                          r.fact.row_key_len == f->row_key_len);
            cr_assert_eq(record_get_stamp(bytes, f->type, &stamp, &ec), SYNC_OK);
            cr_assert_eq(stamp_cmp(&stamp, &s), 0);
            free_slice(bytes);
        }
        struct slice bytes = encode_logged(f);
        struct logged_record r;
        cr_assert_eq(record_get_logged(bytes, &r, &ec), SYNC_OK);
        cr_assert_not(r.is_pointer);
        cr_assert_eq(r.created_ms, f->type == FACT_DELETE ? 123u : 0u);
        expect_same_body(f, &r.fact);
        free_slice(bytes);
    }
    batch_deinit(&b);
}

Test(record, a_record_cut_short_or_with_bytes_behind_it_is_refused)
{
    struct batch b = all_forms();
    struct err_ctx ec;
    struct stamp s = {.wall_ms = 77};
    for (size_t i = 0; i < b.fact_count; i++) {
        const struct fact *f = &b.facts[i];
        struct slice stored = encode_stored(f, &s, 123, true), logged = encode_logged(f);
        struct stored_record sr;
        struct logged_record lr;
        char longer[1024];
        for (size_t len = 0; len < stored.len; len++)
            cr_assert_eq(record_get_stored(slice_of(stored.bytes, len), f->type, &sr, &ec), SYNC_EFORMAT);
        for (size_t len = 0; len < logged.len; len++)
            cr_assert_eq(record_get_logged(slice_of(logged.bytes, len), &lr, &ec), SYNC_EFORMAT);
        memcpy(longer, stored.bytes, stored.len);
        longer[stored.len] = 0;
        cr_assert_eq(record_get_stored(slice_of(longer, stored.len + 1), f->type, &sr, &ec), SYNC_EFORMAT);
        for (int type = 0; type < 3; type++)
            if (type != (int)f->type)
                cr_assert_eq(record_get_stored(stored, (enum fact_type)type, &sr, &ec), SYNC_EFORMAT);
        free_slice(stored);
        free_slice(logged);
    }
    batch_deinit(&b);
}

/* What a changed byte leaves readable is read, and then is exactly what would be written for it. */
Test(record, a_changed_byte_is_refused_or_gives_a_record_that_encodes_to_the_same_bytes)
{
    struct batch b = all_forms();
    struct err_ctx ec;
    struct stamp s = {.wall_ms = 77};
    int refused = 0, taken = 0;
    for (size_t i = 0; i < b.fact_count; i++) {
        const struct fact *f = &b.facts[i];
        struct slice bytes = encode_stored(f, &s, 123, i % 2 == 0);
        for (size_t at = 0; at < bytes.len; at++) {
            for (int bit = 0; bit < 8; bit++) {
                char changed[1024];
                struct stored_record r;
                memcpy(changed, bytes.bytes, bytes.len);
                changed[at] = (char)(changed[at] ^ 1 << bit);
                if (record_get_stored(slice_of(changed, bytes.len), f->type, &r, &ec) != SYNC_OK) {
                    refused++;
                    continue;
                }
                taken++;
                struct slice again = encode_stored(&r.fact, &r.stamp, r.created_ms, r.has_key);
                cr_assert(slice_eq(again, slice_of(changed, bytes.len)), "form %zu, byte %zu", i, at);
                free_slice(again);
            }
        }
        free_slice(bytes);
    }
    cr_assert(refused > 100 && taken > 100);
    batch_deinit(&b);
}

Test(record, texts_of_every_length_that_changes_the_varint_come_back)
{
    static const size_t lens[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152};
    struct err_ctx ec;
    char *value = calloc(1, 2097152);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        struct fact f = {.type = FACT_CELL};
        struct stored_record r;
        f.cell.value = slice_of(value, lens[i]);
        struct slice bytes = encode_stored(&f, &(struct stamp){0}, 0, false);
        cr_assert_eq(record_get_stored(bytes, FACT_CELL, &r, &ec), SYNC_OK);
        cr_assert_eq(r.fact.cell.value.len, lens[i]);
        free_slice(bytes);
    }
    free(value);
}

Test(record, a_varint_longer_than_needed_is_refused)
{
    struct fact f = {.type = FACT_CELL};
    struct err_ctx ec;
    struct logged_record r;
    struct slice bytes = encode_logged(&f);
    char longer[256];
    cr_assert_eq(record_get_logged(bytes, &r, &ec), SYNC_OK);
    memcpy(longer, bytes.bytes, bytes.len - 1);
    longer[bytes.len - 1] = (char)0x80;
    longer[bytes.len] = 0;
    cr_assert_eq(record_get_logged(slice_of(longer, bytes.len + 1), &r, &ec), SYNC_EFORMAT);
    free_slice(bytes);
}

Test(record, a_pointer_comes_back)
{
    uint8_t bytes[5];
    struct err_ctx ec;
    struct logged_record r;
    record_put_pointer(FACT_DELETE, slice_of("tabc", 4), bytes);
    cr_assert_eq(record_get_logged(slice_of(bytes, 5), &r, &ec), SYNC_OK);
    cr_assert(r.is_pointer && r.type == FACT_DELETE && slice_is(r.pointer, "tabc"));
    cr_assert_eq(record_get_logged(slice_of(bytes, 1), &r, &ec), SYNC_EFORMAT, "points nowhere");
}

Test(record, a_database_record_comes_back_and_another_format_is_named)
{
    struct database_record d = {.number = 70000,
                                .server_site = {{1, 2, 3}},
                                .last = {.wall_ms = 5, .counter = 6, .op_seq = 7},
                                .pruned = {.wall_ms = 1, .counter = 2, .op_seq = 3}};
    struct database_record back;
    uint8_t bytes[DATABASE_RECORD_BYTES];
    struct err_ctx ec;
    cr_assert_eq(record_put_database(&d, bytes), sizeof bytes);
    cr_assert_eq(record_get_database(slice_of(bytes, sizeof bytes), &back, &ec), SYNC_OK);
    cr_assert(back.number == d.number && site_id_eq(&back.server_site, &d.server_site) &&
              stamp_cmp(&back.last, &d.last) == 0 && stamp_cmp(&back.pruned, &d.pruned) == 0);
    for (size_t len = 0; len < sizeof bytes; len++)
        cr_assert_eq(record_get_database(slice_of(bytes, len), &back, &ec), SYNC_EFORMAT);
    bytes[0] = 9;
    cr_assert_eq(record_get_database(slice_of(bytes, sizeof bytes), &back, &ec), SYNC_EFORMAT);
    cr_assert_str_eq(ec.text, "database record of format 9, this build reads up to 2");
}

Test(record, a_database_that_is_not_all_here_says_so_in_a_format_of_its_own)
{
    struct database_record back;
    struct err_ctx ec;
    uint8_t bytes[DATABASE_RECORD_BYTES_MAX];
    for (unsigned mark = 1; mark < 6; mark++) {
        if (mark == 3) continue; /* no such state */
        struct database_record d = {.number = 1,
                                    .state = (enum database_state)(mark & 3),
                                    .asks = mark >= 4,
                                    .asked_count = mark >= 4 ? 7 : 0};
        cr_assert_eq(record_put_database(&d, bytes), sizeof bytes);
        cr_assert_eq(bytes[0], DATABASE_FORMAT_MARKED);
        cr_assert_eq(record_get_database(slice_of(bytes, sizeof bytes), &back, &ec), SYNC_OK);
        cr_assert(back.state == d.state && back.asks == d.asks && back.asked_count == d.asked_count);
        for (size_t len = 0; len < sizeof bytes; len++)
            cr_assert_eq(record_get_database(slice_of(bytes, len), &back, &ec), SYNC_EFORMAT);
    }
    static const uint8_t bad[] = {0, 3, 8, 255};
    for (size_t i = 0; i < sizeof bad; i++) {
        bytes[DATABASE_RECORD_BYTES] = bad[i];
        cr_assert_eq(record_get_database(slice_of(bytes, sizeof bytes), &back, &ec), SYNC_EFORMAT);
    }
}

Test(record, the_counter_and_a_migrations_index_come_back)
{
    uint8_t counter[COUNTER_RECORD_BYTES], index[MIGRATION_INDEX_BYTES];
    struct hlc hlc = facts_hlc(4, 5, 'q', 6), hlc_back;
    struct stamp stamp = {.wall_ms = 1, .counter = 2, .op_seq = 3}, stamp_back;
    struct err_ctx ec;
    uint32_t count;
    record_put_counter(123456, counter);
    cr_assert_eq(record_get_counter(slice_of(counter, sizeof counter), &count, &ec), SYNC_OK);
    cr_assert_eq(count, 123456);
    cr_assert_eq(record_get_counter(slice_of(counter, 4), &count, &ec), SYNC_EFORMAT);
    record_put_migration_index(&hlc, &stamp, index);
    cr_assert_eq(record_get_migration_index(slice_of(index, sizeof index), &hlc_back, &stamp_back, &ec),
                 SYNC_OK);
    cr_assert(hlc_eq(&hlc, &hlc_back) && stamp_cmp(&stamp, &stamp_back) == 0);
    cr_assert_eq(record_get_migration_index(slice_of(index, 43), &hlc_back, &stamp_back, &ec), SYNC_EFORMAT);
}
