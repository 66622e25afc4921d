#include "core/election/election_record.h"

#include "core/election/election_config.h"
#include "core/json/json.h"
#include "core/json/json_text.h"

#include <assert.h>
#include <inttypes.h>

const char *election_hold_name(enum election_hold h)
{
    switch (h) {
    case ELECTION_HELD: return "held";
    case ELECTION_RELEASED: return "released";
    case ELECTION_VACANT: return "vacant";
    }
    return NULL;
}

/* --- writing --- */

static void put_key(struct buf *out, const char *key)
{
    buf_put_char(out, out->len > 0 && out->bytes[out->len - 1] != '{' ? ',' : ' ');
    buf_printf(out, "\"%s\":", key);
}

static void put_number(struct buf *out, const char *key, uint64_t n)
{
    put_key(out, key);
    buf_put_u64(out, n);
}

static void put_string(struct buf *out, const char *key, const char *text)
{
    put_key(out, key);
    json_put_text(out, slice_str(text));
}

/* 64 bits do not fit a JSON number that every reader holds exactly, so the incarnation travels as text. */
static void put_token(struct buf *out, struct election_token t)
{
    put_key(out, "incarnation");
    buf_printf(out, "\"%016" PRIx64 "\"", t.incarnation);
    put_number(out, "write", t.write);
}

static void put_start(struct buf *out)
{
    buf_put_char(out, '{');
    put_number(out, "format", ELECTION_FORMAT);
}

static void put_end(struct buf *out)
{
    BUF_PUT_LIT(out, " }\n");
}

void election_state_put(struct buf *out, const char *namespace_name, const struct election_state *s)
{
    assert(s->epoch > 0 || s->hold == ELECTION_VACANT);
    assert(s->epoch <= ELECTION_EPOCH_MAX);
    put_start(out);
    put_string(out, "namespace", namespace_name);
    if (s->hold == ELECTION_VACANT) {
        put_key(out, "leaderId");
        BUF_PUT_LIT(out, "null");
    } else {
        put_string(out, "leaderId", s->leader_id);
    }
    put_number(out, "epoch", s->epoch);
    put_string(out, "status", election_hold_name(s->hold));
    put_token(out, s->token);
    put_number(out, "leaseTimeoutMs", s->lease_ms);
    put_number(out, "renewIntervalMs", s->renew_ms);
    put_number(out, "workerCount", s->workers);
    put_number(out, "acquiredAt", s->acquired_wall_ms);
    put_number(out, "renewedAt", s->renewed_wall_ms);
    put_number(out, "leaseExpiresAt", s->renewed_wall_ms + (s->hold == ELECTION_RELEASED ? 0 : s->lease_ms));
    put_end(out);
}

void election_epoch_put(struct buf *out, const struct election_epoch *e)
{
    assert(e->epoch > 0 && e->epoch <= ELECTION_EPOCH_MAX);
    put_start(out);
    put_number(out, "epoch", e->epoch);
    put_string(out, "workerId", e->worker_id);
    put_token(out, e->token);
    put_number(out, "leaseTimeoutMs", e->lease_ms);
    put_number(out, "createdAt", e->created_wall_ms);
    put_end(out);
}

void election_worker_record_put(struct buf *out, const struct election_worker_record *w)
{
    put_start(out);
    put_string(out, "workerId", w->worker_id);
    put_token(out, w->token);
    put_number(out, "registeredAt", w->registered_wall_ms);
    put_number(out, "lastHeartbeat", w->heartbeat_wall_ms);
    put_string(out, "url", w->url);
    put_string(out, "host", w->host);
    put_string(out, "version", w->version);
    put_end(out);
}

