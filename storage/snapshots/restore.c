#include "storage/snapshots/restore.h"

#include "storage/snapshots/entry_batch.h"

struct restoring {
    const struct restore_request *q;
    struct snapshot_place at;      /* of the snapshots that are used */
    struct entry_batch batches[2]; /* one is being filled while the other is being written */
    unsigned filling;
    struct stamp pruned; /* of the batch that is filling */
    struct snapshot_head head;
    struct json_reader *json;
    struct stamp aside; /* of the newest snapshot that was set aside */
    bool begun;
    struct restore_result result;
};

/* ---- batches */

static struct entry_batch *batch_of(struct restoring *r)
{
    return &r->batches[r->filling];
}

/* Hands the batch over. When that has returned, the one before is written and its memory free. */
static enum sync_err flush(struct restoring *r, struct err_ctx *ec)
{
    const struct import_target *t = r->q->target;
    struct entry_batch *b = batch_of(r);
    if (b->count == 0) return SYNC_OK;
    enum sync_err rc = t->entries(t->arg, b->entries, b->count, &r->pruned, ec);
    r->filling ^= 1;
    entry_batch_clear(batch_of(r));
    return rc;
}

static enum sync_err begin(struct restoring *r, struct err_ctx *ec)
{
    entry_batch_clear(batch_of(r));
    r->begun = true;
    enum sync_err rc = r->q->target->begin(r->q->target->arg, ec);
    entry_batch_clear(&r->batches[0]);
    entry_batch_clear(&r->batches[1]);
    return rc;
}

/* ---- the snapshot */

static struct arena *room(void *arg)
{
    return &batch_of(arg)->arena;
}

static enum sync_err on_head(void *arg, const struct snapshot_head *h, struct err_ctx *ec)
{
    struct restoring *r = arg;
    (void)ec;
    r->head = *h;
    r->head.database = r->q->database;
    r->pruned = (struct stamp){0};
    return SYNC_OK;
}

static enum sync_err on_fact(void *arg, const struct moved_entry *e, struct err_ctx *ec)
{
    struct restoring *r = arg;
    enum sync_err rc = entry_batch_add(batch_of(r), e, ec);
    r->result.snapshot_facts++;
    return rc == SYNC_OK && entry_batch_is_full(batch_of(r)) ? flush(r, ec) : rc;
}

static void pass_over(struct restoring *r, const struct snapshot_entry *e)
{
    r->result.set_aside++;
    if (stamp_cmp(&e->id.stamp, &r->aside) > 0) r->aside = e->id.stamp;
}

static void set_aside(struct restoring *r, const struct snapshot_entry *e, bool damaged,
                      const struct err_ctx *why)
{
    struct snapshot_key key;
    struct err_ctx ec;
    snapshot_key_of(r->at, &e->id, &key);
    pass_over(r, e);
    if (r->q->warn != NULL) r->q->warn(r->q->warn_arg, snapshot_key_slice(&key), why);
    /* Where the note cannot be written the next restore finds out again. */
    if (damaged) (void)snapshot_set_aside(r->q->objects, r->q->call, r->at, &e->id, why->text, &ec);
}

/* *ret_used is false when this snapshot cannot be used and the one before it is to be tried. */
static enum sync_err try_snapshot(struct restoring *r, const struct snapshot_entry *e, bool *ret_used,
                                  struct err_ctx *ec)
{
    const struct snapshot_handler h = {.arg = r, .room = room, .head = on_head, .fact = on_fact};
    struct object_reader_config cfg = OBJECT_READER_CONFIG_DEFAULT;
    struct snapshot_result result;
    struct snapshot_key key;
    *ret_used = false;
    r->result.before = (struct snapshot_id){0};
    if (r->q->call != NULL) cfg.call.cancel = r->q->call->cancel;
    snapshot_key_of(r->at, &e->id, &key);
    enum sync_err rc = begin(r, ec);
    if (rc != SYNC_OK) return rc;
    r->result.snapshot_facts = 0;
    rc = snapshot_read(r->q->objects, &cfg, snapshot_key_slice(&key), r->q->database, &h, &result, ec);
    if (rc == SYNC_OK && (stamp_cmp(&r->head.stamp, &e->id.stamp) != 0))
        rc = err_set(ec, SYNC_EFORMAT, "damaged snapshot: its key tells another time");
    if (rc == SYNC_OK) {
        rc = flush(r, ec);
        *ret_used = true;
        return rc;
    }
    if (rc == SYNC_ENOTFOUND) return SYNC_OK; /* thinned out meanwhile */
    if (rc != SYNC_EFORMAT || result.from_handler) return rc;
    set_aside(r, e, !result.of_later_build, ec);
    return SYNC_OK;
}

