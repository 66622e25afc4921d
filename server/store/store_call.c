#include "server/store/store_call.h"

#include <errno.h>

static void done(struct job *j)
{
    struct store_call *c = (struct store_call *)j;
    (void)sem_post(&c->done); /* the waiter may free the call from here on */
}

void store_call_begin(struct store_call *c, struct store_thread *t, struct slice database,
                      void (*run)(struct job *))
{
    c->store = (struct store_job){.job = {.run = run, .done = done}};
    (void)sem_init(&c->done, 0, 0);
    store_thread_put(t, database, &c->store);
}

enum sync_err store_call_wait(struct store_call *c, struct err_ctx *ec)
{
    while (sem_wait(&c->done) != 0 && errno == EINTR) continue;
    (void)sem_destroy(&c->done);
    if (c->store.job.rc != SYNC_OK) *ec = c->store.job.ec;
    return c->store.job.rc;
}
