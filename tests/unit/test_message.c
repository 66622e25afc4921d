#include "core/protocol/message.h"

#include "tests/unit/change_set_texts.h"
#include "tests/unit/json_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

static enum sync_err read_message(const char *text, struct message *ret, struct err_ctx *ec)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    enum sync_err rc = message_read(r, json_padded(text, strlen(text)), strlen(text), ret, ec);
    json_reader_free(r);
    return rc;
}

static void read_good(const char *text, struct message *ret)
{
    struct err_ctx ec = {""};
    cr_assert_eq(read_message(text, ret, &ec), SYNC_OK, "%s: %s", text, ec.text);
}

/* ---- types */

Test(message, every_type_is_known_wherever_it_stands)
{
    static const struct {
        const char *name;
        enum message_type type;
    } types[] = {
        {"handshake", MESSAGE_HANDSHAKE},
        {"get_changes", MESSAGE_GET_CHANGES},
        {"apply_changes", MESSAGE_APPLY_CHANGES},
        {"get_snapshot", MESSAGE_GET_SNAPSHOT},
        {"resume_snapshot", MESSAGE_RESUME_SNAPSHOT},
        {"ping", MESSAGE_PING},
        {"pong", MESSAGE_UNKNOWN},
        {"Ping", MESSAGE_UNKNOWN},
        {"", MESSAGE_UNKNOWN},
        {"ping\\u0000", MESSAGE_UNKNOWN},
        {"p\\u0069ng", MESSAGE_PING},
        {"\\ud800", MESSAGE_UNKNOWN},
    };
    static const char *const shapes[] = {
        "{\"type\":\"%s\"}", "{\"x\":[1,{\"type\":\"ping\"}],\"type\":\"%s\"}",
        "{\"type\":\"%s\",\"x\":{\"type\":\"pong\"}}", "{\"type\":\"ping\",\"t\\u0079pe\":\"%s\"}"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
            char text[200];
            struct message m;
            (void)snprintf(text, sizeof text, shapes[k], types[i].name);
            read_good(text, &m);
            cr_assert_eq(m.type, types[i].type, "%s", text);
            message_deinit(&m);
        }
    }
}

Test(message, a_type_that_is_no_string_is_unknown)
{
    static const char *const texts[] = {"{}",
                                        "{\"type\":null}",
                                        "{\"type\":5}",
                                        "{\"type\":[\"ping\"]}",
                                        "{\"type\":{\"ping\":1}}",
                                        "{\"type\":true}",
                                        "{\"type\":\"ping\",\"type\":0}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct message m;
        read_good(texts[i], &m);
        cr_assert_eq(m.type, MESSAGE_UNKNOWN, "%s", texts[i]);
        message_deinit(&m);
    }
}

Test(message, what_is_not_a_json_object_is_refused)
{
    static const char *const bad[] = {
        "",
        " ",
        "[]",
        "5",
        "null",
        "\"ping\"",
        "{",
        "}",
        "{\"type\":\"ping\"",
        "{\"type\":\"ping\"}}",
        "{\"type\":\"ping\"} {}",
        "{\"type\":\"ping\",}",
        "{type:\"ping\"}",
        "[{\"type\":\"ping\"}]",
        "{\"type\":\"\\x\"}",
        "{\"\\x\":1}",
        "{\"type\":\"ping\",\"x\":nul}",
        "{\"type\":\"ping\",\"x\":[1,]}",
        "{\"type\":\"\xff\"}",
        "{\"a\":\"b\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct message m;
        struct err_ctx ec = {""};
        cr_assert_eq(read_message(bad[i], &m, &ec), SYNC_EBADMSG, "accepted: %s", bad[i]);
        cr_assert_neq(ec.text[0], '\0');
        message_deinit(&m); /* nothing is left behind, and it may be asked for again */
    }
}

/* Broken JSON is broken in every member, also where the member's type is wrong already. */
Test(message, a_member_of_a_wrong_type_is_still_read_in_full)
{
    static const char *const keys[] = {"type",     "protocolVersion", "databaseId", "siteId",     "token",
                                       "sinceHLC", "requestId",       "changes",    "checkpoint", "other"};
    static const char *const values[] = {
        "nul",       "nulx",       "truex",        "01",     "1.",      "-",    "[1,]", "[01]",
        "[\"\\x\"]", "{\"a\":01}", "{\"a\":nulx}", "[nulx]", "[truex]", "fals", "1x"};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            char text[200];
            struct message m;
            struct err_ctx ec = {""};
            bool nested = values[i][0] == '[' || values[i][0] == '{';
            if (nested && (strcmp(keys[k], "changes") == 0 || strcmp(keys[k], "checkpoint") == 0))
                continue; /* given up at the first wrong thing; the request is refused, the text matters no
                             more */
            (void)snprintf(text, sizeof text, "{\"type\":\"ping\",\"%s\":%s}", keys[k], values[i]);
            cr_assert_eq(read_message(text, &m, &ec), SYNC_EBADMSG, "accepted: %s", text);
        }
    }
}

