#include "server/commands/predecessor.h"

#include "core/protocol/change_set.h"
#include "server/base/system.h"
#include "server/commands/predecessor_merge.h"
#include "storage/objects/object_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DRIFT_MS_MAX = 60000, /* protocol section 1 */
    SNAPSHOTS_TRIED_MAX = 100,
};

/* ---- merging */

enum sync_err predecessor_apply(const struct predecessor_import *p, const struct json_value *sets,
                                struct predecessor_result *result, struct err_ctx *ec)
{
    struct batch batch = {0};
    uint64_t now_ms = system_wall_ms();
    struct apply_request r = {.database = p->database, .batch = &batch, .now_ms = now_ms};
    enum sync_err rc = change_sets_take(sets, &batch, ec);
    /* One such fact would make every client refuse all that it is given. */
    if (rc == SYNC_OK && batch.highest.wall_ms > now_ms && batch.highest.wall_ms - now_ms > DRIFT_MS_MAX)
        rc = err_set(ec, SYNC_EBADMSG, "an HLC is %llu ms ahead",
                     (unsigned long long)(batch.highest.wall_ms - now_ms));
    if (rc == SYNC_OK && batch.fact_count > 0) {
        shard_apply(p->shard, &r);
        rc = r.rc;
        if (rc != SYNC_OK) *ec = r.ec;
    }
    if (rc == SYNC_OK) {
        result->applied += r.result.applied;
        result->skipped += r.result.skipped + r.result.conflicts;
    }
    batch_deinit(&batch);
    return rc;
}

/* ---- batches */

/* Is it of this database? Where it does not say, its key does. */
static enum sync_err check_database(const struct predecessor_import *p, const struct json_value *v,
                                    struct err_ctx *ec)
{
    struct slice text;
    if (!json_take_string(v, &text)) return err_set(ec, SYNC_EBADMSG, "databaseId is no text");
    if (slice_eq(text, p->database)) return SYNC_OK;
    return err_set(ec, SYNC_EBADMSG, "it is of database %.*s", text.len < 255 ? (int)text.len : 255,
                   text.bytes);
}

/* Twice over the text: nothing is applied before it is known to be JSON, and whose it is. */
static enum sync_err read_batch(const struct predecessor_import *p, struct json_reader *reader,
                                struct slice text, struct predecessor_result *result, struct err_ctx *ec)
{
    struct slice key, changes = {0};
    struct json_value v = json_open(reader, text.bytes, text.len), member;
    struct err_ctx why;
    enum sync_err bad = SYNC_OK;
    if (json_type(&v) == JSON_OBJECT) {
        struct json_walk w = json_members(&v);
        while (json_next_member(&w, &key, &member)) {
            if (slice_is(key, "databaseId"))
                bad = check_database(p, &member, &why);
            else if (slice_is(key, "changes"))
                changes = json_take(&member).text;
            else
                (void)json_take(&member);
        }
    }
    enum sync_err rc = json_close(reader, ec);
    if (rc != SYNC_OK) return rc;
    if (bad != SYNC_OK) {
        *ec = why;
        return bad;
    }
    if (changes.len == 0) return err_set(ec, SYNC_EBADMSG, "it has no changes");
    v = json_open(reader, changes.bytes, changes.len);
    rc = predecessor_apply(p, &v, result, ec);
    struct err_ctx ignored; /* the text is known to be JSON */
    (void)json_close(reader, &ignored);
    return rc;
}

static enum sync_err batch(const struct predecessor_import *p, struct slice key,
                           struct predecessor_result *result, struct err_ctx *ec)
{
    static const char padding[JSON_PADDING];
    struct buf text = buf_make((size_t)PREDECESSOR_BYTES_MAX + JSON_PADDING);
    struct json_reader *reader = json_reader_new(JSON_DEPTH_DEFAULT);
    enum sync_err rc = reader == NULL ? err_set(ec, SYNC_ENOMEM, "no memory to read a batch")
                                      : object_get_buf(p->objects, p->call, key, NULL, &text, NULL, ec);
    size_t len = text.len;
    if (rc == SYNC_OK) {
        buf_put(&text, padding, sizeof padding);
        rc = buf_check(&text, ec);
    }
    if (rc == SYNC_OK) rc = read_batch(p, reader, slice_of(text.bytes, len), result, ec);
    if (rc == SYNC_OK) result->batches++;
    json_reader_free(reader);
    buf_deinit(&text);
    return rc;
}

/* ---- finding them */

/* Is the error about this object alone? Then it is told, and the others go on. */
static bool is_about_object(const struct predecessor_import *p, struct slice key, enum sync_err rc,
                            struct predecessor_result *result, const struct err_ctx *ec)
{
    if (rc != SYNC_EBADMSG && rc != SYNC_ELIMIT && rc != SYNC_ENOTFOUND && rc != SYNC_EFORMAT) return false;
    result->complaints++;
    p->complain(p->arg, key, ec);
    return true;
}