void election_metadata_put(struct buf *out, const struct election_metadata *m)
{
    put_start(out);
    put_string(out, "service", "sync-coordinator");
    put_string(out, "namespace", m->namespace_name);
    put_string(out, "version", m->version);
    put_number(out, "epoch", m->epoch);
    put_string(out, "updatedBy", m->updated_by);
    put_number(out, "updatedAt", m->updated_wall_ms);
    put_key(out, "tasks");
    buf_put_char(out, '[');
    for (size_t i = 0; i < m->task_count; i++) {
        if (i > 0) buf_put_char(out, ',');
        json_put_text(out, slice_str(m->tasks[i]));
    }
    buf_put_char(out, ']');
    put_end(out);
}

/* --- reading --- */

/* One record while it is read: which members came, and the first that was wrong. */
struct reading {
    const char *what; /* "state", for the error's text */
    const char *bad;  /* the member that was wrong, or NULL */
    uint64_t format;
    uint32_t seen; /* a bit for each member taken */
};

static bool digits_to_u64(struct slice text, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len == 0 || text.len > 20) return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.bytes[i] - '0');
        if (digit > 9 || n > (max - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return true;
}

static bool hex_to_u64(struct slice text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len != 16) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return false;
        n = n << 4 | (uint64_t)digit;
    }
    *ret = n;
    return true;
}

static void note(struct reading *rd, const char *key, bool ok, unsigned bit)
{
    if (!ok && rd->bad == NULL) rd->bad = key;
    if (ok) rd->seen |= 1U << bit;
}

/* Each take_* looks whether the member is the one it is for; true when it was, right or wrong. */
static bool take_u64(struct reading *rd, struct slice key, const struct json_value *v, const char *name,
                     unsigned bit, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (!slice_is(key, name)) return false;
    uint64_t n = 0;
    struct json_raw raw = json_take(v);
    bool ok = raw.type == JSON_NUMBER && digits_to_u64(raw.text, max, &n) && n >= min;
    note(rd, name, ok, bit);
    if (ok) *ret = n;
    return true;
}

static bool take_u32(struct reading *rd, struct slice key, const struct json_value *v, const char *name,
                     unsigned bit, uint64_t min, uint64_t max, uint32_t *ret)
{
    uint64_t n = *ret;
    assert(max <= UINT32_MAX);
    if (!take_u64(rd, key, v, name, bit, min, max, &n)) return false;
    *ret = (uint32_t)n;
    return true;
}

/* Text without escapes, under worker_id_ok()'s rule. */
static bool take_id(struct reading *rd, struct slice key, const struct json_value *v, const char *name,
                    unsigned bit, char ret[WORKER_ID_MAX + 1])
{
    if (!slice_is(key, name)) return false;
    struct slice text;
    bool ok = json_take_string(v, &text) && worker_id_ok(text);
    note(rd, name, ok, bit);
    if (ok) {
        memcpy(ret, text.bytes, text.len);
        ret[text.len] = '\0';
    }
    return true;
}

/* Any text of at most bytes_max bytes, its escapes resolved, without a zero in it. */
static bool take_text(struct reading *rd, struct slice key, const struct json_value *v, const char *name,
                      unsigned bit, size_t bytes_max, char *ret)
{
    if (!slice_is(key, name)) return false;
    struct slice text;
    struct buf plain = buf_make(bytes_max);
    bool ok = json_take_string(v, &text) && json_text_check(text, NULL);
    if (ok) json_text_resolve(text, &plain);
    ok = ok && plain.failed == SYNC_OK && (plain.len == 0 || memchr(plain.bytes, 0, plain.len) == NULL);
    note(rd, name, ok, bit);
    if (ok) {
        if (plain.len > 0) memcpy(ret, plain.bytes, plain.len);
        ret[plain.len] = '\0';
    }
    buf_deinit(&plain);
    return true;
}

enum { BIT_FORMAT, BIT_INCARNATION, BIT_WRITE, BIT_OWN }; /* BIT_OWN: first bit of a record's own members */

