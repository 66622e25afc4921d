/* The JSON reader when memory is short: its own, and the arrays that simdjson makes to read a text, each of
 * which fails once. This program's `new (std::nothrow)` takes the place of the standard library's in simdjson
 * too.
 *
 * One of simdjson's arrays is for resolving strings, which json.h does without: whoever reads may succeed all
 * the same, but nobody may crash, and a reader must serve the next text. */
#include "core/election/election_record.h"
#include "core/json/json.h"
#include "core/protocol/message.h"

#include "config_input.h"
#include "json_fixture.h"

#include <criterion/criterion.h>
#include <dlfcn.h>

enum { FAILURES_MAX = 100 };

static int fail_at; /* counts down; the allocation that finds 1 fails */
static bool has_failed;

typedef void *new_fn(size_t len, const void *tag);
void *_ZnwmRKSt9nothrow_t(size_t len, const void *tag); /* of one */
void *_ZnamRKSt9nothrow_t(size_t len, const void *tag); /* of arrays */

static void *next_new(const char *name, size_t len, const void *tag)
{
    union {
        void *symbol;
        new_fn *call;
    } next;
    if (fail_at > 0 && --fail_at == 0) {
        has_failed = true;
        return NULL;
    }
    next.symbol = dlsym(RTLD_NEXT, name);
    return next.call(len, tag);
}

void *_ZnwmRKSt9nothrow_t(size_t len, const void *tag)
{
    return next_new("_ZnwmRKSt9nothrow_t", len, tag);
}

void *_ZnamRKSt9nothrow_t(size_t len, const void *tag)
{
    return next_new("_ZnamRKSt9nothrow_t", len, tag);
}

/* Runs `job` with each of them failing; some failure must be told. */
static void fail_each(enum sync_err (*job)(struct json_reader *r, struct err_ctx *ec))
{
    int told = 0, at = 1;
    for (has_failed = true; has_failed && at < FAILURES_MAX; at++) {
        struct err_ctx ec = {""};
        struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
        fail_at = at;
        has_failed = false;
        enum sync_err rc = job(r, &ec);
        fail_at = 0;
        cr_assert(rc == SYNC_OK || (has_failed && rc == SYNC_ENOMEM), "allocation %d: %d %s", at, rc,
                  ec.text);
        if (rc == SYNC_ENOMEM) cr_assert_neq(ec.text[0], '\0');
        told += rc == SYNC_ENOMEM;
        cr_assert_eq(job(r, &ec), SYNC_OK, "the reader is of no use after allocation %d: %s", at, ec.text);
        json_reader_free(r);
    }
    cr_assert_gt(told, 0);
    cr_assert_lt(at, FAILURES_MAX);
}

Test(json_nomem, no_reader_is_made)
{
    fail_at = 1;
    cr_assert_null(json_reader_new(JSON_DEPTH_DEFAULT));
    cr_assert(has_failed);
}

static enum sync_err read_array(struct json_reader *r, struct err_ctx *ec)
{
    static const char text[] = "[{\"\\u0061\":\"b\"},[1,null]]";
    char *bytes = json_padded(text, strlen(text));
    struct json_value root = json_open(r, bytes, strlen(text));
    struct json_raw raw = json_take(&root);
    enum sync_err rc = json_close(r, ec);
    cr_assert_eq(raw.type, rc == SYNC_OK ? JSON_ARRAY : JSON_INVALID);
    free(bytes);
    return rc;
}

Test(json_nomem, a_text)
{
    fail_each(read_array);
}

/* Longer than what a reader keeps memory for: it grows for the text, and lets go of it afterwards. */
static enum sync_err read_long_text(struct json_reader *r, struct err_ctx *ec)
{
    static char text[JSON_KEEP_BYTES + 4];
    memset(text, 'x', sizeof text);
    memcpy(text, "[\"", 2);
    memcpy(text + sizeof text - 2, "\"]", 2);
    char *bytes = json_padded(text, sizeof text);
    struct json_value root = json_open(r, bytes, sizeof text);
    (void)json_take(&root);
    enum sync_err rc = json_close(r, ec);
    free(bytes);
    return rc == SYNC_OK ? read_array(r, ec) : rc;
}

Test(json_nomem, a_long_text)
{
    fail_each(read_long_text);
}

static enum sync_err read_message(struct json_reader *r, struct err_ctx *ec)
{
    static const char text[] = "{\"type\":\"apply_changes\",\"changes\":[],\"requestId\":\"\\u0041\"}";
    struct message m;
    enum sync_err rc = message_read(r, json_padded(text, strlen(text)), strlen(text), &m, ec);
    message_deinit(&m);
    return rc;
}

Test(json_nomem, a_message)
{
    fail_each(read_message);
}

static enum sync_err read_epoch(struct json_reader *r, struct err_ctx *ec)
{
    struct buf b = buf_make(ELECTION_RECORD_BYTES_MAX);
    struct election_epoch epoch = {.epoch = 7, .worker_id = "worker-1", .lease_ms = 30000}, got;
    election_epoch_put(&b, &epoch);
    char *bytes = json_padded(b.bytes, b.len);
    enum sync_err rc = election_epoch_parse(r, slice_of(bytes, b.len), &got, ec);
    free(bytes);
    buf_deinit(&b);
    return rc;
}

Test(json_nomem, a_record_of_the_election)
{
    fail_each(read_epoch);
}

/* It has a reader of its own, so this one waits for nothing. */
static enum sync_err load_configuration(struct json_reader *r, struct err_ctx *ec)
{
    struct loaded_config c;
    enum sync_err rc =
        load(STRINGS(), STRINGS(),
             FILES({"sync-coordinator.json", "{\"host\": \"h\", \"hooks\": [{\"path\": \"a\"}]}"}), &c, ec);
    (void)r;
    if (rc != SYNC_OK) return rc;
    cr_assert_eq(c.config.hooks.chain.count, 1);
    config_unload(&c);
    return SYNC_OK;
}

Test(json_nomem, a_configuration_file)
{
    fail_each(load_configuration);
}
