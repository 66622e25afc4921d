/* hook_chain.h -- the hooks of a server in the order of the configuration, and what they say together.
 *
 * The first refusal wins; each hook sees what the one before approved. Whatever is not an approval refuses: a
 * hook that fails or returns rubbish never lets anything through.
 *
 * Constant once made, and counted: a call in flight keeps the chain that it began on.
 * Threads: any. The last hook_chain_unref() shuts hooks down and may block. */
#ifndef HOOKS_HOOK_CHAIN_H
#define HOOKS_HOOK_CHAIN_H

#include "hooks/hook.h"

struct hook_chain {
    atomic_uint refs;
    struct hook_chain *next; /* the runner's list of those to be closed */
    uint32_t ops;            /* bit (1 << op) where any hook has the function */
    size_t count;
    struct hook *hooks[HOOKS_MAX];
};

/* Loads every hook of the list. Where `before` (may be NULL) has the same hook, the same file and the same
 * configuration string, `keep` (may be NULL) is asked: true means that the hook goes on. All or nothing: when
 * one cannot be loaded, those loaded are closed again. Errors: SYNC_ELIMIT for over HOOKS_MAX, those of
 * hook_open(). Blocks. */
enum sync_err hook_chain_open(const struct hook_config *hooks, size_t count,
                              const struct hook_environment *env, const struct hook_chain *before,
                              bool (*keep)(void *arg, struct hook *h), void *keep_arg,
                              struct hook_chain **ret, struct err_ctx *ec);
struct hook_chain *hook_chain_ref(struct hook_chain *c);
bool hook_chain_drop(struct hook_chain *c); /* gives a reference back; true: that was the last, so free it */
void hook_chain_free(struct hook_chain *c);

/* How a call gets into a hook and out of it again. */
struct hook_door {
    void *arg;
    /* False: not now, with a text for the log; the call ends as HOOK_UNAVAILABLE. */
    bool (*enter)(void *arg, struct hook *h, enum hook_op op, uint64_t *ret_deadline_ns, struct err_ctx *ec);
    /* False: nobody waits for the call any more; it ends at once. */
    bool (*leave)(void *arg, struct hook *h);
};

/* Asks the hooks. *ret is all zero before. After a `leave` that said false *ret has no meaning but can be
 * deinited. */
void hook_chain_run(const struct hook_chain *c, const struct hook_input *in, const struct hook_door *door,
                    struct hook_result *ret);

/* An answer for a call that no hook got to see, or that waits no longer. */
void hook_result_unavailable(struct hook_result *r, const char *hook);

#endif
