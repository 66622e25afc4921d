#include "storage/snapshots/log_source.h"

#include "storage/sharedlog/log_meta.h"

static enum sync_err open_log(void *arg, struct slice database, const struct stamp *after, uint64_t until_ms,
                              struct err_ctx *ec)
{
    struct shared_log_source *s = arg;
    struct log_meta meta;
    bool found = false;
    /* Behind a snapshot the log is read all the same: how servers ended is told there. */
    if (after == NULL && s->may_have != NULL && !s->may_have(s->may_have_arg, database)) return SYNC_OK;
    enum sync_err rc = log_meta_read(s->objects, s->call, &meta, &found, ec);
    if (rc != SYNC_OK || !found) return rc; /* no log: nothing comes from it */
    rc = log_reader_open(s->objects, s->call, meta.partitions, database, after, until_ms, &s->reader, ec);
    if (rc == SYNC_OK && s->run != NULL) log_reader_is_of(s->reader, s->run);
    return rc;
}

static enum sync_err next(void *arg, struct moved_entry *ret, struct stamp *ret_pruned, bool *ret_found,
                          struct err_ctx *ec)
{
    struct shared_log_source *s = arg;
    *ret_found = false;
    return s->reader == NULL ? SYNC_OK : log_reader_next(s->reader, ret, ret_pruned, ret_found, ec);
}

static void has_snapshot(void *arg, const uint8_t *run)
{
    struct shared_log_source *s = arg;
    if (s->reader != NULL) log_reader_has_snapshot(s->reader, run);
}

static void summary(void *arg, struct log_summary *ret)
{
    const struct shared_log_source *s = arg;
    *ret = (struct log_summary){0};
    if (s->reader != NULL) log_reader_summary(s->reader, ret);
}

static void close_log(void *arg)
{
    struct shared_log_source *s = arg;
    log_reader_close(s->reader);
    s->reader = NULL;
}

struct log_source shared_log_source(struct shared_log_source *s, struct object_store *objects,
                                    const struct object_call *call, const uint8_t *run)
{
    *s = (struct shared_log_source){.objects = objects, .call = call, .run = run};
    return (struct log_source){.arg = s,
                               .open = open_log,
                               .next = next,
                               .has_snapshot = has_snapshot,
                               .summary = summary,
                               .close = close_log};
}
