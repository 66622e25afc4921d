/* s3_list.h -- listing a bucket (ListObjectsV2). */
#ifndef STORAGE_OBJECTS_S3_LIST_H
#define STORAGE_OBJECTS_S3_LIST_H

#include "storage/objects/object_impl.h"

/* For the table of object_impl.h. */
enum sync_err s3_list(struct object_store *s, struct object_ctx *ctx, const struct object_query *query,
                      struct object_page *ret, struct err_ctx *ec);

/* Reads one ListBucketResult. Keys must begin with key_prefix, which is cut off; keys that break the rule of
 * object_store.h, other programs' objects, are left out. Errors: SYNC_EIO, SYNC_ENOMEM. */
enum sync_err s3_list_parse(struct slice document, const char *key_prefix, struct object_page *ret,
                            struct err_ctx *ec);

#endif
