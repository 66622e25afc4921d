#include "storage/objects/s3_http.h"

#include "storage/objects/object_wait.h"
#include "storage/objects/pace.h"
#include "storage/objects/s3_xml.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum {
    IDLE_SECONDS_MAX = 30, /* a kept connection older than that may be closed over there: take a new one */
    BUFFER_BYTES = 256 * 1024,
    RETRY_AFTER_MS_MAX = 60000,
};

/* A handle, and the multi handle that drives it and owns its connection. */
struct slot {
    CURL *easy;
    CURLM *multi;
    struct slot *next; /* free ones, the one used last first */
};

struct s3_http {
    struct s3_http_config cfg;
    char ca_file[512];
    pthread_mutex_t lock; /* guards the list and the pace */
    pthread_cond_t freed;
    struct slot *free;
    struct slot *slots;
    struct pace pace;
};

/* One exchange, as the callbacks see it. */
struct exchange {
    struct s3_http *http;
    const struct s3_http_request *req;
    struct s3_http_response *resp;
    size_t body_offset;
    curl_off_t sent_seen;
    uint64_t moved_ms; /* when a byte last moved */
    bool paused;       /* by the pace */
    bool answered;     /* the first line of an answer is there */
    uint64_t resume_ms;
    enum sync_err failed; /* in a callback, with the text in ec */
    struct err_ctx *ec;
    char curl_text[CURL_ERROR_SIZE];
};

/* ---- the pool */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows when the first handle is made */
}

void s3_http_free(struct s3_http *h)
{
    if (h == NULL) return;
    for (uint32_t i = 0; h->slots != NULL && i < h->cfg.connections_max; i++) {
        if (h->slots[i].easy != NULL) curl_easy_cleanup(h->slots[i].easy);
        if (h->slots[i].multi != NULL) (void)curl_multi_cleanup(h->slots[i].multi);
    }
    free(h->slots);
    (void)pthread_cond_destroy(&h->freed);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}

enum sync_err s3_http_new(const struct s3_http_config *cfg, struct s3_http **ret, struct err_ctx *ec)
{
    struct s3_http *h = calloc(1, sizeof *h);
    if (h == NULL) return err_set(ec, SYNC_ENOMEM, "S3 connections");
    assert(cfg->connections_max > 0);
    (void)pthread_once(&curl_once, init_curl);
    object_wait_init(&h->lock, &h->freed);
    h->cfg = *cfg;
    (void)snprintf(h->ca_file, sizeof h->ca_file, "%s", cfg->ca_file == NULL ? "" : cfg->ca_file);
    pace_init(&h->pace, cfg->upload_bytes_per_s, object_clock_ms());
    h->slots = calloc(cfg->connections_max, sizeof *h->slots);
    bool good = h->slots != NULL;
    for (uint32_t i = 0; good && i < cfg->connections_max; i++) {
        struct slot *s = &h->slots[i];
        s->easy = curl_easy_init();
        s->multi = curl_multi_init();
        s->next = h->free;
        h->free = s;
        good = s->easy != NULL && s->multi != NULL;
    }
    if (!good) {
        s3_http_free(h);
        return err_set(ec, SYNC_ENOMEM, "S3 connections");
    }
    *ret = h;
    return SYNC_OK;
}

static enum sync_err take_slot(struct s3_http *h, const struct object_ctx *ctx, struct slot **ret,
                               struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    pthread_mutex_lock(&h->lock);
    while (h->free == NULL && rc == SYNC_OK) {
        object_wait(&h->lock, &h->freed);
        if (h->free == NULL) rc = object_ctx_check(ctx, ec);
    }
    if (rc == SYNC_OK) {
        *ret = h->free;
        h->free = h->free->next;
    } else {
        err_wrap(ec, "all %u S3 connections are in use", h->cfg.connections_max);
    }
    pthread_mutex_unlock(&h->lock);
    return rc;
}

static void give_slot(struct s3_http *h, struct slot *s)
{
    pthread_mutex_lock(&h->lock);
    s->next = h->free;
    h->free = s;
    (void)pthread_cond_signal(&h->freed);
    pthread_mutex_unlock(&h->lock);
}

