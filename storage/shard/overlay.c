#include "storage/shard/overlay.h"

#include "core/base/hash.h"

#include <assert.h>
#include <stdlib.h>

enum { OVERLAY_BUCKETS_FIRST = 256 };

struct overlay_undo {
    struct overlay_undo *before;
    struct overlay_entry *entry;
    struct slice value;
    enum overlay_state state;
    bool fresh;
};

void overlay_init(struct overlay *o, uint64_t seed)
{
    *o = (struct overlay){.seed = seed};
}

void overlay_deinit(struct overlay *o)
{
    arena_deinit(&o->arena);
    free(o->buckets);
    overlay_init(o, o->seed);
}

static struct overlay_entry *find(const struct overlay *o, struct slice key, uint64_t hash)
{
    if (o->bucket_count == 0) return NULL;
    struct overlay_entry *e = o->buckets[hash & (o->bucket_count - 1)];
    while (e != NULL && !(e->hash == hash && slice_eq(e->key, key))) e = e->chain;
    return e;
}

const struct overlay_entry *overlay_find(const struct overlay *o, struct slice key)
{
    return find(o, key, hash_bytes(o->seed, key));
}

/* Keeps the table at most half full. */
static bool make_room(struct overlay *o)
{
    if (o->count < o->bucket_count / 2) return true;
    size_t count = o->bucket_count == 0 ? OVERLAY_BUCKETS_FIRST : o->bucket_count * 2;
    struct overlay_entry **buckets = calloc(count, sizeof(struct overlay_entry *));
    if (buckets == NULL) return false;
    for (size_t i = 0; i < o->bucket_count; i++) {
        for (struct overlay_entry *e = o->buckets[i], *next; e != NULL; e = next) {
            struct overlay_entry **bucket = &buckets[e->hash & (count - 1)];
            next = e->chain;
            e->chain = *bucket;
            *bucket = e;
        }
    }
    free(o->buckets);
    o->buckets = buckets;
    o->bucket_count = count;
    return true;
}

static struct overlay_entry *find_or_add(struct overlay *o, struct slice key)
{
    uint64_t hash = hash_bytes(o->seed, key);
    struct overlay_entry *e = find(o, key, hash);
    if (e != NULL) return e;
    if (!make_room(o)) return NULL;
    e = arena_get(&o->arena, sizeof *e + key.len);
    if (e == NULL) return NULL;
    char *copy = (char *)(e + 1);
    memcpy(copy, key.bytes, key.len);
    struct overlay_entry **bucket = &o->buckets[hash & (o->bucket_count - 1)];
    *e = (struct overlay_entry){.chain = *bucket, .hash = hash, .key = slice_of(copy, key.len)};
    *bucket = e;
    if (o->last == NULL)
        o->first = e;
    else
        o->last->next = e;
    o->last = e;
    o->count++;
    return e;
}

static bool remember(struct overlay *o, struct overlay_entry *e)
{
    struct overlay_undo *u = arena_get(&o->arena, sizeof *u);
    if (u == NULL) return false;
    *u = (struct overlay_undo){
        .before = o->undo, .entry = e, .value = e->value, .state = e->state, .fresh = e->fresh};
    o->undo = u;
    return true;
}

/* A row's anchor is an entry under the prefix of its cells' keys, which is no key itself: it is never touched
 * and so never written. */
static struct overlay_entry *anchor_of(struct overlay *o, struct slice row_prefix)
{
    if (o->anchor == NULL || !slice_eq(o->anchor->key, row_prefix)) o->anchor = find_or_add(o, row_prefix);
    return o->anchor;
}

bool overlay_put(struct overlay *o, struct slice key, size_t row_len, struct slice value, bool fresh)
{
    struct overlay_entry *anchor = NULL;
    assert(row_len < key.len);
    if (row_len > 0) {
        anchor = anchor_of(o, slice_of(key.bytes, row_len));
        if (anchor == NULL) return false;
    }
    struct overlay_entry *e = find_or_add(o, key);
    if (e == NULL || !remember(o, e)) return false;
    if (e->state == OVERLAY_UNTOUCHED) e->fresh = fresh;
    e->value = value;
    e->state = OVERLAY_PUT;
    if (anchor != NULL && !e->in_row) {
        e->in_row = true;
        e->row_next = anchor->row_next;
        anchor->row_next = e;
    }
    return true;
}

bool overlay_delete(struct overlay *o, struct slice key)
{
    struct overlay_entry *e = find_or_add(o, key);
    if (e == NULL || !remember(o, e)) return false;
    if (e->state == OVERLAY_UNTOUCHED) e->fresh = false;
    e->value = slice_of(NULL, 0);
    e->state = e->fresh ? OVERLAY_ABSENT : OVERLAY_DELETE;
    return true;
}

const struct overlay_entry *overlay_row(const struct overlay *o, struct slice row_prefix)
{
    const struct overlay_entry *anchor = overlay_find(o, row_prefix);
    return anchor == NULL ? NULL : anchor->row_next;
}

void overlay_mark(struct overlay *o)
{
    o->undo = NULL;
}

void overlay_rollback(struct overlay *o)
{
    for (; o->undo != NULL; o->undo = o->undo->before) {
        const struct overlay_undo *u = o->undo;
        u->entry->value = u->value;
        u->entry->state = u->state;
        u->entry->fresh = u->fresh;
    }
}
