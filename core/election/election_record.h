/* election_record.h -- the records that an election keeps in the object store, and their JSON.
 *
 * Wall clock times in them are for people who read them; the election compares none. What it compares is
 * whether a record changed, and for that every writing of state.json is unlike every other: it carries the
 * writer's incarnation (a random number made when the instance started) and the count of its writings.
 *
 * Reading accepts unknown members, so that a newer build may add some, and refuses a higher "format".
 *
 * Pure. */
#ifndef CORE_ELECTION_ELECTION_RECORD_H
#define CORE_ELECTION_ELECTION_RECORD_H

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"
#include "core/election/election_keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_reader;

enum {
    ELECTION_FORMAT = 1,
    ELECTION_RECORD_BYTES_MAX = 8 << 10, /* every record but metadata.json stays far below */
    ELECTION_URL_MAX = 255,
    ELECTION_HOST_MAX = 255,
    ELECTION_VERSION_MAX = 31,
    ELECTION_TASKS_MAX = 64,
    ELECTION_TASK_NAME_MAX = 64,
    METADATA_BYTES_MAX = 32 << 10,
};

/* Which writing of which process this is. No two writings ever have the same. */
struct election_token {
    uint64_t incarnation;
    uint64_t write;
};

static inline bool election_token_eq(struct election_token a, struct election_token b)
{
    return a.incarnation == b.incarnation && a.write == b.write;
}

enum election_hold {
    ELECTION_HELD,     /* the leader's lease, as long as the record keeps changing */
    ELECTION_RELEASED, /* the leader of this epoch has stopped, and says so: the lease is free at once */
    ELECTION_VACANT,   /* written where there was no record: whoever led must have stopped once a lease is
                        * over */
};

/* state.json */
struct election_state {
    uint64_t epoch; /* vacant: the highest known when it was written, perhaps 0 */
    enum election_hold hold;
    char leader_id[WORKER_ID_MAX + 1]; /* vacant: "" */
    struct election_token token;
    uint32_t lease_ms; /* wait at least so long for this record to change */
    uint32_t renew_ms; /* it changes about so often */
    uint32_t workers;  /* live, as its leader counts them */
    uint64_t acquired_wall_ms;
    uint64_t renewed_wall_ms;
};

/* epochs/epoch-<n> */
struct election_epoch {
    uint64_t epoch;
    char worker_id[WORKER_ID_MAX + 1];
    struct election_token token;
    uint32_t lease_ms;
    uint64_t created_wall_ms;
};

/* workers/<id>.json */
struct election_worker_record {
    char worker_id[WORKER_ID_MAX + 1];
    struct election_token token; /* write: heartbeats so far */
    uint64_t registered_wall_ms;
    uint64_t heartbeat_wall_ms;
    char url[ELECTION_URL_MAX + 1]; /* where the others reach this instance; may be empty */
    char host[ELECTION_HOST_MAX + 1];
    char version[ELECTION_VERSION_MAX + 1];
};

/* metadata.json */
struct election_metadata {
    char namespace_name[ELECTION_NAMESPACE_MAX + 1];
    char version[ELECTION_VERSION_MAX + 1];
    char updated_by[WORKER_ID_MAX + 1];
    uint64_t epoch;
    uint64_t updated_wall_ms;
    const char *const *tasks; /* names; written only, borrowed */
    size_t task_count;
};

/* Each appends one JSON object and a line feed; errors stay in the buffer (buf_check). */
void election_state_put(struct buf *out, const char *namespace_name, const struct election_state *s);
void election_epoch_put(struct buf *out, const struct election_epoch *e);
void election_worker_record_put(struct buf *out, const struct election_worker_record *w);
void election_metadata_put(struct buf *out, const struct election_metadata *m);

/* text is followed by JSON_PADDING readable bytes. Errors: SYNC_EBADMSG for what is not such a record,
 * SYNC_EFORMAT for a newer format, SYNC_ELIMIT, SYNC_ENOMEM; *ret is then unspecified. */
enum sync_err election_state_parse(struct json_reader *r, struct slice text, struct election_state *ret,
                                   struct err_ctx *ec);
enum sync_err election_epoch_parse(struct json_reader *r, struct slice text, struct election_epoch *ret,
                                   struct err_ctx *ec);
enum sync_err election_worker_record_parse(struct json_reader *r, struct slice text,
                                           struct election_worker_record *ret, struct err_ctx *ec);

const char *election_hold_name(enum election_hold h); /* "held", "released", "vacant" */

#endif
