/* s3_client.h -- one request to the service, seen through: signed, sent, judged, repeated where that is
 * right.
 *
 * Above s3_http.h, which sends one request once; below the operations, which say what to send and read what
 * came. Keeps what requests have in common: the breaker, the keys, the clock's skew. */
#ifndef STORAGE_OBJECTS_S3_CLIENT_H
#define STORAGE_OBJECTS_S3_CLIENT_H

#include "storage/objects/object_impl.h"
#include "storage/objects/object_s3.h"
#include "storage/objects/s3_error.h"
#include "storage/objects/s3_http.h"
#include "storage/objects/s3_url.h"

#include <pthread.h>

struct object_s3 {
    struct object_store base;
    struct object_s3_config cfg; /* its texts are not kept: use the fields below */
    struct s3_place place;
    struct s3_http *http;
    struct credentials *credentials;
    char region[80];
    char key_prefix[S3_KEY_PREFIX_MAX + 1];
    atomic_int_least64_t skew_ms; /* the service's clock minus ours */
    pthread_mutex_t lock;         /* guards the breaker */
    struct breaker breaker;
};

static inline struct object_s3 *s3_of(struct object_store *s)
{
    return (struct object_s3 *)s;
}

enum { S3_CALL_HEADERS_MAX = 4, S3_CALL_EXPECTS_MAX = 3 };

/* A read that can go on after it broke. */
struct s3_download {
    const struct object_sink *sink;
    uint64_t offset;         /* where it begins */
    uint64_t bytes;          /* UINT64_MAX: to the end */
    uint64_t done;           /* bytes that the sink has got */
    bool begun;              /* info is filled: an answer has begun */
    struct object_info info; /* of the object that all bytes are of */
    enum sync_err sink_rc;   /* what the sink refused a piece with, or the answer was refused with */
    const struct s3_http_response *answer; /* the one that pieces come from */
};

/* At the end of a successful GET, whose last answer is `a`: is all of it there, and is d->info known? */
enum sync_err s3_download_end(struct s3_download *d, const struct s3_http_response *a, struct err_ctx *ec);

struct s3_call {
    const char *what; /* "put", for messages */
    const char *method;
    struct slice key; /* without the prefix; empty: the bucket */
    struct s3_param params[S3_QUERY_PARAMS_MAX];
    size_t params_count;
    struct sigv4_header headers[S3_CALL_HEADERS_MAX];
    size_t headers_count;
    struct slice body;
    struct s3_download *download;     /* of a GET */
    int expects[S3_CALL_EXPECTS_MAX]; /* statuses besides 2xx that the caller makes sense of; 0: no more */
    bool conditional;                 /* not repeated once it may have arrived */
    bool read_only;                   /* for its price */
    bool free_of_charge;
    bool unsigned_body;     /* goes without the hash of its body */
    bool error_in_200;      /* the answer can be an error document although its status is 200 */
    uint32_t first_byte_ms; /* 0: as set */
};

struct s3_answer {
    struct s3_http_response http;  /* its body is the caller's to deinit, always */
    struct s3_error error;         /* of an expected status that is none of success */
    bool unknown;                  /* a conditional request that may have arrived; ec says why */
    bool earlier_may_have_arrived; /* of the requests before the one that was answered */
};

static inline void s3_answer_deinit(struct s3_answer *a)
{
    buf_deinit(&a->http.body);
}

void s3_call_param(struct s3_call *c, const char *name, struct slice value);
void s3_call_header(struct s3_call *c, const char *name, struct slice value); /* lower case */

/* SYNC_OK: *ret has a status of 2xx or an expected one, or `unknown` is set. Errors: as object_store.h lists
 * them, the text complete. */
enum sync_err s3_client_call(struct object_s3 *s, struct object_ctx *ctx, struct s3_call *call,
                             struct s3_answer *ret, struct err_ctx *ec);

#endif