/* PATH/batches/ or PATH/snapshots/ */
static void prefix_of(const struct predecessor_import *p, const char *kind, char ret[OBJECT_KEY_MAX + 1])
{
    int n = snprintf(ret, OBJECT_KEY_MAX + 1, "%.*s/%s/", SLICE_ARG(p->database), kind);
    for (int i = 0; i < n; i++)
        if (ret[i] == ':') ret[i] = '/';
}

/* One of theirs ends in .json and lies in no folder below: that would be another database's. */
static bool is_theirs(struct slice key, struct slice prefix)
{
    static const char end[] = ".json";
    size_t end_len = sizeof end - 1;
    struct slice rest = slice_of(key.bytes + prefix.len, key.len - prefix.len);
    return rest.len > end_len && memchr(rest.bytes, '/', rest.len) == NULL &&
           memcmp(rest.bytes + rest.len - end_len, end, end_len) == 0;
}

struct finding {
    struct slice prefix;
    enum sync_err (*each)(void *arg, struct slice key, struct err_ctx *ec);
    void *arg;
};

static enum sync_err find(void *arg, const struct object_entry *e, struct err_ctx *ec)
{
    const struct finding *f = arg;
    return is_theirs(e->key, f->prefix) ? f->each(f->arg, e->key, ec) : SYNC_OK;
}

/* Calls `each` for the objects of a kind, in the order of their keys, which is that of time. */
static enum sync_err for_each(const struct predecessor_import *p, const char *kind,
                              enum sync_err (*each)(void *arg, struct slice key, struct err_ctx *ec),
                              void *arg, struct err_ctx *ec)
{
    char prefix[OBJECT_KEY_MAX + 1];
    prefix_of(p, kind, prefix);
    const struct object_query query = {.prefix = slice_str(prefix)};
    struct finding f = {.prefix = query.prefix, .each = each, .arg = arg};
    return object_walk(p->objects, p->call, &query, find, &f, ec);
}

/* The newest snapshots: a ring, so that a long list takes no more memory. */
struct newest {
    char keys[SNAPSHOTS_TRIED_MAX][OBJECT_KEY_MAX + 1];
    size_t count;
};

static enum sync_err remember(void *arg, struct slice key, struct err_ctx *ec)
{
    struct newest *n = arg;
    (void)ec;
    char *at = n->keys[n->count++ % SNAPSHOTS_TRIED_MAX];
    memcpy(at, key.bytes, key.len);
    at[key.len] = '\0';
    return SYNC_OK;
}

static enum sync_err take_newest(const struct predecessor_import *p, const struct newest *n,
                                 struct predecessor_result *result, struct err_ctx *ec)
{
    for (size_t i = 0; i < n->count && i < SNAPSHOTS_TRIED_MAX; i++) {
        struct slice key = slice_str(n->keys[(n->count - 1 - i) % SNAPSHOTS_TRIED_MAX]);
        enum sync_err rc = predecessor_snapshot(p, key, result, ec);
        if (rc == SYNC_OK) {
            result->snapshots++;
            return SYNC_OK;
        }
        if (!is_about_object(p, key, rc, result, ec)) return rc;
    }
    return SYNC_OK;
}

struct batches {
    const struct predecessor_import *p;
    struct predecessor_result *result;
    bool any;
};

static enum sync_err take_batch(void *arg, struct slice key, struct err_ctx *ec)
{
    struct batches *b = arg;
    b->any = true;
    enum sync_err rc = batch(b->p, key, b->result, ec);
    return rc != SYNC_OK && is_about_object(b->p, key, rc, b->result, ec) ? SYNC_OK : rc;
}

enum sync_err predecessor_run(const struct predecessor_import *p, struct predecessor_result *ret,
                              struct err_ctx *ec)
{
    struct newest *snapshots = calloc(1, sizeof *snapshots);
    struct batches batches = {.p = p, .result = ret};
    *ret = (struct predecessor_result){0};
    if (snapshots == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a list of snapshots");
    enum sync_err rc = for_each(p, "snapshots", remember, snapshots, ec);
    if (rc == SYNC_OK) rc = take_newest(p, snapshots, ret, ec);
    if (rc == SYNC_OK) rc = for_each(p, "batches", take_batch, &batches, ec);
    if (rc == SYNC_OK && snapshots->count == 0 && !batches.any)
        rc = err_set(ec, SYNC_ENOTFOUND, "there are no batches and no snapshots of database %.*s",
                     SLICE_ARG(p->database));
    free(snapshots);
    return rc;
}
