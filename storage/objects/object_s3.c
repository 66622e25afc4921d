#include "storage/objects/object_s3.h"

#include "storage/objects/object_key.h"
#include "storage/objects/pace.h"
#include "storage/objects/s3_client.h"
#include "storage/objects/s3_list.h"
#include "storage/objects/s3_upload.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- reading */

static enum sync_err s3_get(struct object_store *s, struct object_ctx *ctx, struct slice key,
                            const struct object_range *range, const struct object_sink *sink,
                            struct object_info *ret, struct err_ctx *ec)
{
    struct s3_download d = {.sink = sink, .bytes = UINT64_MAX};
    struct s3_call call = {.what = "get", .method = "GET", .key = key, .expects = {404, 412, 416}};
    struct s3_answer answer;
    if (range != NULL) {
        d.offset = range->offset;
        d.bytes = range->bytes;
    }
    call.download = &d;
    call.read_only = true;
    enum sync_err rc = s3_client_call(s3_of(s), ctx, &call, &answer, ec);
    if (rc == SYNC_OK) {
        switch (answer.http.status) {
        case 404: rc = err_set(ec, SYNC_ENOTFOUND, "no such object"); break;
        case 412: rc = err_set(ec, SYNC_EBUSY, "the object was replaced while it was read"); break;
        case 416:
            rc = err_set(ec, SYNC_EBADMSG, "range from byte %ju, behind the object's end",
                         (uintmax_t)d.offset);
            break;
        default: break;
        }
    }
    if (rc == SYNC_OK) rc = s3_download_end(&d, &answer.http, ec);
    if (rc == SYNC_OK) *ret = d.info;
    s3_answer_deinit(&answer);
    return rc;
}

static enum sync_err s3_head(struct object_store *s, struct object_ctx *ctx, struct slice key,
                             struct object_info *ret, struct err_ctx *ec)
{
    struct s3_call call = {.what = "head", .method = "HEAD", .key = key, .expects = {404}, .read_only = true};
    struct s3_answer answer;
    enum sync_err rc = s3_client_call(s3_of(s), ctx, &call, &answer, ec);
    if (rc == SYNC_OK && answer.http.status == 404) {
        rc = err_set(ec, SYNC_ENOTFOUND, "no such object");
    } else if (rc == SYNC_OK && (answer.http.etag.text[0] == '\0' || !answer.http.has_length)) {
        rc = err_set(ec, SYNC_EIO, "S3 head: an answer without ETag or length");
    } else if (rc == SYNC_OK) {
        ret->bytes = answer.http.length;
        ret->modified_ms = answer.http.modified_ms;
        ret->version = answer.http.etag;
    }
    s3_answer_deinit(&answer);
    return rc;
}

/* ---- writing */

static void add_condition(struct s3_call *call, const struct object_put *put)
{
    switch (put->condition) {
    case OBJECT_ALWAYS: return;
    case OBJECT_IF_ABSENT: s3_call_header(call, "if-none-match", slice_str("*")); break;
    case OBJECT_IF_MATCH:
        /* Without the quotes that an ETag has elsewhere: Ceph 16 compares the header as it is with the bare
         * one, and AWS takes both. */
        s3_call_header(call, "if-match", slice_str(put->match->text));
        call->expects[1] = 404; /* nothing there that could match */
        break;
    }
    call->conditional = true;
    call->expects[0] = 412;
}

static enum sync_err s3_put(struct object_store *s, struct object_ctx *ctx, const struct object_put *put,
                            enum object_outcome *ret_outcome, struct object_version *ret_version,
                            struct err_ctx *ec)
{
    struct s3_call call = {.what = "put", .method = "PUT", .key = put->key, .body = put->bytes};
    struct s3_answer answer;
    add_condition(&call, put);
    enum sync_err rc = s3_client_call(s3_of(s), ctx, &call, &answer, ec);
    if (rc == SYNC_OK && answer.unknown) {
        *ret_outcome = OBJECT_UNKNOWN;
    } else if (rc == SYNC_OK && (answer.http.status == 412 || answer.http.status == 404)) {
        *ret_outcome = OBJECT_LOST;
    } else if (rc == SYNC_OK && answer.http.etag.text[0] == '\0') {
        (void)err_set(ec, SYNC_EIO, "S3 put: an answer without ETag");
        *ret_outcome = call.conditional ? OBJECT_UNKNOWN : OBJECT_OK;
        if (!call.conditional) rc = SYNC_EIO;
    } else if (rc == SYNC_OK) {
        *ret_outcome = OBJECT_OK;
        *ret_version = answer.http.etag;
    }
    s3_answer_deinit(&answer);
    return rc;
}