/* ---- libcurl's callbacks */

/* Called when the connection is up and the request is about to go out. libcurl sends a request again by
 * itself when a kept connection turns out dead; with a conditional write that would hide that the first one
 * may have arrived. So the second time is refused. Repeating is for who knows what is being repeated. */
static int on_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct exchange *x = arg;
    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    if (x->resp->may_have_arrived) {
        x->failed = err_set(x->ec, SYNC_EBUSY, "the connection was closed before an answer came");
        return CURL_PREREQFUNC_ABORT;
    }
    x->resp->may_have_arrived = true;
    x->moved_ms = object_clock_ms();
    return CURL_PREREQFUNC_OK;
}

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    size_t left = x->req->body.len - x->body_offset, want = size * count < left ? size * count : left;
    if (want == 0) return 0;
    pthread_mutex_lock(&x->http->lock);
    uint64_t now_ms = object_clock_ms();
    size_t granted = pace_take(&x->http->pace, want, now_ms);
    if (granted == 0) x->resume_ms = now_ms + pace_wait_ms(&x->http->pace, now_ms);
    pthread_mutex_unlock(&x->http->lock);
    x->moved_ms = now_ms;
    x->paused = granted == 0;
    if (x->paused) return CURL_READFUNC_PAUSE;
    memcpy(to, x->req->body.bytes + x->body_offset, granted);
    x->body_offset += granted;
    return granted;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    struct slice piece = slice_of(bytes, size * count);
    x->resp->received_bytes += piece.len;
    if (x->req->sink != NULL && x->resp->status >= 200 && x->resp->status < 300) {
        x->failed = x->req->sink->put(x->req->sink->arg, piece, x->ec);
    } else {
        buf_put_slice(&x->resp->body, piece);
        x->failed = buf_check(&x->resp->body, x->ec);
    }
    x->moved_ms = object_clock_ms(); /* after the sink: the time it took is not the service's */
    return x->failed == SYNC_OK ? piece.len : 0;
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.bytes[s.len - 1]) != NULL) s.len--;
    while (s.len > 0 && strchr(" \t", s.bytes[0]) != NULL) s = slice_of(s.bytes + 1, s.len - 1);
    return s;
}

static void copy_text(char *ret, size_t room, struct slice text)
{
    ret[0] = '\0';
    if (text.len >= room) return; /* longer than any we know what to do with: as if it were not there */
    memcpy(ret, text.bytes, text.len);
    ret[text.len] = '\0';
}

/* "bytes 5-9/20", of a 416 "bytes" followed by a star, a slash and the total. */
static void take_range(struct s3_http_response *resp, struct slice value)
{
    char text[96], *end;
    copy_text(text, sizeof text, value);
    const char *slash = strchr(text, '/');
    if (strncmp(text, "bytes ", 6) != 0 || slash == NULL) return;
    resp->range_start = text[6] == '*' ? 0 : strtoull(text + 6, &end, 10);
    resp->has_range = s3_xml_u64(slice_str(slash + 1), &resp->range_total);
}

static void take_etag(struct s3_http_response *resp, struct slice value)
{
    if (value.len >= 2 && value.bytes[0] == '"' && value.bytes[value.len - 1] == '"')
        value = slice_of(value.bytes + 1, value.len - 2);
    copy_text(resp->etag.text, sizeof resp->etag.text, value);
}

