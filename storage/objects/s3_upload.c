#include "storage/objects/s3_upload.h"

#include "storage/objects/s3_client.h"
#include "storage/objects/s3_xml.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COMPLETE_BYTES_MAX = OBJECT_PARTS_MAX * 256,
    /* Services put the object together before they answer; AWS speaks of minutes. */
    COMPLETE_FIRST_BYTE_MS = 180000,
};

struct s3_upload {
    struct object_upload base;
    char id[S3_UPLOAD_ID_MAX + 1];
    size_t key_len;
    char key[OBJECT_KEY_MAX];
    pthread_mutex_t lock;        /* guards what is below */
    struct object_version *tags; /* of part i + 1 */
    size_t tags_capacity;
    uint64_t bytes;       /* of all parts */
    bool maybe_completed; /* a complete has gone out and its end is not known; of who completes */
};

static struct slice key_of(const struct s3_upload *u)
{
    return slice_of(u->key, u->key_len);
}

void s3_upload_free(struct object_upload *base)
{
    struct s3_upload *u = (struct s3_upload *)base;
    (void)pthread_mutex_destroy(&u->lock);
    free(u->tags);
    free(u);
}

/* ---- begin */

static enum sync_err take_id(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct s3_upload *u = arg;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0) return SYNC_OK;
    if (text.len == 0 || text.len > S3_UPLOAD_ID_MAX)
        return err_set(ec, SYNC_EIO, "upload id of %zu characters", text.len);
    memcpy(u->id, text.bytes, text.len);
    u->id[text.len] = '\0';
    return SYNC_OK;
}

static enum sync_err ask_id(struct s3_upload *u, struct object_ctx *ctx, struct err_ctx *ec)
{
    struct s3_call call = {.what = "upload begin", .method = "POST", .key = key_of(u)};
    struct s3_xml_fields fields = {.end = take_id, .arg = u};
    struct s3_answer answer;
    s3_call_param(&call, "uploads", slice_str(""));
    enum sync_err rc = s3_client_call(s3_of(u->base.store), ctx, &call, &answer, ec);
    if (rc == SYNC_OK) rc = s3_xml_read(buf_slice(&answer.http.body), &fields, ec);
    if (rc == SYNC_OK && u->id[0] == '\0') rc = err_set(ec, SYNC_EIO, "upload begun without an id");
    s3_answer_deinit(&answer);
    return rc;
}

enum sync_err s3_upload_begin(struct object_store *s, struct object_ctx *ctx, struct slice key,
                              size_t part_bytes, struct object_upload **ret, struct err_ctx *ec)
{
    struct s3_upload *u = calloc(1, sizeof *u);
    if (u == NULL) return err_set(ec, SYNC_ENOMEM, "S3 upload");
    u->base.store = s;
    u->base.part_bytes = part_bytes;
    memcpy(u->key, key.bytes, key.len);
    u->key_len = key.len;
    (void)pthread_mutex_init(&u->lock, NULL);
    enum sync_err rc = ask_id(u, ctx, ec);
    if (rc != SYNC_OK) {
        s3_upload_free(&u->base);
        return rc;
    }
    *ret = &u->base;
    return SYNC_OK;
}

/* ---- parts */

static bool make_room(struct s3_upload *u, uint32_t count)
{
    size_t capacity = u->tags_capacity == 0 ? 64 : u->tags_capacity;
    while (capacity < count) capacity *= 2;
    if (capacity == u->tags_capacity) return true;
    struct object_version *tags = realloc(u->tags, capacity * sizeof *tags);
    if (tags == NULL) return false;
    memset(tags + u->tags_capacity, 0, (capacity - u->tags_capacity) * sizeof *tags);
    u->tags = tags;
    u->tags_capacity = capacity;
    return true;
}

static enum sync_err keep_tag(struct s3_upload *u, uint32_t number, size_t bytes,
                              const struct object_version *tag, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    pthread_mutex_lock(&u->lock);
    if (!make_room(u, number)) {
        rc = err_set(ec, SYNC_ENOMEM, "S3 upload");
    } else {
        if (u->tags[number - 1].text[0] == '\0') u->bytes += bytes;
        u->tags[number - 1] = *tag;
    }
    pthread_mutex_unlock(&u->lock);
    return rc;
}

enum sync_err s3_upload_part(struct object_upload *base, struct object_ctx *ctx, uint32_t number,
                             struct slice bytes, struct err_ctx *ec)
{
    struct s3_upload *u = (struct s3_upload *)base;
    struct s3_call call = {.what = "upload part", .method = "PUT", .key = key_of(u), .body = bytes};
    struct s3_answer answer;
    char text[16];
    call.unsigned_body = s3_of(base->store)->cfg.unsigned_parts;
    (void)snprintf(text, sizeof text, "%" PRIu32, number);
    s3_call_param(&call, "partNumber", slice_str(text));
    s3_call_param(&call, "uploadId", slice_str(u->id));
    enum sync_err rc = s3_client_call(s3_of(base->store), ctx, &call, &answer, ec);
    if (rc == SYNC_OK && answer.http.etag.text[0] == '\0')
        rc = err_set(ec, SYNC_EIO, "S3 upload part: an answer without ETag");
    if (rc == SYNC_OK) rc = keep_tag(u, number, bytes.len, &answer.http.etag, ec);
    s3_answer_deinit(&answer);
    return rc;
}

/* ---- complete */

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': BUF_PUT_LIT(b, "&lt;"); break;
        case '>': BUF_PUT_LIT(b, "&gt;"); break;
        case '&': BUF_PUT_LIT(b, "&amp;"); break;
        default: buf_put_char(b, *text); break;
        }
    }
}