static enum sync_err s3_remove(struct object_store *s, struct object_ctx *ctx, struct slice key,
                               struct err_ctx *ec)
{
    struct s3_call call = {.what = "delete", .method = "DELETE", .key = key, .expects = {404}};
    struct s3_answer answer;
    call.free_of_charge = true;
    enum sync_err rc = s3_client_call(s3_of(s), ctx, &call, &answer, ec);
    s3_answer_deinit(&answer);
    return rc;
}

/* ---- open and close */

static void s3_close(struct object_store *store)
{
    struct object_s3 *s = s3_of(store);
    s3_http_free(s->http);
    credentials_free(s->credentials);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct object_store_ops s3_ops = {
    .get = s3_get,
    .head = s3_head,
    .put = s3_put,
    .remove = s3_remove,
    .list = s3_list,
    .upload_begin = s3_upload_begin,
    .upload_part = s3_upload_part,
    .upload_complete = s3_upload_complete,
    .upload_abort = s3_upload_abort,
    .upload_free = s3_upload_free,
    .upload_sweep = s3_upload_sweep,
    .close = s3_close,
};

static enum sync_err check_config(const struct object_s3_config *cfg, struct err_ctx *ec)
{
    const char *prefix = cfg->key_prefix == NULL ? "" : cfg->key_prefix;
    if (cfg->bucket == NULL || cfg->bucket[0] == '\0')
        return err_set(ec, SYNC_ECONFIG, "S3_BUCKET is not set");
    if (strlen(prefix) > S3_KEY_PREFIX_MAX)
        return err_set(ec, SYNC_ECONFIG, "S3_KEY_PREFIX is longer than %d bytes", S3_KEY_PREFIX_MAX);
    if (prefix[0] == '/') return err_set(ec, SYNC_ECONFIG, "S3_KEY_PREFIX begins with a slash");
    enum sync_err rc = object_key_check_utf8(slice_str(prefix), "S3_KEY_PREFIX", ec);
    if (rc != SYNC_OK) return SYNC_ECONFIG;
    if (cfg->upload_bytes_per_s != 0 && cfg->upload_bytes_per_s < PACE_BYTES_PER_S_MIN)
        return err_set(ec, SYNC_ECONFIG, "S3 upload ceiling under %d bytes per second", PACE_BYTES_PER_S_MIN);
    return SYNC_OK;
}

static enum sync_err open_parts(struct object_s3 *s, const struct object_s3_config *cfg, struct err_ctx *ec)
{
    struct s3_http_config http = {.connections_max = cfg->connections_max,
                                  .connect_ms = cfg->connect_ms,
                                  .first_byte_ms = cfg->first_byte_ms,
                                  .stall_ms = cfg->stall_ms,
                                  .upload_bytes_per_s = cfg->upload_bytes_per_s,
                                  .ca_file = cfg->ca_file};
    enum sync_err rc = check_config(cfg, ec);
    if (rc == SYNC_OK)
        rc = s3_place_init(&s->place, cfg->endpoint, s->region, cfg->bucket, cfg->force_path_style, ec);
    if (rc == SYNC_OK) rc = credentials_new(&cfg->credentials, &s->credentials, ec);
    if (rc == SYNC_OK) rc = s3_http_new(&http, &s->http, ec);
    return rc;
}

enum sync_err object_s3_open(const struct object_s3_config *cfg, struct object_store **ret,
                             struct err_ctx *ec)
{
    const char *region = cfg->region == NULL || cfg->region[0] == '\0' ? "us-east-1" : cfg->region;
    struct object_s3 *s = calloc(1, sizeof *s);
    if (s == NULL) return err_set(ec, SYNC_ENOMEM, "open S3");
    s->cfg = *cfg;
    s->base.ops = &s3_ops;
    s->base.observer = cfg->observer;
    (void)pthread_mutex_init(&s->lock, NULL);
    breaker_init(&s->breaker, &cfg->breaker);
    (void)snprintf(s->region, sizeof s->region, "%s", region);
    (void)snprintf(s->key_prefix, sizeof s->key_prefix, "%s", cfg->key_prefix == NULL ? "" : cfg->key_prefix);
    enum sync_err rc = open_parts(s, cfg, ec);
    if (rc != SYNC_OK) {
        s3_close(&s->base);
        return rc;
    }
    (void)snprintf(s->base.name, sizeof s->base.name, "s3://%.64s/%.100s at %.80s", cfg->bucket,
                   s->key_prefix, s->place.host);
    *ret = &s->base;
    return SYNC_OK;
}
