/* Every allocation fails once on the way of a fact through core: read, judged, written. Each time what was
 * asked for must say so, and leave nothing behind (nomem.h). The configuration's are failed in
 * test_config_fault.c, the election's and the cluster's in test_election_nomem.c, a session's in
 * test_session_nomem.c. */
#include "core/facts/fact_key.h"
#include "core/facts/gone_tables.h"
#include "core/metrics/sync_metrics.h"
#include "core/protocol/change_set.h"
#include "core/protocol/delta_writer.h"
#include "core/protocol/message.h"
#include "core/protocol/snapshot_writer.h"

#include "change_set_texts.h"
#include "json_fixture.h"
#include "nomem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what is run; texts are made before, readers are kept */

static struct json_reader *reader;
static struct buf text;

#define LONG_TEXT                                                                                            \
    "\\u0061bcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\n"          \
    "abcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\n"                \
    "abcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\n"                \
    "abcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\nabcdefghijklmnopqrstuvwxyz\\n"

static void put_sets(void)
{
    BUF_PUT_LIT(&text, "[");
    for (int i = 0; i < 12; i++) {
        if (i > 0) buf_put_char(&text, ',');
        BUF_PUT_LIT(
            &text,
            CHANGE_SET(HLC_A0,
                       CELL("[\"" LONG_TEXT
                            "\",{\"__bin\":\"\\u0041QID\"},{\"0\":1,\"1\":2},{\"__bigint\":\"\\u0035\"}]",
                            LONG_TEXT, "{\"__bi\\u006e\":\"\\u0041QID\"}",
                            HLC_A0) "," CELL("[[\"" LONG_TEXT "\",{\"\\u0062\":{\"" LONG_TEXT
                                             "\":[\"" LONG_TEXT "\"]},\"a\":1}],{\"x\":{}}]",
                                             "c", "1", HLC_A1) "," DELETE("[1]", HLC_A2),
                       MIGRATION("drop_table", "1", HLC_A3)));
    }
    BUF_PUT_LIT(&text, "]");
}

static void begin(void)
{
    reader = json_reader_new(JSON_DEPTH_DEFAULT);
    text = buf_make(1 << 24);
}

static void end(void)
{
    json_reader_free(reader);
    buf_deinit(&text);
}

static char *text_copy(void)
{
    nomem_pause(); /* the message itself is the caller's */
    char *bytes = json_padded(text.bytes, text.len);
    nomem_resume();
    return bytes;
}

static enum sync_err take_change_sets(struct err_ctx *ec)
{
    struct batch b = {.text = text_copy()};
    struct json_value root = json_open(reader, b.text, text.len);
    enum sync_err rc = change_sets_take(&root, &b, ec);
    if (rc == SYNC_OK) rc = json_close(reader, ec);
    batch_deinit(&b);
    return rc;
}

Test(core_nomem, change_sets_take, .init = begin, .fini = end)
{
    put_sets();
    nomem_each(take_change_sets);
}

static enum sync_err take_one_fact(struct err_ctx *ec)
{
    char *bytes = text_copy();
    struct arena arena = {0};
    struct fact f;
    struct json_value root = json_open(reader, bytes, text.len);
    enum sync_err rc = fact_take(&root, &arena, &f, ec);
    if (rc == SYNC_OK) rc = json_close(reader, ec);
    struct buf out = buf_make(1 << 20);
    if (rc == SYNC_OK) fact_put(&out, &f);
    if (rc == SYNC_OK) rc = buf_check(&out, ec);
    buf_deinit(&out);
    arena_deinit(&arena);
    free(bytes);
    return rc;
}

Test(core_nomem, fact_take, .init = begin, .fini = end)
{
    static const char *const texts[] = {
        CELL("[\"\\u0062\",{\"__bigint\":\"5\"}]", "\\u0063", "{\"\\u0078\":1}", HLC_A0),
        DELETE("[\"" LONG_TEXT "\"]", HLC_A1),
        "{\"type\":\"rename_table\",\"schema\":\"m\\u0061in\",\"table\":\"\\u0074\",\"fromTable\":"
        "\"\\u006fld\",\"ddl\":\"ddl\",\"hlc\":\"" HLC_A2 "\",\"schemaVersion\":7}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        buf_clear(&text);
        buf_put_str(&text, texts[i]);
        nomem_each(take_one_fact);
    }
}

/* ---- the key of a fact that is read back from where it was kept */

static struct fact unkeyed;

