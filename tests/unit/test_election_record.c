#include "core/election/election_record.h"

#include "core/json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* A copy with what a reader needs behind its end. */
struct padded {
    char *bytes;
    struct slice text;
};

static struct padded pad(struct slice text)
{
    struct padded p = {.bytes = calloc(1, text.len + JSON_PADDING)};
    cr_assert_not_null(p.bytes);
    if (text.len > 0) memcpy(p.bytes, text.bytes, text.len);
    p.text = slice_of(p.bytes, text.len);
    return p;
}

static enum sync_err parse_state(struct slice text, struct election_state *ret, struct err_ctx *ec)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct padded p = pad(text);
    enum sync_err rc = election_state_parse(r, p.text, ret, ec);
    free(p.bytes);
    json_reader_free(r);
    return rc;
}

static const struct election_state sample = {.epoch = 42,
                                             .hold = ELECTION_HELD,
                                             .leader_id = "gcs-default-1-a",
                                             .token = {0xfedcba9876543210, 17},
                                             .lease_ms = 15000,
                                             .renew_ms = 9577,
                                             .workers = 3,
                                             .acquired_wall_ms = 1734567890123,
                                             .renewed_wall_ms = 1734567899999};

Test(election_record, state_comes_back_as_it_was_written)
{
    for (enum election_hold h = ELECTION_HELD; h <= ELECTION_VACANT; h++) {
        struct election_state s = sample, again;
        struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
        struct err_ctx ec;
        s.hold = h;
        if (h == ELECTION_VACANT) s.leader_id[0] = '\0';
        election_state_put(&out, "default", &s);
        cr_assert_eq(buf_check(&out, &ec), SYNC_OK);
        cr_assert_eq(parse_state(buf_slice(&out), &again, &ec), SYNC_OK, "%s", ec.text);
        cr_assert_eq(again.epoch, s.epoch);
        cr_assert_eq(again.hold, h);
        cr_assert_str_eq(again.leader_id, s.leader_id);
        cr_assert(election_token_eq(again.token, s.token));
        cr_assert_eq(again.lease_ms, s.lease_ms);
        cr_assert_eq(again.renew_ms, s.renew_ms);
        cr_assert_eq(again.workers, s.workers);
        cr_assert_eq(again.acquired_wall_ms, s.acquired_wall_ms);
        cr_assert_eq(again.renewed_wall_ms, s.renewed_wall_ms);
        buf_deinit(&out);
    }
}

Test(election_record, state_reads_well_for_people)
{
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
    election_state_put(&out, "default", &sample);
    cr_assert(
        slice_is(buf_slice(&out),
                 "{ \"format\":1,\"namespace\":\"default\",\"leaderId\":\"gcs-default-1-a\",\"epoch\":42,"
                 "\"status\":\"held\",\"incarnation\":\"fedcba9876543210\",\"write\":17,"
                 "\"leaseTimeoutMs\":15000,\"renewIntervalMs\":9577,\"workerCount\":3,"
                 "\"acquiredAt\":1734567890123,\"renewedAt\":1734567899999,"
                 "\"leaseExpiresAt\":1734567914999 }\n"),
        "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_deinit(&out);
}

Test(election_record, two_writings_are_never_alike)
{
    struct buf a = buf_make(ELECTION_RECORD_BYTES_MAX), b = buf_make(ELECTION_RECORD_BYTES_MAX);
    struct election_state next = sample;
    next.token.write++;
    election_state_put(&a, "default", &sample);
    election_state_put(&b, "default", &next);
    cr_assert_not(slice_eq(buf_slice(&a), buf_slice(&b)));
    buf_deinit(&a);
    buf_deinit(&b);
}

Test(election_record, members_of_a_later_build_are_ignored_a_later_format_is_refused)
{
    static const char rest[] = "\"extra\":{\"a\":[1,2]},\"leaderId\":\"a\",\"epoch\":1,\"status\":\"held\","
                               "\"incarnation\":\"0000000000000001\",\"write\":1,\"leaseTimeoutMs\":15000,"
                               "\"renewIntervalMs\":1,\"workerCount\":1,\"acquiredAt\":1,\"renewedAt\":1}";
    char text[512];
    struct election_state s;
    struct err_ctx ec;
    (void)snprintf(text, sizeof text, "{\"format\":1,%s", rest);
    cr_assert_eq(parse_state(slice_str(text), &s, &ec), SYNC_OK, "%s", ec.text);
    (void)snprintf(text, sizeof text, "{\"format\":2,%s", rest);
    cr_assert_eq(parse_state(slice_str(text), &s, &ec), SYNC_EFORMAT);
}

/* The sample with one text replaced by another. */
static enum sync_err parse_changed(const char *from, const char *to, struct err_ctx *ec)
{
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX), changed = buf_make(ELECTION_RECORD_BYTES_MAX);
    struct election_state s;
    election_state_put(&out, "default", &sample);
    buf_put_char(&out, '\0');
    const char *at = strstr(out.bytes, from);
    cr_assert_not_null(at, "%s", from);
    buf_put(&changed, out.bytes, (size_t)(at - out.bytes));
    buf_put_str(&changed, to);
    buf_put_str(&changed, at + strlen(from));
    enum sync_err rc = parse_state(buf_slice(&changed), &s, ec);
    buf_deinit(&out);
    buf_deinit(&changed);
    return rc;
}

