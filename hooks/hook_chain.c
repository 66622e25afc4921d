#include "hooks/hook_chain.h"

#include "core/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum sync_err hook_chain_open(const struct hook_config *hooks, size_t count,
                              const struct hook_environment *env, const struct hook_chain *before,
                              bool (*keep)(void *arg, struct hook *h), void *keep_arg,
                              struct hook_chain **ret, struct err_ctx *ec)
{
    if (count > HOOKS_MAX) return err_set(ec, SYNC_ELIMIT, "%zu hooks, over %d", count, HOOKS_MAX);
    struct hook_chain *c = calloc(1, sizeof *c);
    if (c == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for hooks");
    atomic_init(&c->refs, 1);
    enum sync_err rc = SYNC_OK;
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) {
        char name[HOOK_NAME_MAX + 1];
        hook_name_make(hooks, i, name);
        struct hook *h = NULL;
        for (size_t k = 0; before != NULL && keep != NULL && k < before->count && h == NULL; k++)
            if (strcmp(before->hooks[k]->name, name) == 0 && hook_is_of(before->hooks[k], &hooks[i]) &&
                keep(keep_arg, before->hooks[k]))
                h = hook_ref(before->hooks[k]);
        if (h == NULL) rc = hook_open(&hooks[i], name, env, &h, ec);
        if (rc != SYNC_OK) break;
        c->hooks[c->count++] = h;
        c->ops |= h->ops;
    }
    if (rc != SYNC_OK) {
        hook_chain_free(c);
        return rc;
    }
    *ret = c;
    return SYNC_OK;
}

struct hook_chain *hook_chain_ref(struct hook_chain *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

bool hook_chain_drop(struct hook_chain *c)
{
    return atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1;
}

void hook_chain_free(struct hook_chain *c)
{
    for (size_t i = 0; i < c->count; i++) hook_unref(c->hooks[i]);
    free(c);
}

/* ---- one call */

static const char *refusal_text(enum hook_op op)
{
    switch (op) {
    case HOOK_VALID_DATABASE_ID: return "the database id is not valid";
    case HOOK_AUTHENTICATE: return "the token is not valid";
    case HOOK_CLIENT_CONNECT: return "the connection was refused";
    case HOOK_BEFORE_APPLY_CHANGES: return "the changes were refused";
    default: return "not allowed";
    }
}

static void end_as(struct hook_result *r, enum hook_outcome outcome, const char *hook, const char *text)
{
    r->outcome = outcome;
    hook_text_copy(r->hook, sizeof r->hook, slice_str(hook));
    hook_text_copy(r->text, sizeof r->text, slice_str(text));
}

void hook_result_unavailable(struct hook_result *r, const char *hook)
{
    end_as(r, HOOK_UNAVAILABLE, hook, "a check on the server could not be made, try again");
}

/* What the call's author should know stands in the log; the client only learns that it may try again. */
static bool fail(struct hook *h, enum hook_op op, const char *why, struct hook_result *r)
{
    atomic_fetch_add_explicit(&h->figures.failures, 1, memory_order_relaxed);
    hook_log_seldom(h, SYNC_LOG_ERROR, "%s failed: %s; the request is refused", hook_op_name(op), why);
    hook_result_unavailable(r, h->name);
    return false;
}

/* Is it zero terminated UTF-8? */
static bool is_text(const char *text, size_t bytes)
{
    size_t len = strnlen(text, bytes), at = 0, step = 1;
    while (at < len && step > 0) at += step = utf8_len(text + at, len - at);
    return len < bytes && at == len;
}

/* The earlier of two times of which 0 is never. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

static bool take_grant(struct hook *h, const struct hook_turn *turn, struct hook_result *r)
{
    struct hook_identity *i = r->identity;
    const struct sync_grant *g = &turn->grant;
    if (!is_text(g->user_id, sizeof g->user_id))
        return fail(h, HOOK_AUTHENTICATE, "its user id is not zero terminated UTF-8", r);
    if (g->metadata_len > sizeof g->metadata)
        return fail(h, HOOK_AUTHENTICATE, "its metadata is longer than there is room", r);
    hook_text_copy(i->user_id, sizeof i->user_id, slice_str(g->user_id));
    memcpy(&i->site, &g->site, sizeof i->site);
    /* Each hook vouches until its own time only. */
    i->expires_ms = earlier(i->expires_ms, g->expires_ms);
    i->recheck_ms = earlier(i->recheck_ms, g->recheck_ms);
    if (g->metadata_len > 0) {
        struct hook_metadata *m = &i->metadata[i->metadata_count++];
        hook_text_copy(m->hook, sizeof m->hook, slice_str(h->name));
        m->len = g->metadata_len;
        memcpy(m->bytes, g->metadata, g->metadata_len);
    }
    return true;
}

static void offer_grant(const struct hook_identity *i, struct sync_grant *g)
{
    *g = (struct sync_grant){.bytes = sizeof *g, .expires_ms = i->expires_ms, .recheck_ms = i->recheck_ms};
    memcpy(&g->site, &i->site, sizeof g->site);
    memcpy(g->user_id, i->user_id, sizeof g->user_id);
}

