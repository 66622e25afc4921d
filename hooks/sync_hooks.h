/* sync_hooks.h -- what a shared object offers so that it may decide who comes in, what they may do, and which
 * changes are taken. This header is all that a hook needs; it stands alone, in C11 and in C++.
 *
 * A hook exports one symbol, `sync_hooks`, a table of functions. Each function may be NULL: the hook then has
 * no say there. Several hooks form a chain, in the order of the configuration: the first refusal wins, and
 * each hook sees what the one before it approved.
 *
 *     SYNC_HOOKS_EXPORT const struct sync_hooks sync_hooks = {SYNC_HOOKS_HEAD, .authorize = may_they};
 *
 * VERSIONS. The table tells the ABI it was written for, and its size. A server runs hooks of its own ABI and
 * of older ones; a newer ABI is refused. Structs grow at their end only. Each begins with `bytes`: in one
 * that the server hands out, the size the server knows, which may be more than the hook does; in one that the
 * hook provides to be filled, the size the hook knows, and the hook sets it before the call.
 *
 * THREADS. Functions are called on threads of their own pool and may block. With SYNC_HOOKS_THREAD_SAFE they
 * may be called on several threads at once; without it one at a time, and always with the state that `open`
 * gave. `open` returns before any other call begins; `shutdown` begins after every other call returned. The
 * calls for one connection come in the order of its requests.
 *
 * LIFETIMES. Whatever a call hands in (texts, structs, ChangeSets) belongs to the server and is gone when the
 * call returns: copy what is to be kept. Only `host` lasts from `open` until `shutdown` returns. Whatever a
 * hook hands out is copied before the call that takes it returns.
 *
 * RESULTS. SYNC_HOOK_OK approves. SYNC_HOOK_REFUSED refuses; the client is told the text in `answer`.
 * SYNC_HOOK_FAILED says that the hook could not decide: the request is refused as well, as one that may be
 * tried again. Any other number counts as SYNC_HOOK_FAILED, and so does a call that does not return within
 * the hook's deadline (5 s unless configured): whatever it returns later is thrown away.
 *
 * A function must not end its thread, throw a C++ exception or unwind a Rust panic out of itself. */
#ifndef SYNC_HOOKS_H
#define SYNC_HOOKS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SYNC_HOOKS_ABI    2u
#define SYNC_HOOKS_SYMBOL "sync_hooks"

/* flags of the table */
#define SYNC_HOOKS_THREAD_SAFE 1u

/* the first members of the table */
#define SYNC_HOOKS_HEAD .abi = SYNC_HOOKS_ABI, .bytes = sizeof(struct sync_hooks)

#ifdef __cplusplus
#define SYNC_HOOKS_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define SYNC_HOOKS_EXPORT __attribute__((visibility("default")))
#endif

/* What a function returns. Plain ints, so that a wrong number is a wrong number in every language. */
enum { SYNC_HOOK_OK = 0, SYNC_HOOK_REFUSED = 1, SYNC_HOOK_FAILED = 2 };

enum { SYNC_TRANSPORT_HTTP = 0, SYNC_TRANSPORT_WEBSOCKET = 1 };

enum { SYNC_LOG_ERROR = 0, SYNC_LOG_WARN = 1, SYNC_LOG_INFO = 2, SYNC_LOG_DEBUG = 3 };

enum { SYNC_CHANGE_CELL = 0, SYNC_CHANGE_DELETE = 1, SYNC_CHANGE_MIGRATION = 2 };

enum {
    SYNC_GET_CHANGES = 0,
    SYNC_APPLY_CHANGES = 1,
    SYNC_GET_SNAPSHOT = 2,
    SYNC_RESUME_SNAPSHOT = 3,
    SYNC_CONNECT = 4, /* a WebSocket session, after its handshake was authenticated */
};

enum {
    SYNC_ANSWER_TEXT = 256,
    SYNC_USER_ID_TEXT = 256,
    SYNC_METADATA_BYTES = 1024,
    SYNC_COUNTERS_MAX = 16, /* names that one hook may count under */
};

/* Bytes that are not zero terminated. Texts are UTF-8, but token, header values and the site id as given are
 * whatever the client sent. `bytes` may be NULL where len is 0. */
struct sync_text {
    const char *bytes;
    size_t len;
};

