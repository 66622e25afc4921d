#include "storage/objects/s3_client.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    SIGN_BYTES_MAX = 2048,
    CLOCK_OFF_MS = 4 * 60 * 1000, /* services take 15 minutes; the Date of a refusal shows it earlier */
};

/* What is to be done after a request has ended. */
enum verdict { DONE, UNKNOWN, REPEAT, SIGN_AGAIN, FAIL };

/* One call with all its requests. */
struct run {
    struct object_s3 *s;
    struct object_ctx *ctx;
    struct s3_call *call;
    struct s3_answer *answer;
    struct err_ctx *ec;
    char body_hash[SIGV4_HASH_HEX + 1]; /* or what stands for it */
    struct credentials_keys keys;       /* that the last request was signed with */
    uint64_t signed_ms;                 /* the time in it */
    bool signed_again;
    uint64_t done_before; /* of the download, when the last request began */
    enum sync_err rc;     /* of the last request */
};

void s3_call_param(struct s3_call *c, const char *name, struct slice value)
{
    assert(c->params_count < S3_QUERY_PARAMS_MAX);
    c->params[c->params_count++] = (struct s3_param){.name = name, .value = value};
}

void s3_call_header(struct s3_call *c, const char *name, struct slice value)
{
    assert(c->headers_count < S3_CALL_HEADERS_MAX);
    c->headers[c->headers_count++] = (struct sigv4_header){.name = name, .value = value};
}

/* ---- the breaker */

static void tell_breaker(struct object_s3 *s, enum breaker_state before, enum breaker_state after)
{
    const struct object_observer *o = &s->base.observer;
    if (before != after && o->breaker_moved != NULL) o->breaker_moved(o->arg, after);
}

static bool breaker_admits(struct object_s3 *s, uint32_t *ret_ticket, uint64_t *ret_wait_ms)
{
    uint64_t now_ms = object_clock_ms();
    pthread_mutex_lock(&s->lock);
    enum breaker_state before = s->breaker.state;
    bool admitted = breaker_begin(&s->breaker, now_ms, ret_ticket);
    *ret_wait_ms = breaker_wait_ms(&s->breaker, now_ms);
    enum breaker_state after = s->breaker.state;
    pthread_mutex_unlock(&s->lock);
    tell_breaker(s, before, after);
    return admitted;
}

static void breaker_learns(struct object_s3 *s, uint32_t ticket, enum breaker_outcome outcome)
{
    pthread_mutex_lock(&s->lock);
    enum breaker_state before = s->breaker.state;
    breaker_end(&s->breaker, ticket, outcome, object_clock_ms());
    enum breaker_state after = s->breaker.state;
    pthread_mutex_unlock(&s->lock);
    tell_breaker(s, before, after);
}

/* ---- one request */

/* Is what comes the part that was asked for? Called with the first piece of every answer. */
static enum sync_err check_part(struct s3_download *d, const struct s3_http_response *a, struct err_ctx *ec)
{
    uint64_t from = d->offset + d->done;
    bool asked_for_part = from > 0 || d->bytes != UINT64_MAX;
    if (asked_for_part && (a->status != 206 || !a->has_range || a->range_start != from))
        return err_set(ec, SYNC_EIO, "asked for a range the service answers with something else");
    if (d->begun) return SYNC_OK;
    if (a->etag.text[0] == '\0') return err_set(ec, SYNC_EIO, "S3 get: an answer without ETag");
    d->begun = true;
    d->info.bytes = a->has_range ? a->range_total : a->length;
    d->info.modified_ms = a->modified_ms;
    d->info.version = a->etag;
    return SYNC_OK;
}

static uint64_t wanted_bytes(const struct s3_download *d)
{
    uint64_t there = d->info.bytes > d->offset ? d->info.bytes - d->offset : 0;
    return d->bytes < there ? d->bytes : there;
}

/* The download's sink, checking and counting. */
static enum sync_err put_download(void *arg, struct slice bytes, struct err_ctx *ec)
{
    struct s3_download *d = arg;
    if (d->answer->received_bytes == bytes.len) d->sink_rc = check_part(d, d->answer, ec);
    if (d->sink_rc == SYNC_OK && bytes.len > wanted_bytes(d) - d->done)
        d->sink_rc = err_set(ec, SYNC_EIO, "the service sends more than the object has");
    if (d->sink_rc == SYNC_OK) d->sink_rc = d->sink->put(d->sink->arg, bytes, ec);
    if (d->sink_rc == SYNC_OK) d->done += bytes.len;
    return d->sink_rc;
}

