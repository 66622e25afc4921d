/* object_store.h -- what outlives this machine: whole byte strings under keys, in a directory or in S3.
 *
 * An object is written in one piece and replaced in one piece; a reader sees the old bytes or the new ones,
 * never a mixture and never a part. After a write is confirmed every later read and list sees it.
 *
 * Conditional writes are what the shared log and the election stand on. Each ends in one of three ways:
 *
 *   OBJECT_OK       written, by this very call
 *   OBJECT_LOST     not written: the condition did not hold
 *   OBJECT_UNKNOWN  no answer to trust. It may have been written, or still be written later, when a request
 *                   that lay in some queue arrives at last. Read the object before deciding anything, and
 *                   write so that a late arrival is harmless (same bytes under a key that is created once).
 *
 * Keys: 1 to OBJECT_KEY_MAX bytes of UTF-8, no zero byte, up to OBJECT_KEY_SEGMENTS_MAX segments between
 * slashes, none of them empty, "." or "..": what every S3 server and the directory take alike. Everything is
 * ordered bytewise by key.
 *
 * Versions are opaque: equal versions of one key mean equal bytes, nothing else can be told from them.
 *
 * Codes, of every function:
 *   SYNC_ENOTFOUND  get, head: no such object
 *   SYNC_EBADMSG    the key breaks the rule above, or a range begins behind the object's end
 *   SYNC_ELIMIT     over a limit named here
 *   SYNC_ECONFIG    the operator has to change something: keys, bucket, rights, region (the text says what)
 *   SYNC_EBUSY      no answer in time, a broken connection, an overloaded service, an open circuit breaker:
 *                   may work later. A put, delete or part that ends so may have happened
 *   SYNC_EIO        it answered and the answer is bad: disk or bucket full, damaged object, not an S3 server
 *   SYNC_ECANCELED  the caller's flag was raised
 *   SYNC_ENOMEM
 *
 * Threads: every function may be called from any number of threads at once, blocks its caller, and runs
 * everything, callbacks included, on the caller's thread. Belongs on job threads, never on an event loop. */
#ifndef STORAGE_OBJECTS_OBJECT_STORE_H
#define STORAGE_OBJECTS_OBJECT_STORE_H

#include "core/base/breaker.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OBJECT_KEY_MAX = 896, /* with the longest key prefix it just fits into S3's 1024 */
    OBJECT_KEY_SEGMENTS_MAX = 64,
    OBJECT_VERSION_MAX = 127,
    OBJECT_PAGE_MAX = 1000,  /* entries of one page of a list */
    OBJECT_TOKEN_MAX = 2048, /* of a list's continuation */
    OBJECT_PARTS_MAX = 10000,
    OBJECT_TIMEOUT_DEFAULT_MS = 60000,
    OBJECT_CANCEL_MS_MAX = 100, /* a raised cancel flag is noticed within about this */
};

#define OBJECT_PUT_BYTES_MAX  ((size_t)256 << 20) /* larger objects go by upload */
#define OBJECT_PART_BYTES_MIN ((size_t)5 << 20)   /* S3's own; only the last part may be shorter */
#define OBJECT_PART_BYTES_MAX ((size_t)256 << 20)

struct object_store;  /* see object_dir.h, object_s3.h for opening one */
struct object_upload; /* an upload in parts that has begun */

/* How long and whether at all a call may go on. NULL in place of it: the default time, no flag. */
struct object_call {
    uint32_t timeout_ms;       /* for the whole call, repeats and waiting included; 0: the default */
    const atomic_bool *cancel; /* raised by any thread; NULL: cannot be canceled */
};

struct object_version {
    char text[OBJECT_VERSION_MAX + 1]; /* zero terminated; "" is no version */
};

struct object_info {
    uint64_t bytes;       /* of the whole object, also when a range was read */
    uint64_t modified_ms; /* since 1970; S3 knows whole seconds only */
    struct object_version version;
};

struct object_range {
    uint64_t offset;
    uint64_t bytes; /* UINT64_MAX: to the end; more than there is: to the end; at least 1 */
};