/* ---- handshake */

Test(message, a_handshake_is_read_whatever_the_order_of_its_members)
{
    static const char *const texts[] = {
        "{\"type\":\"handshake\",\"databaseId\":\"db1\",\"siteId\":\"" SITE_A
        "\",\"token\":\"t\\u002e\\n\",\"protocolVersion\":1}",
        "{\"protocolVersion\":1.0,\"token\":\"t.\\n\",\"siteId\":\"\\u0041AAAAAAAQACAAAAAAAAD6A\",\"x\":[{}],"
        "\"databaseId\":\"d\\u0062\\u0031\",\"type\":\"handshake\"}",
    };
    for (size_t i = 0; i < 2; i++) {
        struct message m;
        read_good(texts[i], &m);
        cr_assert_eq(m.type, MESSAGE_HANDSHAKE);
        cr_assert(m.version_ok);
        cr_assert(m.has_database_id && slice_is(m.database_id, "db1"));
        cr_assert(m.site_state.has);
        cr_assert_eq(m.site_state.rc, SYNC_OK);
        cr_assert_eq(m.site.bytes[6], 0x40);
        cr_assert(m.has_token && slice_is(m.token, "t.\n"));
        message_deinit(&m);
    }
}

Test(message, the_version_is_the_integer_1)
{
    static const char *const good[] = {"1", "1.0", "1e0", "10e-1"};
    static const char *const bad[] = {"0", "2", "1.5", "-1", "\"1\"", "null", "true", "[1]", "1e400", "{}"};
    char text[100];
    struct message m;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(text, sizeof text, "{\"protocolVersion\":%s}", good[i]);
        read_good(text, &m);
        cr_assert(m.version_ok, "%s", text);
        message_deinit(&m);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "{\"protocolVersion\":%s}", bad[i]);
        read_good(text, &m);
        cr_assert_not(m.version_ok, "%s", text);
        message_deinit(&m);
    }
    read_good("{}", &m);
    cr_assert_not(m.version_ok);
    message_deinit(&m);
}

Test(message, a_database_id_is_there_unless_absent_null_or_empty)
{
    static const struct {
        const char *text;
        bool has;
        const char *id;
    } cases[] = {
        {"{}", false, ""},
        {"{\"databaseId\":null}", false, ""},
        {"{\"databaseId\":\"\"}", false, ""},
        {"{\"databaseId\":5}", true, ""},
        {"{\"databaseId\":[\"x\"]}", true, ""},
        {"{\"databaseId\":{}}", true, ""},
        {"{\"databaseId\":false}", true, ""},
        {"{\"databaseId\":\"a b\"}", true, "a b"},
        {"{\"databaseId\":\"x\",\"databaseId\":null}", false, ""},
        {"{\"databaseId\":\"x\",\"databaseId\":5}", true, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m;
        read_good(cases[i].text, &m);
        cr_assert_eq(m.has_database_id, cases[i].has, "%s", cases[i].text);
        cr_assert(slice_is(m.database_id, cases[i].id), "%s", cases[i].text);
        message_deinit(&m);
    }
}

Test(message, a_wrong_site_id_is_kept_with_its_reason)
{
    static const char *const bad[] = {"null",
                                      "5",
                                      "\"\"",
                                      "\"x\"",
                                      "[]",
                                      "{\"a\":1}",
                                      "\"AAAAAAAAQACAAAAAAAAD6+\"",
                                      "\"AAAAAAAAQACAAAAAAAAD6A==\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        struct message m;
        (void)snprintf(text, sizeof text, "{\"type\":\"handshake\",\"siteId\":%s,\"databaseId\":\"x\"}",
                       bad[i]);
        read_good(text, &m);
        cr_assert(m.site_state.has);
        cr_assert_eq(m.site_state.rc, SYNC_EBADMSG, "%s", text);
        cr_assert_neq(m.site_state.ec.text[0], '\0');
        cr_assert(m.has_database_id, "what follows is read");
        message_deinit(&m);
    }
}

Test(message, a_token_is_a_string_or_none)
{
    static const char *const none[] = {"{}", "{\"token\":null}", "{\"token\":5}", "{\"token\":[\"x\"]}",
                                       "{\"token\":\"x\",\"token\":{}}"};
    struct message m;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        read_good(none[i], &m);
        cr_assert_not(m.has_token, "%s", none[i]);
        message_deinit(&m);
    }
    read_good("{\"token\":\"\"}", &m);
    cr_assert(m.has_token && m.token.len == 0);
    message_deinit(&m);
}

