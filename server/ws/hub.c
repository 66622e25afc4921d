#include "server/ws/hub.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 64 };

struct hub_topic {
    struct hub_topic *next;
    uint64_t hash;
    struct subscriber *first; /* who hears */
    struct subscriber *muted;
    size_t name_len;
    char name[];
};

static uint64_t hash_of(struct slice s)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a: names that collide on purpose only slow each other down */
    for (size_t i = 0; i < s.len; i++) h = (h ^ (uint8_t)s.bytes[i]) * 0x100000001b3u;
    return h;
}

bool interest_has(const struct interest *i, struct slice database)
{
    return atomic_load(&i->counts[hash_of(database) % INTEREST_BUCKETS]) > 0;
}

bool hub_init(struct hub *h)
{
    *h = (struct hub){.bucket_count = BUCKETS_FIRST};
    h->buckets = calloc(h->bucket_count, sizeof *h->buckets);
    return h->buckets != NULL;
}

void hub_deinit(struct hub *h)
{
    assert(h->topic_count == 0);
    free(h->buckets);
    h->buckets = NULL;
}

static struct hub_topic **place_of(const struct hub *h, uint64_t hash, struct slice name)
{
    struct hub_topic **at = &h->buckets[hash % h->bucket_count];
    while (*at != NULL && !((*at)->hash == hash && slice_eq(slice_of((*at)->name, (*at)->name_len), name)))
        at = &(*at)->next;
    return at;
}

static struct hub_topic *find(const struct hub *h, struct slice name)
{
    return *place_of(h, hash_of(name), name);
}

/* More buckets; keeping the old ones when memory is short only makes lookups slower. */
static void grow(struct hub *h)
{
    size_t count = h->bucket_count * 2;
    struct hub_topic **buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL) return;
    for (size_t i = 0; i < h->bucket_count; i++) {
        while (h->buckets[i] != NULL) {
            struct hub_topic *t = h->buckets[i];
            h->buckets[i] = t->next;
            t->next = buckets[t->hash % count];
            buckets[t->hash % count] = t;
        }
    }
    free(h->buckets);
    h->buckets = buckets;
    h->bucket_count = count;
}

static struct hub_topic *add_topic(struct hub *h, uint64_t hash, struct slice name)
{
    struct hub_topic *t = malloc(sizeof *t + name.len);
    if (t == NULL) return NULL;
    if (h->topic_count >= h->bucket_count) grow(h);
    *t = (struct hub_topic){.hash = hash, .name_len = name.len};
    memcpy(t->name, name.bytes, name.len);
    t->next = h->buckets[hash % h->bucket_count];
    h->buckets[hash % h->bucket_count] = t;
    h->topic_count++;
    return t;
}

static void link_to(struct subscriber **first, struct subscriber *s)
{
    s->next = *first;
    s->at = first;
    if (s->next != NULL) s->next->at = &s->next;
    *first = s;
}

static void unlink_from(struct hub *h, struct subscriber *s)
{
    if (h->cursor == s) h->cursor = s->next;
    *s->at = s->next;
    if (s->next != NULL) s->next->at = s->at;
}

bool hub_subscribe(struct hub *h, struct slice database, struct subscriber *s)
{
    uint64_t hash = hash_of(database);
    assert(s->topic == NULL);
    struct hub_topic *t = *place_of(h, hash, database);
    if (t == NULL) t = add_topic(h, hash, database);
    if (t == NULL) return false;
    s->topic = t;
    s->muted = false;
    link_to(&t->first, s);
    atomic_fetch_add(&h->interest.counts[hash % INTEREST_BUCKETS], 1);
    return true;
}

void hub_unsubscribe(struct hub *h, struct subscriber *s)
{
    struct hub_topic *t = s->topic;
    if (t == NULL) return;
    unlink_from(h, s);
    s->topic = NULL;
    atomic_fetch_sub(&h->interest.counts[t->hash % INTEREST_BUCKETS], 1);
    if (t->first != NULL || t->muted != NULL) return;
    *place_of(h, t->hash, slice_of(t->name, t->name_len)) = t->next;
    h->topic_count--;
    free(t);
}

void hub_mute(struct hub *h, struct subscriber *s, bool muted)
{
    if (s->topic == NULL || s->muted == muted) return;
    unlink_from(h, s);
    link_to(muted ? &s->topic->muted : &s->topic->first, s);
    s->muted = muted;
}

static bool has_other(const struct subscriber *s, const struct site_id *sender)
{
    while (s != NULL && site_id_eq(&s->site, sender)) s = s->next;
    return s != NULL;
}

bool hub_has_receiver(const struct hub *h, struct slice database, const struct site_id *sender)
{
    const struct hub_topic *t = find(h, database);
    return t != NULL && (has_other(t->first, sender) || has_other(t->muted, sender));
}

void hub_publish(struct hub *h, struct frame *f)
{
    struct hub_topic *t = find(h, f->database);
    if (t == NULL) return;
    assert(h->cursor == NULL); /* deliveries do not publish */
    struct subscriber *s = t->first;
    while (s != NULL) {
        h->cursor = s->next; /* moved on by whoever unsubscribes, the last of whom frees the topic */
        if (!site_id_eq(&s->site, &f->sender)) s->deliver(s, f);
        s = h->cursor;
    }
    h->cursor = NULL;
}

void hub_each(const struct hub *h, struct slice database, void (*visit)(struct subscriber *s, void *arg),
              void *arg)
{
    const struct hub_topic *t = find(h, database);
    if (t == NULL) return;
    for (struct subscriber *s = t->first; s != NULL; s = s->next) visit(s, arg);
    for (struct subscriber *s = t->muted; s != NULL; s = s->next) visit(s, arg);
}