enum object_outcome { OBJECT_OK, OBJECT_LOST, OBJECT_UNKNOWN };

/* Receives an object's bytes in order. Anything but SYNC_OK ends the get, which returns that code. */
struct object_sink {
    enum sync_err (*put)(void *arg, struct slice bytes, struct err_ctx *ec);
    void *arg;
};

void object_store_close(struct object_store *s); /* NULL does nothing. No call or upload may be left */

/* "file:/var/lib/objects" or "s3://bucket/prefix (https://...)", for messages. Borrowed from the store. */
const char *object_store_name(const struct object_store *s);

/* ---- reading */

/* Streams the object, or the range of it, into the sink. What the sink has got by the time of an error stays
 * there. All bytes are of one version, which is in *ret (may be NULL). range NULL: the whole object. */
enum sync_err object_get(struct object_store *s, const struct object_call *call, struct slice key,
                         const struct object_range *range, const struct object_sink *sink,
                         struct object_info *ret, struct err_ctx *ec);

/* The same, appended to a buffer; SYNC_ELIMIT when the buffer's ceiling is lower than the bytes. */
enum sync_err object_get_buf(struct object_store *s, const struct object_call *call, struct slice key,
                             const struct object_range *range, struct buf *ret_bytes, struct object_info *ret,
                             struct err_ctx *ec);

enum sync_err object_head(struct object_store *s, const struct object_call *call, struct slice key,
                          struct object_info *ret, struct err_ctx *ec);

/* ---- writing whole objects */

/* Creates or replaces. ret_version may be NULL. */
enum sync_err object_put(struct object_store *s, const struct object_call *call, struct slice key,
                         struct slice bytes, struct object_version *ret_version, struct err_ctx *ec);

/* Creates the object, or loses to one that is there. SYNC_OK comes with *ret_outcome and, for OBJECT_OK,
 * *ret_version (may be NULL); for OBJECT_UNKNOWN ec says why. Any other code: certainly not written. */
enum sync_err object_put_if_absent(struct object_store *s, const struct object_call *call, struct slice key,
                                   struct slice bytes, enum object_outcome *ret_outcome,
                                   struct object_version *ret_version, struct err_ctx *ec);

/* The same, replacing exactly the version `match`; a missing object is OBJECT_LOST. */
enum sync_err object_put_if_match(struct object_store *s, const struct object_call *call, struct slice key,
                                  struct slice bytes, const struct object_version *match,
                                  enum object_outcome *ret_outcome, struct object_version *ret_version,
                                  struct err_ctx *ec);

/* Deleting what is not there is SYNC_OK. */
enum sync_err object_delete(struct object_store *s, const struct object_call *call, struct slice key,
                            struct err_ctx *ec);

/* ---- listing */

struct object_query {
    struct slice prefix;       /* only keys that begin with it; may be empty, need not end in a slash */
    struct slice start_after;  /* only keys after it */
    struct slice continuation; /* the page's `next`, with all else unchanged; empty: the first page */
    char delimiter;            /* 0: none. Keys that have it after the prefix are one entry, cut behind it */
    uint32_t entries_max;      /* 1 to OBJECT_PAGE_MAX; 0: OBJECT_PAGE_MAX */
};

struct object_entry {
    struct slice key; /* borrowed from the page */
    bool is_prefix;   /* stands for all keys that begin so; the rest of the fields is 0 */
    uint64_t bytes;
    uint64_t modified_ms;
};

struct object_page {
    struct object_entry *entries; /* in key order */
    size_t count;                 /* can be 0 although there is more */
    bool more;
    char next[OBJECT_TOKEN_MAX + 1]; /* zero terminated; "" unless there is more */
    char *text;                      /* the keys' bytes; private */
};

/* One page, the caller's to object_page_deinit(). */
enum sync_err object_list(struct object_store *s, const struct object_call *call,
                          const struct object_query *query, struct object_page *ret, struct err_ctx *ec);
void object_page_deinit(struct object_page *p);

