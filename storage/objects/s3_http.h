/* s3_http.h -- one HTTP exchange with the service, over connections that are kept.
 *
 * A pool of libcurl handles, each with its own connection, the one used last first. An exchange takes a
 * handle, drives it on the caller's thread and gives it back; there is no thread of its own and nothing
 * shared between handles, so no lock is held while bytes move. Nothing is repeated here: an exchange is one
 * request, sent once.
 *
 * What ends an exchange early: the caller's deadline or cancel flag, no connection within connect_ms, no
 * first byte of an answer within first_byte_ms of the last byte sent, no byte in or out for stall_ms. */
#ifndef STORAGE_OBJECTS_S3_HTTP_H
#define STORAGE_OBJECTS_S3_HTTP_H

#include "storage/objects/object_impl.h"
#include "storage/objects/sigv4.h"

enum { S3_HTTP_HEADERS_MAX = SIGV4_HEADERS_MAX + 2 };

#define S3_HTTP_BODY_BYTES_MAX                                                                               \
    ((size_t)8 << 20) /* of an answer that is kept: a full page of the longest keys */

struct s3_http_config {
    uint32_t connections_max;
    uint32_t connect_ms;
    uint32_t first_byte_ms;
    uint32_t stall_ms;
    uint64_t upload_bytes_per_s; /* 0: no ceiling */
    const char *ca_file;         /* copied; NULL or "": the system's */
};

struct s3_http;

enum sync_err s3_http_new(const struct s3_http_config *cfg, struct s3_http **ret, struct err_ctx *ec);
void s3_http_free(struct s3_http *h); /* NULL does nothing; no exchange may be going on */

struct s3_http_request {
    const char *method;
    const char *url;
    const struct sigv4_header *headers;
    size_t headers_count;
    struct slice body;
    uint32_t first_byte_ms;         /* 0: the pool's */
    const struct object_sink *sink; /* gets the body of a 2xx answer; NULL: kept in the response */
};

struct s3_http_response {
    int status;                 /* 0: none came */
    bool may_have_arrived;      /* the request, or a part of it, was handed to a connection */
    struct buf body;            /* what the sink did not get; the caller deinits it */
    struct object_version etag; /* without quotes; "" when there was none */
    bool has_length, has_range;
    uint64_t length;                   /* Content-Length */
    uint64_t range_start, range_total; /* Content-Range */
    uint64_t modified_ms;
    int64_t date_s;          /* the service's clock; 0: it did not say */
    uint64_t retry_after_ms; /* 0: it did not say */
    char region[40];
    uint64_t sent_bytes, received_bytes; /* of bodies */
};

/* SYNC_OK: an answer came, whole, whatever its status. Else, with *ret filled as far as it came: SYNC_EBUSY
 * (out of time, connection broken or refused), SYNC_ECONFIG (certificate not trusted, CA file unreadable),
 * SYNC_ECANCELED, SYNC_ELIMIT, SYNC_ENOMEM, or what the sink returned. */
enum sync_err s3_http_exchange(struct s3_http *h, const struct object_ctx *ctx,
                               const struct s3_http_request *req, struct s3_http_response *ret,
                               struct err_ctx *ec);

#endif
