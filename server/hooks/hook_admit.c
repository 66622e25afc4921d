#include "server/hooks/hook_admit.h"

#include "core/protocol/session.h"
#include "server/base/system.h"
#include "server/hooks/hook_ask.h"
#include "server/server.h"

#include <stdlib.h>

/* The questions about one of them, on their way. */
struct entry {
    struct claim *claim;
    struct hook_identity *identity;
    enum admit_extent extent;
    struct wish wish;
    uint64_t asker;
    admitted_fn *done;
};

static void end(struct loop *l, struct entry *e, enum sync_err rc, const struct err_ctx *ec)
{
    struct entrance result = {.rc = rc};
    if (rc == SYNC_OK) {
        result.identity = e->identity;
        e->identity = NULL;
    } else {
        result.ec = *ec;
    }
    e->done(l, e->asker, &result);
    hook_identity_unref(result.identity); /* not taken: the asker is gone */
    hook_identity_unref(e->identity);
    claim_unref(e->claim);
    free(e);
}

static void end_without_memory(struct loop *l, struct entry *e)
{
    struct err_ctx ec;
    (void)err_set(&ec, SYNC_ENOMEM, "out of memory");
    end(l, e, SYNC_ENOMEM, &ec);
}

static void answered(struct loop *l, struct hook_ask *a);

static void ask(struct loop *l, struct entry *e, enum hook_op op)
{
    struct hook_ask *a = hook_ask_new(l, op, e->asker, e->claim->connection, answered);
    if (a == NULL) {
        end_without_memory(l, e);
        return;
    }
    a->context = e;
    hook_ask_about(a, e->claim);
    if (e->identity != NULL) hook_ask_as(a, e->identity);
    struct hook_input *in = &a->call.input;
    in->recheck = e->extent == ADMIT_AGAIN;
    in->operation = e->wish.operation;
    in->has_since = e->wish.has_since;
    in->since = e->wish.since;
    in->change_count = e->wish.change_count;
    hook_ask_submit(a);
}

static bool is_to_ask(struct loop *l, const struct entry *e, enum hook_op op)
{
    if (!hook_gate_has(&l->server->hooks, op)) return false;
    switch (op) {
    case HOOK_VALID_DATABASE_ID: return e->extent != ADMIT_AGAIN;
    case HOOK_AUTHORIZE: return e->extent == ADMIT_REQUEST || e->extent == ADMIT_SESSION;
    case HOOK_CLIENT_CONNECT: return e->extent == ADMIT_SESSION;
    default: return true;
    }
}

/* What is asked after `op`; without a hook that could answer the next one's turn comes at once. */
static void go_on(struct loop *l, struct entry *e, enum hook_op op)
{
    switch (op) {
    case HOOK_VALID_DATABASE_ID:
        if (is_to_ask(l, e, HOOK_AUTHENTICATE)) {
            ask(l, e, HOOK_AUTHENTICATE);
            return;
        }
        e->identity = claim_identity(e->claim);
        if (e->identity == NULL) {
            end_without_memory(l, e);
            return;
        }
        go_on(l, e, HOOK_AUTHENTICATE);
        return;
    case HOOK_AUTHENTICATE:
        if (is_to_ask(l, e, HOOK_AUTHORIZE))
            ask(l, e, HOOK_AUTHORIZE);
        else
            go_on(l, e, HOOK_AUTHORIZE);
        return;
    case HOOK_AUTHORIZE:
        if (is_to_ask(l, e, HOOK_CLIENT_CONNECT)) {
            ask(l, e, HOOK_CLIENT_CONNECT);
            return;
        }
        break;
    default: break;
    }
    end(l, e, SYNC_OK, NULL);
}

enum sync_err hook_check_token(const struct loop *l, struct slice token, struct err_ctx *ec)
{
    /* Without a hook to ask, the built-in check refuses everybody in this mode. */
    if (l->config->auth.mode == AUTH_MODE_CUSTOM && hook_gate_has(&l->server->hooks, HOOK_AUTHENTICATE))
        return SYNC_OK;
    return auth_check(l->settings->auth, token, ec);
}

/* What a hook granted has to fit what was claimed, and to last. */
static enum sync_err check_grant(const struct entry *e, struct err_ctx *ec)
{
    const struct hook_identity *i = e->identity;
    if (e->claim->has_site && !site_id_eq(&i->site, &e->claim->site))
        return err_set(ec, SYNC_EAUTH, "the token is for another site id");
    if (i->expires_ms != 0 && i->expires_ms <= system_wall_ms())
        return err_set(ec, SYNC_EAUTH, "what let you in has expired");
    return SYNC_OK;
}

