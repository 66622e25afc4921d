/* Every allocation of core's C code fails once: the 1st, then the 2nd, until none is left. Each time what was
 * asked for must say so, and as many blocks must live as before. Linked with --wrap (CMakeLists.txt), so that
 * only our own allocations count; those of the C++ reader and of libc are not ours. */
#include "core/change_set.h"
#include "core/delta_writer.h"
#include "core/election_record.h"
#include "core/election_workers.h"
#include "core/gone_tables.h"
#include "core/message.h"
#include "core/snapshot_writer.h"
#include "core/ticket.h"

#include "tests/unit/change_set_texts.h"
#include "tests/unit/json_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t len);
void *__real_calloc(size_t count, size_t len);
void *__real_realloc(void *block, size_t len);
void __real_free(void *block);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t count, size_t len);
void *__wrap_realloc(void *block, size_t len);
void __wrap_free(void *block);

static int fail_at; /* counts down; the allocation that finds 1 fails */
static bool has_failed;
static long live_blocks;

static bool fails_now(void)
{
    if (fail_at == 0 || --fail_at > 0) return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t len)
{
    void *block = fails_now() ? NULL : __real_malloc(len);
    live_blocks += block != NULL;
    return block;
}

void *__wrap_calloc(size_t count, size_t len)
{
    void *block = fails_now() ? NULL : __real_calloc(count, len);
    live_blocks += block != NULL;
    return block;
}

void *__wrap_realloc(void *block, size_t len)
{
    void *moved = fails_now() ? NULL : __real_realloc(block, len);
    live_blocks += block == NULL && moved != NULL;
    return moved;
}

void __wrap_free(void *block)
{
    live_blocks -= block != NULL;
    __real_free(block);
}

enum { FAILURES_MAX = 2000 };

/* Runs `job` with each of its allocations failing. It returns what it got: SYNC_OK or an error. */
static void fail_each(enum sync_err (*job)(void))
{
    int failures = 0;
    for (int at = 1; at < FAILURES_MAX; at++) {
        long before = live_blocks;
        fail_at = at;
        has_failed = false;
        enum sync_err rc = job();
        fail_at = 0;
        cr_assert_eq(live_blocks, before, "allocation %d leaks %ld blocks", at, live_blocks - before);
        cr_assert_eq(rc, has_failed ? SYNC_ENOMEM : SYNC_OK, "allocation %d", at);
        if (!has_failed) break;
        failures++;
    }
    cr_assert_gt(failures, 0, "nothing was allocated");
    cr_assert_lt(failures, FAILURES_MAX - 1);
}

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
    int armed = fail_at;
    fail_at = 0; /* the message itself is the caller's */
    char *bytes = json_padded(text.bytes, text.len);
    fail_at = armed;
    return bytes;
}

static enum sync_err take_change_sets(void)
{
    struct batch b = {.text = text_copy()};
    struct err_ctx ec;
    struct json_value root = json_open(reader, b.text, text.len);
    enum sync_err rc = change_sets_take(&root, &b, &ec);
    if (rc == SYNC_OK) rc = json_close(reader, &ec);
    batch_deinit(&b);
    return rc;
}

Test(core_nomem, change_sets_take, .init = begin, .fini = end)
{
    put_sets();
    fail_each(take_change_sets);
}