enum sync_err s3_download_end(struct s3_download *d, const struct s3_http_response *a, struct err_ctx *ec)
{
    enum sync_err rc = d->begun ? SYNC_OK : check_part(d, a, ec); /* an empty object has no piece */
    if (rc == SYNC_OK && d->done != wanted_bytes(d))
        return err_set(ec, SYNC_EIO, "S3 get: %ju bytes came of %ju", (uintmax_t)d->done,
                       (uintmax_t)wanted_bytes(d));
    return rc;
}

/* A request's headers, and the texts they point to. */
struct signed_headers {
    struct sigv4_header list[S3_HTTP_HEADERS_MAX];
    size_t count;
    char time[SIGV4_TIME_TEXT + 1];
    char range[64];
    struct buf authorization;
};

static void add(struct signed_headers *h, const char *name, struct slice value)
{
    assert(h->count < S3_HTTP_HEADERS_MAX);
    h->list[h->count++] = (struct sigv4_header){.name = name, .value = value};
}

/* Which part is still wanted, and that it be of the same object as the first. */
static void add_download(struct signed_headers *h, const struct s3_download *d)
{
    uint64_t from = d->offset + d->done;
    if (from > 0 || d->bytes != UINT64_MAX) {
        if (d->bytes == UINT64_MAX || d->bytes - 1 > UINT64_MAX - d->offset)
            (void)snprintf(h->range, sizeof h->range, "bytes=%" PRIu64 "-", from);
        else
            (void)snprintf(h->range, sizeof h->range, "bytes=%" PRIu64 "-%" PRIu64, from,
                           d->offset + d->bytes - 1);
        add(h, "range", slice_str(h->range));
    }
    if (d->done > 0) add(h, "if-match", slice_str(d->info.version.text));
}

static enum sync_err sign(struct run *r, const struct s3_target *t, struct signed_headers *h)
{
    struct object_s3 *s = r->s;
    uint64_t wall_ms = s->cfg.wall_ms == NULL ? object_wall_ms() : s->cfg.wall_ms();
    r->signed_ms = (uint64_t)((int64_t)wall_ms + atomic_load(&s->skew_ms));
    sigv4_time((int64_t)(r->signed_ms / 1000), h->time);
    credentials_get(s->credentials, &r->keys);

    add(h, "host", slice_str(s->place.host));
    add(h, "x-amz-date", slice_str(h->time));
    add(h, "x-amz-content-sha256", slice_str(r->body_hash));
    if (r->keys.session_token[0] != '\0') add(h, "x-amz-security-token", slice_str(r->keys.session_token));
    for (size_t i = 0; i < r->call->headers_count; i++)
        add(h, r->call->headers[i].name, r->call->headers[i].value);
    if (r->call->download != NULL) add_download(h, r->call->download);

    struct sigv4_request req = {.method = r->call->method,
                                .path = slice_of(t->url.bytes + t->path_start, t->path_len),
                                .query = slice_of(t->url.bytes + t->query_start, t->query_len),
                                .headers = h->list,
                                .headers_count = h->count,
                                .payload_hash = r->body_hash};
    struct sigv4_key key = {.access_key_id = r->keys.access_key_id,
                            .secret_access_key = r->keys.secret_access_key,
                            .region = s->region,
                            .service = "s3"};
    h->authorization = buf_make(SIGN_BYTES_MAX);
    sigv4_authorization(&req, &key, h->time, &h->authorization);
    add(h, "authorization", buf_slice(&h->authorization));
    return buf_check(&h->authorization, r->ec);
}

static void count_request(struct run *r)
{
    const struct object_s3_config *cfg = &r->s->cfg;
    r->ctx->requests++;
    if (!r->call->free_of_charge)
        r->ctx->cost_nano_usd += r->call->read_only ? cfg->read_nano_usd : cfg->write_nano_usd;
}

static enum sync_err send_once(struct run *r, const struct s3_target *t)
{
    struct s3_call *call = r->call;
    struct signed_headers h = {0};
    struct object_sink counting = {.put = put_download, .arg = call->download};
    struct s3_answer *a = r->answer;
    a->earlier_may_have_arrived |= a->http.may_have_arrived;
    s3_answer_deinit(a);
    a->http = (struct s3_http_response){.body = buf_make(S3_HTTP_BODY_BYTES_MAX)};
    if (call->download != NULL) {
        r->done_before = call->download->done;
        call->download->answer = &a->http;
    }

