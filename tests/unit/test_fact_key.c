#include "core/facts/fact_key.h"

#include "core/protocol/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Facts of every form, with pks of every type. */
static const char changes[] =
    "{\"type\":\"apply_changes\",\"changes\":[{\"siteId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"transactionId\":\"1\","
    "\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"changes\":["
    "{\"type\":\"column\",\"schema\":\"main\",\"table\":\"t\",\"pk\":[1,2.5,\"x\\ud800\",null,true],"
    "\"column\":\"c\","
    "\"value\":1,\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"
    "{\"type\":\"column\",\"schema\":\"m\\u0000n\",\"table\":\"\",\"pk\":[{\"__bin\":\"AAEC\"},{\"__bigint\":"
    "\"12\"}],"
    "\"column\":\"\",\"value\":{\"a\":[1]},\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"},"
    "{\"type\":\"delete\",\"schema\":\"main\",\"table\":\"t\",\"pk\":[[1,{\"b\":2,\"a\":1}]],"
    "\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAC\"},"
    "{\"type\":\"delete\",\"schema\":\"main\",\"table\":\"t\",\"pk\":[],"
    "\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAD\"}],\"schemaMigrations\":["
    "{\"type\":\"create_table\",\"schema\":\"main\",\"table\":\"t\",\"ddl\":\"x\","
    "\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\",\"schemaVersion\":1},"
    "{\"type\":\"add_index\",\"schema\":\"main\",\"table\":\"i\",\"ddl\":\"x\","
    "\"hlc\":\"AAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAF\",\"schemaVersion\":1.50}]}]}";

Test(fact_key, is_the_key_that_the_reader_of_messages_makes)
{
    struct json_reader *json = json_reader_new(JSON_DEPTH_DEFAULT);
    struct json_reader *again = json_reader_new(JSON_DEPTH_DEFAULT);
    struct message m;
    struct arena arena = {0};
    struct err_ctx ec = {""};
    size_t len = sizeof changes - 1;
    char *text = calloc(1, len + JSON_PADDING);
    memcpy(text, changes, len);
    cr_assert_eq(message_read(json, text, len, &m, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(m.changes_state.rc, SYNC_OK, "%s", m.changes_state.ec.text);
    cr_assert_eq(m.batch.fact_count, 6);
    for (size_t i = 0; i < m.batch.fact_count; i++) {
        struct fact f = m.batch.facts[i];
        f.key = slice_of(NULL, 0);
        f.table_key_len = f.row_key_len = 0;
        cr_assert_eq(fact_key_make(again, &arena, &f, &ec), SYNC_OK, "%s", ec.text);
        cr_assert(slice_eq(f.key, m.batch.facts[i].key), "fact %zu", i);
        cr_assert_eq(f.table_key_len, m.batch.facts[i].table_key_len, "fact %zu", i);
        cr_assert_eq(f.row_key_len, m.batch.facts[i].row_key_len, "fact %zu", i);
    }
    arena_deinit(&arena);
    json_reader_free(again);
    message_deinit(&m);
    json_reader_free(json);
}

Test(fact_key, a_primary_key_that_is_none_is_told)
{
    static const char *const wrong[] = {"", "1", "[", "[1]x", "{}", "[{\"__bin\":\"?\"}]"};
    struct json_reader *json = json_reader_new(JSON_DEPTH_DEFAULT);
    struct arena arena = {0};
    struct err_ctx ec;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct fact f = {.type = FACT_DELETE, .del.pk = slice_str(wrong[i])};
        cr_assert_eq(fact_key_make(json, &arena, &f, &ec), SYNC_EBADMSG, "%s", wrong[i]);
    }
    arena_deinit(&arena);
    json_reader_free(json);
}