static inline int sync_text_is(struct sync_text text, const char *known)
{
    return text.len == strlen(known) && (text.len == 0 || memcmp(text.bytes, known, text.len) == 0);
}

struct sync_site {
    uint8_t bytes[16];
};

/* A timestamp; orders by wall_ms, counter, site, op_seq. */
struct sync_hlc {
    uint64_t wall_ms; /* since 1970, UTC */
    struct sync_site site;
    uint32_t op_seq;
    uint16_t counter;
    uint16_t reserved;
};

/* ---- what the server offers */

/* Lasts from `open` until `shutdown` returns. Its functions may be called on any thread meanwhile. */
struct sync_host {
    uint32_t bytes;
    uint32_t abi;       /* of the server */
    const void *server; /* private to the server */

    /* Writes one line into the server's log, with the hook's name. `text` is zero terminated and is cut after
     * 1,000 bytes. Never write tokens, keys or row values. */
    void (*log)(const struct sync_host *host, int level, const char *text);

    /* Adds to a counter that the server shows among its metrics as sync_hook_counter_total{hook=..,name=..}.
     * `name` matches [a-z][a-z0-9_]{0,62}; another name, or a 17th, counts nothing. */
    void (*count)(const struct sync_host *host, const char *name, uint64_t n);
};

/* ---- what calls hand in */

/* Where a refusal's text goes: zero terminated UTF-8 for the client, "" for a standard text. */
struct sync_answer {
    uint32_t bytes;
    char text[SYNC_ANSWER_TEXT];
};

/* Somebody who wants to come in. */
struct sync_request {
    uint32_t bytes;
    uint32_t transport;
    uint32_t recheck;  /* 1: asked again for an open connection, since the grant said so */
    uint32_t has_site; /* site_text was a site id */
    struct sync_text database;
    struct sync_text token;     /* empty: none */
    struct sync_text site_text; /* as given */
    struct sync_site site;      /* decoded; zero unless has_site */
    struct sync_text remote_address;
    const void *server; /* private to the server */

    /* The value of a request header, found without regard to case. Returns 0 when there is none. Over
     * WebSocket these are the headers of the upgrade. A header that is neither of the HTTP standards nor
     * named by the server's option hookHeaders is not kept, and counts as not there. */
    int (*header)(const struct sync_request *request, const char *name, struct sync_text *ret);
};

/* What `authenticate` grants. Comes filled with what the hooks before granted; zero but for the site before
 * the first one. */
struct sync_grant {
    uint32_t bytes;
    uint32_t metadata_len;
    uint64_t expires_ms; /* since 1970: from then on the connection is no longer let do anything; 0: never */
    uint64_t
        recheck_ms; /* since 1970: authenticate is asked again then, with the same token; 0: only at expiry */
    struct sync_site site;           /* the replica that the client speaks for; comes as the client gave it */
    char user_id[SYNC_USER_ID_TEXT]; /* zero terminated UTF-8; "" is a user without a name */
    uint8_t metadata[SYNC_METADATA_BYTES]; /* this hook's own: comes empty, and is handed to no other hook */
};

/* Somebody who was let in. */
struct sync_identity {
    uint32_t bytes;
    uint32_t transport;
    uint64_t
        connection; /* the same for all calls about one WebSocket session; each HTTP request has its own */
    uint64_t expires_ms;
    struct sync_text database;
    struct sync_text user_id;
    struct sync_text remote_address;
    struct sync_text metadata; /* what this same hook's authenticate granted, also before a reload */
    struct sync_site site;
};

/* What somebody asks to do. */
struct sync_operation {
    uint32_t bytes;
    uint32_t kind;         /* SYNC_GET_CHANGES .. */
    uint32_t has_since;    /* get_changes with a watermark */
    uint32_t change_count; /* apply_changes: changes and migrations in the message */
    struct sync_hlc since;
};

/* One transaction of one replica. */
struct sync_change_set {
    uint32_t bytes;
    uint32_t change_count; /* changes, migrations included */
    struct sync_hlc hlc;
    struct sync_site site;
    struct sync_text transaction_id; /* the inside of a JSON string, as it came */
};

