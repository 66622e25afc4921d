#include "storage/snapshots/snapshot_sweep.h"

#include "storage/objects/object_walk.h"
#include "storage/snapshots/snapshot_list.h"

/* The database whose keys are being listed, and the path that a hook gave it: they come in order, so all of
 * one are in a row. */
struct group {
    char name[DATABASE_ID_MAX];
    size_t name_len; /* 0: none yet */
    char path[OBJECT_KEY_MAX];
    size_t path_len;
    uint64_t snapshots;
};

struct sweeping {
    struct object_store *store;
    const struct object_call *call;
    const struct snapshot_sweep *sweep;
    struct snapshot_swept *swept;
    struct group group;
    enum sync_err first; /* trouble with one of the databases */
    struct err_ctx why;
};

static struct snapshot_place place_of(const struct group *g)
{
    return (struct snapshot_place){.database = slice_of(g->name, g->name_len),
                                   .path = slice_of(g->path, g->path_len)};
}

/* SYNC_ENOTFOUND of thinning out means that the verified one is not there: then nothing justifies a deletion,
 * and the next snapshot of the database sees to it. */
static void end_group(struct sweeping *w)
{
    struct snapshot_place at = place_of(&w->group);
    struct snapshot_id good, before;
    struct err_ctx ec;
    if (at.database.len == 0) return;
    w->swept->databases++;
    w->swept->snapshots += w->group.snapshots;
    if (w->group.snapshots <= w->sweep->retained) return;
    if (!w->sweep->verified(w->sweep->arg, at.database, &good)) return;
    enum sync_err rc = snapshot_thin_out(w->store, w->call, at, &good, w->sweep->retained, &before, &ec);
    if (rc == SYNC_ENOTFOUND) return;
    if (rc == SYNC_OK)
        w->swept->thinned++;
    else if (w->first == SYNC_OK || rc == SYNC_ECANCELED) {
        w->first = rc;
        w->why = ec;
    }
}

static enum sync_err see(void *arg, const struct object_entry *e, struct err_ctx *ec)
{
    struct sweeping *w = arg;
    char name[DATABASE_ID_MAX];
    size_t len;
    struct slice path;
    struct snapshot_id id;
    if (!snapshot_key_parse(e->key, &id) ||
        !snapshot_key_database(SNAPSHOTS_PREFIX, e->key, name, &len, &path))
        return SYNC_OK;
    struct snapshot_place last = place_of(&w->group);
    if (!slice_eq(slice_of(name, len), last.database) || !slice_eq(path, last.path)) {
        end_group(w);
        memcpy(w->group.name, name, len);
        w->group.name_len = len;
        if (path.len > 0) memcpy(w->group.path, path.bytes, path.len); /* a part of a key */
        w->group.path_len = path.len;
        w->group.snapshots = 0;
    }
    w->group.snapshots++;
    if (w->first == SYNC_ECANCELED) *ec = w->why;
    return w->first == SYNC_ECANCELED ? SYNC_ECANCELED : SYNC_OK; /* the others go on */
}

enum sync_err snapshot_sweep(struct object_store *s, const struct object_call *call,
                             const struct snapshot_sweep *sweep, struct snapshot_swept *ret,
                             struct err_ctx *ec)
{
    struct sweeping w = {.store = s, .call = call, .sweep = sweep, .swept = ret};
    const struct object_query query = {.prefix = slice_str(SNAPSHOTS_PREFIX)};
    *ret = (struct snapshot_swept){0};
    enum sync_err rc = object_walk(s, call, &query, see, &w, ec);
    if (rc != SYNC_OK) return rc;
    end_group(&w);
    if (w.first != SYNC_OK) *ec = w.why;
    return w.first;
}