static enum sync_err make_key(struct err_ctx *ec)
{
    struct arena arena = {0};
    struct fact f = unkeyed;
    enum sync_err rc = fact_key_make(reader, &arena, &f, ec);
    if (rc == SYNC_OK) cr_assert_gt(f.key.len, f.row_key_len - 1);
    arena_deinit(&arena);
    return rc;
}

/* Texts longer than what an arena takes at a time, so that each copy asks for memory. */
Test(core_nomem, fact_key_make, .init = begin, .fini = end)
{
    enum { LONG_BYTES = 5000 };
    struct buf name = buf_make(2 * LONG_BYTES);
    BUF_PUT_LIT(&text, "[\"");
    for (int i = 0; i < LONG_BYTES; i++) buf_put_char(&text, 'x');
    BUF_PUT_LIT(&text, "\",{\"\\u0062\":1}]");
    for (int i = 0; i < LONG_BYTES; i++) buf_put_char(&name, 'c');
    unkeyed = (struct fact){.type = FACT_CELL, .schema = slice_str("main"), .table = slice_str("t")};
    unkeyed.cell.pk = buf_slice(&text);
    unkeyed.cell.column = buf_slice(&name);
    nomem_each(make_key);

    unkeyed.type = FACT_DELETE;
    unkeyed.del = (struct delete_part){.pk = buf_slice(&text)};
    nomem_each(make_key);

    unkeyed.type = FACT_MIGRATION;
    unkeyed.table = buf_slice(&name);
    unkeyed.migration =
        (struct migration_part){.type = MIGRATION_CREATE_TABLE, .schema_version = slice_str("7")};
    nomem_each(make_key);
    buf_deinit(&name);
}

static enum sync_err read_message(struct err_ctx *ec)
{
    struct message m;
    enum sync_err rc = message_read(reader, text_copy(), text.len, &m, ec);
    const struct member_state *const states[] = {&m.changes_state, &m.checkpoint_state};
    for (size_t i = 0; i < 2 && rc == SYNC_OK; i++) {
        rc = states[i]->rc;
        *ec = states[i]->ec;
    }
    if (rc == SYNC_OK) cr_assert(m.has_database_id && m.has_token && m.since_state.rc == SYNC_OK);
    message_deinit(&m);
    return rc;
}

Test(core_nomem, message_read, .init = begin, .fini = end)
{
    BUF_PUT_LIT(&text,
                "{\"type\":\"apply_ch\\u0061nges\",\"databaseId\":\"" LONG_TEXT "\",\"token\":\"" LONG_TEXT
                "\",\"siteId\":\"\\u0041AAAAAAAQACAAAAAAAAD6A\",\"sinceHLC\":"
                "\"\\u0041AABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAA\","
                "\"requestId\":\"\\u0041\",\"checkpoint\":{\"snapshotId\":\"x\",\"siteId\":"
                "\"\\u0041AAAAAAAQACAAAAAAAAD6A\","
                "\"hlc\":\"\\u0041AABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA+gAAAAA\",\"completedTables\":[\"" LONG_TEXT
                "\"");
    for (int i = 0; i < 600; i++) BUF_PUT_LIT(&text, ",\"\\u0074\"");
    BUF_PUT_LIT(&text, "]},\"changes\":");
    put_sets();
    BUF_PUT_LIT(&text, "}");
    nomem_each(read_message);
}

static enum sync_err find_nothing(void *state, const struct fact *f, struct arena *arena,
                                  struct stored_fact *ret, struct err_ctx *ec)
{
    (void)state, (void)f, (void)arena, (void)ec;
    *ret = (struct stored_fact){0};
    return SYNC_OK;
}

static enum sync_err find_no_tombstone(void *state, const struct fact *f, struct stored_fact *ret,
                                       struct err_ctx *ec)
{
    return find_nothing(state, f, NULL, ret, ec);
}

static struct batch read_batch;

static enum sync_err merge_it(struct err_ctx *ec)
{
    const struct merge_source source = {.find = find_nothing, .find_tombstone = find_no_tombstone};
    const struct merge_rules rules = {.server_site.bytes = {1}};
    struct arena arena = {0};
    struct merge_plan plan;
    enum sync_err rc = merge_batch(&read_batch, &rules, &source, &arena, &plan, ec);
    if (rc == SYNC_OK) cr_assert_eq(plan.result.applied, 48);
    arena_deinit(&arena);
    return rc;
}

static void read_the_batch(void)
{
    struct err_ctx ec;
    put_sets();
    read_batch = (struct batch){.text = text_copy()};
    struct json_value root = json_open(reader, read_batch.text, text.len);
    cr_assert_eq(change_sets_take(&root, &read_batch, &ec), SYNC_OK);
}

