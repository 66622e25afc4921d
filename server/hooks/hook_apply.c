#include "server/hooks/hook_apply.h"

#include "server/hooks/hook_ask.h"
#include "server/net/limit.h"
#include "server/server.h"

#include <stdlib.h>

/* A batch at the hooks. */
struct judging {
    struct apply_asker who;
    struct hook_identity *identity;
    size_t text_len;
    char database[HOOK_DATABASE_MAX];
};

static void free_judging(struct loop *l, struct judging *g)
{
    presence_leave(&l->server->presence, g->who.database);
    hook_identity_unref(g->identity);
    free(g);
}

static void free_message(struct message *m)
{
    message_deinit(m);
    free(m);
}

/* To the store. */
static void submit(struct loop *l, const struct apply_asker *who, struct message *m,
                   struct apply_extra *extra)
{
    struct err_ctx ec;
    enum sync_err rc = apply_submit(l, who->database, &who->site, m, who->asker, extra, who->finished, &ec);
    if (rc == SYNC_OK) return;
    apply_extra_deinit(extra);
    who->refused(l, who->asker, m, rc, &ec);
    free_message(m);
}

/* The hooks said yes to what is left: the batch becomes that. */
static void approved(struct loop *l, struct judging *g, struct hook_ask *a)
{
    struct hook_sets *sets = &a->call.result.sets;
    struct apply_extra extra = {.fact_count = a->message->batch.fact_count, .identity = g->identity};
    struct err_ctx ec;
    enum sync_err rc = SYNC_OK;
    if (sets->rejected_count > 0) {
        extra.rejected = buf_make(2 * REJECTIONS_BYTES_MAX);
        hook_rejections_put(&extra.rejected, sets);
        rc = buf_check(&extra.rejected, &ec);
    }
    extra.rejected_count = sets->rejected_count;
    uint64_t rejected_facts = sets->rejected_facts;
    if (rc == SYNC_OK) rc = hook_sets_settle(sets, &a->message->batch, &ec);
    struct message *m = hook_ask_take_message(a);
    if (rc != SYNC_OK) {
        buf_deinit(&extra.rejected);
        g->who.refused(l, g->who.asker, m, rc, &ec);
        free_message(m);
        return;
    }
    counter_add(&l->server->metrics.changes_rejected, rejected_facts);
    g->identity = NULL; /* now the job's */
    submit(l, &g->who, m, &extra);
}

static void answered(struct loop *l, struct hook_ask *a)
{
    struct judging *g = a->context;
    struct err_ctx ec;
    enum sync_err rc = hook_ask_error(a, SYNC_EFORBIDDEN, &ec);
    if (rc == SYNC_OK)
        receiving_batch_ends(l, g->text_len);
    else
        a->held_bytes = g->text_len; /* a hook that is late may still read it: it stays with the question */
    if (g->who.judged != NULL) g->who.judged(l, g->who.asker);
    if (rc == SYNC_OK) {
        approved(l, g, a);
    } else {
        g->who.refused(l, g->who.asker, a->message, rc, &ec);
    }
    free_judging(l, g);
}

static void give_up(struct loop *l, struct judging *g, struct message *m)
{
    struct err_ctx ec;
    enum sync_err rc = err_set(&ec, SYNC_ENOMEM, "no memory for a batch");
    receiving_batch_ends(l, g->text_len);
    if (g->who.judged != NULL) g->who.judged(l, g->who.asker);
    g->who.refused(l, g->who.asker, m, rc, &ec);
    free_message(m);
    free_judging(l, g);
}

/* May they, and which of these changes? One call, so that a batch makes one trip to the hooks and back. Where
 * no hook has the function, the runner approves: the question is asked all the same, so that the batches of a
 * connection stay in line when a reload comes between. */
static void ask(struct loop *l, struct judging *g, struct message *m)
{
    struct hook_ask *a = hook_ask_new(l, HOOK_AUTHORIZE, g->who.asker, g->identity->connection, answered);
    if (a == NULL) {
        give_up(l, g, m);
        return;
    }
    a->context = g;
    a->message = m;
    hook_ask_as(a, g->identity);
    a->call.input.operation = SYNC_APPLY_CHANGES;
    a->call.input.change_count = (uint32_t)m->batch.fact_count; /* at most BATCH_FACTS_MAX */
    a->call.input.batch = &m->batch;
    a->call.input.then_before_apply = true;
    hook_ask_submit(a);
}

bool hook_apply(struct loop *l, const struct apply_asker *who, struct message *m)
{
    const struct hook_gate *gate = &l->server->hooks;
    bool authorizes = hook_gate_has(gate, HOOK_AUTHORIZE);
    bool judges = hook_gate_has(gate, HOOK_BEFORE_APPLY_CHANGES);
    struct apply_extra extra = {.fact_count = m->batch.fact_count};
    apply_count_received(l, m);
    if (!authorizes && !judges && !who->behind) {
        if (who->identity != NULL) extra.identity = hook_identity_ref(who->identity);
        submit(l, who, m, &extra);
        return false;
    }
    struct judging *g = who->identity == NULL ? NULL : calloc(1, sizeof *g);
    if (g == NULL) {
        struct err_ctx ec;
        who->refused(l, who->asker, m, err_set(&ec, SYNC_ENOMEM, "no memory for a batch"), &ec);
        free_message(m);
        return false;
    }
    g->who = *who;
    memcpy(g->database, who->database.bytes, who->database.len);
    g->who.database = slice_of(g->database, who->database.len);
    presence_hold(&l->server->presence, g->who.database);
    g->identity = hook_identity_ref(who->identity);
    g->text_len = m->batch.text_len;
    receiving_batch_begins(l, g->text_len);
    ask(l, g, m);
    return true;
}

/* ---- afterwards */

void hook_applied(struct loop *l, struct apply_job *j)
{
    struct hook_gate *g = &l->server->hooks;
    size_t bytes = j->message->batch.text_len;
    if (j->extra.identity == NULL || !hook_gate_has(g, HOOK_AFTER_APPLY_CHANGES)) return;
    bool fits = atomic_fetch_add(&g->notice_bytes, bytes) + bytes <= HOOK_NOTICE_BYTES_MAX;
    struct hook_ask *a =
        fits ? hook_ask_new(l, HOOK_AFTER_APPLY_CHANGES, 0, j->extra.identity->connection, NULL) : NULL;
    if (!fits) limit_hit(l->server, LIMIT_HOOK_NOTICE_BYTES);
    if (a == NULL) {
        atomic_fetch_sub(&g->notice_bytes, bytes);
        atomic_fetch_add(&g->notices_left_out, 1);
        return;
    }
    hook_ask_as(a, j->extra.identity);
    a->bytes = bytes;
    a->message = j->message;
    j->message = NULL;
    a->call.input.batch = &a->message->batch;
    a->call.input.result = j->request.result;
    a->call.input.rejected_count = j->extra.rejected_count;
    hook_ask_submit(a);
}
