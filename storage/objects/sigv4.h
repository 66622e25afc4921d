/* sigv4.h -- AWS Signature Version 4, in the Authorization header.
 *
 * What is signed is what is sent: path and query come percent-encoded (the query sorted, "name=value" with
 * "&" between), and are neither encoded again nor normalized, as S3 wants it.
 *
 * Pure, on OpenSSL's SHA-256 and HMAC. */
#ifndef STORAGE_OBJECTS_SIGV4_H
#define STORAGE_OBJECTS_SIGV4_H

#include "core/base/buf.h"
#include "core/base/slice.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SIGV4_HEADERS_MAX = 16,
    SIGV4_HASH_HEX = 64,
    SIGV4_TIME_TEXT = 16, /* 20130524T000000Z */
};

struct sigv4_header {
    const char *name;   /* lower case */
    struct slice value; /* without spaces at the ends, or two in a row */
};

struct sigv4_request {
    const char *method;
    struct slice path;
    struct slice query;
    const struct sigv4_header
        *headers; /* all of them are signed; any order; "host" and "x-amz-date" among them */
    size_t headers_count;
    const char *payload_hash; /* sigv4_hash() of the body */
};

struct sigv4_key {
    const char *access_key_id;
    const char *secret_access_key;
    const char *region;
    const char *service;
};

/* SHA-256 in lower case hex, and a UTC time, as the headers want them. Zero terminated. */
void sigv4_hash(struct slice bytes, char ret[SIGV4_HASH_HEX + 1]);
void sigv4_time(int64_t seconds, char ret[SIGV4_TIME_TEXT + 1]); /* since 1970 */

/* The canonical request: the text whose hash is signed. Shown in no message; for tests. */
void sigv4_canonical_request(const struct sigv4_request *r, struct buf *ret);

/* Appends the value of the Authorization header. `time` is the value of x-amz-date. */
void sigv4_authorization(const struct sigv4_request *r, const struct sigv4_key *key, const char *time,
                         struct buf *ret);

#endif