/* One change. What its kind does not have is empty. JSON values are the text that came, not rewritten. */
struct sync_change {
    uint32_t bytes;
    uint32_t kind;          /* SYNC_CHANGE_CELL .. */
    uint32_t has_prior;     /* a cell with prior_value and prior_hlc */
    uint32_t has_prior_row; /* a delete with prior_row */
    struct sync_hlc hlc;
    struct sync_text schema;
    struct sync_text table;
    struct sync_text column;      /* cell */
    struct sync_text pk;          /* cell, delete: JSON array */
    struct sync_text value;       /* cell: JSON */
    struct sync_text prior_value; /* cell: JSON */
    struct sync_hlc prior_hlc;
    struct sync_text prior_row;      /* delete: JSON array */
    struct sync_text migration;      /* "create_table", "add_column", .. */
    struct sync_text from_table;     /* migration: the name before, of rename_table */
    struct sync_text ddl;            /* migration: JSON string */
    struct sync_text schema_version; /* migration: JSON number */
};

/* Why a ChangeSet was rejected. Goes to the client that sent it. Texts over 1,000 bytes are cut. */
struct sync_rejection {
    uint32_t bytes;
    uint32_t reserved;
    struct sync_text reason;
    struct sync_text code;   /* empty: none */
    struct sync_text table;  /* empty: none */
    struct sync_text column; /* empty: none */
};

/* The ChangeSets of one message, as far as the hooks before approved them.
 *
 * The functions that look return 1, or 0 when there is no such set or change. The others record what is to
 * happen to a set once the call returned SYNC_HOOK_OK; until then nothing that can be looked at changes, and
 * after another result nothing happens. They return 0 when there is no such set or change, or no memory; the
 * request is then refused whatever the hook returns, since nobody knows what it meant. */
struct sync_change_sets {
    uint32_t bytes;
    uint32_t count;
    void *server; /* private to the server */

    /* Fills *ret, whose `bytes` the hook has set. */
    int (*set_at)(struct sync_change_sets *sets, uint32_t set, struct sync_change_set *ret);
    int (*change_at)(struct sync_change_sets *sets, uint32_t set, uint32_t change, struct sync_change *ret);

    /* The set is not stored and not pushed; the client gets `why` in `rejected`. Wins over the two below. */
    int (*reject)(struct sync_change_sets *sets, uint32_t set, const struct sync_rejection *why);

    /* The change is left out; the rest of its set is taken. The client is not told. */
    int (*drop)(struct sync_change_sets *sets, uint32_t set, uint32_t change);

    /* `json`, one ChangeSet object as clients send it, takes the place of the set. It must keep siteId and
     * transactionId. It is checked like everything that arrives: when it is not right, the request is
     * refused. Of two replacements the last one counts, and drops in the same set are forgotten. */
    int (*replace)(struct sync_change_sets *sets, uint32_t set, struct sync_text json);
};

/* What happened in the cluster, as the coordinator of this server sees it. */
struct sync_coordinator_event {
    uint32_t bytes;
    uint32_t reserved;
    uint64_t epoch;        /* of the leadership that it is about; 0: of none */
    struct sync_text name; /* "leader:changed", "coord:coordinator-promoted", .. (docs/coordinator.md);
                              pass over those that you do not know */
    struct sync_text namespace_name; /* of the cluster */
    struct sync_text election;       /* "global", or the task that has one of its own */
    struct sync_text leader_id;      /* the instance that leads, as known with this event; empty: none */
};

struct sync_apply_result {
    uint32_t bytes;
    uint32_t rejected; /* ChangeSets that hooks rejected */
    uint64_t applied;  /* changes, migrations included */
    uint64_t skipped;
    uint64_t conflicts;
    uint64_t transactions; /* ChangeSets that were taken */
};

/* ---- the table */

struct sync_hooks {
    uint32_t abi;   /* SYNC_HOOKS_ABI */
    uint32_t bytes; /* sizeof(struct sync_hooks) */
    uint32_t flags;
    uint32_t reserved;

    /* Once, before all else. `config` is the hook's configuration string, zero terminated, "" without one; it
     * is gone when open returns. *ret_state is handed to every other function. Any result but SYNC_HOOK_OK
     * keeps the server from starting (or, on a reload, keeps the hook before in place) and is logged with the
     * answer's text; shutdown is then not called. */
    int (*open)(const struct sync_host *host, const char *config, void **ret_state,
                struct sync_answer *answer);