static bool take_common(struct reading *rd, struct slice key, const struct json_value *v,
                        struct election_token *ret)
{
    if (take_u64(rd, key, v, "format", BIT_FORMAT, 1, ELECTION_EPOCH_MAX, &rd->format)) return true;
    if (take_u64(rd, key, v, "write", BIT_WRITE, 0, ELECTION_EPOCH_MAX, &ret->write)) return true;
    if (!slice_is(key, "incarnation")) return false;
    struct slice text;
    note(rd, "incarnation", json_take_string(v, &text) && hex_to_u64(text, &ret->incarnation),
         BIT_INCARNATION);
    return true;
}

/* The end of every record: was it JSON, of a known format, complete, and right? */
static enum sync_err finish(const struct reading *rd, struct json_reader *r, unsigned bits,
                            struct err_ctx *ec)
{
    enum sync_err rc = json_close(r, ec);
    if (rc != SYNC_OK) {
        err_wrap(ec, "%s record", rd->what);
        return rc;
    }
    if (rd->format > ELECTION_FORMAT)
        return err_set(ec, SYNC_EFORMAT, "%s record: format %" PRIu64 ", this build reads up to %d", rd->what,
                       rd->format, ELECTION_FORMAT);
    if (rd->bad != NULL)
        return err_set(ec, SYNC_EBADMSG, "%s record: \"%s\" is not what it should be", rd->what, rd->bad);
    if (rd->seen != (1U << bits) - 1)
        return err_set(ec, SYNC_EBADMSG, "%s record: a member is missing", rd->what);
    return SYNC_OK;
}

static enum sync_err start(struct json_reader *r, struct slice text, const struct reading *rd,
                           struct json_value *ret, struct err_ctx *ec)
{
    if (text.len > ELECTION_RECORD_BYTES_MAX)
        return err_set(ec, SYNC_ELIMIT, "%s record: %zu bytes, at most %d are read", rd->what, text.len,
                       ELECTION_RECORD_BYTES_MAX);
    *ret = json_open(r, text.bytes, text.len);
    if (json_type(ret) == JSON_OBJECT) return SYNC_OK;
    enum sync_err rc = json_close(r, ec);
    if (rc == SYNC_OK) return err_set(ec, SYNC_EBADMSG, "%s record: not an object", rd->what);
    err_wrap(ec, "%s record", rd->what);
    return rc;
}

static bool take_hold(struct reading *rd, struct slice key, const struct json_value *v, unsigned bit,
                      enum election_hold *ret)
{
    if (!slice_is(key, "status")) return false;
    struct slice text = {0};
    bool known = false;
    if (json_take_string(v, &text)) {
        for (enum election_hold h = ELECTION_HELD; h <= ELECTION_VACANT && !known; h++) {
            known = slice_is(text, election_hold_name(h));
            if (known) *ret = h;
        }
    }
    note(rd, "status", known, bit);
    return true;
}

enum sync_err election_state_parse(struct json_reader *r, struct slice text, struct election_state *ret,
                                   struct err_ctx *ec)
{
    struct reading rd = {.what = "state"};
    struct json_value top, v;
    struct slice key;
    *ret = (struct election_state){0};
    enum sync_err rc = start(r, text, &rd, &top, ec);
    if (rc != SYNC_OK) return rc;
    struct json_walk w = json_members(&top);
    while (json_next_member(&w, &key, &v)) {
        if (take_common(&rd, key, &v, &ret->token)) continue;
        if (take_u64(&rd, key, &v, "epoch", BIT_OWN, 0, ELECTION_EPOCH_MAX, &ret->epoch)) continue;
        if (take_hold(&rd, key, &v, BIT_OWN + 1, &ret->hold)) continue;
        if (slice_is(key, "leaderId") && json_type(&v) == JSON_NULL) {
            note(&rd, "leaderId", true, BIT_OWN + 2);
            continue;
        }
        if (take_id(&rd, key, &v, "leaderId", BIT_OWN + 2, ret->leader_id)) continue;
        if (take_u32(&rd, key, &v, "leaseTimeoutMs", BIT_OWN + 3, ELECTION_LEASE_MS_MIN, ELECTION_TIME_MS_MAX,
                     &ret->lease_ms))
            continue;
        if (take_u32(&rd, key, &v, "renewIntervalMs", BIT_OWN + 4, 1, ELECTION_TIME_MS_MAX, &ret->renew_ms))
            continue;
        if (take_u32(&rd, key, &v, "workerCount", BIT_OWN + 5, 0, UINT32_MAX, &ret->workers)) continue;
        if (take_u64(&rd, key, &v, "acquiredAt", BIT_OWN + 6, 0, ELECTION_EPOCH_MAX, &ret->acquired_wall_ms))
            continue;
        (void)take_u64(&rd, key, &v, "renewedAt", BIT_OWN + 7, 0, ELECTION_EPOCH_MAX, &ret->renewed_wall_ms);
    }
    rc = finish(&rd, r, BIT_OWN + 8, ec);
    if (rc != SYNC_OK) return rc;
    bool vacant = ret->hold == ELECTION_VACANT;
    if (vacant != (ret->leader_id[0] == '\0') || (!vacant && ret->epoch == 0))
        return err_set(ec, SYNC_EBADMSG, "state record: \"leaderId\", \"epoch\" and \"status\" do not agree");
    return SYNC_OK;
}

