/* s3_error.h -- what a refusal of the S3 service means, and what a person can do about it.
 *
 * Pure, but for the XML parser's memory. */
#ifndef STORAGE_OBJECTS_S3_ERROR_H
#define STORAGE_OBJECTS_S3_ERROR_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>

struct s3_error {
    char code[64];     /* "NoSuchBucket"; "" when the answer named none (HEAD never does) */
    char message[128]; /* the service's words, cut, without control characters */
    char region[40];   /* where the bucket is, if the service says so */
};

/* Reads the body of an answer. False, *ret empty, when it is no error document. */
bool s3_error_parse(struct slice body, struct s3_error *ret);

struct s3_meaning {
    enum sync_err rc;
    bool retry;         /* the same request may succeed later */
    const char *advice; /* "" or a sentence's end for the operator */
};

struct s3_meaning s3_error_meaning(int status, const struct s3_error *e);

/* "403 AccessDenied: Access Denied; the keys are right but ..." Returns the meaning's code. */
enum sync_err s3_error_set(struct err_ctx *ec, int status, const struct s3_error *e);

#endif
