#include "storage/snapshots/snapshot_list.h"

#include "core/json/json_text.h"
#include "storage/objects/object_walk.h"

#include <stdlib.h>

/* ---- listing */

static enum sync_err add(struct snapshot_list *l, const struct snapshot_entry *e, struct err_ctx *ec)
{
    if (l->count == SNAPSHOTS_LISTED_MAX)
        return err_set(ec, SYNC_ELIMIT, "over %d snapshots of one database", SNAPSHOTS_LISTED_MAX);
    if ((l->count & (l->count - 1)) == 0) {
        struct snapshot_entry *more = realloc(l->entries, (l->count == 0 ? 1 : 2 * l->count) * sizeof *more);
        if (more == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to list snapshots");
        l->entries = more;
    }
    l->entries[l->count++] = *e;
    return SYNC_OK;
}

struct listing {
    bool (*parse)(struct slice key, struct snapshot_id *ret);
    struct snapshot_list *list;
};

static enum sync_err see(void *arg, const struct object_entry *found, struct err_ctx *ec)
{
    const struct listing *l = arg;
    struct snapshot_entry e = {.bytes = found->bytes};
    return l->parse(found->key, &e.id) ? add(l->list, &e, ec)
                                       : SYNC_OK; /* what else lies there is not ours */
}

static enum sync_err list_prefix(struct object_store *s, const struct object_call *call, const char *top,
                                 struct snapshot_place at,
                                 bool (*parse)(struct slice key, struct snapshot_id *ret),
                                 struct snapshot_list *ret, struct err_ctx *ec)
{
    struct listing l = {.parse = parse, .list = ret};
    struct snapshot_key prefix;
    snapshot_prefix(top, at, &prefix);
    const struct object_query query = {.prefix = snapshot_key_slice(&prefix),
                                       .delimiter = '/'}; /* below it others may lie */
    return object_walk(s, call, &query, see, &l, ec);
}

static int newest_first(const void *x, const void *y)
{
    return snapshot_id_cmp(&((const struct snapshot_entry *)y)->id, &((const struct snapshot_entry *)x)->id);
}

enum sync_err snapshot_list(struct object_store *s, const struct object_call *call, struct snapshot_place at,
                            struct snapshot_list *ret, struct err_ctx *ec)
{
    struct snapshot_list good = {0}, bad = {0};
    enum sync_err rc = list_prefix(s, call, SNAPSHOTS_PREFIX, at, snapshot_key_parse, &good, ec);
    if (rc == SYNC_OK && good.count > 0)
        rc = list_prefix(s, call, DAMAGED_PREFIX, at, snapshot_damaged_parse, &bad, ec);
    if (rc == SYNC_OK && good.count > 0) qsort(good.entries, good.count, sizeof *good.entries, newest_first);
    for (size_t i = 0; i < bad.count && rc == SYNC_OK; i++) {
        struct snapshot_entry *e =
            bsearch(&bad.entries[i], good.entries, good.count, sizeof *good.entries, newest_first);
        if (e != NULL) e->damaged = true;
    }
    snapshot_list_deinit(&bad);
    if (rc == SYNC_OK)
        *ret = good;
    else
        snapshot_list_deinit(&good);
    return rc;
}

void snapshot_list_deinit(struct snapshot_list *l)
{
    free(l->entries);
    *l = (struct snapshot_list){0};
}

/* ---- checking */

struct checking {
    const struct snapshot_made *made;
    struct arena arena;
};

static struct arena *check_room(void *arg)
{
    struct checking *c = arg;
    if (c->arena.bytes > SNAPSHOT_VERIFY_WHOLE_BYTES / 64) {
        arena_deinit(&c->arena);
        c->arena = (struct arena){0};
    }
    return &c->arena;
}

static enum sync_err check_head(void *arg, const struct snapshot_head *h, struct err_ctx *ec)
{
    const struct checking *c = arg;
    if (stamp_cmp(&h->stamp, &c->made->id.stamp) == 0 && h->made_ms == c->made->id.made_ms) return SYNC_OK;
    return err_set(ec, SYNC_EFORMAT, "it is of another time");
}

static enum sync_err check_fact(void *arg, const struct moved_entry *e, struct err_ctx *ec)
{
    (void)arg, (void)e, (void)ec; /* the decoder has looked at it */
    return SYNC_OK;
}

static enum sync_err read_back(struct object_store *s, const struct object_call *call, struct slice key,
                               struct slice database, struct checking *c, struct err_ctx *ec)
{
    const struct snapshot_handler h = {.arg = c, .room = check_room, .head = check_head, .fact = check_fact};
    struct object_reader_config cfg = OBJECT_READER_CONFIG_DEFAULT;
    struct snapshot_result result;
    cfg.threads = 1;
    if (call != NULL) cfg.call.cancel = call->cancel;
    enum sync_err rc = snapshot_read(s, &cfg, key, database, &h, &result, ec);
    if (rc == SYNC_OK && strcmp(result.foot.sha256, c->made->foot.sha256) != 0)
        rc = err_set(ec, SYNC_EFORMAT, "it has another hash than what was sent");
    return rc;
}

enum { ENDS_BYTES = 2 * MEMBER_BYTES_MAX }; /* so that the first member is in it */

static enum sync_err check_ends(struct object_store *s, const struct object_call *call, struct slice key,
                                struct slice database, struct checking *c, struct err_ctx *ec)
{
    const struct snapshot_handler h = {.arg = c, .room = check_room, .head = check_head, .fact = check_fact};
    const struct object_range begin = {.bytes = ENDS_BYTES},
                              end = {.offset = c->made->bytes - SNAPSHOT_TAIL_BYTES, .bytes = UINT64_MAX};
    struct snapshot_decoder *d = NULL;
    struct buf bytes = buf_make(ENDS_BYTES);
    struct object_info info;
    enum sync_err rc = snapshot_decoder_new(&h, database, &d, ec);
    if (rc == SYNC_OK) rc = object_get_buf(s, call, key, &begin, &bytes, &info, ec);
    if (rc == SYNC_OK && info.bytes != c->made->bytes)
        rc = err_set(ec, SYNC_EFORMAT, "it has %llu bytes, %llu were sent", (unsigned long long)info.bytes,
                     (unsigned long long)c->made->bytes);
    if (rc == SYNC_OK) rc = snapshot_decoder_put(d, buf_slice(&bytes), ec);
    buf_clear(&bytes);
    if (rc == SYNC_OK) rc = object_get_buf(s, call, key, &end, &bytes, &info, ec);
    if (rc == SYNC_OK && !slice_eq(buf_slice(&bytes), slice_of(c->made->tail, SNAPSHOT_TAIL_BYTES)))
        rc = err_set(ec, SYNC_EFORMAT, "it ends otherwise than what was sent");
    buf_deinit(&bytes);
    snapshot_decoder_free(d);
    return rc;
}

enum sync_err snapshot_verify(struct object_store *s, const struct object_call *call,
                              struct snapshot_place at, const struct snapshot_made *made, struct err_ctx *ec)
{
    struct checking c = {.made = made};
    struct snapshot_key key;
    snapshot_key_of(at, &made->id, &key);
    enum sync_err rc = made->bytes <= SNAPSHOT_VERIFY_WHOLE_BYTES
                           ? read_back(s, call, snapshot_key_slice(&key), at.database, &c, ec)
                           : check_ends(s, call, snapshot_key_slice(&key), at.database, &c, ec);
    arena_deinit(&c.arena);
    if (rc != SYNC_OK) err_wrap(ec, "verify the snapshot");
    return rc;
}

/* ---- setting aside, thinning out */

enum sync_err snapshot_set_aside(struct object_store *s, const struct object_call *call,
                                 struct snapshot_place at, const struct snapshot_id *id, const char *why,
                                 struct err_ctx *ec)
{
    struct snapshot_key key;
    struct buf text = buf_make(4 * ERR_TEXT_MAX + 64);
    snapshot_damaged_key(at, id, &key);
    BUF_PUT_LIT(&text, "{\"why\":");
    json_put_text(&text, slice_str(why));
    BUF_PUT_LIT(&text, "}\n");
    enum sync_err rc = buf_check(&text, ec);
    if (rc == SYNC_OK) rc = object_put(s, call, snapshot_key_slice(&key), buf_slice(&text), NULL, ec);
    buf_deinit(&text);
    return rc;
}

static enum sync_err delete_one(struct object_store *s, const struct object_call *call,
                                struct snapshot_place at, const struct snapshot_entry *e, struct err_ctx *ec)
{
    struct snapshot_key key;
    snapshot_key_of(at, &e->id, &key);
    enum sync_err rc = object_delete(s, call, snapshot_key_slice(&key), ec);
    if (rc != SYNC_OK || !e->damaged) return rc;
    snapshot_damaged_key(at, &e->id, &key);
    return object_delete(s, call, snapshot_key_slice(&key), ec);
}

static bool is_listed(const struct snapshot_list *l, const struct snapshot_id *id)
{
    for (size_t i = 0; i < l->count; i++)
        if (snapshot_id_cmp(&l->entries[i].id, id) == 0) return true;
    return false;
}

enum sync_err snapshot_thin_out(struct object_store *s, const struct object_call *call,
                                struct snapshot_place at, const struct snapshot_id *good, uint32_t retained,
                                struct snapshot_id *ret_before, struct err_ctx *ec)
{
    struct snapshot_list l;
    uint32_t kept = 0;
    *ret_before = (struct snapshot_id){0};
    enum sync_err rc = snapshot_list(s, call, at, &l, ec);
    if (rc != SYNC_OK) return rc;
    if (!is_listed(&l, good))
        rc = err_set(ec, SYNC_ENOTFOUND, "the snapshot that was verified is not there any more");
    for (size_t i = 0; i < l.count && rc == SYNC_OK; i++) {
        const struct snapshot_entry *e = &l.entries[i];
        if (snapshot_id_cmp(&e->id, good) > 0) continue;
        if (kept >= (retained > 0 ? retained : 1)) {
            rc = delete_one(s, call, at, e, ec);
            continue;
        }
        if (e->damaged) continue;
        kept++;
        if (kept == 2) *ret_before = e->id;
    }
    snapshot_list_deinit(&l);
    return rc;
}
