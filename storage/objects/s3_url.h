/* s3_url.h -- where a bucket is and how a request to it is written: path and virtual-host style,
 * percent-encoding.
 *
 *   path style          https://HOST/BUCKET/KEY
 *   virtual-host style  https://BUCKET.HOST/KEY
 *
 * Virtual-host style needs a name for a host and, over https, a bucket without dots (no certificate has a
 * name for it otherwise); where that is not so, path style is used whatever was asked for. */
#ifndef STORAGE_OBJECTS_S3_URL_H
#define STORAGE_OBJECTS_S3_URL_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>

enum { S3_ORIGIN_MAX = 384, S3_QUERY_PARAMS_MAX = 10, S3_BUCKET_MAX = 255 };

struct s3_place {
    bool path_style;               /* what came out of it */
    char origin[S3_ORIGIN_MAX];    /* "https://bucket.s3.eu-west-1.amazonaws.com", "http://[::1]:9000" */
    char host[S3_ORIGIN_MAX];      /* the Host header: name, and port unless it is the scheme's own */
    char base_path[S3_ORIGIN_MAX]; /* what paths begin with: "", "/bucket", "/storage/v1/s3/bucket" */
};

/* endpoint NULL or "": AWS's own for the region. Errors: SYNC_ECONFIG, saying which of them is wrong. */
enum sync_err s3_place_init(struct s3_place *p, const char *endpoint, const char *region, const char *bucket,
                            bool force_path_style, struct err_ctx *ec);

struct s3_param {
    const char *name;
    struct slice value;
};

/* The address of a key, or of the bucket itself (empty key), with a query. */
struct s3_target {
    struct buf url;
    size_t path_start, path_len; /* of the path, in the url */
    size_t query_start, query_len;
};

/* Fills a zeroed target, whose url the caller buf_deinit()s. Parameters may be in any order; they come out
 * sorted, each with its "=". Errors: SYNC_ENOMEM, SYNC_ELIMIT. */
enum sync_err s3_target_init(struct s3_target *t, const struct s3_place *p, struct slice key,
                             const struct s3_param *params, size_t count, struct err_ctx *ec);

/* Appends text with every byte percent-encoded but letters, digits, "-", ".", "_", "~" and, if kept, "/". */
void s3_url_encode(struct slice text, bool keep_slashes, struct buf *ret);

/* The reverse; "+" is a space, as ListObjectsV2 writes it. False, ret partly written, for a broken escape. */
bool s3_url_decode(struct slice text, struct buf *ret);

#endif
