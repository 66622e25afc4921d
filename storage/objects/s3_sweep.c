/* s3_sweep.c -- dropping uploads that nobody finished (ListMultipartUploads, AbortMultipartUpload).
 *
 * The keys of uploads are asked for as they are, not percent-encoded: a key that XML cannot hold makes the
 * sweep fail, and nothing else. */
#include "storage/objects/s3_upload.h"
#include "storage/objects/s3_xml.h"

#include <stdlib.h>

enum { FOUND_MAX = 1000, SWEEP_PAGES_MAX = 1000 };

struct found {
    char key[S3_KEY_PREFIX_MAX + OBJECT_KEY_MAX + 1]; /* with the store's prefix */
    char id[S3_UPLOAD_ID_MAX + 1];
};

/* One page of uploads: read whole, then the old ones among them are dropped. */
struct page {
    uint64_t begun_before_ms;
    struct found now; /* that is being read */
    uint64_t begun_ms;
    struct found *found; /* FOUND_MAX of them */
    size_t found_count;
    bool more;
    struct found next; /* where the next page begins */
};

static enum sync_err copy_text(char *ret, size_t room, struct slice text, struct err_ctx *ec)
{
    if (text.len >= room) return err_set(ec, SYNC_EIO, "list of uploads with a text of %zu bytes", text.len);
    if (text.len > 0) memcpy(ret, text.bytes, text.len);
    ret[text.len] = '\0';
    return SYNC_OK;
}

static enum sync_err end_upload(struct page *p, struct err_ctx *ec)
{
    bool old = p->begun_ms != 0 && p->begun_ms <= p->begun_before_ms;
    if (old && p->found_count == FOUND_MAX)
        return err_set(ec, SYNC_EIO, "list of more than %d uploads", FOUND_MAX);
    if (old) p->found[p->found_count++] = p->now;
    p->begun_ms = 0;
    return SYNC_OK;
}

static enum sync_err take_field(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct page *p = arg;
    static const char root[] = "ListMultipartUploadsResult/";
    if (strncmp(path, root, sizeof root - 1) != 0) return SYNC_OK;
    path += sizeof root - 1;
    if (strcmp(path, "Upload/Key") == 0) return copy_text(p->now.key, sizeof p->now.key, text, ec);
    if (strcmp(path, "Upload/UploadId") == 0) return copy_text(p->now.id, sizeof p->now.id, text, ec);
    if (strcmp(path, "Upload/Initiated") == 0) p->begun_ms = s3_xml_time_ms(text);
    if (strcmp(path, "Upload") == 0) return end_upload(p, ec);
    if (strcmp(path, "IsTruncated") == 0) p->more = slice_is(text, "true");
    if (strcmp(path, "NextKeyMarker") == 0) return copy_text(p->next.key, sizeof p->next.key, text, ec);
    if (strcmp(path, "NextUploadIdMarker") == 0) return copy_text(p->next.id, sizeof p->next.id, text, ec);
    return SYNC_OK;
}

/* Reads the page that begins at p->next, which moves on. */
static enum sync_err read_page(struct object_s3 *s, struct object_ctx *ctx, struct slice prefix,
                               struct page *p, struct err_ctx *ec)
{
    struct s3_call call = {.what = "list of uploads", .method = "GET"};
    struct s3_answer answer;
    struct found from = p->next;
    struct s3_xml_fields fields = {.end = take_field, .arg = p};
    s3_call_param(&call, "uploads", slice_str(""));
    s3_call_param(&call, "prefix", prefix);
    if (from.key[0] != '\0') s3_call_param(&call, "key-marker", slice_str(from.key));
    if (from.id[0] != '\0') s3_call_param(&call, "upload-id-marker", slice_str(from.id));
    p->found_count = 0;
    p->more = false;
    enum sync_err rc = s3_client_call(s, ctx, &call, &answer, ec);
    if (rc == SYNC_OK) rc = s3_xml_read(buf_slice(&answer.http.body), &fields, ec);
    s3_answer_deinit(&answer);
    return rc;
}

static enum sync_err drop_found(struct object_s3 *s, struct object_ctx *ctx, const struct page *p,
                                uint32_t *count, struct err_ctx *ec)
{
    size_t prefix_len = strlen(s->key_prefix);
    for (size_t i = 0; i < p->found_count; i++) {
        struct slice key = slice_str(p->found[i].key);
        if (key.len <= prefix_len || !slice_starts_with(key, slice_str(s->key_prefix))) continue;
        key = slice_of(key.bytes + prefix_len, key.len - prefix_len);
        enum sync_err rc = s3_upload_drop(s, ctx, key, p->found[i].id, ec);
        if (rc != SYNC_OK) return rc;
        (*count)++;
    }
    return SYNC_OK;
}

enum sync_err s3_upload_sweep(struct object_store *store, struct object_ctx *ctx, struct slice prefix,
                              uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec)
{
    struct object_s3 *s = s3_of(store);
    struct page p = {0};
    struct buf full_prefix = buf_make(S3_KEY_PREFIX_MAX + OBJECT_KEY_MAX);
    uint64_t wall_ms = object_wall_ms() + (uint64_t)atomic_load(&s->skew_ms);
    p.begun_before_ms = wall_ms > age_ms ? wall_ms - age_ms : 0;
    buf_put_str(&full_prefix, s->key_prefix);
    buf_put_slice(&full_prefix, prefix);
    p.found = malloc(FOUND_MAX * sizeof *p.found);
    enum sync_err rc = p.found == NULL ? err_set(ec, SYNC_ENOMEM, "S3 sweep") : buf_check(&full_prefix, ec);
    for (int pages = 0; rc == SYNC_OK && (pages == 0 || p.more) && pages < SWEEP_PAGES_MAX; pages++) {
        rc = read_page(s, ctx, buf_slice(&full_prefix), &p, ec);
        if (rc == SYNC_OK) rc = drop_found(s, ctx, &p, ret_count, ec);
    }
    free(p.found);
    buf_deinit(&full_prefix);
    return rc;
}
