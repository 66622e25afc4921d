/* hook_admit.h -- may they come in? The questions to the hooks about somebody new, one after the other:
 *
 *     valid_database_id, authenticate, authorize, and for a WebSocket session client_connect
 *
 * The first no ends it. Where no hook has a function the question is not asked, but the built-in rule for
 * database ids then applies. The built-in check of tokens comes before all of this and is the caller's: both
 * have to agree.
 *
 * Threads: the asker's loop. */
#ifndef SERVER_HOOKS_HOOK_ADMIT_H
#define SERVER_HOOKS_HOOK_ADMIT_H

#include "server/net/claim.h"
#include "server/net/loop.h"

/* What they want to do: the operation of authorize. */
struct wish {
    uint32_t operation; /* SYNC_GET_CHANGES .. */
    bool has_since;
    struct hlc since;
    uint32_t change_count;
};

enum admit_extent {
    ADMIT_AGAIN,   /* authenticate, for somebody who is in: a recheck */
    ADMIT_SENDER,  /* valid_database_id, authenticate: an HTTP request whose body is still to come */
    ADMIT_REQUEST, /* valid_database_id, authenticate, authorize: an HTTP request */
    ADMIT_SESSION, /* and client_connect: a WebSocket session */
};

/* What came of it.
 *   SYNC_OK         identity holds one reference, the receiver's
 *   SYNC_EBADMSG    no valid database id
 *   SYNC_EAUTH      not who they say, or expired
 *   SYNC_EFORBIDDEN they may not
 *   SYNC_EBUSY      nobody could tell; they may try again
 *   SYNC_ENOMEM */
struct entrance {
    enum sync_err rc;
    struct err_ctx ec;
    struct hook_identity *identity; /* NULL but for SYNC_OK */
};

typedef void admitted_fn(struct loop *l, uint64_t asker, struct entrance *result);

/* The built-in check, which comes first. With auth.mode custom it leaves the decision to the hooks, when one
 * of them authenticates. Errors: SYNC_EAUTH. */
enum sync_err hook_check_token(const struct loop *l, struct slice token, struct err_ctx *ec);

/* Ends in one call of `done`, maybe within this one. There are hooks. */
void hook_admit(struct loop *l, struct claim *claim, enum admit_extent extent, const struct wish *wish,
                uint64_t asker, admitted_fn *done);

/* May they? Ends in one call of `done`, with SYNC_OK, SYNC_EFORBIDDEN, SYNC_EBUSY or SYNC_ENOMEM and without
 * an identity. */
void hook_authorize(struct loop *l, struct hook_identity *identity, const struct wish *wish, uint64_t asker,
                    admitted_fn *done);

/* A session that was let in with ADMIT_SESSION ended. */
void hook_say_goodbye(struct loop *l, struct hook_identity *identity);

/* Milliseconds of this loop's clock for a wall clock time of a grant; UINT64_MAX for 0. */
uint64_t hook_loop_ms(const struct loop *l, uint64_t wall_ms);

#endif
