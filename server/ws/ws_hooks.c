/* What a WebSocket session asks the hooks: to come in, to read, to stay. What it writes goes the way of
 * hook_apply.h. */
#include "server/base/system.h"
#include "server/hooks/hook_admit.h"
#include "server/ws/ws_internal.h"

#include <stdlib.h>

enum { RECHECK_SPREAD_MS = 10000 }; /* after a reload */

static struct server *server_of(const struct ws *w)
{
    return w->loop->server;
}

bool ws_hooks_open(struct ws *w)
{
    struct hook_gate *g = &server_of(w)->hooks;
    if (hook_gate_runner(g) == NULL) return true;
    w->session.ids_by_hook = hook_gate_has(g, HOOK_VALID_DATABASE_ID);
    w->claim = claim_new(w->wsi, &w->loop->config->hooks, SYNC_TRANSPORT_WEBSOCKET, hook_gate_number(g),
                         hook_gate_has(g, HOOK_AUTHENTICATE));
    return w->claim != NULL;
}

void ws_say_goodbye(struct ws *w)
{
    if (!w->let_in) return;
    w->let_in = false;
    hook_say_goodbye(w->loop, w->identity);
}

void ws_hooks_close(struct ws *w)
{
    ws_say_goodbye(w);
    hook_identity_unref(w->identity);
    claim_unref(w->claim);
    if (w->read.checkpoint != NULL) message_deinit(w->read.checkpoint);
    free(w->read.checkpoint);
}

/* ---- to come in */

/* A claim for a session that began before there were hooks: its headers are gone. */
static bool make_claim(struct ws *w)
{
    if (w->claim != NULL) return true;
    w->claim = claim_new(w->wsi, &w->loop->config->hooks, SYNC_TRANSPORT_WEBSOCKET,
                         hook_gate_number(&server_of(w)->hooks), false);
    return w->claim != NULL;
}

static bool complete_claim(struct ws *w, struct slice token)
{
    char site[SITE_ID_TEXT + 1];
    if (!make_claim(w)) return false;
    site_id_format(&w->session.site, site);
    return claim_complete(w->claim, session_database(&w->session), token, slice_str(site), &w->session.site);
}

static void note_identity(struct ws *w, struct entrance *a, uint64_t *ret_recheck_ms,
                          uint64_t *ret_expires_ms)
{
    hook_identity_unref(w->identity);
    w->identity = a->identity;
    a->identity = NULL;
    *ret_recheck_ms = hook_loop_ms(w->loop, w->identity->recheck_ms);
    *ret_expires_ms = hook_loop_ms(w->loop, w->identity->expires_ms);
}

static void entered(struct loop *l, uint64_t asker, struct entrance *a)
{
    struct ws *w = id_table_get(&l->sessions, asker);
    uint64_t recheck_ms, expires_ms;
    if (w == NULL) { /* let in, but gone already */
        if (a->rc == SYNC_OK) hook_say_goodbye(l, a->identity);
        return;
    }
    if (a->rc != SYNC_OK) {
        ws_opened(w, a->rc == SYNC_EBADMSG ? SYNC_EAUTH : a->rc, &a->ec, NULL);
        return;
    }
    note_identity(w, a, &recheck_ms, &expires_ms);
    w->let_in = true;
    w->session.reads_denied = hook_gate_has(&l->server->hooks, HOOK_AUTHORIZE);
    session_identified(&w->session, recheck_ms, expires_ms, loop_now_ms(l));
    ws_find_database(w);
}

void ws_ask_to_enter(struct ws *w, const struct message *handshake)
{
    const struct wish wish = {.operation = SYNC_CONNECT};
    struct err_ctx ec;
    if (complete_claim(w, handshake->token))
        hook_admit(w->loop, w->claim, ADMIT_SESSION, &wish, w->id, entered);
    else
        ws_opened(w, err_set(&ec, SYNC_ENOMEM, "out of memory"), &ec, NULL);
}

/* ---- to stay */

static void rechecked(struct loop *l, uint64_t asker, struct entrance *a)
{
    struct ws *w = id_table_get(&l->sessions, asker);
    struct session_update u;
    uint64_t recheck_ms = UINT64_MAX, expires_ms = UINT64_MAX;
    if (w == NULL) return;
    if (a->rc == SYNC_OK)
        note_identity(w, a, &recheck_ms, &expires_ms);
    else
        log_warn(&w->logger, LOG_AUTH, "auth.recheck_failed", LOG_SLICE("db", session_database(&w->session)),
                 LOG_FAILURE(&a->ec));
    session_rechecked(&w->session, a->rc, &a->ec, recheck_ms, expires_ms, loop_now_ms(l), &u);
    if (w->session.state == SESSION_CLOSED) counter_add(&l->server->metrics.auth_failures, 1);
    ws_carry_out(w, &u);
}

void ws_recheck(struct ws *w)
{
    struct entrance a = {.rc = SYNC_OK};
    counter_add(&server_of(w)->metrics.auth_attempts, 1);
    if (w->claim == NULL && !complete_claim(w, slice_of(NULL, 0)))
        a.rc = err_set(&a.ec, SYNC_ENOMEM, "out of memory");
    if (a.rc == SYNC_OK) a.rc = hook_check_token(w->loop, w->claim->token, &a.ec);
    if (a.rc == SYNC_OK)
        hook_admit(w->loop, w->claim, ADMIT_AGAIN, NULL, w->id, rechecked);
    else
        rechecked(w->loop, w->id, &a);
}

void ws_recheck_soon(struct ws *w)
{
    if (!hook_gate_has(&server_of(w)->hooks, HOOK_AUTHENTICATE)) return;
    session_recheck_at(&w->session, loop_now_ms(w->loop) + system_random_u64() % RECHECK_SPREAD_MS);
}

struct hook_identity *ws_identity(struct ws *w)
{
    if (w->identity != NULL || hook_gate_runner(&server_of(w)->hooks) == NULL) return w->identity;
    if (w->claim != NULL || complete_claim(w, slice_of(NULL, 0))) w->identity = claim_identity(w->claim);
    return w->identity;
}

/* ---- to read */

static void may_read(struct loop *l, uint64_t asker, struct entrance *a)
{
    struct ws *w = id_table_get(&l->sessions, asker);
    if (w == NULL) return;
    if (a->rc == SYNC_OK) {
        ws_begin_read(w);
        return;
    }
    if (a->rc == SYNC_EFORBIDDEN) w->session.reads_denied = true;
    log_debug(&w->logger, LOG_AUTH, "read.refused", LOG_FAILURE(&a->ec));
    ws_read_finished(w, &(struct session_read_result){.rc = a->rc, .ec = &a->ec});
}

void ws_ask_to_read(struct ws *w)
{
    const struct ws_read *r = &w->read;
    const struct wish wish = {.operation = r->kind == READING_DELTA ? SYNC_GET_CHANGES
                                           : r->checkpoint != NULL  ? SYNC_RESUME_SNAPSHOT
                                                                    : SYNC_GET_SNAPSHOT,
                              .has_since = r->has_since,
                              .since = r->since};
    struct hook_identity *identity = ws_identity(w);
    struct err_ctx ec;
    if (identity != NULL) {
        hook_authorize(w->loop, identity, &wish, w->id, may_read);
        return;
    }
    enum sync_err rc = err_set(&ec, SYNC_ENOMEM, "out of memory");
    ws_read_finished(w, &(struct session_read_result){.rc = rc, .ec = &ec});
}