/* ---- get_changes */

Test(message, no_watermark_is_absent_null_or_empty)
{
    static const char *const none[] = {"{\"type\":\"get_changes\"}", "{\"sinceHLC\":null}",
                                       "{\"sinceHLC\":\"\"}", "{\"sinceHLC\":5,\"sinceHLC\":\"\"}"};
    struct message m;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        read_good(none[i], &m);
        cr_assert_not(m.since_state.has, "%s", none[i]);
        cr_assert_eq(m.since_state.rc, SYNC_OK);
        message_deinit(&m);
    }
    read_good("{\"sinceHLC\":\"" HLC_A2 "\"}", &m);
    cr_assert(m.since_state.has);
    cr_assert_eq(m.since_state.rc, SYNC_OK);
    cr_assert_eq(m.since.op_seq, 2);
    message_deinit(&m);
    read_good("{\"sinceHLC\":5,\"sinceHLC\":\"AAABlB8pfbkAAAAAAAAAAEAAgAAAAAAAA\\u002bgAAAAC\"}", &m);
    cr_assert_eq(m.since_state.rc, SYNC_OK);
    cr_assert_eq(m.since.op_seq, 2);
    message_deinit(&m);
}

Test(message, a_wrong_watermark_is_kept_with_its_reason)
{
    static const char *const bad[] = {
        "5", "0", "true", "[]", "{}", "\"x\"", "\" \"", "\"" HLC_A0 "=\"", "[\"" HLC_A0 "\"]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        struct message m;
        (void)snprintf(text, sizeof text, "{\"sinceHLC\":%s,\"type\":\"get_changes\"}", bad[i]);
        read_good(text, &m);
        cr_assert(m.since_state.has);
        cr_assert_eq(m.since_state.rc, SYNC_EBADMSG, "%s", text);
        cr_assert(slice_starts_with(slice_str(m.since_state.ec.text), slice_str("sinceHLC: ")));
        cr_assert_eq(m.type, MESSAGE_GET_CHANGES);
        message_deinit(&m);
    }
}

/* ---- apply_changes */

Test(message, changes_are_read_before_the_type_is_known)
{
    struct message m;
    read_good("{\"requestId\":\"r\\u0031\",\"changes\":[" CHANGE_SET(
                  HLC_A1, CELL("[1]", "c", "5", HLC_A0) "," DELETE("[2]", HLC_A1),
                  "") "],\"type\":\"apply_changes\"}",
              &m);
    cr_assert_eq(m.type, MESSAGE_APPLY_CHANGES);
    cr_assert(m.changes_state.has);
    cr_assert_eq(m.changes_state.rc, SYNC_OK);
    cr_assert_eq(m.batch.set_count, 1);
    cr_assert_eq(m.batch.fact_count, 2);
    cr_assert(slice_is(m.request_id, "\"r\\u0031\""), "comes back exactly as sent");
    message_deinit(&m);
}

Test(message, of_changes_given_twice_the_last_count)
{
    struct message m;
    read_good(
        "{\"type\":\"apply_changes\",\"changes\":[" CHANGE_SET(
            HLC_A3, DELETE("[1]", HLC_A3),
            "") "," CHANGE_SET(HLC_A3, "",
                               "") "],\"changes\":[" CHANGE_SET(HLC_A1, DELETE("[2]", HLC_A0),
                                                                MIGRATION("add_column", "1", HLC_A1)) "]}",
        &m);
    cr_assert_eq(m.changes_state.rc, SYNC_OK);
    cr_assert_eq(m.batch.set_count, 1);
    cr_assert_eq(m.batch.fact_count, 2);
    cr_assert_eq(m.batch.migration_count, 1);
    cr_assert(slice_is(m.batch.facts[0].del.pk, "[2]"));
    cr_assert_eq(m.batch.highest.op_seq, 1);
    message_deinit(&m);

    read_good("{\"changes\":[" CHANGE_SET(HLC_A3, DELETE("[1]", HLC_A3), "") "],\"changes\":null}", &m);
    cr_assert_eq(m.changes_state.rc, SYNC_EBADMSG);
    message_deinit(&m);

    read_good("{\"changes\":[" CHANGE_SET(HLC_A3, DELETE("[1]", HLC_A3),
                                          "") ",{\"x\":[[7]]}],\"changes\":[],\"requestId\":7}",
              &m);
    cr_assert_eq(m.changes_state.rc, SYNC_OK);
    cr_assert_eq(m.changes_state.ec.text[0], '\0');
    cr_assert_eq(m.batch.fact_count, 0);
    cr_assert(slice_is(m.request_id, "7"));
    message_deinit(&m);
}