    /* Once, after the last call returned. The hook ends its threads and frees its state; then the library is
     * closed. */
    void (*shutdown)(void *state);

    /* The operator asked for a reload, and neither the file of the hook nor its configuration string has
     * changed: read again what they name. After SYNC_HOOK_OK the hook goes on with its state. After anything
     * else it goes on as well, as it was before, which is logged. Without this function, or when file or
     * string have changed, the library is loaded anew beside the old one, which is shut down once its calls
     * returned. */
    int (*reload)(void *state, struct sync_answer *answer);

    /* Is this database id one? Asked before all else about a connection. When any hook of the chain has this
     * function, the server's own rule (1 to 255 of A-Z a-z 0-9 _ : . -) does not apply; ids have 1 to 255
     * bytes of UTF-8 without control characters all the same. Refused: the client is told that the id is not
     * valid. */
    int (*valid_database_id)(void *state, struct sync_text database, struct sync_answer *answer);

    /* Who is it? Refused: HTTP 401 AUTH_FAILED; over WebSocket the fatal error AUTH_FAILED, close code 4001;
     * in a recheck AUTH_EXPIRED, not fatal, close code 4001. Failed: 503, or the connection is closed and the
     * client tries again. */
    int (*authenticate)(void *state, const struct sync_request *request, struct sync_grant *grant,
                        struct sync_answer *answer);

    /* May they? Refused: HTTP 403 NOT_AUTHORIZED; over WebSocket the error of the request, not fatal. */
    int (*authorize)(void *state, const struct sync_identity *who, const struct sync_operation *what,
                     struct sync_answer *answer);

    /* May this session begin? After authorize said yes to SYNC_CONNECT, WebSocket only. Refused: the fatal
     * error AUTH_FAILED, close code 4001. */
    int (*client_connect)(void *state, const struct sync_identity *who, struct sync_answer *answer);

    /* The session ended. Called once for each session that client_connect was asked about and that was let
     * in. */
    void (*client_disconnect)(void *state, const struct sync_identity *who);

    /* Which of these changes are taken? SYNC_HOOK_OK: all, but for what was rejected, dropped or replaced
     * through `sets`. Refused: none, HTTP 403 NOT_AUTHORIZED or APPLY_CHANGES_ERROR with the text. */
    int (*before_apply_changes)(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                                struct sync_answer *answer);

    /* These were taken, and are durable. Called after the client was answered, or at the same time; it delays
     * nobody. `sets` holds what was taken; recording decisions in it does nothing. When calls come faster
     * than the hook returns, those past a bound are left out, which is counted and logged. */
    void (*after_apply_changes)(void *state, const struct sync_identity *who, struct sync_change_sets *sets,
                                const struct sync_apply_result *result);

    /* Where does this database lie in the object store? Asked before a snapshot of it is written, looked for
     * or restored. Writes a zero terminated path of 1 to path_bytes - 1 bytes of UTF-8: no empty part, no
     * part "." or "..", no / at its ends, no control character. The database's folder of snapshots then lies
     * below it. Leaving it "" has no opinion; the first hook that writes one decides. It has to be the same
     * each time: snapshots that lie elsewhere are not found, but for those in the usual place. After anything
     * but SYNC_HOOK_OK and a path that is none, nothing is written or restored: a database that is not on
     * this server's disk is then not opened. */
    int (*storage_path)(void *state, struct sync_text database, char *path, size_t path_bytes,
                        struct sync_answer *answer);

    /* Something happened in the cluster. Decides nothing and delays nobody: when this is called it may be
     * over already, so a hook that must not act beside another leader compares epochs. The events of one
     * server come one after the other, in their order; those past a bound are left out, as above. */
    void (*coordinator_event)(void *state, const struct sync_coordinator_event *event); /* since ABI 2 */
};

/* Rejects with zero terminated texts; code may be NULL. */
static inline int sync_reject(struct sync_change_sets *sets, uint32_t set, const char *reason,
                              const char *code)
{
    struct sync_rejection why;
    memset(&why, 0, sizeof why);
    why.bytes = sizeof why;
    why.reason.bytes = reason;
    why.reason.len = strlen(reason);
    why.code.bytes = code;
    why.code.len = code == NULL ? 0 : strlen(code);
    return sets->reject(sets, set, &why);
}

#ifdef __cplusplus
}
#endif

#endif
