/* change_set_fixture.h -- reads ChangeSets from a text, and checks that what was read survives being
 * written. */
#ifndef TESTS_CHANGE_SET_FIXTURE_H
#define TESTS_CHANGE_SET_FIXTURE_H

#include "core/facts/fact_key.h"
#include "core/protocol/change_set.h"

#include "tests/unit/change_set_texts.h"
#include "tests/unit/json_fixture.h"

#include <criterion/criterion.h>

/* The batch owns the text it was read from. */
static inline enum sync_err read_sets(const char *text, size_t len, struct batch *ret, struct err_ctx *ec)
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

static inline void read_good(const char *text, struct batch *ret)
{
    struct err_ctx ec = {""};
    cr_assert_eq(read_sets(text, strlen(text), ret, &ec), SYNC_OK, "%s: %s", text, ec.text);
}

static inline bool same_part(struct slice a, struct slice b)
{
    return slice_eq(a, b);
}

static inline void assert_same_fact(const struct fact *a, const struct fact *b)
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

/* A fact that was written by itself and read by itself is the same, and its key follows from its texts. */
static inline void assert_survives_alone(const struct fact *f)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct buf out = buf_make(8 << 20);
    struct arena arena = {0};
    struct fact back, keyless = *f;
    struct err_ctx ec = {""};
    fact_put(&out, f);
    char *text = json_padded(out.bytes, out.len);
    struct json_value v = json_open(r, text, out.len);
    cr_assert_eq(fact_take(&v, &arena, &back, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(json_close(r, &ec), SYNC_OK, "%s", ec.text);
    back.set = f->set;
    assert_same_fact(f, &back);
    keyless.key = slice_of(NULL, 0);
    keyless.table_key_len = keyless.row_key_len = 0;
    cr_assert_eq(fact_key_make(r, &arena, &keyless, &ec), SYNC_OK, "%s", ec.text);
    assert_same_fact(f, &keyless);
    arena_deinit(&arena);
    buf_deinit(&out);
    free(text);
    json_reader_free(r);
}

/* Writes the batch, reads that, and compares: nothing is lost on the way through the server. */
static inline void assert_round_trip(const struct batch *a)
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
    for (size_t i = 0; i < a->fact_count; i++) assert_survives_alone(&a->facts[i]);
    batch_deinit(&b);
    buf_deinit(&out);
}

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

#endif
