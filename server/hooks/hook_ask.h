/* hook_ask.h -- a question to the hooks on its way: from a loop to the runner, and back to the loop.
 *
 * What is asked about is kept by the question as long as a hook may read it, which can be longer than the
 * asker waits: a hook that misses its deadline still has its hands on it.
 *
 * Threads: the asker's loop, but where a function says otherwise. */
#ifndef SERVER_HOOKS_HOOK_ASK_H
#define SERVER_HOOKS_HOOK_ASK_H

#include "core/protocol/message.h"
#include "hooks/hook_call.h"
#include "server/net/claim.h"
#include "server/net/loop.h"

struct hook_ask {
    struct job job; /* first */
    struct hook_call call;
    uint64_t asker;          /* id of whoever waits */
    struct claim *claim;     /* a reference, or NULL */
    struct message *message; /* whose batch is asked about, or NULL */
    size_t bytes;            /* of a notice, counted in hook_gate.notice_bytes */
    size_t held_bytes; /* of a message that a late hook may read: counted by net/receiving.h until then */
    void *context;     /* of whoever asks; not freed */
    /* Called once, on the loop, with the result in call.result. The question is gone when it returns. */
    void (*answered)(struct loop *l, struct hook_ask *a);
};

/* A question with nothing but its kind filled in. NULL when memory is short. */
struct hook_ask *hook_ask_new(struct loop *l, enum hook_op op, uint64_t asker, uint64_t key,
                              void (*answered)(struct loop *l, struct hook_ask *a));

/* Everything that is asked about the claim: database, token, headers. Takes a reference of its own. */
void hook_ask_about(struct hook_ask *a, struct claim *c);

/* Takes a reference of its own. */
void hook_ask_as(struct hook_ask *a, struct hook_identity *i);

/* Asks, or tells where it is a notice (`answered` is then NULL). There are hooks. */
void hook_ask_submit(struct hook_ask *a);

/* Throws away a question that was not submitted. */
void hook_ask_free(struct hook_ask *a);

/* Takes the message back, which no hook reads any more: only after an answer that is not HOOK_UNAVAILABLE. */
struct message *hook_ask_take_message(struct hook_ask *a);

/* The answer as an error: SYNC_OK, `refused` with the hook's text, SYNC_EBUSY. */
enum sync_err hook_ask_error(const struct hook_ask *a, enum sync_err refused, struct err_ctx *ec);

#endif
