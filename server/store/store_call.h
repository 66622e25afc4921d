/* store_call.h -- work on a shard that a thread which is no loop waits for: restores, evictions.
 *
 * The call is queued with everything else that the shard's thread does, behind the batches of its database
 * that came before.
 *
 * Threads: begin and wait on one thread, not on a loop, and while the store threads run. */
#ifndef SERVER_STORE_STORE_CALL_H
#define SERVER_STORE_STORE_CALL_H

#include "server/store/store_thread.h"

#include <semaphore.h>

struct store_call {
    struct store_job store; /* first; its rc and ec are the result */
    sem_t done;
};

/* `run` gets the call's job; store.shard is set. `database` must be good until the call has been waited
 * for. */
void store_call_begin(struct store_call *c, struct store_thread *t, struct slice database,
                      void (*run)(struct job *));
enum sync_err store_call_wait(struct store_call *c, struct err_ctx *ec);

#endif