static void answered(struct loop *l, struct hook_ask *a)
{
    struct entry *e = a->context;
    enum hook_op op = a->call.input.op;
    struct err_ctx ec;
    enum sync_err refused = op == HOOK_VALID_DATABASE_ID ? SYNC_EBADMSG
                            : op == HOOK_AUTHENTICATE    ? SYNC_EAUTH
                                                         : SYNC_EFORBIDDEN;
    enum sync_err rc = hook_ask_error(a, refused, &ec);
    if (rc == SYNC_OK && op == HOOK_AUTHENTICATE && !a->call.result.asked &&
        l->config->auth.mode == AUTH_MODE_CUSTOM) /* a reload came between */
        rc = err_set(&ec, SYNC_EBUSY, "the configuration has just changed, try again");
    if (rc == SYNC_OK && op == HOOK_AUTHENTICATE) {
        e->identity = a->call.result.identity;
        a->call.result.identity = NULL;
        rc = check_grant(e, &ec);
    }
    if (rc == SYNC_OK)
        go_on(l, e, op);
    else
        end(l, e, rc, &ec);
}

static struct entry *new_entry(const struct wish *wish, uint64_t asker, admitted_fn *done)
{
    struct entry *e = calloc(1, sizeof *e);
    if (e == NULL) return NULL;
    if (wish != NULL) e->wish = *wish;
    e->asker = asker;
    e->done = done;
    return e;
}

static void no_entry(struct loop *l, uint64_t asker, admitted_fn *done)
{
    struct entrance result = {.rc = err_set(&result.ec, SYNC_ENOMEM, "out of memory")};
    done(l, asker, &result);
}

void hook_admit(struct loop *l, struct claim *claim, enum admit_extent extent, const struct wish *wish,
                uint64_t asker, admitted_fn *done)
{
    struct err_ctx ec;
    struct entry *e = new_entry(wish, asker, done);
    if (e == NULL) {
        no_entry(l, asker, done);
        return;
    }
    e->claim = claim_ref(claim);
    e->extent = extent;
    if (is_to_ask(l, e, HOOK_VALID_DATABASE_ID))
        ask(l, e, HOOK_VALID_DATABASE_ID);
    else if (extent != ADMIT_AGAIN && !database_id_is_valid(claim->database))
        end(l, e, err_set(&ec, SYNC_EBADMSG, "the database id is not valid"), &ec);
    else
        go_on(l, e, HOOK_VALID_DATABASE_ID);
}

/* ---- a request of somebody who is in */

static void authorized(struct loop *l, struct hook_ask *a)
{
    struct entrance result = {0};
    admitted_fn *done = (admitted_fn *)a->context;
    result.rc = hook_ask_error(a, SYNC_EFORBIDDEN, &result.ec);
    done(l, a->asker, &result);
}

void hook_authorize(struct loop *l, struct hook_identity *identity, const struct wish *wish, uint64_t asker,
                    admitted_fn *done)
{
    struct hook_ask *a = hook_ask_new(l, HOOK_AUTHORIZE, asker, identity->connection, authorized);
    if (a == NULL) {
        no_entry(l, asker, done);
        return;
    }
    a->context = (void *)done;
    hook_ask_as(a, identity);
    a->call.input.operation = wish->operation;
    a->call.input.has_since = wish->has_since;
    a->call.input.since = wish->since;
    a->call.input.change_count = wish->change_count;
    hook_ask_submit(a);
}

void hook_say_goodbye(struct loop *l, struct hook_identity *identity)
{
    struct hook_gate *g = &l->server->hooks;
    if (!hook_gate_has(g, HOOK_CLIENT_DISCONNECT)) return;
    struct hook_ask *a = hook_ask_new(l, HOOK_CLIENT_DISCONNECT, 0, identity->connection, NULL);
    if (a == NULL) {
        atomic_fetch_add(&g->notices_left_out, 1);
        return;
    }
    hook_ask_as(a, identity);
    hook_ask_submit(a);
}

uint64_t hook_loop_ms(const struct loop *l, uint64_t wall_ms)
{
    uint64_t now_ms = system_wall_ms();
    if (wall_ms == 0) return UINT64_MAX;
    if (wall_ms <= now_ms) return loop_now_ms(l);
    return wall_ms - now_ms > UINT64_MAX - loop_now_ms(l) ? UINT64_MAX : loop_now_ms(l) + (wall_ms - now_ms);
}