Test(election_record, what_is_no_state_is_refused)
{
    static const char *const changes[][2] = {
        {"\"epoch\":42", "\"epoch\":0"},
        {"\"epoch\":42", "\"epoch\":9007199254740992"},
        {"\"epoch\":42", "\"epoch\":-1"},
        {"\"epoch\":42", "\"epoch\":4.2e1"},
        {"\"epoch\":42", "\"epoch\":\"42\""},
        {"\"epoch\":42,", ""},
        {"gcs-default-1-a", "../etc"},
        {"gcs-default-1-a", ""},
        {"\"gcs-default-1-a\"", "null"},
        {"held", "owned"},
        {"held", "vacant"},
        {"\"fedcba9876543210\"", "\"fedcba987654321\""},
        {"\"fedcba9876543210\"", "\"FEDCBA9876543210\""},
        {"\"fedcba9876543210\"", "1"},
        {"\"leaseTimeoutMs\":15000", "\"leaseTimeoutMs\":0"},
        {"\"leaseTimeoutMs\":15000", "\"leaseTimeoutMs\":99999999999"},
        {"\"write\":17", "\"write\":true"},
        {"\"format\":1", "\"format\":0"},
        {"}", "} {}"},
        {"}", ""},
    };
    struct err_ctx ec;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        cr_assert_eq(parse_changed(changes[i][0], changes[i][1], &ec), SYNC_EBADMSG, "%s", changes[i][1]);
}

Test(election_record, texts_that_are_no_records_at_all_are_refused)
{
    static const char *const texts[] = {"", " ", "[]", "\"held\"", "{", "{}", "null", "test", "\xff"};
    struct election_state s;
    struct err_ctx ec;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_eq(parse_state(slice_str(texts[i]), &s, &ec), SYNC_EBADMSG, "%s", texts[i]);
    char *large = malloc(ELECTION_RECORD_BYTES_MAX + 1);
    memset(large, ' ', ELECTION_RECORD_BYTES_MAX + 1);
    cr_assert_eq(parse_state(slice_of(large, ELECTION_RECORD_BYTES_MAX + 1), &s, &ec), SYNC_ELIMIT);
    free(large);
}

Test(election_record, an_epoch_comes_back_as_it_was_written)
{
    struct election_epoch e = {.epoch = ELECTION_EPOCH_MAX,
                               .worker_id = "b",
                               .token = {1, 0},
                               .lease_ms = 15000,
                               .created_wall_ms = 1734567890123},
                          again;
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx ec;
    election_epoch_put(&out, &e);
    struct padded p = pad(buf_slice(&out));
    cr_assert_eq(election_epoch_parse(r, p.text, &again, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(again.epoch, e.epoch);
    cr_assert_str_eq(again.worker_id, "b");
    cr_assert(election_token_eq(again.token, e.token));
    cr_assert_eq(again.lease_ms, 15000);
    cr_assert_eq(again.created_wall_ms, e.created_wall_ms);
    free(p.bytes);
    buf_deinit(&out);
    json_reader_free(r);
}

Test(election_record, a_worker_comes_back_with_texts_that_need_escapes)
{
    struct election_worker_record w = {.worker_id = "b",
                                       .token = {0xffffffffffffffff, 3},
                                       .registered_wall_ms = 5,
                                       .heartbeat_wall_ms = 6,
                                       .url = "http://[::1]:3000/sync?a=\"\\\n",
                                       .host = "h\xc3\xb6st",
                                       .version = "1.0.0"},
                                  again;
    struct buf out = buf_make(ELECTION_RECORD_BYTES_MAX);
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct err_ctx ec;
    election_worker_record_put(&out, &w);
    struct padded p = pad(buf_slice(&out));
    cr_assert_eq(election_worker_record_parse(r, p.text, &again, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_str_eq(again.worker_id, w.worker_id);
    cr_assert(election_token_eq(again.token, w.token));
    cr_assert_str_eq(again.url, w.url);
    cr_assert_str_eq(again.host, w.host);
    cr_assert_str_eq(again.version, w.version);
    cr_assert_eq(again.registered_wall_ms, 5);
    cr_assert_eq(again.heartbeat_wall_ms, 6);
    free(p.bytes);
    buf_deinit(&out);
    json_reader_free(r);
}

Test(election_record, a_workers_texts_have_their_limits)
{
    char text[1024], host[400];
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct election_worker_record w;
    struct err_ctx ec;
    for (size_t len = ELECTION_HOST_MAX; len <= ELECTION_HOST_MAX + 1; len++) {
        memset(host, 'h', len);
        host[len] = '\0';
        (void)snprintf(
            text, sizeof text,
            "{\"format\":1,\"workerId\":\"a\",\"incarnation\":\"0000000000000001\",\"write\":1,"
            "\"registeredAt\":1,\"lastHeartbeat\":1,\"url\":\"\",\"host\":\"%s\",\"version\":\"\"}",
            host);
        struct padded p = pad(slice_str(text));
        enum sync_err expected = len <= ELECTION_HOST_MAX ? SYNC_OK : SYNC_EBADMSG;
        cr_assert_eq(election_worker_record_parse(r, p.text, &w, &ec), expected, "%zu", len);
        free(p.bytes);
    }
    json_reader_free(r);
}

Test(election_record, metadata_names_the_tasks)
{
    static const char *const tasks[] = {"retention", "snap\"shots"};
    struct election_metadata m = {.namespace_name = "default",
                                  .version = "1.0.0",
                                  .updated_by = "a",
                                  .epoch = 3,
                                  .updated_wall_ms = 9,
                                  .tasks = tasks,
                                  .task_count = 2};
    struct buf out = buf_make(METADATA_BYTES_MAX);
    election_metadata_put(&out, &m);
    cr_assert(slice_is(buf_slice(&out),
                       "{ \"format\":1,\"service\":\"sync-coordinator\",\"namespace\":\"default\","
                       "\"version\":\"1.0.0\",\"epoch\":3,\"updatedBy\":\"a\",\"updatedAt\":9,"
                       "\"tasks\":[\"retention\",\"snap\\\"shots\"] }\n"),
              "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_deinit(&out);
}
