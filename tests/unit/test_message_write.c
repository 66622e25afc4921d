/* What the server says, read back as JSON. */
#include "core/protocol/message.h"

#include "tests/unit/change_set_texts.h"
#include "tests/unit/json_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct said {
    char keys[10][20], values[10][300];
    size_t count;
};

static void read_back(struct buf *out, struct said *ret)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx ec = {""};
    cr_assert_eq(out->failed, SYNC_OK);
    char *bytes = json_padded(out->bytes, out->len);
    struct json_value root = json_open(r, bytes, out->len), value;
    struct slice key;
    cr_assert_eq(json_type(&root), JSON_OBJECT);
    struct json_walk w = json_members(&root);
    ret->count = 0;
    while (json_next_member(&w, &key, &value)) {
        cr_assert_lt(ret->count, 10u);
        struct slice text = json_take(&value).text;
        (void)snprintf(ret->keys[ret->count], sizeof ret->keys[0], "%.*s", SLICE_ARG(key));
        (void)snprintf(ret->values[ret->count], sizeof ret->values[0], "%.*s", SLICE_ARG(text));
        ret->count++;
    }
    cr_assert_eq(json_close(r, &ec), SYNC_OK, "%.*s: %s", SLICE_ARG(buf_slice(out)), ec.text);
    json_reader_free(r);
    free(bytes);
    buf_deinit(out);
}

static void assert_said(const struct said *s, const char *key, const char *value)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->keys[i], key) != 0) continue;
        cr_assert_str_eq(s->values[i], value, "%s", key);
        return;
    }
    cr_assert(value == NULL, "%s is missing", key);
}

Test(message_write, answers_are_json_with_the_members_of_the_protocol)
{
    struct err_ctx ec;
    struct site_id site;
    struct hlc since;
    struct said said;
    struct buf out = buf_make(10000);
    const struct merge_result result = {.applied = 4, .skipped = 3, .conflicts = 2, .transactions = 1};
    cr_assert_eq(site_id_parse(slice_str(SITE_A), &site, &ec), SYNC_OK);
    cr_assert_eq(hlc_parse(slice_str(HLC_A1), &since, &ec), SYNC_OK);

    message_put_handshake_ack(&out, slice_str("a:b"), &site, "c-1");
    read_back(&out, &said);
    assert_said(&said, "type", "\"handshake_ack\"");
    assert_said(&said, "databaseId", "\"a:b\"");
    assert_said(&said, "serverSiteId", "\"" SITE_A "\"");
    assert_said(&said, "connectionId", "\"c-1\"");
    assert_said(&said, "protocolVersion", "1");
    cr_assert_eq(said.count, 5);

    message_put_request_changes(&out, &site, NULL);
    read_back(&out, &said);
    assert_said(&said, "type", "\"request_changes\"");
    assert_said(&said, "siteId", "\"" SITE_A "\"");
    cr_assert_eq(said.count, 2);

    message_put_request_changes(&out, &site, &since);
    read_back(&out, &said);
    assert_said(&said, "sinceHLC", "\"" HLC_A1 "\"");
    cr_assert_eq(said.count, 3);

    message_put_apply_result(&out, slice_of(NULL, 0), &result, slice_of(NULL, 0));
    read_back(&out, &said);
    assert_said(&said, "type", "\"apply_result\"");
    assert_said(&said, "applied", "4");
    assert_said(&said, "skipped", "3");
    assert_said(&said, "conflicts", "2");
    assert_said(&said, "transactions", "1");
    cr_assert_eq(said.count, 5, "no requestId where none was sent");

    message_put_apply_result(&out, slice_str("\"\\ud800\""), &result, slice_of(NULL, 0));
    read_back(&out, &said);
    assert_said(&said, "requestId", "\"\\ud800\"");

    message_put_apply_result(&out, slice_of(NULL, 0), &result, slice_str("[{\"reason\":\"no\"}]"));
    read_back(&out, &said);
    assert_said(&said, "transactions", "1");
    assert_said(&said, "rejected", "[{\"reason\":\"no\"}]");
    cr_assert_eq(said.count, 6);

    message_put_error(&out, "AUTH_FAILED", "say \"\\\x01\xff\"\n", true);
    read_back(&out, &said);
    assert_said(&said, "type", "\"error\"");
    assert_said(&said, "code", "\"AUTH_FAILED\"");
    assert_said(&said, "message", "\"say \\\"\\\\\\u0001\xef\xbf\xbd\\\"\\n\"");
    assert_said(&said, "fatal", "true");
    cr_assert_eq(said.count, 4);

    message_put_error(&out, "X", "", false);
    read_back(&out, &said);
    assert_said(&said, "fatal", "false");

    message_put_pong(&out);
    read_back(&out, &said);
    assert_said(&said, "type", "\"pong\"");
    cr_assert_eq(said.count, 1);

    message_put_snapshot_complete(&out);
    read_back(&out, &said);
    assert_said(&said, "type", "\"snapshot_complete\"");

    BUF_PUT_LIT(&out, MESSAGE_CHANGES_HEAD MESSAGE_SETS_TAIL);
    read_back(&out, &said);
    assert_said(&said, "type", "\"changes\"");
    assert_said(&said, "changeSets", "[]");

    BUF_PUT_LIT(&out, MESSAGE_PUSH_HEAD MESSAGE_SETS_TAIL);
    read_back(&out, &said);
    assert_said(&said, "type", "\"push_changes\"");

    BUF_PUT_LIT(&out, MESSAGE_CHUNK_HEAD "{}" MESSAGE_CHUNK_TAIL);
    read_back(&out, &said);
    assert_said(&said, "type", "\"snapshot_chunk\"");
    assert_said(&said, "chunk", "{}");
    buf_deinit(&out);
}