static void take_header(struct s3_http_response *resp, const char *name, struct slice value)
{
    char text[64];
    uint64_t n;
    if (strcasecmp(name, "ETag") == 0) {
        take_etag(resp, value);
    } else if (strcasecmp(name, "Content-Length") == 0) {
        resp->has_length = s3_xml_u64(value, &resp->length);
    } else if (strcasecmp(name, "Content-Range") == 0) {
        take_range(resp, value);
    } else if (strcasecmp(name, "x-amz-bucket-region") == 0) {
        copy_text(resp->region, sizeof resp->region, value);
    } else if (strcasecmp(name, "Retry-After") == 0) {
        if (s3_xml_u64(value, &n)) resp->retry_after_ms = n < 60 ? n * 1000 : RETRY_AFTER_MS_MAX;
    } else if (strcasecmp(name, "Date") == 0 || strcasecmp(name, "Last-Modified") == 0) {
        copy_text(text, sizeof text, value);
        time_t t = curl_getdate(text, NULL);
        if (t <= 0) return;
        if (strcasecmp(name, "Date") == 0)
            resp->date_s = t;
        else
            resp->modified_ms = (uint64_t)t * 1000;
    }
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    struct slice line = slice_of(bytes, size * count);
    char name[32];
    x->moved_ms = object_clock_ms();
    x->answered = true;
    if (slice_starts_with(line, slice_str("HTTP/"))) { /* of the answer, or of an interim one before it */
        const char *space = memchr(line.bytes, ' ', line.len);
        x->resp->status = space == NULL ? 0 : atoi(space + 1);
        return line.len;
    }
    const char *colon = memchr(line.bytes, ':', line.len);
    if (colon == NULL) return line.len;
    copy_text(name, sizeof name, slice_of(line.bytes, (size_t)(colon - line.bytes)));
    take_header(x->resp, name, trimmed(slice_of(colon + 1, line.len - (size_t)(colon - line.bytes) - 1)));
    return line.len;
}

/* ---- one exchange */

static struct curl_slist *make_headers(const struct s3_http_request *req)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no round trip more before a body */
    struct buf line = buf_make(16 * 1024);
    bool good = list != NULL;
    for (size_t i = 0; i < req->headers_count && good; i++) {
        buf_clear(&line);
        buf_put_str(&line, req->headers[i].name);
        buf_put_str(&line, ": ");
        buf_put_slice(&line, req->headers[i].value);
        buf_put_char(&line, '\0');
        struct curl_slist *longer = line.failed == SYNC_OK ? curl_slist_append(list, line.bytes) : NULL;
        good = longer != NULL;
        if (good) list = longer;
    }
    buf_deinit(&line);
    if (good) return list;
    curl_slist_free_all(list);
    return NULL;
}

static void set_method(CURL *easy, const struct s3_http_request *req)
{
    bool has_body = strcmp(req->method, "PUT") == 0 || strcmp(req->method, "POST") == 0;
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body.len);
    } else if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (strcmp(req->method, "POST") == 0 || strcmp(req->method, "DELETE") == 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method);
}

/* Everything is set anew for each exchange: curl_easy_reset() leaves only connections and caches. */
static void set_options(struct s3_http *h, CURL *easy, struct exchange *x, struct curl_slist *headers)
{
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, x->req->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sync-coordinator");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->curl_text);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)h->cfg.connect_ms);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS_MAX);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    if (h->ca_file[0] != '\0') curl_easy_setopt(easy, CURLOPT_CAINFO, h->ca_file);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, x);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, x);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    set_method(easy, x->req);
}

/* Has the service been silent for too long? */
static enum sync_err check_silence(struct s3_http *h, CURL *easy, struct exchange *x, uint64_t now_ms,
                                   struct err_ctx *ec)
{
    curl_off_t sent = 0;
    uint64_t first_byte_ms = x->req->first_byte_ms == 0 ? h->cfg.first_byte_ms : x->req->first_byte_ms;
    if (!x->resp->may_have_arrived) return SYNC_OK; /* libcurl watches the connecting */
    (void)curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if (sent != x->sent_seen) x->moved_ms = now_ms;
    x->sent_seen = sent;
    if (x->paused) return SYNC_OK;
    uint64_t silent_ms = now_ms > x->moved_ms ? now_ms - x->moved_ms : 0;
    bool waiting = !x->answered && (size_t)sent == x->req->body.len;
    if (waiting && silent_ms >= first_byte_ms)
        return err_set(ec, SYNC_EBUSY, "no answer within %ju ms", (uintmax_t)first_byte_ms);
    if (!waiting && silent_ms >= h->cfg.stall_ms)
        return err_set(ec, SYNC_EBUSY, "the connection stalled for %u ms", h->cfg.stall_ms);
    return SYNC_OK;
}