Test(core_nomem, merge_batch, .init = begin, .fini = end)
{
    read_the_batch();
    nomem_each(merge_it);
    batch_deinit(&read_batch);
}

static enum sync_err write_delta(struct err_ctx *ec)
{
    struct delta_writer w;
    struct buf out = buf_make(1 << 24);
    delta_writer_init(&w);
    for (size_t i = 0; i < read_batch.fact_count; i++) delta_writer_add(&w, &out, &read_batch.facts[i]);
    delta_writer_finish(&w, &out);
    delta_writer_watermark(&w, &out, &read_batch.highest);
    enum sync_err rc = buf_check(&out, ec);
    delta_writer_deinit(&w);
    buf_deinit(&out);
    return rc;
}

static enum sync_err write_snapshot(struct err_ctx *ec)
{
    struct buf out = buf_make(1 << 24);
    const struct snapshot_header h = {.snapshot_id = slice_str("x")};
    snapshot_put_header(&out, &h);
    snapshot_put_table_start(&out, &read_batch.facts[0], 2);
    for (size_t i = 0; i < read_batch.fact_count; i++) {
        const struct fact *f = &read_batch.facts[i];
        if (f->type == FACT_MIGRATION) {
            snapshot_put_migration(&out, f);
            continue;
        }
        snapshot_begin_entries(&out, f);
        f->type == FACT_CELL ? snapshot_put_cell(&out, f, true) : snapshot_put_tombstone(&out, f, 1, true);
        snapshot_end_entries(&out);
    }
    snapshot_put_table_end(&out, slice_str("main"), slice_str("t"), 2);
    snapshot_put_footer(&out, slice_str("x"), 1, 2, 3);
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

static enum sync_err write_batch(struct err_ctx *ec)
{
    struct buf out = buf_make(1 << 24);
    batch_put(&out, &read_batch);
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

static enum sync_err write_messages(struct err_ctx *ec)
{
    static const struct merge_result result;
    static const struct site_id site;
    struct buf out = buf_make(1 << 24);
    message_put_handshake_ack(&out, slice_str("shop"), &site, "0123456789abcdef");
    message_put_request_changes(&out, &site, &read_batch.highest);
    message_put_error(&out, "X", "a\"b", false);
    message_put_apply_result(&out, slice_str("1"), &result, slice_str("[{}]"));
    message_put_pong(&out);
    message_put_snapshot_complete(&out);
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

Test(core_nomem, writers, .init = begin, .fini = end)
{
    read_the_batch();
    nomem_each(write_delta);
    nomem_each(write_snapshot);
    nomem_each(write_batch);
    nomem_each(write_messages);
    batch_deinit(&read_batch);
}

static enum sync_err replay_migrations(struct err_ctx *ec)
{
    static const char key[] = "main\0t";
    struct fact f = {.type = FACT_MIGRATION, .schema = slice_str("main"), .table = slice_str("t")};
    f.key = slice_of(key, sizeof key);
    f.table_key_len = sizeof key;
    struct gone_tables *g = gone_tables_new();
    bool good = g != NULL;
    static const enum migration_type types[] = {MIGRATION_DROP_TABLE, MIGRATION_RENAME_TABLE,
                                                MIGRATION_CREATE_TABLE, MIGRATION_DROP_TABLE};
    for (size_t i = 0; good && i < sizeof types / sizeof types[0]; i++) {
        f.migration =
            (struct migration_part){.type = types[i], .has_from_table = true, .from_table = slice_str("old")};
        good = gone_tables_replay(g, &f);
    }
    gone_tables_free(g);
    return good ? SYNC_OK : err_set(ec, SYNC_ENOMEM, "a table was not noted");
}

Test(core_nomem, gone_tables)
{
    nomem_each(replay_migrations);
}

/* ---- what the server shows of itself */

static struct sync_metrics metrics;

static enum sync_err write_metrics(struct err_ctx *ec)
{
    struct buf out = buf_make(METRICS_TEXT_BYTES_MAX);
    metrics_write(&metrics.registry, &out);
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

static enum sync_err write_metrics_table(struct err_ctx *ec)
{
    struct buf out = buf_make(METRICS_TEXT_BYTES_MAX);
    metrics_write_markdown(&metrics.registry, &out);
    enum sync_err rc = buf_check(&out, ec);
    buf_deinit(&out);
    return rc;
}

Test(core_nomem, metrics)
{
    sync_metrics_init(&metrics);
    nomem_each(write_metrics);
    nomem_each(write_metrics_table);
}