enum sync_err election_epoch_parse(struct json_reader *r, struct slice text, struct election_epoch *ret,
                                   struct err_ctx *ec)
{
    struct reading rd = {.what = "epoch"};
    struct json_value top, v;
    struct slice key;
    *ret = (struct election_epoch){0};
    enum sync_err rc = start(r, text, &rd, &top, ec);
    if (rc != SYNC_OK) return rc;
    struct json_walk w = json_members(&top);
    while (json_next_member(&w, &key, &v)) {
        if (take_common(&rd, key, &v, &ret->token)) continue;
        if (take_u64(&rd, key, &v, "epoch", BIT_OWN, 1, ELECTION_EPOCH_MAX, &ret->epoch)) continue;
        if (take_id(&rd, key, &v, "workerId", BIT_OWN + 1, ret->worker_id)) continue;
        if (take_u32(&rd, key, &v, "leaseTimeoutMs", BIT_OWN + 2, ELECTION_LEASE_MS_MIN, ELECTION_TIME_MS_MAX,
                     &ret->lease_ms))
            continue;
        (void)take_u64(&rd, key, &v, "createdAt", BIT_OWN + 3, 0, ELECTION_EPOCH_MAX, &ret->created_wall_ms);
    }
    return finish(&rd, r, BIT_OWN + 4, ec);
}

enum sync_err election_worker_record_parse(struct json_reader *r, struct slice text,
                                           struct election_worker_record *ret, struct err_ctx *ec)
{
    struct reading rd = {.what = "worker"};
    struct json_value top, v;
    struct slice key;
    *ret = (struct election_worker_record){0};
    enum sync_err rc = start(r, text, &rd, &top, ec);
    if (rc != SYNC_OK) return rc;
    struct json_walk w = json_members(&top);
    while (json_next_member(&w, &key, &v)) {
        if (take_common(&rd, key, &v, &ret->token)) continue;
        if (take_id(&rd, key, &v, "workerId", BIT_OWN, ret->worker_id)) continue;
        if (take_u64(&rd, key, &v, "registeredAt", BIT_OWN + 1, 0, ELECTION_EPOCH_MAX,
                     &ret->registered_wall_ms))
            continue;
        if (take_u64(&rd, key, &v, "lastHeartbeat", BIT_OWN + 2, 0, ELECTION_EPOCH_MAX,
                     &ret->heartbeat_wall_ms))
            continue;
        if (take_text(&rd, key, &v, "url", BIT_OWN + 3, ELECTION_URL_MAX, ret->url)) continue;
        if (take_text(&rd, key, &v, "host", BIT_OWN + 4, ELECTION_HOST_MAX, ret->host)) continue;
        (void)take_text(&rd, key, &v, "version", BIT_OWN + 5, ELECTION_VERSION_MAX, ret->version);
    }
    return finish(&rd, r, BIT_OWN + 6, ec);
}