/* How long to wait for the socket before looking at the clocks again. */
static int wait_ms(const struct exchange *x, const struct object_ctx *ctx, uint64_t now_ms)
{
    uint64_t wait = OBJECT_CANCEL_MS_MAX;
    if (ctx->deadline_ms > now_ms && ctx->deadline_ms - now_ms < wait) wait = ctx->deadline_ms - now_ms;
    if (x->paused) {
        uint64_t pause = x->resume_ms > now_ms ? x->resume_ms - now_ms : 0;
        if (pause < wait) wait = pause;
    }
    return (int)wait;
}

/* What libcurl ended with, in our codes. */
static enum sync_err curl_failure(const struct exchange *x, CURLcode code, struct err_ctx *ec)
{
    const char *text = x->curl_text[0] != '\0' ? x->curl_text : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OUT_OF_MEMORY: return err_set(ec, SYNC_ENOMEM, "S3 request");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return err_set(ec, SYNC_ECONFIG, "%.120s; name the service's CA in the CA file setting", text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return err_set(ec, SYNC_ECONFIG, "%.160s", text);
    default: return err_set(ec, SYNC_EBUSY, "%.160s", text);
    }
}

/* Runs the transfer that has been added to the multi handle to its end. */
static enum sync_err drive(struct s3_http *h, struct slot *s, struct exchange *x,
                           const struct object_ctx *ctx, struct err_ctx *ec)
{
    int running = 1;
    x->moved_ms = object_clock_ms();
    while (running > 0) {
        if (curl_multi_perform(s->multi, &running) != CURLM_OK) return err_set(ec, SYNC_ENOMEM, "S3 request");
        if (running == 0) break;
        uint64_t now_ms = object_clock_ms();
        enum sync_err rc = object_ctx_check(ctx, ec);
        if (rc == SYNC_OK) rc = check_silence(h, s->easy, x, now_ms, ec);
        if (rc != SYNC_OK) return rc;
        if (x->paused && now_ms >= x->resume_ms) {
            x->paused = false;
            (void)curl_easy_pause(s->easy, CURLPAUSE_CONT);
            continue;
        }
        (void)curl_multi_poll(s->multi, NULL, 0, wait_ms(x, ctx, now_ms), NULL);
    }
    int left;
    CURLMsg *m = curl_multi_info_read(s->multi, &left);
    assert(m != NULL && m->msg == CURLMSG_DONE);
    if (x->failed != SYNC_OK) return x->failed; /* a callback has set the text */
    return m->data.result == CURLE_OK ? SYNC_OK : curl_failure(x, m->data.result, ec);
}

enum sync_err s3_http_exchange(struct s3_http *h, const struct object_ctx *ctx,
                               const struct s3_http_request *req, struct s3_http_response *ret,
                               struct err_ctx *ec)
{
    struct slot *slot;
    struct exchange x = {.http = h, .req = req, .resp = ret, .ec = ec};
    *ret = (struct s3_http_response){.body = buf_make(S3_HTTP_BODY_BYTES_MAX)};
    struct curl_slist *headers = make_headers(req);
    if (headers == NULL) return err_set(ec, SYNC_ENOMEM, "S3 request");
    enum sync_err rc = take_slot(h, ctx, &slot, ec);
    if (rc == SYNC_OK) {
        set_options(h, slot->easy, &x, headers);
        if (curl_multi_add_handle(slot->multi, slot->easy) == CURLM_OK) {
            rc = drive(h, slot, &x, ctx, ec);
            curl_off_t sent = 0;
            (void)curl_easy_getinfo(slot->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
            ret->sent_bytes = (uint64_t)sent;
            (void)curl_multi_remove_handle(slot->multi,
                                           slot->easy); /* closes the connection if in mid-flight */
        } else {
            rc = err_set(ec, SYNC_ENOMEM, "S3 request");
        }
        give_slot(h, slot);
    }
    curl_slist_free_all(headers);
    if (rc == SYNC_OK && ret->status == 0) rc = err_set(ec, SYNC_EIO, "the answer is not HTTP");
    return rc;
}