static void put_parts(struct s3_upload *u, uint32_t count, struct buf *ret)
{
    BUF_PUT_LIT(ret, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    pthread_mutex_lock(&u->lock);
    assert(count <= u->tags_capacity);
    for (uint32_t i = 0; i < count; i++) {
        BUF_PUT_LIT(ret, "<Part><PartNumber>");
        buf_put_u64(ret, i + 1);
        BUF_PUT_LIT(ret, "</PartNumber><ETag>\"");
        put_escaped(ret, u->tags[i].text);
        BUF_PUT_LIT(ret, "\"</ETag></Part>");
    }
    pthread_mutex_unlock(&u->lock);
    BUF_PUT_LIT(ret, "</CompleteMultipartUpload>");
}

static enum sync_err take_tag(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct object_version *version = arg;
    (void)ec;
    if (strcmp(path, "CompleteMultipartUploadResult/ETag") != 0) return SYNC_OK;
    if (text.len >= 2 && text.bytes[0] == '"' && text.bytes[text.len - 1] == '"')
        text = slice_of(text.bytes + 1, text.len - 2);
    if (text.len == 0 || text.len > OBJECT_VERSION_MAX) return SYNC_OK; /* then a HEAD says */
    memcpy(version->text, text.bytes, text.len);
    version->text[text.len] = '\0';
    return SYNC_OK;
}

/* Services name an object of N parts with an ETag that ends in "-N". */
static bool is_ours(const struct s3_upload *u, uint32_t count, const struct object_info *info)
{
    char ending[16];
    size_t len = strlen(info->version.text);
    int n = snprintf(ending, sizeof ending, "-%" PRIu32, count);
    return info->bytes == u->bytes && len > (size_t)n && strcmp(info->version.text + len - n, ending) == 0;
}

/* What stands under the key now: its version, for services that do not say it, and after an answer was lost,
 * whether the upload has become it. */
static enum sync_err look(struct s3_upload *u, struct object_ctx *ctx, struct object_info *ret,
                          struct err_ctx *ec)
{
    return u->base.store->ops->head(u->base.store, ctx, key_of(u), ret, ec);
}

/* The service knows no such upload. If an earlier request may have completed it, what lies there tells. */
static enum sync_err after_gone(struct s3_upload *u, struct object_ctx *ctx, uint32_t count,
                                const struct s3_answer *answer, struct object_version *ret_version,
                                struct err_ctx *ec)
{
    struct object_info info = {0};
    if (u->maybe_completed) {
        enum sync_err rc = look(u, ctx, &info, ec);
        if (rc != SYNC_OK && rc != SYNC_ENOTFOUND) return rc;
        if (rc == SYNC_OK && is_ours(u, count, &info)) {
            *ret_version = info.version;
            return SYNC_OK;
        }
    }
    (void)s3_error_set(ec, answer->http.status, &answer->error);
    err_wrap(ec, "S3 upload complete: somebody dropped the upload");
    return SYNC_EIO;
}

static enum sync_err after_done(struct s3_upload *u, struct object_ctx *ctx, const struct s3_answer *answer,
                                struct object_version *ret_version, struct err_ctx *ec)
{
    struct s3_xml_fields fields = {.end = take_tag, .arg = ret_version};
    struct object_info info = {0};
    u->maybe_completed = true;
    enum sync_err rc = s3_xml_read(buf_slice(&answer->http.body), &fields, ec);
    if (rc != SYNC_OK || ret_version->text[0] != '\0') return rc;
    rc = look(u, ctx, &info, ec);
    *ret_version = info.version;
    return rc;
}

enum sync_err s3_upload_complete(struct object_upload *base, struct object_ctx *ctx, uint32_t count,
                                 struct object_version *ret_version, struct err_ctx *ec)
{
    struct s3_upload *u = (struct s3_upload *)base;
    struct s3_call call = {.what = "upload complete", .method = "POST", .key = key_of(u), .expects = {404}};
    struct s3_answer answer;
    struct buf body = buf_make(COMPLETE_BYTES_MAX);
    put_parts(u, count, &body);
    call.body = buf_slice(&body);
    call.error_in_200 = true;
    call.first_byte_ms = COMPLETE_FIRST_BYTE_MS;
    s3_call_param(&call, "uploadId", slice_str(u->id));
    enum sync_err rc = buf_check(&body, ec);
    if (rc == SYNC_OK) {
        rc = s3_client_call(s3_of(base->store), ctx, &call, &answer, ec);
        u->maybe_completed |= answer.earlier_may_have_arrived;
        if (rc != SYNC_OK)
            u->maybe_completed |= answer.http.may_have_arrived;
        else if (answer.http.status == 404)
            rc = after_gone(u, ctx, count, &answer, ret_version, ec);
        else
            rc = after_done(u, ctx, &answer, ret_version, ec);
        s3_answer_deinit(&answer);
    }
    buf_deinit(&body);
    return rc;
}

/* ---- abort */

enum sync_err s3_upload_drop(struct object_s3 *s, struct object_ctx *ctx, struct slice key, const char *id,
                             struct err_ctx *ec)
{
    struct s3_call call = {.what = "upload abort", .method = "DELETE", .key = key, .expects = {404}};
    struct s3_answer answer;
    call.free_of_charge = true;
    s3_call_param(&call, "uploadId", slice_str(id));
    enum sync_err rc = s3_client_call(s, ctx, &call, &answer, ec);
    s3_answer_deinit(&answer);
    return rc;
}

enum sync_err s3_upload_abort(struct object_upload *base, struct object_ctx *ctx, struct err_ctx *ec)
{
    struct s3_upload *u = (struct s3_upload *)base;
    return s3_upload_drop(s3_of(base->store), ctx, key_of(u), u->id, ec);
}
