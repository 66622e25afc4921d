/* Every allocation of the object store's own code fails once: the 1st, then the 2nd, until none is left. Each
 * time the call must say so, and leave nothing behind (nomem.h). */
#include "storage/objects/credentials.h"
#include "storage/objects/object_dir.h"
#include "storage/objects/object_s3.h"
#include "storage/objects/object_writer.h"
#include "storage/objects/s3_list.h"
#include "storage/objects/s3_url.h"

#include "nomem.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct temp_dir dir;
static struct object_store *store;

static void open_store(void)
{
    struct object_dir_config cfg;
    struct err_ctx ec;
    temp_dir_make(&dir);
    cfg = (struct object_dir_config){.path = dir.path};
    cr_assert_eq(object_dir_open(&cfg, &store, &ec), SYNC_OK);
}

static void close_store(void)
{
    object_store_close(store);
    temp_dir_remove(&dir);
}

TestSuite(objects_nomem, .init = open_store, .fini = close_store);

static enum sync_err open_again(struct err_ctx *ec)
{
    struct object_dir_config cfg = {.path = dir.path};
    struct object_store *s;
    enum sync_err rc = object_dir_open(&cfg, &s, ec);
    if (rc == SYNC_OK) object_store_close(s);
    return rc;
}

Test(objects_nomem, opening_a_directory)
{
    nomem_each(open_again);
}

static enum sync_err get(struct err_ctx *ec)
{
    struct buf got = buf_make(1000);
    enum sync_err rc = object_get_buf(store, NULL, slice_str("a/b"), NULL, &got, NULL, ec);
    buf_deinit(&got);
    return rc;
}

Test(objects_nomem, reading)
{
    struct err_ctx ec;
    cr_assert_eq(object_put(store, NULL, slice_str("a/b"), slice_str("x"), NULL, &ec), SYNC_OK);
    nomem_each(get);
}

static enum sync_err list(struct err_ctx *ec)
{
    struct object_page page;
    enum sync_err rc = object_list(store, NULL, &(struct object_query){.delimiter = '/'}, &page, ec);
    if (rc == SYNC_OK) object_page_deinit(&page);
    return rc;
}

Test(objects_nomem, listing)
{
    char key[32];
    struct err_ctx ec;
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, i % 2 ? "a%d/b" : "a%d", i);
        cr_assert_eq(object_put(store, NULL, slice_str(key), slice_str("x"), NULL, &ec), SYNC_OK);
    }
    nomem_each(list);
}

static enum sync_err stream(struct err_ctx *ec)
{
    struct object_writer_config cfg = {.part_bytes = OBJECT_PART_BYTES_MIN};
    struct object_writer *w;
    static char part[OBJECT_PART_BYTES_MIN];
    enum sync_err rc = object_writer_open(store, slice_str("w"), &cfg, &w, ec);
    if (rc != SYNC_OK) return rc;
    rc = object_writer_put(w, slice_of(part, sizeof part), ec);
    if (rc == SYNC_OK) rc = object_writer_put(w, slice_of(part, 10), ec);
    if (rc == SYNC_OK) rc = object_writer_finish(w, NULL, ec);
    object_writer_close(w);
    return rc;
}

/* Streamed once before, since a directory whose name finds no room to be remembered is only synced once
 * more. */
Test(objects_nomem, streaming)
{
    struct err_ctx ec;
    cr_assert_eq(stream(&ec), SYNC_OK);
    nomem_each(stream);
}

static enum sync_err open_s3(struct err_ctx *ec)
{
    struct object_s3_config cfg = OBJECT_S3_CONFIG_DEFAULT;
    struct object_store *s;
    cfg.bucket = "bucket";
    cfg.connections_max = 2;
    cfg.credentials = (struct credentials_config){.access_key_id = "id", .secret_access_key = "s"};
    enum sync_err rc = object_s3_open(&cfg, &s, ec);
    if (rc == SYNC_OK) object_store_close(s);
    return rc;
}

Test(objects_nomem, opening_s3)
{
    nomem_each(open_s3);
}

static enum sync_err make_target(struct err_ctx *ec)
{
    struct s3_place place;
    struct s3_target t = {0};
    struct s3_param params[] = {
        {"prefix", slice_str("a long prefix that needs escapes / / / / / / / / / / / /")}};
    char key[OBJECT_KEY_MAX];
    memset(key, ' ', sizeof key);
    enum sync_err rc = s3_place_init(&place, NULL, "us-east-1", "bucket", false, ec);
    if (rc == SYNC_OK) rc = s3_target_init(&t, &place, slice_of(key, sizeof key), params, 1, ec);
    buf_deinit(&t.url);
    return rc;
}

Test(objects_nomem, making_an_address)
{
    nomem_each(make_target);
}

static enum sync_err parse_list(struct err_ctx *ec)
{
    static const char document[] =
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a+b</Key><Size>1</Size></Contents>"
        "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes></ListBucketResult>";
    struct object_page page = {0};
    enum sync_err rc = s3_list_parse(slice_str(document), "", &page, ec);
    object_page_deinit(&page);
    return rc;
}

Test(objects_nomem, reading_a_list)
{
    nomem_each(parse_list);
}
