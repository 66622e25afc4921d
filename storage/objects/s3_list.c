#include "storage/objects/s3_list.h"

#include "storage/objects/object_key.h"
#include "storage/objects/s3_client.h"
#include "storage/objects/s3_xml.h"

#include <inttypes.h>
#include <stdio.h>

/* The document while it is read. Whether keys are percent-encoded is said at some place in it, and the
 * entries before that place must be read right as well, so it is found in a first pass. */
struct listing {
    const char *key_prefix;
    bool encoded;
    bool has_size;
    struct buf key; /* decoded, of the entry that is being read */
    struct object_entry entry;
    struct object_page_build build;
    bool more;
    char next[OBJECT_TOKEN_MAX + 1];
};

static enum sync_err take_encoding(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct listing *l = arg;
    (void)ec;
    if (strcmp(path, "ListBucketResult/EncodingType") == 0) l->encoded = slice_is(text, "url");
    return SYNC_OK;
}

static enum sync_err take_key(struct listing *l, struct slice text, struct err_ctx *ec)
{
    buf_clear(&l->key);
    if (!l->encoded)
        buf_put_slice(&l->key, text);
    else if (!s3_url_decode(text, &l->key))
        return err_set(ec, SYNC_EIO, "list with a key that is not percent-encoded right");
    return buf_check(&l->key, ec);
}

/* The end of one entry. */
static enum sync_err add_entry(struct listing *l, struct err_ctx *ec)
{
    struct err_ctx ignored; /* a key of somebody else is not our failure */
    struct slice key = buf_slice(&l->key);
    size_t prefix_len = strlen(l->key_prefix);
    struct object_entry entry = l->entry;
    bool complete = l->has_size || entry.is_prefix;
    l->entry = (struct object_entry){0};
    l->has_size = false;
    if (!slice_starts_with(key, slice_str(l->key_prefix)) || !complete)
        return err_set(ec, SYNC_EIO, "list with an entry that was not asked for, or without a size");
    if (key.len == prefix_len) return SYNC_OK; /* an object that marks the "folder" */
    key = slice_of(key.bytes + prefix_len, key.len - prefix_len);
    if (!entry.is_prefix && object_key_check(key, &ignored) != SYNC_OK) return SYNC_OK;
    return object_page_build_add(&l->build, key, &entry, ec);
}

static enum sync_err take_token(struct listing *l, struct slice text, struct err_ctx *ec)
{
    if (text.len > OBJECT_TOKEN_MAX)
        return err_set(ec, SYNC_EIO, "list with a continuation of %zu bytes", text.len);
    if (text.len > 0) memcpy(l->next, text.bytes, text.len);
    l->next[text.len] = '\0';
    return SYNC_OK;
}

static enum sync_err take_field(void *arg, const char *path, struct slice text, struct err_ctx *ec)
{
    struct listing *l = arg;
    static const char root[] = "ListBucketResult/";
    if (strncmp(path, root, sizeof root - 1) != 0) return SYNC_OK;
    path += sizeof root - 1;
    if (strcmp(path, "Contents/Key") == 0) return take_key(l, text, ec);
    if (strcmp(path, "Contents/Size") == 0) l->has_size = s3_xml_u64(text, &l->entry.bytes);
    if (strcmp(path, "Contents/LastModified") == 0) l->entry.modified_ms = s3_xml_time_ms(text);
    if (strcmp(path, "Contents") == 0) return add_entry(l, ec);
    if (strcmp(path, "CommonPrefixes/Prefix") == 0) return take_key(l, text, ec);
    if (strcmp(path, "CommonPrefixes") == 0) {
        l->entry.is_prefix = true;
        return add_entry(l, ec);
    }
    if (strcmp(path, "IsTruncated") == 0) l->more = slice_is(text, "true");
    if (strcmp(path, "NextContinuationToken") == 0) return take_token(l, text, ec);
    return SYNC_OK;
}

enum sync_err s3_list_parse(struct slice document, const char *key_prefix, struct object_page *ret,
                            struct err_ctx *ec)
{
    struct listing l = {.key_prefix = key_prefix, .key = buf_make(S3_XML_TEXT_MAX)};
    struct s3_xml_fields first = {.end = take_encoding, .arg = &l}, second = {.end = take_field, .arg = &l};
    object_page_build_init(&l.build);
    enum sync_err rc = s3_xml_read(document, &first, ec);
    if (rc == SYNC_OK) rc = s3_xml_read(document, &second, ec);
    if (rc == SYNC_OK && l.more && l.next[0] == '\0')
        rc = err_set(ec, SYNC_EIO, "list that goes on, without a continuation");
    if (rc == SYNC_OK) {
        object_page_build_finish(&l.build, ret);
        ret->more = l.more;
        if (l.more) memcpy(ret->next, l.next, sizeof l.next);
    }
    object_page_build_deinit(&l.build);
    buf_deinit(&l.key);
    return rc;
}

enum sync_err s3_list(struct object_store *store, struct object_ctx *ctx, const struct object_query *query,
                      struct object_page *ret, struct err_ctx *ec)
{
    struct object_s3 *s = s3_of(store);
    struct s3_call call = {.what = "list", .method = "GET"};
    struct s3_answer answer;
    char max_keys[16];
    struct buf prefix = buf_make(S3_KEY_PREFIX_MAX + OBJECT_KEY_MAX);
    struct buf after = buf_make(S3_KEY_PREFIX_MAX + OBJECT_KEY_MAX);
    (void)snprintf(max_keys, sizeof max_keys, "%" PRIu32, query->entries_max);
    buf_put_str(&prefix, s->key_prefix);
    buf_put_slice(&prefix, query->prefix);
    buf_put_str(&after, s->key_prefix);
    buf_put_slice(&after, query->start_after);

    s3_call_param(&call, "list-type", slice_str("2"));
    s3_call_param(&call, "encoding-type", slice_str("url")); /* XML cannot hold every character of a key */
    s3_call_param(&call, "max-keys", slice_str(max_keys));
    s3_call_param(&call, "prefix", buf_slice(&prefix));
    if (query->delimiter != 0) s3_call_param(&call, "delimiter", slice_of(&query->delimiter, 1));
    if (query->continuation.len > 0)
        s3_call_param(&call, "continuation-token", query->continuation);
    else if (query->start_after.len > 0)
        s3_call_param(&call, "start-after", buf_slice(&after));

    enum sync_err rc = buf_check(&prefix, ec);
    if (rc == SYNC_OK) rc = buf_check(&after, ec);
    if (rc == SYNC_OK) {
        rc = s3_client_call(s, ctx, &call, &answer, ec);
        if (rc == SYNC_OK) {
            rc = s3_list_parse(buf_slice(&answer.http.body), s->key_prefix, ret, ec);
            if (rc == SYNC_OK && ret->count > query->entries_max) {
                rc = err_set(ec, SYNC_EIO, "%zu entries, at most %" PRIu32 " were asked for", ret->count,
                             query->entries_max);
                object_page_deinit(ret);
            }
            if (rc != SYNC_OK) err_wrap(ec, "S3 list");
        }
        s3_answer_deinit(&answer);
    }
    buf_deinit(&prefix);
    buf_deinit(&after);
    return rc;
}
