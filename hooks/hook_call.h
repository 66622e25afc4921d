/* hook_call.h -- one question to the chain: what is asked, and what came of it.
 *
 * The input belongs to the caller and stays unchanged until `destroy`: a hook that does not return in time
 * still reads it after the caller has its answer. The result is the caller's from `done` on.
 *
 * A call ends exactly once: `post` is called, on any thread, possibly within hook_runner_submit(), and hands
 * the call to where its caller wants it. When the caller is through with it, hook_call_release(). `destroy`
 * is called once the caller released it and no hook reads it any more, on any thread; it frees the call. */
#ifndef HOOKS_HOOK_CALL_H
#define HOOKS_HOOK_CALL_H

#include "core/facts/hlc.h"
#include "core/facts/merge.h"

#include "hooks/hook_identity.h"
#include "hooks/hook_sets.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(constant, name in logs) */
#define HOOK_OP_MAP(X)                                                                                       \
    X(VALID_DATABASE_ID, "valid_database_id")                                                                \
    X(AUTHENTICATE, "authenticate")                                                                          \
    X(AUTHORIZE, "authorize")                                                                                \
    X(CLIENT_CONNECT, "client_connect")                                                                      \
    X(CLIENT_DISCONNECT, "client_disconnect")                                                                \
    X(BEFORE_APPLY_CHANGES, "before_apply_changes")                                                          \
    X(AFTER_APPLY_CHANGES, "after_apply_changes")                                                            \
    X(STORAGE_PATH, "storage_path")                                                                          \
    X(COORDINATOR_EVENT, "coordinator_event")

enum hook_op {
#define X(c, name) HOOK_##c,
    HOOK_OP_MAP(X)
#undef X
        HOOK_OP_COUNT
};

const char *hook_op_name(enum hook_op op);

/* Nobody waits for these: they decide nothing. */
static inline bool hook_op_is_notice(enum hook_op op)
{
    return op == HOOK_AFTER_APPLY_CHANGES || op == HOOK_CLIENT_DISCONNECT || op == HOOK_COORDINATOR_EVENT;
}

enum { STORAGE_PATH_MAX = 255 };

enum hook_outcome {
    HOOK_APPROVED,
    HOOK_REFUSED,     /* a hook said no */
    HOOK_UNAVAILABLE, /* no hook said yes: a deadline passed, a hook failed, crashed or returned rubbish;
                         refuse, and let the client try again */
};

struct hook_header {
    struct slice name, value;
};

/* What the coordinator tells. */
struct hook_event {
    struct slice name, namespace_name, election, leader_id;
    uint64_t epoch;
};

/* What is asked. Which members count is said by `op`; the rest may be zero. */
struct hook_input {
    enum hook_op op;
    struct slice database; /* all but those with an identity, and events */

    /* authenticate */
    uint64_t connection; /* copied into the identity */
    uint32_t transport;  /* SYNC_TRANSPORT_HTTP .. */
    bool recheck;
    bool has_site;
    struct site_id site;
    struct slice token, site_text, remote_address;
    const struct hook_header *headers;
    size_t header_count;

    /* authorize, client_connect, client_disconnect, before_apply_changes, after_apply_changes */
    struct hook_identity *identity; /* the call holds a reference of its own */

    /* authorize */
    uint32_t operation; /* SYNC_GET_CHANGES .. */
    bool has_since;
    struct hlc since;
    uint32_t change_count;
    bool then_before_apply; /* approved, before_apply_changes is asked at once, in the same call */

    /* before_apply_changes, after_apply_changes */
    const struct batch *batch;
    struct merge_result result; /* after */
    uint32_t rejected_count;    /* after */

    /* coordinator_event */
    struct hook_event event;
};

struct hook_result {
    enum hook_outcome outcome;
    bool asked;                   /* some hook had the function; an approval without that is nobody's */
    char hook[HOOK_NAME_MAX + 1]; /* that refused or failed; "" when none did */
    char text[SYNC_ANSWER_TEXT];  /* for the client; never empty unless approved */

    struct hook_identity *identity;  /* authenticate, approved: with one reference */
    struct hook_sets sets;           /* before_apply_changes, approved */
    char path[STORAGE_PATH_MAX + 1]; /* storage_path, approved: "" has no opinion */
};

void hook_result_deinit(struct hook_result *r); /* takes an all-zero one, too */

struct hook_call {
    struct hook_call *next; /* belongs to whichever queue holds the call */
    uint64_t key;           /* calls with one key are made and answered in their order; 0: in no order */
    struct hook_input input;
    struct hook_result result;         /* all zero before */
    void (*post)(struct hook_call *c); /* NULL: nobody waits, the call is released for the caller */
    void (*destroy)(struct hook_call *c);

    /* the runner's */
    atomic_uint refs;
    uint64_t queued_ns;
    struct hook_call *order_next, *followers, **followers_end;
};

void hook_call_release(struct hook_call *c);

#endif