Test(message, many_sets_given_twice_stay_within_their_memory)
{
    enum { SETS = 40 };
    struct buf text = buf_make(1 << 20);
    struct message m;
    BUF_PUT_LIT(&text, "{\"x\":0");
    for (int twice = 0; twice < 3; twice++) {
        BUF_PUT_LIT(&text, ",\"changes\":[");
        for (int i = 0; i < SETS; i++) {
            if (i > 0) buf_put_char(&text, ',');
            BUF_PUT_LIT(&text, CHANGE_SET(HLC_A0, DELETE("[1]", HLC_A0) "," DELETE("[2]", HLC_A0), ""));
        }
        buf_put_char(&text, ']');
    }
    BUF_PUT_LIT(&text, "}");
    buf_put_char(&text, '\0');
    read_good(text.bytes, &m);
    cr_assert_eq(m.batch.set_count, SETS);
    cr_assert_eq(m.batch.fact_count, 2 * SETS);
    message_deinit(&m);
    buf_deinit(&text);
}

Test(message, wrong_changes_are_kept_with_their_place)
{
    static const char *const bad[][2] = {
        {"null", "changes: not an array"},
        {"{}", "changes: not an array"},
        {"\"\"", "changes: not an array"},
        {"[5]", "changes[0]: not an object"},
        {"[" CHANGE_SET(HLC_A0, CELL("[{\"__bin\":1}]", "c", "1", HLC_A0), "") "]",
         "changes[0].changes[0].pk[0]: __bin is not a string of standard base64"},
        {"[" CHANGE_SET(HLC_A0, "", "") ",{\"hlc\":\"x\",\"changes\":[[[{}]]]}]",
         "changes[1].hlc: an HLC is 40 characters of standard base64"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[800];
        struct message m;
        (void)snprintf(text, sizeof text,
                       "{\"type\":\"apply_changes\",\"changes\":%s,\"requestId\":{\"a\": 1}}", bad[i][0]);
        read_good(text, &m);
        cr_assert(m.changes_state.has);
        cr_assert_eq(m.changes_state.rc, SYNC_EBADMSG, "%s", text);
        cr_assert_str_eq(m.changes_state.ec.text, bad[i][1]);
        cr_assert(slice_is(m.request_id, "{\"a\": 1}"), "the answer can name its request");
        message_deinit(&m);
    }
}

Test(message, a_member_that_the_type_does_not_use_refuses_nothing)
{
    struct message m;
    read_good(
        "{\"type\":\"ping\",\"changes\":7,\"checkpoint\":8,\"siteId\":9,\"sinceHLC\":10,\"databaseId\":11}",
        &m);
    cr_assert_eq(m.type, MESSAGE_PING);
    message_deinit(&m);
}

/* ---- resume_snapshot */

#define CHECKPOINT(more)                                                                                     \
    "{\"snapshotId\":\"s\\u0031\",\"siteId\":\"" SITE_A "\",\"hlc\":\"" HLC_A2                               \
    "\",\"lastTableIndex\":3,\"lastEntryIndex\":-1,\"completedTables\":[\"main.t\",\"main.a\\u002eb\","      \
    "\"main.\"],"                                                                                            \
    "\"entriesProcessed\":12,\"createdAt\":1735689600441" more "}"

Test(message, a_checkpoint_is_read_and_its_tables_sorted)
{
    struct message m;
    read_good("{\"checkpoint\":" CHECKPOINT("") ",\"type\":\"resume_snapshot\"}", &m);
    cr_assert_eq(m.type, MESSAGE_RESUME_SNAPSHOT);
    cr_assert(m.checkpoint_state.has);
    cr_assert_eq(m.checkpoint_state.rc, SYNC_OK, "%s", m.checkpoint_state.ec.text);
    const struct checkpoint *c = &m.checkpoint;
    cr_assert(slice_is(c->snapshot_id, "s\\u0031"));
    cr_assert_eq(c->hlc.op_seq, 2);
    cr_assert_eq(c->site.bytes[6], 0x40);
    cr_assert_eq(c->entries_processed, 12);
    cr_assert_eq(c->completed_count, 3);
    cr_assert(slice_is(c->completed[0], "main."));
    cr_assert(slice_is(c->completed[1], "main.a.b"));
    cr_assert(slice_is(c->completed[2], "main.t"));
    message_deinit(&m);
}

Test(message, of_a_checkpoint_given_twice_the_last_counts)
{
    struct message m;
    read_good("{\"checkpoint\":" CHECKPOINT("") ",\"checkpoint\":{\"snapshotId\":\"x\",\"siteId\":\"" SITE_A
                                                "\",\"hlc\":\"" HLC_A0
                                                "\",\"completedTables\":[\"a\"],\"completedTables\":[]}}",
              &m);
    cr_assert_eq(m.checkpoint_state.rc, SYNC_OK);
    cr_assert_eq(m.checkpoint.completed_count, 0);
    cr_assert_eq(m.checkpoint.entries_processed, 0);
    message_deinit(&m);
    read_good("{\"checkpoint\":" CHECKPOINT("") ",\"checkpoint\":null}", &m);
    cr_assert_eq(m.checkpoint_state.rc, SYNC_EBADMSG);
    message_deinit(&m);
}

Test(message, many_completed_tables_are_kept)
{
    struct buf text = buf_make(1 << 20);
    struct message m;
    BUF_PUT_LIT(&text, "{\"checkpoint\":{\"snapshotId\":\"x\",\"siteId\":\"" SITE_A "\",\"hlc\":\"" HLC_A0
                       "\",\"completedTables\":[\"\"");
    for (int i = 0; i < 1000; i++) buf_printf(&text, ",\"t%03d\"", (i * 7) % 1000);
    BUF_PUT_LIT(&text, "]}}");
    buf_put_char(&text, '\0');
    read_good(text.bytes, &m);
    cr_assert_eq(m.checkpoint.completed_count, 1001);
    for (size_t i = 1; i < 1001; i++)
        cr_assert_lt(slice_cmp(m.checkpoint.completed[i - 1], m.checkpoint.completed[i]), 0);
    message_deinit(&m);
    buf_deinit(&text);
}

Test(message, a_malformed_checkpoint_is_kept_with_its_place)
{
    static const char *const bad[][2] = {
        {"null", "checkpoint: not an object"},
        {"[]", "checkpoint: not an object"},
        {"\"x\"", "checkpoint: not an object"},
        {"{}", "checkpoint: snapshotId is missing"},
        {"{\"snapshotId\":\"x\"}", "checkpoint: siteId is missing"},
        {"{\"snapshotId\":\"x\",\"siteId\":\"" SITE_A "\"}", "checkpoint: hlc is missing"},
        {"{\"snapshotId\":\"x\",\"siteId\":\"" SITE_A "\",\"hlc\":\"" HLC_A0 "\"}",
         "checkpoint: completedTables is missing"},
        {CHECKPOINT(",\"snapshotId\":\"\""), "checkpoint.snapshotId: empty"},
        {CHECKPOINT(",\"snapshotId\":5"), "checkpoint.snapshotId: not a string"},
        {CHECKPOINT(",\"siteId\":null"), "checkpoint.siteId: not a string"},
        {CHECKPOINT(",\"siteId\":\"x\""), "checkpoint.siteId: a site id is 22 characters of base64url"},
        {CHECKPOINT(",\"hlc\":5"), "checkpoint.hlc: not a string"},
        {CHECKPOINT(",\"hlc\":\"\""), "checkpoint.hlc: an HLC is 40 characters of standard base64"},
        {CHECKPOINT(",\"completedTables\":{}"), "checkpoint.completedTables: not an array"},
        {CHECKPOINT(",\"completedTables\":[\"a\",5]"), "checkpoint.completedTables[1]: not a string"},
        {CHECKPOINT(",\"entriesProcessed\":-1"), "checkpoint.entriesProcessed: not a count"},
        {CHECKPOINT(",\"entriesProcessed\":\"1\""), "checkpoint.entriesProcessed: not a count"},
        {CHECKPOINT(",\"entriesProcessed\":1e400"), "checkpoint.entriesProcessed: not a count"},
        {CHECKPOINT(",\"createdAt\":null"), "checkpoint.createdAt: not a count"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[800];
        struct message m;
        (void)snprintf(text, sizeof text, "{\"checkpoint\":%s,\"type\":\"resume_snapshot\"}", bad[i][0]);
        read_good(text, &m);
        cr_assert_eq(m.checkpoint_state.rc, SYNC_EBADMSG, "%s", text);
        cr_assert_str_eq(m.checkpoint_state.ec.text, bad[i][1]);
        cr_assert_eq(m.type, MESSAGE_RESUME_SNAPSHOT);
        message_deinit(&m);
    }
}