static enum sync_err read_message(void)
{
    struct message m;
    struct err_ctx ec;
    enum sync_err rc = message_read(reader, text_copy(), text.len, &m, &ec);
    if (rc == SYNC_OK) rc = m.changes_state.rc;
    if (rc == SYNC_OK) rc = m.checkpoint_state.rc;
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
    fail_each(read_message);
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

static enum sync_err merge_it(void)
{
    const struct merge_source source = {.find = find_nothing, .find_tombstone = find_no_tombstone};
    const struct merge_rules rules = {.server_site.bytes = {1}};
    struct arena arena = {0};
    struct merge_plan plan;
    struct err_ctx ec;
    enum sync_err rc = merge_batch(&read_batch, &rules, &source, &arena, &plan, &ec);
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
    fail_each(merge_it);
    batch_deinit(&read_batch);
}

static enum sync_err write_delta(void)
{
    struct delta_writer w;
    struct buf out = buf_make(1 << 24);
    struct err_ctx ec;
    delta_writer_init(&w);
    for (size_t i = 0; i < read_batch.fact_count; i++) delta_writer_add(&w, &out, &read_batch.facts[i]);
    delta_writer_finish(&w, &out);
    delta_writer_watermark(&w, &out, &read_batch.highest);
    enum sync_err rc = buf_check(&out, &ec);
    delta_writer_deinit(&w);
    buf_deinit(&out);
    return rc;
}

static enum sync_err write_snapshot_and_messages(void)
{
    struct buf out = buf_make(1 << 24);
    struct err_ctx ec;
    const struct snapshot_header h = {.snapshot_id = slice_str("x")};
    const struct merge_result result = {0};
    snapshot_put_header(&out, &h);
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
    batch_put(&out, &read_batch);
    message_put_error(&out, "X", "a\"b", false);
    message_put_apply_result(&out, slice_str("1"), &result, slice_str("[{}]"));
    enum sync_err rc = buf_check(&out, &ec);
    buf_deinit(&out);
    return rc;
}

Test(core_nomem, writers, .init = begin, .fini = end)
{
    read_the_batch();
    fail_each(write_delta);
    fail_each(write_snapshot_and_messages);
    batch_deinit(&read_batch);
}

static enum sync_err replay_migrations(void)
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
    return good ? SYNC_OK : SYNC_ENOMEM;
}

Test(core_nomem, gone_tables)
{
    fail_each(replay_migrations);
}

/* ---- the election's */

static enum sync_err put_records(void)
{
    static const char *const tasks[] = {"retention", "cluster-status"};
    struct buf out = buf_make(METADATA_BYTES_MAX);
    struct err_ctx ec;
    struct election_worker_record worker = {.worker_id = "worker-1", .url = "http://worker-1:8080"};
    election_state_put(&out, "default", &(struct election_state){.epoch = 7, .leader_id = "worker-1"});
    election_epoch_put(&out, &(struct election_epoch){.epoch = 7, .worker_id = "worker-1"});
    election_worker_record_put(&out, &worker);
    election_metadata_put(
        &out, &(struct election_metadata){.namespace_name = "default", .tasks = tasks, .task_count = 2});
    enum sync_err rc = buf_check(&out, &ec);
    buf_deinit(&out);
    return rc;
}

Test(core_nomem, election_records)
{
    fail_each(put_records);
}

enum { SEEN = 200 };

static void see_workers(struct election_workers *w)
{
    static const struct election_etag etag = {"1"};
    char id[WORKER_ID_MAX + 1];
    workers_list_start(w);
    for (int i = 0; i < SEEN; i++) {
        (void)snprintf(id, sizeof id, "worker-%03d", i);
        workers_list_see(w, slice_str(id), &etag, 1);
    }
    workers_list_end(w, true);
}

/* Who finds no room is not seen: by this listing. The next one makes it good. */
static enum sync_err list_workers(void)
{
    struct election_workers w = workers_make();
    see_workers(&w);
    fail_at = 0;
    cr_assert_leq(w.count, SEEN);
    see_workers(&w);
    cr_assert_eq(w.count, SEEN);
    workers_deinit(&w);
    return has_failed ? SYNC_ENOMEM : SYNC_OK;
}

Test(core_nomem, election_workers)
{
    fail_each(list_workers);
}

static void see_tickets(struct ticket_board *b)
{
    ticket_board_list_start(b);
    for (uint64_t i = 1; i <= SEEN; i++) {
        struct ticket_id id = ticket_id_numbered("snapshots", i, 1);
        struct ticket_key key = ticket_body_key(id.text);
        ticket_board_see(b, slice_str(key.text), 1);
    }
    ticket_board_list_end(b, true);
}

static enum sync_err list_tickets(void)
{
    struct ticket_board b = {0};
    see_tickets(&b);
    fail_at = 0;
    cr_assert_leq(b.count, SEEN);
    see_tickets(&b);
    cr_assert_eq(b.count, SEEN);
    ticket_board_deinit(&b);
    return has_failed ? SYNC_ENOMEM : SYNC_OK;
}

Test(core_nomem, tickets)
{
    fail_each(list_tickets);
}
