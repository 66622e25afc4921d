/* object_s3.h -- the object store in an S3 bucket: AWS, Ceph, MinIO and what else speaks S3.
 *
 * Requests are signed with SigV4 and carry the hash of their body. What fails for reasons that pass (5xx,
 * 429, SlowDown, broken connections) is repeated after a wait with full jitter, as long as the call has time;
 * a conditional write is repeated only while it certainly has not reached the service, and else ends as
 * OBJECT_UNKNOWN. A read that breaks goes on where it was, if the object is still the same. When calls keep
 * failing a circuit breaker answers SYNC_EBUSY at once for a while. A wrong clock here is made good from the
 * service's Date.
 *
 * Not every service that speaks S3 keeps the promises of object_store.h; object_probe.h asks one.
 *
 * The process must ignore SIGPIPE. Threads: as object_store.h says. */
#ifndef STORAGE_OBJECTS_OBJECT_S3_H
#define STORAGE_OBJECTS_OBJECT_S3_H

#include "core/base/backoff.h"
#include "storage/objects/credentials.h"
#include "storage/objects/object_store.h"

enum { S3_KEY_PREFIX_MAX = 128 };

/* Texts are copied; NULL and "" mean the same. In brackets: the setting's name in the environment. */
struct object_s3_config {
    const char *bucket;     /* [S3_BUCKET] */
    const char *region;     /* [S3_REGION] */
    const char *endpoint;   /* [S3_ENDPOINT] "https://host:port"; none: AWS's own */
    bool force_path_style;  /* [S3_FORCE_PATH_STYLE] see s3_url.h */
    const char *key_prefix; /* [S3_KEY_PREFIX] put in front of every key as it is, so end it with a slash */
    const char *ca_file;    /* PEM; none: the system's */
    struct credentials_config credentials; /* [S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_SESSION_TOKEN] */

    uint32_t connections_max; /* calls beyond it wait for one */
    uint32_t connect_ms;      /* until a connection is there, TLS included */
    uint32_t first_byte_ms;   /* from a request's last byte to its answer's first */
    uint32_t stall_ms;        /* without any byte moving */
    uint32_t repeats_max;     /* of a request, after the first; a read that got further starts over */
    struct backoff_config backoff;
    struct breaker_config breaker;
    uint64_t upload_bytes_per_s; /* of the whole store; 0: no ceiling, else at least 1024 */

    /* Parts of uploads go without the hash of their bytes. Saves both sides a SHA-256; then TLS alone, and
     * without it TCP's sums, vouch that they arrive as they were sent. All other requests carry it always. */
    bool unsigned_parts;

    /* What one request costs, in 1e-9 US dollars: writes and lists (PUT, POST, LIST), and reads. Deletes are
     * free. Storage and traffic are not in it. */
    uint64_t write_nano_usd;
    uint64_t read_nano_usd;

    struct object_observer observer; /* copied */
    uint64_t (*wall_ms)(void);       /* the clock that requests are dated by; NULL: the system's. For tests */
};

/* The prices are those of AWS S3 Standard in us-east-1. */
#define OBJECT_S3_CONFIG_DEFAULT                                                                             \
    {                                                                                                        \
        .region = "us-east-1", .connections_max = 16, .connect_ms = 5000, .first_byte_ms = 15000,            \
        .stall_ms = 15000, .repeats_max = 5, .backoff = {.base_ms = 100, .cap_ms = 5000},                    \
        .breaker = {.failures_max = 10, .reset_ms = 5000}, .write_nano_usd = 5000, .read_nano_usd = 400      \
    }

/* Asks nothing of the service yet. Errors: SYNC_ECONFIG (a setting is wrong, no keys), SYNC_ENOMEM. */
enum sync_err object_s3_open(const struct object_s3_config *cfg, struct object_store **ret,
                             struct err_ctx *ec);

#endif
