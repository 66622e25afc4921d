#include "server/hooks/hook_ask.h"

#include "server/server.h"

#include <assert.h>
#include <stdlib.h>

static struct hook_ask *ask_of(struct hook_call *c)
{
    return (struct hook_ask *)((char *)c - offsetof(struct hook_ask, call));
}

/* Any thread. */
static void destroy(struct hook_call *c)
{
    hook_ask_free(ask_of(c));
}

void hook_ask_free(struct hook_ask *a)
{
    if (a->bytes > 0) atomic_fetch_sub(&a->job.home->server->hooks.notice_bytes, a->bytes);
    if (a->held_bytes > 0) receiving_held_ends(&a->job.home->server->receiving, a->held_bytes);
    hook_result_deinit(&a->call.result);
    hook_identity_unref(a->call.input.identity);
    claim_unref(a->claim);
    if (a->message != NULL) message_deinit(a->message);
    free(a->message);
    free(a);
}

/* Any thread: the answer goes home. */
static void post(struct hook_call *c)
{
    struct hook_ask *a = ask_of(c);
    loop_post(a->job.home, &a->job);
}

static void done(struct job *job)
{
    struct hook_ask *a = (struct hook_ask *)job;
    a->answered(job->home, a);
    hook_call_release(&a->call);
}

struct hook_ask *hook_ask_new(struct loop *l, enum hook_op op, uint64_t asker, uint64_t key,
                              void (*answered)(struct loop *l, struct hook_ask *a))
{
    struct hook_ask *a = calloc(1, sizeof *a);
    if (a == NULL) return NULL;
    assert((answered == NULL) == hook_op_is_notice(op));
    a->job.home = l;
    a->job.done = done;
    a->asker = asker;
    a->answered = answered;
    a->call.key = key;
    a->call.input.op = op;
    a->call.post = answered == NULL ? NULL : post;
    a->call.destroy = destroy;
    return a;
}

void hook_ask_about(struct hook_ask *a, struct claim *c)
{
    struct hook_input *in = &a->call.input;
    a->claim = claim_ref(c);
    in->database = c->database;
    in->connection = c->connection;
    in->transport = c->transport;
    in->has_site = c->has_site;
    in->site = c->site;
    in->token = c->token;
    in->site_text = c->site_text;
    in->remote_address = slice_str(c->address);
    in->headers = c->headers;
    in->header_count = c->header_count;
}

void hook_ask_as(struct hook_ask *a, struct hook_identity *i)
{
    a->call.input.identity = hook_identity_ref(i);
}

void hook_ask_submit(struct hook_ask *a)
{
    struct hook_runner *r = hook_gate_runner(&a->job.home->server->hooks);
    if (r != NULL) {
        hook_runner_submit(r, &a->call);
        return;
    }
    hook_result_unavailable(&a->call.result, ""); /* the server has stopped */
    if (a->answered != NULL) a->answered(a->job.home, a);
    hook_ask_free(a);
}

struct message *hook_ask_take_message(struct hook_ask *a)
{
    assert(a->call.result.outcome != HOOK_UNAVAILABLE);
    struct message *m = a->message;
    a->message = NULL;
    return m;
}

enum sync_err hook_ask_error(const struct hook_ask *a, enum sync_err refused, struct err_ctx *ec)
{
    const struct hook_result *r = &a->call.result;
    /* Closed: the questions that would follow can no longer be asked. */
    if (hook_gate_runner(&a->job.home->server->hooks) == NULL)
        return err_set(ec, SYNC_EBUSY, "the server is stopping");
    if (r->outcome == HOOK_APPROVED) return SYNC_OK;
    return err_set(ec, r->outcome == HOOK_REFUSED ? refused : SYNC_EBUSY, "%s", r->text);
}