static bool is_storage_path(const char *path)
{
    if (!is_text(path, STORAGE_PATH_MAX + 1)) return false;
    const char *part = path;
    for (;;) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
            return false;
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)part[i] < ' ' || part[i] == 0x7f) return false;
        if (part[len] == '\0') return true;
        part += len + 1;
    }
}

static bool take_path(struct hook *h, const struct hook_turn *turn, struct hook_result *r)
{
    if (turn->path[0] == '\0') return true;
    if (!is_storage_path(turn->path)) return fail(h, HOOK_STORAGE_PATH, "it is not a path", r);
    if (r->path[0] == '\0') hook_text_copy(r->path, sizeof r->path, slice_str(turn->path));
    return true;
}

static bool take_decisions(struct hook *h, const struct hook_turn *turn, struct hook_result *r)
{
    struct err_ctx ec;
    uint32_t before = turn->sets->rejected_count;
    if (hook_sets_carry_out(turn->sets, &turn->actions, &ec) != SYNC_OK)
        return fail(h, HOOK_BEFORE_APPLY_CHANGES, ec.text, r);
    atomic_fetch_add_explicit(&h->figures.rejections, turn->sets->rejected_count - before,
                              memory_order_relaxed);
    return true;
}

/* What a hook's answer means. False: the chain ends here. */
static bool judge(struct hook *h, int got, struct hook_turn *turn, struct hook_result *r)
{
    enum hook_op op = turn->in->op;
    char why[64];
    if (got == SYNC_HOOK_REFUSED) {
        atomic_fetch_add_explicit(&h->figures.refusals, 1, memory_order_relaxed);
        end_as(r, HOOK_REFUSED, h->name, turn->text[0] != '\0' ? turn->text : refusal_text(op));
        return false;
    }
    if (got != SYNC_HOOK_OK) {
        (void)snprintf(why, sizeof why, "it returned %d", got);
        return fail(h, op, turn->text[0] != '\0' ? turn->text : why, r);
    }
    switch (op) {
    case HOOK_AUTHENTICATE: return take_grant(h, turn, r);
    case HOOK_BEFORE_APPLY_CHANGES: return take_decisions(h, turn, r);
    case HOOK_STORAGE_PATH: return take_path(h, turn, r);
    default: return true;
    }
}

static enum sync_err begin(const struct hook_chain *c, const struct hook_input *in, struct hook_turn *turn,
                           struct hook_result *r, struct err_ctx *ec)
{
    if (in->op == HOOK_BEFORE_APPLY_CHANGES || in->op == HOOK_AFTER_APPLY_CHANGES) {
        turn->sets = &r->sets;
        return hook_sets_init(&r->sets, in->batch, ec);
    }
    if (in->op != HOOK_AUTHENTICATE) return SYNC_OK;
    struct hook_identity *i = hook_identity_new((uint32_t)c->count);
    if (i == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for an identity");
    r->identity = i;
    i->transport = in->transport;
    i->connection = in->connection;
    i->site = in->site;
    if (in->database.len > HOOK_DATABASE_MAX)
        return err_set(ec, SYNC_ELIMIT, "a database id of over %d bytes", HOOK_DATABASE_MAX);
    hook_text_copy(i->database, sizeof i->database, in->database);
    struct slice address = in->remote_address;
    if (address.len > HOOK_ADDRESS_MAX) address.len = HOOK_ADDRESS_MAX;
    hook_text_copy(i->remote_address, sizeof i->remote_address, address);
    return SYNC_OK;
}

/* One function of all hooks. False: nobody waits for the call any more. */
static bool run_function(const struct hook_chain *c, const struct hook_input *in,
                         const struct hook_door *door, struct hook_result *ret)
{
    struct hook_turn turn = {.in = in};
    struct err_ctx ec;
    bool go_on = begin(c, in, &turn, ret, &ec) == SYNC_OK;
    if (!go_on) hook_result_unavailable(ret, "");
    for (size_t i = 0; i < c->count && go_on; i++) {
        struct hook *h = c->hooks[i];
        if ((h->ops & 1u << in->op) == 0) continue;
        uint64_t deadline_ns;
        ret->asked = true;
        if (!door->enter(door->arg, h, in->op, &deadline_ns, &ec)) {
            go_on = fail(h, in->op, ec.text, ret);
            break;
        }
        if (in->op == HOOK_AUTHENTICATE) offer_grant(ret->identity, &turn.grant);
        turn.text[0] = turn.path[0] = '\0';
        int got = hook_call(h, &turn, deadline_ns);
        if (!door->leave(door->arg, h)) {
            hook_actions_deinit(&turn.actions);
            return false;
        }
        go_on = judge(h, got, &turn, ret);
        hook_actions_deinit(&turn.actions);
    }
    if (go_on) return true; /* all zero is HOOK_APPROVED */
    hook_identity_unref(ret->identity);
    ret->identity = NULL;
    hook_sets_deinit(&ret->sets);
    return true;
}

void hook_chain_run(const struct hook_chain *c, const struct hook_input *in, const struct hook_door *door,
                    struct hook_result *ret)
{
    if (!run_function(c, in, door, ret) || ret->outcome != HOOK_APPROVED) return;
    if (in->op != HOOK_AUTHORIZE || !in->then_before_apply) return;
    struct hook_input next = *in;
    next.op = HOOK_BEFORE_APPLY_CHANGES;
    (void)run_function(c, &next, door, ret);
}
