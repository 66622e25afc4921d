#include "storage/objects/fenced.h"

#include "core/election/fence.h"
#include "core/json/json.h"

#include <assert.h>
#include <inttypes.h>

enum { TRIES_MAX = 8 };

static bool read_u64(struct slice digits, uint64_t *ret)
{
    uint64_t n = 0;
    if (digits.len == 0 || digits.len > 19) return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') return false;
        n = n * 10 + (uint64_t)(digits.bytes[i] - '0');
    }
    *ret = n;
    return n > 0;
}

/* `bytes` have JSON_PADDING behind them. */
static enum sync_err parse(struct slice bytes, struct fenced_value *ret, struct err_ctx *ec)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct json_value top, v;
    struct slice key;
    bool has_value = false;
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to read JSON");
    *ret = (struct fenced_value){0};
    top = json_open(r, bytes.bytes, bytes.len);
    if (json_type(&top) == JSON_OBJECT) {
        struct json_walk w = json_members(&top);
        while (json_next_member(&w, &key, &v)) {
            struct json_raw raw = json_take(&v);
            if (slice_is(key, "epoch") && !(raw.type == JSON_NUMBER && read_u64(raw.text, &ret->epoch)))
                ret->epoch = 0;
            if (!slice_is(key, "value")) continue;
            ret->value = raw.text;
            has_value = true;
        }
    }
    enum sync_err rc = json_close(r, ec);
    json_reader_free(r);
    if (rc == SYNC_OK && (!has_value || ret->epoch == 0))
        rc = err_set(ec, SYNC_EBADMSG, "\"epoch\" or \"value\" is missing");
    return rc;
}

/* *ret_version is of what was read; the object's epoch is 0 when there is none. */
static enum sync_err read_with_version(struct object_store *s, const struct object_call *call,
                                       struct slice key, struct buf *bytes, struct fenced_value *ret,
                                       struct object_version *ret_version, struct err_ctx *ec)
{
    struct object_info info;
    *ret = (struct fenced_value){0};
    buf_clear(bytes);
    enum sync_err rc = object_get_buf(s, call, key, NULL, bytes, &info, ec);
    if (rc == SYNC_ENOTFOUND) return SYNC_OK;
    if (rc != SYNC_OK) return rc;
    if (!buf_reserve(bytes, JSON_PADDING)) return buf_check(bytes, ec);
    memset(bytes->bytes + bytes->len, 0, JSON_PADDING);
    rc = parse(buf_slice(bytes), ret, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "%.*s is not an object that leaders write", SLICE_ARG(key));
        return rc;
    }
    *ret_version = info.version;
    return SYNC_OK;
}

enum sync_err fenced_read(struct object_store *s, const struct object_call *call, struct slice key,
                          struct buf *bytes, struct fenced_value *ret, struct err_ctx *ec)
{
    struct object_version ignored;
    return read_with_version(s, call, key, bytes, ret, &ignored, ec);
}

/* One try against what is known to be there. */
static enum sync_err put_over(struct object_store *s, const struct object_call *call, struct slice key,
                              struct slice body, const struct fenced_memory *known, enum object_outcome *ret,
                              struct object_version *ret_version, struct err_ctx *ec)
{
    if (known->epoch == 0) return object_put_if_absent(s, call, key, body, ret, ret_version, ec);
    return object_put_if_match(s, call, key, body, &known->version, ret, ret_version, ec);
}

static enum sync_err write_body(struct object_store *s, const struct object_call *call, struct slice key,
                                uint64_t epoch, struct slice body, struct fenced_memory *known,
                                enum fenced_outcome *ret, struct buf *there, struct err_ctx *ec)
{
    bool remembered = known->epoch == epoch;
    for (int try = 0; try < TRIES_MAX; try++) {
        if (!remembered) {
            struct fenced_value found;
            enum sync_err rc = read_with_version(s, call, key, there, &found, &known->version, ec);
            if (rc != SYNC_OK) return rc;
            known->epoch = found.epoch;
            *ret = FENCED_OLD;
            if (!fence_admits(found.epoch, epoch)) return SYNC_OK;
            *ret = FENCED_WRITTEN;
            /* An earlier try that nobody answered has landed. */
            if (try > 0 && slice_eq(buf_slice(there), body)) return SYNC_OK;
        }
        enum object_outcome outcome;
        struct object_version version;
        enum sync_err rc = put_over(s, call, key, body, known, &outcome, &version, ec);
        if (rc != SYNC_OK) return rc;
        if (outcome == OBJECT_OK) {
            *known = (struct fenced_memory){.version = version, .epoch = epoch};
            *ret = FENCED_WRITTEN;
            return SYNC_OK;
        }
        remembered = false; /* lost: somebody wrote; unknown: perhaps it was this one */
    }
    return err_set(ec, SYNC_EBUSY, "%.*s: it changed whenever it was to be written", SLICE_ARG(key));
}

enum sync_err fenced_write(struct object_store *s, const struct object_call *call, struct slice key,
                           uint64_t epoch, const char *by, struct slice value, struct fenced_memory *memory,
                           enum fenced_outcome *ret, struct err_ctx *ec)
{
    struct buf body = buf_make(FENCED_BYTES_MAX), there = buf_make(FENCED_BYTES_MAX + JSON_PADDING);
    struct fenced_memory known = memory != NULL ? *memory : (struct fenced_memory){0};
    assert(epoch > 0);
    buf_printf(&body, "{\"epoch\":%" PRIu64 ",\"by\":\"%s\",\"value\":", epoch, by);
    buf_put_slice(&body, value);
    BUF_PUT_LIT(&body, "}\n");
    enum sync_err rc = buf_check(&body, ec);
    if (rc == SYNC_OK) rc = write_body(s, call, key, epoch, buf_slice(&body), &known, ret, &there, ec);
    if (memory != NULL) *memory = rc == SYNC_OK && *ret == FENCED_WRITTEN ? known : (struct fenced_memory){0};
    buf_deinit(&body);
    buf_deinit(&there);
    return rc;
}
