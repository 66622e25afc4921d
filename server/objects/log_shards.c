#include "server/objects/log_shards.h"

#include "server/base/system.h"
#include "server/net/loop.h"
#include "server/objects/log_uploader.h"
#include "server/server.h"
#include "server/store/store_thread.h"

#include <stdlib.h>

struct shard_job;

/* What is asked of the shard, on the stack of the one who waits. */
struct request {
    enum sync_err (*carry_out)(struct request *r, struct store_thread *t, struct err_ctx *ec);
    struct store_thread *thread;
    struct slice database; /* that it is about; empty: several, or none */
    const struct upload_position *positions;
    const bool *complete;
    size_t count;
    uint32_t partition;
    const struct log_state *state;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool finished;
    enum sync_err rc;
    struct err_ctx *ec;
};

/* Outlives the request: it still goes home to a loop, which frees it. */
struct shard_job {
    struct store_job store; /* first */
    struct request *request;
};

static void run(struct job *job)
{
    struct request *r = ((struct shard_job *)job)->request;
    enum sync_err rc = r->carry_out(r, r->thread, r->ec);
    pthread_mutex_lock(&r->lock);
    r->rc = rc;
    r->finished = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock); /* the request is gone from here on */
}

static void done(struct job *job)
{
    free(job);
}

static enum sync_err ask(struct server *s, uint32_t shard, struct request *r, struct err_ctx *ec)
{
    r->thread = &s->store_threads[shard];
    if (s->shared_log.direct) return r->carry_out(r, r->thread, ec);
    struct shard_job *j = calloc(1, sizeof *j);
    if (j == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to ask a shard");
    j->store.job.home = &s->loops[0];
    j->store.job.run = run;
    j->store.job.done = done;
    j->request = r;
    r->ec = ec;
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->changed, NULL);
    store_thread_put(r->thread, r->database, &j->store);
    pthread_mutex_lock(&r->lock);
    while (!r->finished) pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    return r->rc;
}

static struct server *server_of(const struct log_uploader *u)
{
    return u->log->server;
}

static enum sync_err carry_out_uploaded(struct request *r, struct store_thread *t, struct err_ctx *ec)
{
    enum sync_err rc = shard_uploaded(t->shard, r->positions, r->count, r->partition, r->state, ec);
    /* They are in the log whether or not that could be noted here. */
    ack_wait_release(&t->acks, r->positions, r->complete, r->count);
    return rc;
}

enum sync_err log_shards_uploaded(void *arg, uint32_t shard, const struct upload_position *positions,
                                  const bool *complete, size_t count, const struct log_state *state,
                                  struct err_ctx *ec)
{
    struct log_uploader *u = arg;
    for (size_t i = 0; i < count; i++) log_known_add(u->known, positions[i].database);
    struct request r = {.carry_out = carry_out_uploaded,
                        .positions = positions,
                        .complete = complete,
                        .count = count,
                        .partition = u->partition,
                        .state = state};
    return ask(server_of(u), shard, &r, ec);
}

static enum sync_err carry_out_put_state(struct request *r, struct store_thread *t, struct err_ctx *ec)
{
    return shard_put_log_state(t->shard, r->partition, r->state, ec);
}

enum sync_err log_shards_put_state(void *arg, const struct log_state *state, struct err_ctx *ec)
{
    struct log_uploader *u = arg;
    struct request r = {.carry_out = carry_out_put_state, .partition = u->partition, .state = state};
    return ask(server_of(u), 0, &r, ec);
}

static enum sync_err carry_out_wait(struct request *r, struct store_thread *t, struct err_ctx *ec)
{
    return shard_wait_from_start(t->shard, r->database, system_wall_ms(), ec);
}

enum sync_err log_shards_wait_from_start(void *arg, struct slice database, struct err_ctx *ec)
{
    struct server *s = server_of(arg);
    struct request r = {.carry_out = carry_out_wait, .database = database};
    return ask(s, store_shard_of(s->store, database), &r, ec);
}

static enum sync_err carry_out_sync(struct request *r, struct store_thread *t, struct err_ctx *ec)
{
    (void)r;
    return shard_sync(t->shard, ec);
}

enum sync_err log_shards_sync(void *arg, uint32_t shard, struct err_ctx *ec)
{
    struct request r = {.carry_out = carry_out_sync};
    return ask(server_of(arg), shard, &r, ec);
}
