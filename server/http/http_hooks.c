/* What an HTTP request asks the hooks: who it is, and whether it may. A batch is asked about twice: who sends
 * it before its body is read, so that strangers cost no more than a head, and the rest, with the body, on the
 * way of hook_apply.h. */
#include "server/http/http_internal.h"
#include "server/net/limit.h"

#include <stdlib.h>

static void fail(struct http *h, enum sync_err rc, const char *text)
{
    switch (rc) {
    case SYNC_EBADMSG: http_fail(h, 400, "INVALID_DATABASE_ID", text); break;
    case SYNC_EAUTH: http_fail(h, 401, "AUTH_FAILED", text); break;
    case SYNC_EFORBIDDEN: http_fail(h, 403, "NOT_AUTHORIZED", text); break;
    default: http_fail_later(h, "UNAVAILABLE", text);
    }
}

static void refuse(struct http *h, const struct entrance *a)
{
    struct server *s = h->loop->server;
    if (a->rc == SYNC_EAUTH || a->rc == SYNC_EFORBIDDEN) {
        counter_add(&s->metrics.auth_failures, a->rc == SYNC_EAUTH);
        log_warn(&s->logger, LOG_AUTH, "auth.refused", LOG_U64("exchange", h->id),
                 LOG_SLICE("db", slice_of(h->request.database, h->request.database_len)),
                 LOG_FAILURE(&a->ec));
    }
    if (h->asking) {
        /* What comes of the body from here on is passed over, unless that would take too long. */
        h->state = HTTP_WORKING;
        if (h->request.length > HTTP_PASSED_OVER_BYTES_MAX) h->close = true;
    }
    h->asking = false;
    fail(h, a->rc, a->ec.text);
}

/* Its body may come now. */
static void read_body(struct http *h)
{
    if (!h->asking) return; /* the answer came at once, nothing was held back */
    h->asking = false;
    http_go_on_reading(h);
    http_body_begins(h);
    lws_set_timeout(h->wsi, PENDING_TIMEOUT_HTTP_CONTENT, http_lws_timeout_s(h));
    if (h->body_came)
        http_take_body(h);
    else if (h->request.expects_continue && http_say_continue(h) != 0)
        lws_set_timeout(h->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void admitted(struct loop *l, uint64_t asker, struct entrance *a)
{
    struct http *h = id_table_get(&l->exchanges, asker);
    if (h == NULL) return;
    if (a->rc != SYNC_OK) {
        refuse(h, a);
        return;
    }
    h->identity = a->identity;
    a->identity = NULL;
    switch (h->request.endpoint) {
    case HTTP_ENDPOINT_APPLY_CHANGES: read_body(h); break;
    case HTTP_ENDPOINT_SNAPSHOT: http_enter(h, http_snapshot); break;
    default: http_enter(h, http_get_changes);
    }
}

static struct claim *make_claim(struct http *h, struct slice token)
{
    struct hook_gate *g = &h->loop->server->hooks;
    char site[SITE_ID_TEXT + 1];
    site_id_format(&h->site, site);
    struct claim *c = claim_new(h->wsi, &h->loop->config->hooks, SYNC_TRANSPORT_HTTP, hook_gate_number(g),
                                hook_gate_has(g, HOOK_AUTHENTICATE));
    if (c == NULL) return NULL;
    if (claim_complete(c, slice_of(h->request.database, h->request.database_len), token, slice_str(site),
                       &h->site))
        return c;
    claim_unref(c);
    return NULL;
}

void http_ask_hooks(struct http *h, struct slice token)
{
    struct server *s = h->loop->server;
    bool is_batch = h->request.endpoint == HTTP_ENDPOINT_APPLY_CHANGES;
    const struct wish wish = {.operation = h->request.endpoint == HTTP_ENDPOINT_SNAPSHOT ? SYNC_GET_SNAPSHOT
                                                                                         : SYNC_GET_CHANGES,
                              .has_since = h->has_since,
                              .since = h->since};
    if (hook_gate_has(&s->hooks, HOOK_AUTHENTICATE) && !claim_headers_fit(h->wsi, &h->loop->config->hooks)) {
        limit_hit(s, LIMIT_HOOK_HEADER_BYTES);
        http_fail(h, 431, "HEADERS_TOO_LARGE", "the headers are larger than this server takes");
        return;
    }
    struct claim *claim = make_claim(h, token);
    if (claim == NULL) {
        http_fail_later(h, "UNAVAILABLE", "out of memory");
        return;
    }
    h->asking = is_batch;
    if (!is_batch) h->state = HTTP_WORKING;
    hook_admit(h->loop, claim, is_batch ? ADMIT_SENDER : ADMIT_REQUEST, &wish, h->id, admitted);
    claim_unref(claim);
}

void http_refuse(struct http *h, enum sync_err rc, const char *text)
{
    if (rc == SYNC_ELIMIT)
        http_fail(h, 413, "PAYLOAD_TOO_LARGE", text);
    else if (rc == SYNC_EBADMSG || rc == SYNC_EDRIFT)
        http_fail(h, 400, "INVALID_BODY", text);
    else if (rc == SYNC_EFORBIDDEN)
        http_fail(h, 403, "NOT_AUTHORIZED", text);
    else if (rc == SYNC_EBUSY)
        http_fail_later(h, "UNAVAILABLE", text);
    else
        http_fail_later(h, "APPLY_CHANGES_FAILED", text);
}
