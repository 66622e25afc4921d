#include "storage/shard/database_cache.h"

#include "core/base/hash.h"

#include <assert.h>
#include <stdlib.h>

bool database_cache_init(struct database_cache *c, size_t count_max, uint64_t seed)
{
    assert(count_max > 0);
    *c = (struct database_cache){.seed = seed, .count_max = count_max, .bucket_count = 16};
    while (c->bucket_count < count_max) c->bucket_count *= 2;
    c->buckets = calloc(c->bucket_count, sizeof(struct database *));
    return c->buckets != NULL;
}

void database_cache_deinit(struct database_cache *c)
{
    if (c->buckets != NULL) database_cache_clear(c);
    free(c->buckets);
    c->buckets = NULL;
}

static void unlink_use(struct database_cache *c, struct database *d)
{
    *(d->newer != NULL ? &d->newer->older : &c->newest) = d->older;
    *(d->older != NULL ? &d->older->newer : &c->oldest) = d->newer;
}

static void link_newest(struct database_cache *c, struct database *d)
{
    d->newer = NULL;
    d->older = c->newest;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = d;
    c->newest = d;
}

struct database *database_cache_find(struct database_cache *c, struct slice name)
{
    uint64_t hash = hash_bytes(c->seed, name);
    struct database *d = c->buckets[hash & (c->bucket_count - 1)];
    while (d != NULL && !(d->hash == hash && slice_eq(database_name(d), name))) d = d->chain;
    if (d == NULL || d == c->newest) return d;
    unlink_use(c, d);
    link_newest(c, d);
    return d;
}

void database_cache_drop(struct database_cache *c, struct database *d)
{
    struct database **at = &c->buckets[d->hash & (c->bucket_count - 1)];
    while (*at != d) at = &(*at)->chain;
    *at = d->chain;
    unlink_use(c, d);
    c->count--;
    free(d);
}

struct database *database_cache_add(struct database_cache *c, struct slice name)
{
    /* Those the group touched are the newest: when the oldest is one of them all are, and the cache grows
     * over its limit until the group is done. */
    while (c->count >= c->count_max && !c->oldest->touched) database_cache_drop(c, c->oldest);

    struct database *d = calloc(1, sizeof *d + name.len);
    if (d == NULL) return NULL;
    d->hash = hash_bytes(c->seed, name);
    d->name_len = name.len;
    if (name.len > 0) memcpy(d->name, name.bytes, name.len);
    struct database **bucket = &c->buckets[d->hash & (c->bucket_count - 1)];
    d->chain = *bucket;
    *bucket = d;
    link_newest(c, d);
    c->count++;
    return d;
}

void database_cache_clear(struct database_cache *c)
{
    while (c->oldest != NULL) database_cache_drop(c, c->oldest);
}
