#include "server/store/import_shard.h"

/* ---- on the shard's thread */

static void run_begin(struct job *j)
{
    struct import_shard *x = (struct import_shard *)j;
    j->rc = shard_import_begin(x->call.store.shard, x->database, &j->ec);
}

static void run_remove(struct job *j)
{
    struct import_shard *x = (struct import_shard *)j;
    j->rc = shard_remove_step(x->call.store.shard, x->database, REMOVE_KEYS_MAX, &x->gone, &j->ec);
}

static void run_entries(struct job *j)
{
    struct import_shard *x = (struct import_shard *)j;
    j->rc = shard_import_entries(x->call.store.shard, x->database, x->entries, x->count, &x->pruned, &j->ec);
}

static void run_forget(struct job *j)
{
    struct import_shard *x = (struct import_shard *)j;
    shard_import_forget(x->call.store.shard, x->database);
    j->rc = SYNC_OK;
}

static void run_finish(struct job *j)
{
    struct import_shard *x = (struct import_shard *)j;
    j->rc = shard_import_finish(x->call.store.shard, x->database, x->record, &j->ec);
}

/* ---- on the owner's */

static enum sync_err settled(struct import_shard *x, struct err_ctx *ec)
{
    if (!x->busy) return SYNC_OK;
    x->busy = false;
    return store_call_wait(&x->call, ec);
}

static enum sync_err start(struct import_shard *x, void (*run)(struct job *), struct err_ctx *ec)
{
    if (x->cancel != NULL && atomic_load(x->cancel)) return err_set(ec, SYNC_ECANCELED, "canceled");
    store_call_begin(&x->call, x->thread, x->database, run);
    x->busy = true;
    return SYNC_OK;
}

static enum sync_err call(struct import_shard *x, void (*run)(struct job *), struct err_ctx *ec)
{
    enum sync_err rc = start(x, run, ec);
    return rc == SYNC_OK ? settled(x, ec) : rc;
}

enum sync_err import_shard_remove(struct import_shard *x, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    for (x->gone = false; rc == SYNC_OK && !x->gone;) rc = call(x, run_remove, ec);
    return rc;
}

static enum sync_err begin(void *arg, struct err_ctx *ec)
{
    struct import_shard *x = arg;
    struct err_ctx ignored; /* of the attempt that is thrown away */
    (void)settled(x, &ignored);
    enum sync_err rc = import_shard_remove(x, ec);
    return rc == SYNC_OK ? call(x, run_begin, ec) : rc;
}

static enum sync_err entries(void *arg, const struct moved_entry *e, size_t count, const struct stamp *pruned,
                             struct err_ctx *ec)
{
    struct import_shard *x = arg;
    enum sync_err rc = settled(x, ec);
    if (rc != SYNC_OK) return rc;
    x->entries = e;
    x->count = count;
    x->pruned = *pruned;
    return start(x, run_entries, ec);
}

static enum sync_err finish(void *arg, const struct import_record *record, struct err_ctx *ec)
{
    struct import_shard *x = arg;
    enum sync_err rc = settled(x, ec);
    x->record = record;
    if (rc == SYNC_OK) rc = call(x, run_finish, ec);
    x->finished = rc == SYNC_OK;
    return rc;
}

static void settle(void *arg)
{
    struct import_shard *x = arg;
    struct err_ctx ignored; /* finish() has told, or the restore failed before */
    (void)settled(x, &ignored);
    if (x->finished) return;
    store_call_begin(&x->call, x->thread, x->database,
                     run_forget); /* also where everything else is canceled */
    (void)store_call_wait(&x->call, &ignored);
}

struct import_target import_shard_target(struct import_shard *x, struct store_thread *thread,
                                         struct slice database, const atomic_bool *cancel)
{
    *x = (struct import_shard){.thread = thread, .database = database, .cancel = cancel};
    return (struct import_target){
        .arg = x, .begin = begin, .entries = entries, .finish = finish, .settle = settle};
}