static enum sync_err from_snapshots(struct restoring *r, struct err_ctx *ec)
{
    struct snapshot_list l;
    r->at = (struct snapshot_place){.database = r->q->database, .path = r->q->path};
    enum sync_err rc = snapshot_list(r->q->objects, r->q->call, r->at, &l, ec);
    if (rc == SYNC_OK && l.count == 0 && r->at.path.len > 0) { /* from before it had a path */
        r->at = snapshot_place_of(r->q->database);
        rc = snapshot_list(r->q->objects, r->q->call, r->at, &l, ec);
    }
    if (rc != SYNC_OK) return rc;
    for (size_t i = 0; i < l.count && rc == SYNC_OK && !r->result.from_snapshot; i++) {
        if (r->q->until_ms > 0 && l.entries[i].id.made_ms > r->q->until_ms) continue;
        if (l.entries[i].damaged) {
            pass_over(r, &l.entries[i]);
            continue;
        }
        rc = try_snapshot(r, &l.entries[i], &r->result.from_snapshot, ec);
        r->result.snapshot = l.entries[i].id;
        for (size_t k = i + 1; k < l.count && r->result.before.made_ms == 0; k++)
            if (!l.entries[k].damaged) r->result.before = l.entries[k].id;
    }
    snapshot_list_deinit(&l);
    return rc;
}

/* ---- the log */

static enum sync_err take_log_entry(struct restoring *r, const struct moved_entry *e,
                                    const struct stamp *pruned, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    if (!r->begun) rc = begin(r, ec);
    if (rc == SYNC_OK && batch_of(r)->count > 0 && stamp_cmp(pruned, &r->pruned) != 0) rc = flush(r, ec);
    r->pruned = *pruned;
    if (rc == SYNC_OK) rc = entry_batch_copy(batch_of(r), r->json, e, ec);
    if (rc == SYNC_EBADMSG) rc = SYNC_EFORMAT; /* nobody sent it: the log is damaged */
    r->result.log_facts++;
    return rc == SYNC_OK && entry_batch_is_full(batch_of(r)) ? flush(r, ec) : rc;
}

static enum sync_err from_log(struct restoring *r, struct log_summary *ret, struct err_ctx *ec)
{
    const struct log_source *log = r->q->log;
    struct moved_entry e;
    struct stamp pruned;
    bool found = true;
    *ret = (struct log_summary){0};
    if (log == NULL) return SYNC_OK;
    enum sync_err rc = log->open(log->arg, r->q->database, r->result.from_snapshot ? &r->head.stamp : NULL,
                                 r->q->until_ms, ec);
    if (rc == SYNC_OK && r->result.from_snapshot && r->head.has_run && log->has_snapshot != NULL)
        log->has_snapshot(log->arg, r->head.run);
    while (rc == SYNC_OK) {
        rc = log->next(log->arg, &e, &pruned, &found, ec);
        if (rc != SYNC_OK || !found) break;
        rc = take_log_entry(r, &e, &pruned, ec);
    }
    if (rc == SYNC_OK) log->summary(log->arg, ret);
    log->close(log->arg);
    if (rc == SYNC_OK) return flush(r, ec);
    err_wrap(ec, "the shared log");
    return rc;
}

/* ---- the end */