/* --- uploads in parts: objects of any size in constant memory (object_writer.h makes a stream of it) - */

/* Every part has exactly part_bytes (OBJECT_PART_BYTES_MIN to _MAX), only the last may be shorter; so part n
 * is the object's bytes from (n - 1) * part_bytes. Free *ret when done. Replaces what is there, without
 * condition: S3 servers are known that ignore one on an upload. */
enum sync_err object_upload_begin(struct object_store *s, const struct object_call *call, struct slice key,
                                  size_t part_bytes, struct object_upload **ret, struct err_ctx *ec);

/* Part `number` (1 to OBJECT_PARTS_MAX). Parts may go at once from several threads, and again after a
 * failure. */
enum sync_err object_upload_part(struct object_upload *u, const struct object_call *call, uint32_t number,
                                 struct slice bytes, struct err_ctx *ec);

/* Makes the object of parts 1 to `count`, all of which have gone. May be repeated after SYNC_EBUSY.
 * ret_version may be NULL. */
enum sync_err object_upload_complete(struct object_upload *u, const struct object_call *call, uint32_t count,
                                     struct object_version *ret_version, struct err_ctx *ec);

/* Drops what has gone so far. */
enum sync_err object_upload_abort(struct object_upload *u, const struct object_call *call,
                                  struct err_ctx *ec);

void object_upload_free(struct object_upload *u); /* the memory only; NULL does nothing */

/* Drops uploads under `prefix` that were begun at least age_ms ago and neither completed nor aborted, by
 * whomever: S3 keeps and bills their parts for ever. *ret_count (may be NULL) is their number. A directory
 * does not know what they were for: it drops those of dead processes, whatever the prefix. */
enum sync_err object_upload_sweep(struct object_store *s, const struct object_call *call, struct slice prefix,
                                  uint64_t age_ms, uint32_t *ret_count, struct err_ctx *ec);

/* ---- what it costs and how it goes */

/* X(op, name) */
#define OBJECT_OP_MAP(X)                                                                                     \
    X(GET, "get")                                                                                            \
    X(HEAD, "head")                                                                                          \
    X(PUT, "put")                                                                                            \
    X(PUT_IF_ABSENT, "put_if_absent")                                                                        \
    X(PUT_IF_MATCH, "put_if_match")                                                                          \
    X(DELETE, "delete")                                                                                      \
    X(LIST, "list")                                                                                          \
    X(UPLOAD_BEGIN, "upload_begin")                                                                          \
    X(UPLOAD_PART, "upload_part")                                                                            \
    X(UPLOAD_COMPLETE, "upload_complete")                                                                    \
    X(UPLOAD_ABORT, "upload_abort")                                                                          \
    X(UPLOAD_SWEEP, "upload_sweep")

enum object_op {
#define X(op, name) OBJECT_OP_##op,
    OBJECT_OP_MAP(X)
#undef X
};

const char *object_op_name(enum object_op op);
const char *object_outcome_name(enum object_outcome o); /* "ok", "lost", "unknown" */

/* One call that has ended. */
struct object_event {
    enum object_op op;
    enum sync_err rc;
    enum object_outcome outcome; /* of conditional writes that returned SYNC_OK, else OBJECT_OK */
    uint32_t requests;           /* that went out to the service; the directory counts 1 */
    uint32_t retries;            /* of them repeats */
    uint64_t sent_bytes;         /* bodies only, repeats included */
    uint64_t received_bytes;
    uint64_t latency_us;    /* of the whole call, waiting included */
    uint64_t cost_nano_usd; /* what the requests cost, estimated from the store's price settings */
};

/* Feeds metrics. Each member may be NULL. Called on the caller's thread; must not block nor call the store.
 * Moves of the breaker that threads bring about at the same time may be told out of order. */
struct object_observer {
    void (*ended)(void *arg, const struct object_event *ev);
    void (*breaker_moved)(void *arg, enum breaker_state now);
    void (*clock_skew)(void *arg, int64_t skew_ms); /* has been corrected: the service's clock minus ours */
    void *arg;
};

#endif