    enum sync_err rc = sign(r, t, &h);
    if (rc == SYNC_OK) {
        struct s3_http_request req = {.method = call->method,
                                      .url = t->url.bytes,
                                      .headers = h.list,
                                      .headers_count = h.count,
                                      .body = call->body,
                                      .first_byte_ms = call->first_byte_ms,
                                      .sink = call->download == NULL ? NULL : &counting};
        count_request(r);
        rc = s3_http_exchange(r->s->http, r->ctx, &req, &a->http, r->ec);
        r->ctx->sent_bytes += a->http.sent_bytes;
        r->ctx->received_bytes += a->http.received_bytes;
    }
    buf_deinit(&h.authorization);
    return rc;
}

/* ---- judging it */

static bool is_expected(const struct s3_call *call, int status)
{
    for (size_t i = 0; i < S3_CALL_EXPECTS_MAX && call->expects[i] != 0; i++)
        if (call->expects[i] == status) return true;
    return false;
}

/* Was it refused for the time in it? Then the skew is set right. */
static bool correct_clock(struct run *r)
{
    const struct s3_answer *a = r->answer;
    if (a->http.date_s <= 0) return false;
    int64_t off_ms = a->http.date_s * 1000 - (int64_t)r->signed_ms;
    bool far = off_ms > CLOCK_OFF_MS || off_ms < -CLOCK_OFF_MS;
    if (!far) return false;
    int64_t skew_ms = atomic_fetch_add(&r->s->skew_ms, off_ms) + off_ms;
    const struct object_observer *o = &r->s->base.observer;
    if (o->clock_skew != NULL) o->clock_skew(o->arg, skew_ms);
    return true;
}

/* Have other keys come meanwhile? */
static bool keys_changed(struct run *r)
{
    struct credentials_keys now;
    credentials_get(r->s->credentials, &now);
    bool changed = strcmp(now.access_key_id, r->keys.access_key_id) != 0 ||
                   strcmp(now.secret_access_key, r->keys.secret_access_key) != 0 ||
                   strcmp(now.session_token, r->keys.session_token) != 0;
    credentials_wipe(&now);
    return changed;
}

/* A refusal, with its error document read. */
static enum verdict judge_refusal(struct run *r, int status)
{
    struct s3_answer *a = r->answer;
    struct s3_meaning meaning = s3_error_meaning(status, &a->error);
    if (is_expected(r->call, status) && meaning.rc != SYNC_ECONFIG) return DONE;
    if (a->error.region[0] == '\0')
        (void)snprintf(a->error.region, sizeof a->error.region, "%s", a->http.region);
    r->rc = s3_error_set(r->ec, status, &a->error);
    bool keys_refused = status == 400 || status == 401 || status == 403;
    if (keys_refused && !r->signed_again && (correct_clock(r) || keys_changed(r))) return SIGN_AGAIN;
    if (!meaning.retry) return FAIL;
    /* 429 is said before anything is done; the rest may come from behind the place where it was done. */
    return r->call->conditional && status != 429 ? UNKNOWN : REPEAT;
}

static enum verdict judge(struct run *r)
{
    struct s3_answer *a = r->answer;
    const struct s3_download *d = r->call->download;
    int status = a->http.status;
    if (r->rc != SYNC_OK) { /* no answer, or only a part of one */
        if (d != NULL && d->sink_rc != SYNC_OK) return FAIL;
        if (d != NULL && d->begun && d->done == wanted_bytes(d)) return DONE; /* broke behind the last byte */
        if (r->call->conditional && a->http.may_have_arrived) return UNKNOWN;
        return r->rc == SYNC_EBUSY ? REPEAT : FAIL;
    }
    bool success = status >= 200 && status < 300;
    if (success && !r->call->error_in_200) return DONE;
    bool is_error = s3_error_parse(buf_slice(&a->http.body), &a->error);
    if (success && !is_error) return DONE;
    return judge_refusal(r, success ? 500 : status);
}

/* Has a read brought bytes before it broke? */
static bool got_further(const struct run *r)
{
    return r->call->download != NULL && r->call->download->done > r->done_before;
}

/* What the breaker is to think of it: does the service work? */
static enum breaker_outcome breaker_view(const struct run *r, enum verdict v)
{
    const struct s3_download *d = r->call->download;
    int status = r->answer->http.status;
    if (d != NULL && d->sink_rc != SYNC_OK) return BREAKER_UNDECIDED;
    if (status == 503 || status == 429) return BREAKER_FAILURE;
    /* Ceph answers losers of a race for one key with 500: a service at work. */
    if (r->call->conditional && v == UNKNOWN && status != 0) return BREAKER_UNDECIDED;
    if (status >= 500 && status != 501 && status != 507) return BREAKER_FAILURE;
    if (r->rc != SYNC_OK && status == 0) {
        bool mine = r->rc == SYNC_ECANCELED || r->rc == SYNC_ENOMEM || r->rc == SYNC_ECONFIG;
        return mine ? BREAKER_UNDECIDED : BREAKER_FAILURE;
    }
    if (r->rc == SYNC_EBUSY && status < 300) /* broke off in the middle */
        return got_further(r) ? BREAKER_UNDECIDED : BREAKER_FAILURE;
    return BREAKER_SUCCESS;
}