static struct stamp reached(const struct restoring *r, const struct log_summary *log)
{
    bool by_snapshot = r->result.from_snapshot && stamp_cmp(&r->head.stamp, &log->last) > 0;
    return by_snapshot ? r->head.stamp : log->last;
}

/* Is it as it was when it left this disk? Then nothing is missing, however the servers ended since. */
static bool is_as_it_left(const struct restoring *r, const struct log_summary *log)
{
    const struct left_note *left = r->q->left;
    const struct stamp to = reached(r, log);
    if (left == NULL || stamp_cmp(&to, &left->last) != 0) return false;
    return !log->gap || (r->result.from_snapshot && stamp_cmp(&r->head.stamp, &left->last) == 0);
}

/* A snapshot that could not be used was to hold what came before its stamp: the one that was used, or none,
 * and the log behind it must reach at least as far, without a gap. */
static bool is_complete(const struct restoring *r, const struct log_summary *log)
{
    const struct stamp to = reached(r, log);
    if (is_as_it_left(r, log)) return true;
    if (r->q->left != NULL && stamp_cmp(&to, &r->q->left->last) < 0) return false;
    if (r->q->log == NULL || log->gap) return false;
    if (r->result.set_aside > 0 && stamp_cmp(&to, &r->aside) < 0) return false;
    return log->closed || log->object_durable;
}

/* The site id stays only where the former server ended cleanly. After any other end readers may have seen
 * stamps that never reached the log, also where nobody was told that those changes were taken: under the same
 * site id such a stamp would be given out again, below the watermark of whoever saw it the first time. */
static void make_record(struct restoring *r, const struct log_summary *log)
{
    struct import_record *record = &r->result.record;
    bool log_is_newer =
        log->found && (!r->result.from_snapshot || stamp_cmp(&log->last, &r->head.stamp) >= 0);
    bool as_it_left = is_as_it_left(r, log);
    bool keeps = r->result.complete && (log->closed || as_it_left) && !r->q->always_new_site;
    if (r->result.from_snapshot)
        *record = (struct import_record){.server_site = r->head.server_site,
                                         .last = r->head.stamp,
                                         .pruned = r->head.pruned,
                                         .asks = r->head.asks};
    if (log_is_newer) {
        record->server_site = log->server_site;
        record->last = log->last;
        if (stamp_cmp(&log->pruned, &record->pruned) > 0) record->pruned = log->pruned;
    }
    if (as_it_left) record->server_site = r->q->left->server_site;
    r->result.keeps_site = keeps;
    if (keeps) return;
    record->server_site = r->q->new_site;
    /* Whom the server before did not come to ask is asked by this one. */
    record->asks = (record->asks || !r->result.complete) && !r->q->always_new_site;
}

enum sync_err restore_database(const struct restore_request *q, struct restore_result *ret,
                               struct err_ctx *ec)
{
    struct restoring r = {.q = q, .json = json_reader_new(JSON_DEPTH_DEFAULT)};
    struct log_summary log = {0};
    enum sync_err rc = r.json == NULL ? err_set(ec, SYNC_ENOMEM, "no memory to restore") : SYNC_OK;
    if (rc == SYNC_OK) rc = from_snapshots(&r, ec);
    if (rc == SYNC_OK && r.begun && !r.result.from_snapshot)
        rc = begin(&r, ec); /* what the damaged ones left */
    if (rc == SYNC_OK) rc = from_log(&r, &log, ec);
    r.result.found = r.begun || r.result.set_aside > 0 || log.found;
    if (rc == SYNC_OK && r.result.found) {
        if (!r.begun) rc = begin(&r, ec);
        r.result.complete = is_complete(&r, &log);
        make_record(&r, &log);
        if (rc == SYNC_OK) rc = q->target->finish(q->target->arg, &r.result.record, ec);
    }
    q->target->settle(q->target->arg);
    entry_batch_deinit(&r.batches[0]);
    entry_batch_deinit(&r.batches[1]);
    json_reader_free(r.json);
    if (rc == SYNC_OK) *ret = r.result;
    return rc;
}
