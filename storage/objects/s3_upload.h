/* s3_upload.h -- uploads in parts (multipart uploads) to a bucket; for the table of object_impl.h. */
#ifndef STORAGE_OBJECTS_S3_UPLOAD_H
#define STORAGE_OBJECTS_S3_UPLOAD_H

#include "storage/objects/s3_client.h"

enum { S3_UPLOAD_ID_MAX = 1024 };

enum sync_err s3_upload_begin(struct object_store *s, struct object_ctx *ctx, struct slice key,
                              size_t part_bytes, struct object_upload **ret, struct err_ctx *ec);
enum sync_err s3_upload_part(struct object_upload *u, struct object_ctx *ctx, uint32_t number,
                             struct slice bytes, struct err_ctx *ec);
enum sync_err s3_upload_complete(struct object_upload *u, struct object_ctx *ctx, uint32_t count,
                                 struct object_version *ret_version, struct err_ctx *ec);
enum sync_err s3_upload_abort(struct object_upload *u, struct object_ctx *ctx, struct err_ctx *ec);
void s3_upload_free(struct object_upload *u);
enum sync_err s3_upload_sweep(struct object_store *s, struct object_ctx *ctx, struct slice prefix,
                              uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec);

/* Drops one upload by its id; one that is gone is dropped. */
enum sync_err s3_upload_drop(struct object_s3 *s, struct object_ctx *ctx, struct slice key, const char *id,
                             struct err_ctx *ec);

#endif