/* ---- the whole call */

static uint64_t wait_before(const struct run *r, uint32_t repeat)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = object_clock_ms();
    uint64_t wait_ms = backoff_ms(&r->s->cfg.backoff, repeat, random),
             told_ms = r->answer->http.retry_after_ms;
    return wait_ms > told_ms ? wait_ms : told_ms;
}

/* Ends a call that has failed: what was tried, on what, and why. */
static enum sync_err give_up(struct run *r, enum sync_err rc)
{
    const struct s3_call *c = r->call;
    int key_len = c->key.len < 60 ? (int)c->key.len : 60;
    char tries[32] = "";
    if (r->ctx->retries > 0) (void)snprintf(tries, sizeof tries, " (%u requests)", r->ctx->requests);
    err_wrap(r->ec, "S3 %s %.*s%s%s", c->what, key_len, c->key.len == 0 ? "" : c->key.bytes,
             (size_t)key_len < c->key.len ? "..." : "", tries);
    return rc;
}

/* Waits before the next request; the reason for it stays in ec unless the wait is cut short by a cancel. */
static enum sync_err wait_to_repeat(struct run *r, uint32_t repeat)
{
    struct err_ctx waiting;
    enum sync_err rc = object_ctx_wait(r->ctx, wait_before(r, repeat), &waiting);
    if (rc == SYNC_ECANCELED) *r->ec = waiting;
    return rc;
}

static enum sync_err run_call(struct run *r, const struct s3_target *t)
{
    uint32_t repeat = 0, ticket;
    uint64_t wait_ms;
    for (;;) {
        if (!breaker_admits(r->s, &ticket, &wait_ms)) {
            if (r->ctx->requests > 0) return r->rc; /* the reason is in ec */
            return err_set(r->ec, SYNC_EBUSY, "not asked: it has kept failing, next try in %ju ms",
                           (uintmax_t)wait_ms);
        }
        r->rc = send_once(r, t);
        enum verdict v = judge(r);
        breaker_learns(r->s, ticket, breaker_view(r, v));
        if (got_further(r)) repeat = 0;
        switch (v) {
        case DONE: return SYNC_OK;
        case UNKNOWN: r->answer->unknown = true; return SYNC_OK;
        case FAIL: return r->rc;
        case SIGN_AGAIN: r->signed_again = true; break;
        case REPEAT: {
            if (repeat == r->s->cfg.repeats_max) return r->rc;
            enum sync_err rc = wait_to_repeat(r, ++repeat);
            if (rc != SYNC_OK) return rc;
            break;
        }
        }
        r->ctx->retries++;
    }
}

enum sync_err s3_client_call(struct object_s3 *s, struct object_ctx *ctx, struct s3_call *call,
                             struct s3_answer *ret, struct err_ctx *ec)
{
    struct run r = {.s = s, .ctx = ctx, .call = call, .answer = ret, .ec = ec};
    struct s3_target target = {0};
    struct buf key = buf_make(S3_KEY_PREFIX_MAX + OBJECT_KEY_MAX);
    *ret = (struct s3_answer){.http = {.body = buf_make(S3_HTTP_BODY_BYTES_MAX)}};
    if (call->key.len > 0) {
        buf_put_str(&key, s->key_prefix);
        buf_put_slice(&key, call->key);
    }
    enum sync_err rc = buf_check(&key, ec);
    if (rc == SYNC_OK)
        rc = s3_target_init(&target, &s->place, buf_slice(&key), call->params, call->params_count, ec);
    if (rc == SYNC_OK) {
        if (call->unsigned_body)
            (void)snprintf(r.body_hash, sizeof r.body_hash, "UNSIGNED-PAYLOAD");
        else
            sigv4_hash(call->body, r.body_hash);
        rc = run_call(&r, &target);
    }
    credentials_wipe(&r.keys);
    buf_deinit(&target.url);
    buf_deinit(&key);
    return rc == SYNC_OK && !ret->unknown ? SYNC_OK : give_up(&r, rc);
}
