#include "storage/sharedlog/log_gather.h"

#include "storage/sharedlog/log_names.h"

#include <assert.h>
#include <stdlib.h>

struct log_gather {
    struct store *store;
    uint32_t partition, partitions;
    size_t bytes;
    struct log_progress *progress;
    size_t capacity;
    uint32_t next[STORE_SHARDS_MAX]; /* number to begin with; 0: the first */

    /* The database that is read in several objects. */
    struct view *view; /* NULL: none */
    uint32_t shard;
    size_t name_len;
    char name[DATABASE_ID_MAX];
    struct stamp position; /* read up to here */
};

enum sync_err log_gather_new(struct store *store, uint32_t partition, uint32_t partitions, size_t bytes,
                             struct log_gather **ret, struct err_ctx *ec)
{
    struct log_gather *g = calloc(1, sizeof *g);
    if (g == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to gather what waits");
    g->store = store;
    g->partition = partition;
    g->partitions = partitions;
    g->bytes = bytes;
    *ret = g;
    return SYNC_OK;
}

void log_gather_free(struct log_gather *g)
{
    if (g == NULL) return;
    view_close(g->view);
    free(g->progress);
    free(g);
}

static struct slice long_one(const struct log_gather *g)
{
    return g->view == NULL ? slice_of(NULL, 0) : slice_of(g->name, g->name_len);
}

static void end_long_one(struct log_gather *g)
{
    view_close(g->view);
    g->view = NULL;
    g->name_len = 0;
}

void log_gather_reset(struct log_gather *g)
{
    end_long_one(g); /* its position may be ahead of what got written */
}

static enum sync_err note(struct log_gather *g, struct log_pack *pack, uint32_t shard, bool complete,
                          struct err_ctx *ec)
{
    const struct log_section *s = &pack->sections[pack->count - 1];
    if (pack->count > g->capacity) {
        size_t capacity = g->capacity == 0 ? 64 : 2 * g->capacity;
        struct log_progress *progress = realloc(g->progress, capacity * sizeof *progress);
        if (progress == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to gather what waits");
        g->progress = progress;
        g->capacity = capacity;
    }
    g->progress[pack->count - 1] = (struct log_progress){
        .shard = shard, .database = s->database, .position = s->last, .complete = complete};
    return SYNC_OK;
}

/* Puts the view's entries behind *position into the pack's open section, until the pack has bytes_max.
 * *ret_complete: it got to the view's end. *position moves to what was put last. */
static enum sync_err put_entries(struct log_pack *pack, struct view *v, struct stamp *position,
                                 size_t bytes_max, bool *ret_complete, struct err_ctx *ec)
{
    struct log_cursor *cursor = NULL;
    struct log_entry entry;
    bool found = true;
    *ret_complete = false;
    enum sync_err rc = log_cursor_open(v, position, &cursor, ec);
    while (rc == SYNC_OK) {
        rc = log_cursor_next(cursor, &entry, &found, ec);
        if (rc != SYNC_OK || !found) break;
        const struct moved_entry moved = {
            .stamp = entry.stamp, .fact = entry.fact, .created_ms = entry.created_ms};
        bool first = pack->sections[pack->count - 1].entries == 0;
        size_t bytes = log_pack_bytes(pack);
        /* One entry goes in whatever its size, where it is alone. */
        if (!(first && pack->count == 1) && (bytes >= bytes_max || moved_size(&moved) > bytes_max - bytes))
            break;
        rc = log_pack_put(pack, &moved, ec);
        if (rc == SYNC_OK) *position = moved.stamp;
    }
    log_cursor_close(cursor);
    if (rc == SYNC_OK && !found) {
        *position = view_database(v)->last;
        *ret_complete = true;
    }
    return rc;
}

/* The next piece of the database that is read in several. */
static enum sync_err go_on(struct log_gather *g, struct log_pack *pack, uint64_t wall_ms, size_t bytes_max,
                           struct err_ctx *ec)
{
    const struct database_info *info = view_database(g->view);
    bool complete;
    enum sync_err rc =
        log_pack_begin(pack, long_one(g), &info->server_site, &g->position, &info->pruned, wall_ms, ec);
    if (rc == SYNC_OK) rc = put_entries(pack, g->view, &g->position, bytes_max, &complete, ec);
    if (rc == SYNC_ESTORE) { /* the shard was opened again below the view: begun anew, from the mark */
        log_pack_drop(pack);
        end_long_one(g);
        return SYNC_OK;
    }
    if (rc != SYNC_OK) return rc;
    log_pack_end(pack, &g->position, !complete);
    rc = note(g, pack, g->shard, complete, ec);
    if (complete) end_long_one(g);
    return rc;
}

/* A database as a whole, or the first piece of one that is too long while there is no other such. *ret_more:
 * it is left for later, or has more. */
static enum sync_err add(struct log_gather *g, struct log_pack *pack, uint32_t shard,
                         const struct waiting_database *w, uint64_t wall_ms, bool *ret_more,
                         struct err_ctx *ec)
{
    struct view *v = NULL;
    struct slice name = slice_of(w->name, w->name_len);
    struct stamp position = w->position;
    bool complete = false;
    enum sync_err rc = view_open(store_shard(g->store, shard), name, &v, ec);
    if (rc == SYNC_EBUSY) return SYNC_OK; /* is coming or leaving: what it had is uploaded */
    if (rc != SYNC_OK) return rc;
    const struct database_info info = *view_database(v);
    if (!info.exists || stamp_cmp(&info.last, &w->position) <= 0) { /* uploaded since the scan began */
        view_close(v);
        return SYNC_OK;
    }
    rc = log_pack_begin(pack, name, &info.server_site, &w->position, &info.pruned, wall_ms, ec);
    if (rc == SYNC_OK) rc = put_entries(pack, v, &position, g->bytes, &complete, ec);
    if (rc == SYNC_OK && !complete && (g->view != NULL || pack->sections[pack->count - 1].entries == 0)) {
        log_pack_drop(pack);
        *ret_more = true;
    } else if (rc == SYNC_OK) {
        log_pack_end(pack, &position, !complete);
        rc = note(g, pack, shard, complete, ec);
        if (rc == SYNC_OK && !complete) {
            g->view = v;
            v = NULL;
            g->shard = shard;
            g->position = position;
            g->name_len = name.len;
            memcpy(g->name, name.bytes, name.len);
            *ret_more = true;
        }
    }
    view_close(v);
    return rc;
}

/* One database that waits. */
static enum sync_err visit(struct log_gather *g, struct log_pack *pack, uint32_t shard,
                           const struct waiting_database *w, struct slice skip, uint64_t wall_ms,
                           bool *ret_more, struct log_backlog *backlog, struct err_ctx *ec)
{
    struct slice name = slice_of(w->name, w->name_len);
    if (log_partition_of(name, g->partitions) != g->partition) return SYNC_OK;
    backlog->databases++;
    if (backlog->oldest_ms == 0 || w->since_ms < backlog->oldest_ms) backlog->oldest_ms = w->since_ms;
    if (slice_eq(name, skip)) return SYNC_OK;
    if (log_pack_bytes(pack) >= g->bytes && pack->count > 0) { /* full; the rest is only counted */
        if (!*ret_more || g->next[shard] == 0) g->next[shard] = w->number;
        *ret_more = true;
        return SYNC_OK;
    }
    return add(g, pack, shard, w, wall_ms, ret_more, ec);
}

/* From where the last object was full, around once: whoever writes much must not keep others out. */
static enum sync_err gather_shard(struct log_gather *g, struct log_pack *pack, uint32_t shard,
                                  struct slice skip, uint64_t wall_ms, bool *ret_more,
                                  struct log_backlog *backlog, struct err_ctx *ec)
{
    struct waiting_database w;
    enum sync_err rc = SYNC_OK;
    uint32_t from = g->next[shard];
    g->next[shard] = 0;
    for (int round = 0; round < 2 && rc == SYNC_OK; round++) {
        struct waiting_scan *scan = NULL;
        bool found = true;
        if (round == 1 && from == 0) break;
        rc = waiting_scan_open(store_shard(g->store, shard), round == 0 ? from : 0, &scan, ec);
        while (rc == SYNC_OK) {
            rc = waiting_scan_next(scan, &w, &found, ec);
            if (rc != SYNC_OK || !found || (round == 1 && w.number >= from)) break;
            rc = visit(g, pack, shard, &w, skip, wall_ms, ret_more, backlog, ec);
        }
        waiting_scan_close(scan);
    }
    return rc;
}

enum sync_err log_gather_next(struct log_gather *g, struct log_pack *pack, uint64_t wall_ms,
                              struct log_progress **ret, size_t *ret_count, bool *ret_more,
                              struct log_backlog *ret_backlog, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    char skipped[DATABASE_ID_MAX];
    struct slice skip = long_one(g);
    assert(pack->count == 0);
    *ret_more = false;
    *ret_backlog = (struct log_backlog){0};
    /* Half of the object is for the others: a long one must not hold them up. */
    if (skip.len > 0) {
        memcpy(skipped, skip.bytes, skip.len);
        skip.bytes = skipped;
        rc = go_on(g, pack, wall_ms, g->bytes / 2, ec);
    }
    if (g->view != NULL) *ret_more = true;
    for (uint32_t i = 0; i < store_shard_count(g->store) && rc == SYNC_OK; i++)
        rc = gather_shard(g, pack, i, skip, wall_ms, ret_more, ret_backlog, ec);
    if (rc != SYNC_OK) {
        log_gather_reset(g);
        return rc;
    }
    *ret = g->progress;
    *ret_count = pack->count;
    return SYNC_OK;
}
