#include "server/coordinator/cluster.h"

#include "server/base/system.h"

#include <assert.h>
#include <stdio.h>

enum { CREATE_TRIES_MAX = 4 };

struct cluster_key cluster_key(const struct cluster *c, const char *name)
{
    struct cluster_key k;
    int n = snprintf(k.text, sizeof k.text, "%s%s", c->root, name);
    assert(n > 0 && n <= CLUSTER_KEY_MAX);
    return k;
}

struct ticket_stamp cluster_stamp(const struct cluster *c)
{
    return (struct ticket_stamp){
        .worker_id = c->worker_id, .incarnation = c->incarnation, .wall_ms = system_wall_ms()};
}

void cluster_spent(const struct cluster *c, const struct task_run *run, uint32_t requests)
{
    if (c->spent != NULL) c->spent(c->arg, run, requests);
}

static struct object_call call_of(const struct cluster *c, const atomic_bool *stop)
{
    return (struct object_call){.timeout_ms = c->call_ms, .cancel = stop};
}

enum sync_err cluster_write(const struct cluster *c, const struct task_run *run, const char *name,
                            struct slice value, struct fenced_memory *memory, struct err_ctx *ec)
{
    struct cluster_key key = cluster_key(c, name);
    struct object_call call = call_of(c, run->stop);
    enum fenced_outcome outcome = FENCED_WRITTEN;
    if (!task_may_go_on(run)) return err_set(ec, SYNC_ECANCELED, "%s: this instance leads no more", name);
    cluster_spent(c, run, memory != NULL && memory->epoch == run->epoch ? 1 : 2);
    enum sync_err rc = fenced_write(c->store, &call, slice_str(key.text), run->epoch, c->worker_id, value,
                                    memory, &outcome, ec);
    if (rc != SYNC_OK) err_wrap(ec, "write %s", name);
    if (rc != SYNC_OK || outcome == FENCED_WRITTEN) return rc;
    counter_add(&c->metrics->fenced_writes, 1);
    return err_set(ec, SYNC_ECANCELED, "%s: a leader of a higher epoch has written", name);
}

enum sync_err cluster_read(const struct cluster *c, const struct task_run *run, const char *name,
                           struct buf *bytes, struct fenced_value *ret, struct err_ctx *ec)
{
    struct cluster_key key = cluster_key(c, name);
    struct object_call call = call_of(c, run->stop);
    cluster_spent(c, run, 1);
    enum sync_err rc = fenced_read(c->store, &call, slice_str(key.text), bytes, ret, ec);
    if (rc != SYNC_OK) err_wrap(ec, "read %s", name);
    return rc;
}

/* Are the bytes that are there these? *ret_there: there are any. */
static enum sync_err look(const struct cluster *c, const struct object_call *call, struct slice key,
                          struct slice bytes, bool *ret_there, bool *ret_same, struct err_ctx *ec)
{
    struct buf found = buf_make(FENCED_BYTES_MAX);
    enum sync_err rc = object_get_buf(c->store, call, key, NULL, &found, NULL, ec);
    *ret_there = rc == SYNC_OK;
    *ret_same = rc == SYNC_OK && slice_eq(buf_slice(&found), bytes);
    buf_deinit(&found);
    return rc == SYNC_ENOTFOUND ? SYNC_OK : rc;
}

enum sync_err cluster_create(const struct cluster *c, const struct task_run *run, const atomic_bool *stop,
                             const char *name, struct slice bytes, bool *ret_mine, struct err_ctx *ec)
{
    struct cluster_key key = cluster_key(c, name);
    struct object_call call = call_of(c, stop);
    enum sync_err rc;
    bool there = false;
    *ret_mine = false;
    for (int try = 0; try < CREATE_TRIES_MAX; try++) {
        enum object_outcome outcome = OBJECT_UNKNOWN;
        cluster_spent(c, run, 1);
        rc = object_put_if_absent(c->store, &call, slice_str(key.text), bytes, &outcome, NULL, ec);
        if (rc != SYNC_OK) goto out;
        *ret_mine = outcome == OBJECT_OK;
        if (outcome == OBJECT_OK || (outcome == OBJECT_LOST && try == 0)) return SYNC_OK;
        /* Unknown; or lost, perhaps to an earlier try of these same bytes. */
        cluster_spent(c, run, 1);
        rc = look(c, &call, slice_str(key.text), bytes, &there, ret_mine, ec);
        if (rc != SYNC_OK) goto out;
        if (there) return SYNC_OK;
    }
    rc = err_set(ec, SYNC_EBUSY, "no answer to trust");
out:
    err_wrap(ec, "create %s", name);
    return rc;
}
