/* hook_apply.h -- the way of a batch past the hooks, before it goes the way of apply.h.
 *
 *     authorize -> before_apply_changes -> what is left of it: apply_submit() -> after_apply_changes
 *
 * Nothing here answers "applied": that stays with apply.h. A batch that a hook has not approved never reaches
 * the store, whatever goes wrong on the way: only an answer HOOK_APPROVED leads on.
 *
 * The batches of one connection keep their order: they are asked about under one key, answered in that order,
 * and handed to the store in the order of the answers.
 *
 * Threads: the connection's loop. */
#ifndef SERVER_HOOKS_HOOK_APPLY_H
#define SERVER_HOOKS_HOOK_APPLY_H

#include "server/net/loop.h"
#include "server/store/apply.h"

struct hook_identity;

/* Who sends a batch, and who is told. */
struct apply_asker {
    uint64_t asker;
    struct hook_identity *identity; /* NULL: there are no hooks */
    struct slice database;
    struct site_id site;
    bool behind; /* an earlier batch of the connection is with the hooks: this one has to follow it there */
    /* Taken or failed, by the store: as of apply_submit(). */
    void (*finished)(struct loop *l, const struct apply_job *j);
    /* Refused, by hooks or before the store. */
    void (*refused)(struct loop *l, uint64_t asker, const struct message *m, enum sync_err rc,
                    const struct err_ctx *ec);
    /* The hooks are through with it; finished or refused follows. NULL: nobody counts. */
    void (*judged)(struct loop *l, uint64_t asker);
};

/* Takes `m`, malloc'ed, and ends in one call of `finished` or `refused`, maybe within this one. Returns
 * whether the hooks have it, in which case `judged` will be called first. */
bool hook_apply(struct loop *l, const struct apply_asker *who, struct message *m);

/* A batch is durable: tells after_apply_changes, and takes the job's message for that. */
void hook_applied(struct loop *l, struct apply_job *j);

#endif
