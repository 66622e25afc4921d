#include "storage/objects/object_store.h"

#include "storage/objects/object_impl.h"
#include "storage/objects/object_key.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_now_ms(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t clock_now_us(void)
{
    struct timespec ts;
    int rc = clock_gettime(CLOCK_MONOTONIC, &ts);
    assert(rc == 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t object_clock_ms(void)
{
    return clock_now_ms(CLOCK_MONOTONIC);
}

uint64_t object_wall_ms(void)
{
    return clock_now_ms(CLOCK_REALTIME);
}

/* ---- one call */

/* A call between its begin() and end(). */
struct running {
    struct object_store *store;
    enum object_op op;
    uint64_t begin_us;
    struct object_ctx ctx;
};

static struct running begin(struct object_store *s, enum object_op op, const struct object_call *call)
{
    uint64_t timeout_ms =
        call == NULL || call->timeout_ms == 0 ? OBJECT_TIMEOUT_DEFAULT_MS : call->timeout_ms;
    struct running r = {.store = s, .op = op, .begin_us = clock_now_us()};
    r.ctx.deadline_ms = r.begin_us / 1000 + timeout_ms;
    r.ctx.cancel = call == NULL ? NULL : call->cancel;
    return r;
}

static enum sync_err end_with(struct running *r, enum sync_err rc, enum object_outcome outcome)
{
    const struct object_observer *o = &r->store->observer;
    if (o->ended == NULL) return rc;
    struct object_event ev = {.op = r->op,
                              .rc = rc,
                              .outcome = outcome,
                              .requests = r->ctx.requests,
                              .retries = r->ctx.retries,
                              .sent_bytes = r->ctx.sent_bytes,
                              .received_bytes = r->ctx.received_bytes,
                              .latency_us = clock_now_us() - r->begin_us,
                              .cost_nano_usd = r->ctx.cost_nano_usd};
    o->ended(o->arg, &ev);
    return rc;
}

static enum sync_err end(struct running *r, enum sync_err rc)
{
    return end_with(r, rc, OBJECT_OK);
}

enum sync_err object_ctx_check(const struct object_ctx *ctx, struct err_ctx *ec)
{
    if (ctx->cancel != NULL && atomic_load(ctx->cancel)) return err_set(ec, SYNC_ECANCELED, "canceled");
    if (object_clock_ms() >= ctx->deadline_ms) return err_set(ec, SYNC_EBUSY, "out of time");
    return SYNC_OK;
}

enum sync_err object_ctx_wait(const struct object_ctx *ctx, uint64_t wait_ms, struct err_ctx *ec)
{
    uint64_t now_ms = object_clock_ms();
    if (now_ms >= ctx->deadline_ms || wait_ms >= ctx->deadline_ms - now_ms)
        return err_set(ec, SYNC_EBUSY, "out of time");
    for (uint64_t end_ms = now_ms + wait_ms; now_ms < end_ms; now_ms = object_clock_ms()) {
        enum sync_err rc = object_ctx_check(ctx, ec);
        if (rc != SYNC_OK) return rc;
        uint64_t slice_ms = end_ms - now_ms < OBJECT_CANCEL_MS_MAX ? end_ms - now_ms : OBJECT_CANCEL_MS_MAX;
        struct timespec ts = {.tv_sec = 0, .tv_nsec = (long)slice_ms * 1000000};
        (void)nanosleep(&ts, NULL); /* a signal only makes this turn shorter */
    }
    return object_ctx_check(ctx, ec);
}

/* ---- the functions of object_store.h */

void object_store_close(struct object_store *s)
{
    if (s != NULL) s->ops->close(s);
}

const char *object_store_name(const struct object_store *s)
{
    return s->name;
}

enum sync_err object_get(struct object_store *s, const struct object_call *call, struct slice key,
                         const struct object_range *range, const struct object_sink *sink,
                         struct object_info *ret, struct err_ctx *ec)
{
    struct object_info info = {0};
    assert(range == NULL || range->bytes > 0);
    enum sync_err rc = object_key_check(key, ec);
    if (rc != SYNC_OK) return rc;
    struct running r = begin(s, OBJECT_OP_GET, call);
    rc = s->ops->get(s, &r.ctx, key, range, sink, &info, ec);
    if (rc == SYNC_OK && ret != NULL) *ret = info;
    return end(&r, rc);
}

static enum sync_err put_into_buf(void *arg, struct slice bytes, struct err_ctx *ec)
{
    struct buf *b = arg;
    buf_put_slice(b, bytes);
    return buf_check(b, ec);
}

enum sync_err object_get_buf(struct object_store *s, const struct object_call *call, struct slice key,
                             const struct object_range *range, struct buf *ret_bytes, struct object_info *ret,
                             struct err_ctx *ec)
{
    struct object_sink sink = {.put = put_into_buf, .arg = ret_bytes};
    return object_get(s, call, key, range, &sink, ret, ec);
}

enum sync_err object_head(struct object_store *s, const struct object_call *call, struct slice key,
                          struct object_info *ret, struct err_ctx *ec)
{
    struct object_info info = {0};
    enum sync_err rc = object_key_check(key, ec);
    if (rc != SYNC_OK) return rc;
    struct running r = begin(s, OBJECT_OP_HEAD, call);
    rc = s->ops->head(s, &r.ctx, key, &info, ec);
    if (rc == SYNC_OK) *ret = info;
    return end(&r, rc);
}

static enum sync_err put(struct object_store *s, enum object_op op, const struct object_call *call,
                         const struct object_put *what, enum object_outcome *ret_outcome,
                         struct object_version *ret_version, struct err_ctx *ec)
{
    struct object_version version = {0};
    enum object_outcome outcome = OBJECT_OK;
    enum sync_err rc = object_key_check(what->key, ec);
    if (rc != SYNC_OK) return rc;
    if (what->bytes.len > OBJECT_PUT_BYTES_MAX)
        return err_set(ec, SYNC_ELIMIT, "object of %zu bytes in one piece, limit %zu", what->bytes.len,
                       OBJECT_PUT_BYTES_MAX);
    struct running r = begin(s, op, call);
    rc = s->ops->put(s, &r.ctx, what, &outcome, &version, ec);
    assert(rc != SYNC_OK || what->condition != OBJECT_ALWAYS || outcome == OBJECT_OK);
    if (rc == SYNC_OK && ret_outcome != NULL) *ret_outcome = outcome;
    if (rc == SYNC_OK && outcome == OBJECT_OK && ret_version != NULL) *ret_version = version;
    return end_with(&r, rc, rc == SYNC_OK ? outcome : OBJECT_OK);
}

enum sync_err object_put(struct object_store *s, const struct object_call *call, struct slice key,
                         struct slice bytes, struct object_version *ret_version, struct err_ctx *ec)
{
    struct object_put what = {.key = key, .bytes = bytes, .condition = OBJECT_ALWAYS};
    return put(s, OBJECT_OP_PUT, call, &what, NULL, ret_version, ec);
}

enum sync_err object_put_if_absent(struct object_store *s, const struct object_call *call, struct slice key,
                                   struct slice bytes, enum object_outcome *ret_outcome,
                                   struct object_version *ret_version, struct err_ctx *ec)
{
    struct object_put what = {.key = key, .bytes = bytes, .condition = OBJECT_IF_ABSENT};
    return put(s, OBJECT_OP_PUT_IF_ABSENT, call, &what, ret_outcome, ret_version, ec);
}

enum sync_err object_put_if_match(struct object_store *s, const struct object_call *call, struct slice key,
                                  struct slice bytes, const struct object_version *match,
                                  enum object_outcome *ret_outcome, struct object_version *ret_version,
                                  struct err_ctx *ec)
{
    struct object_put what = {.key = key, .bytes = bytes, .condition = OBJECT_IF_MATCH, .match = match};
    assert(match->text[0] != '\0');
    return put(s, OBJECT_OP_PUT_IF_MATCH, call, &what, ret_outcome, ret_version, ec);
}

enum sync_err object_delete(struct object_store *s, const struct object_call *call, struct slice key,
                            struct err_ctx *ec)
{
    enum sync_err rc = object_key_check(key, ec);
    if (rc != SYNC_OK) return rc;
    struct running r = begin(s, OBJECT_OP_DELETE, call);
    return end(&r, s->ops->remove(s, &r.ctx, key, ec));
}

static enum sync_err check_query(const struct object_query *q, struct err_ctx *ec)
{
    enum sync_err rc = object_key_check_utf8(q->prefix, "list prefix", ec);
    if (rc == SYNC_OK) rc = object_key_check_utf8(q->start_after, "list start-after", ec);
    if (rc != SYNC_OK) return rc;
    if (q->prefix.len > OBJECT_KEY_MAX || q->start_after.len > OBJECT_KEY_MAX)
        return err_set(ec, SYNC_ELIMIT, "list prefix or start-after over %d bytes", OBJECT_KEY_MAX);
    if (q->continuation.len > OBJECT_TOKEN_MAX)
        return err_set(ec, SYNC_ELIMIT, "list continuation over %d bytes", OBJECT_TOKEN_MAX);
    assert(q->entries_max <= OBJECT_PAGE_MAX);
    return SYNC_OK;
}

enum sync_err object_list(struct object_store *s, const struct object_call *call,
                          const struct object_query *query, struct object_page *ret, struct err_ctx *ec)
{
    struct object_query q = *query;
    struct object_page page = {0};
    enum sync_err rc = check_query(&q, ec);
    if (rc != SYNC_OK) return rc;
    if (q.entries_max == 0) q.entries_max = OBJECT_PAGE_MAX;
    struct running r = begin(s, OBJECT_OP_LIST, call);
    rc = s->ops->list(s, &r.ctx, &q, &page, ec);
    if (rc == SYNC_OK) {
        assert(page.count <= q.entries_max);
        *ret = page;
    }
    return end(&r, rc);
}

void object_page_deinit(struct object_page *p)
{
    free(p->entries);
    free(p->text);
    *p = (struct object_page){0};
}

enum sync_err object_upload_begin(struct object_store *s, const struct object_call *call, struct slice key,
                                  size_t part_bytes, struct object_upload **ret, struct err_ctx *ec)
{
    enum sync_err rc = object_key_check(key, ec);
    if (rc != SYNC_OK) return rc;
    if (part_bytes < OBJECT_PART_BYTES_MIN || part_bytes > OBJECT_PART_BYTES_MAX)
        return err_set(ec, SYNC_ELIMIT, "parts of %zu bytes, allowed are %zu to %zu", part_bytes,
                       OBJECT_PART_BYTES_MIN, OBJECT_PART_BYTES_MAX);
    struct running r = begin(s, OBJECT_OP_UPLOAD_BEGIN, call);
    return end(&r, s->ops->upload_begin(s, &r.ctx, key, part_bytes, ret, ec));
}

static void note_sent(struct object_upload *u, uint32_t number, size_t bytes)
{
    uint32_t i = number - 1;
    atomic_fetch_or(&u->sent[i / 32], (uint_least32_t)1 << i % 32);
    if (bytes == u->part_bytes) return;
    uint_least32_t before = atomic_exchange(&u->short_part, number);
    assert(before == 0 || before == number);
}

static void assert_no_hole(struct object_upload *u, uint32_t count)
{
    uint_least32_t short_part = atomic_load(&u->short_part);
    assert(short_part == 0 || short_part == count);
    for (uint32_t i = 0; i < count; i++) assert(atomic_load(&u->sent[i / 32]) >> i % 32 & 1);
}

enum sync_err object_upload_part(struct object_upload *u, const struct object_call *call, uint32_t number,
                                 struct slice bytes, struct err_ctx *ec)
{
    assert(number >= 1);
    assert(bytes.len <= u->part_bytes);
    if (number > OBJECT_PARTS_MAX)
        return err_set(ec, SYNC_ELIMIT, "upload of more than %d parts of %zu bytes", OBJECT_PARTS_MAX,
                       u->part_bytes);
    struct running r = begin(u->store, OBJECT_OP_UPLOAD_PART, call);
    enum sync_err rc = u->store->ops->upload_part(u, &r.ctx, number, bytes, ec);
    if (rc == SYNC_OK) note_sent(u, number, bytes.len);
    return end(&r, rc);
}

enum sync_err object_upload_complete(struct object_upload *u, const struct object_call *call, uint32_t count,
                                     struct object_version *ret_version, struct err_ctx *ec)
{
    struct object_version version = {0};
    assert(count >= 1 && count <= OBJECT_PARTS_MAX);
    assert_no_hole(u, count);
    struct running r = begin(u->store, OBJECT_OP_UPLOAD_COMPLETE, call);
    enum sync_err rc = u->store->ops->upload_complete(u, &r.ctx, count, &version, ec);
    if (rc == SYNC_OK && ret_version != NULL) *ret_version = version;
    return end(&r, rc);
}

enum sync_err object_upload_abort(struct object_upload *u, const struct object_call *call, struct err_ctx *ec)
{
    struct running r = begin(u->store, OBJECT_OP_UPLOAD_ABORT, call);
    return end(&r, u->store->ops->upload_abort(u, &r.ctx, ec));
}

void object_upload_free(struct object_upload *u)
{
    if (u != NULL) u->store->ops->upload_free(u);
}

enum sync_err object_upload_sweep(struct object_store *s, const struct object_call *call, struct slice prefix,
                                  uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec)
{
    uint32_t count = 0;
    struct object_query q = {.prefix = prefix};
    enum sync_err rc = check_query(&q, ec);
    if (rc != SYNC_OK) return rc;
    struct running r = begin(s, OBJECT_OP_UPLOAD_SWEEP, call);
    rc = s->ops->upload_sweep(s, &r.ctx, prefix, age_ms, &count, ec);
    if (rc == SYNC_OK && ret_count != NULL) *ret_count = count;
    return end(&r, rc);
}

const char *object_op_name(enum object_op op)
{
    switch (op) {
#define X(op, name)                                                                                          \
    case OBJECT_OP_##op: return name;
        OBJECT_OP_MAP(X)
#undef X
    }
    return "unknown";
}

const char *object_outcome_name(enum object_outcome o)
{
    switch (o) {
    case OBJECT_OK: return "ok";
    case OBJECT_LOST: return "lost";
    case OBJECT_UNKNOWN: return "unknown";
    }
    return "unknown";
}
