/* hub.h -- who on one loop wants to hear of a database's new batches.
 *
 * Sessions and long polls subscribe; a batch that was applied anywhere is published on every loop that has
 * subscribers. Which loops these are is kept in `interest`, counters that all loops share: a loop raises its
 * counter before a subscriber reads anything, and a batch is published after it is durable, so a batch that
 * the subscriber's first delta does not hold finds the counter raised.
 *
 * Threads: a hub belongs to its loop; interest_* from any. */
#ifndef SERVER_WS_HUB_H
#define SERVER_WS_HUB_H

#include "core/facts/site_id.h"
#include "server/ws/frame.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INTEREST_BUCKETS = 4096 };

/* One loop's counters: how many subscribers there are to databases of each bucket. */
struct interest {
    _Atomic uint32_t counts[INTEREST_BUCKETS];
};

/* May this loop have subscribers of the database? */
bool interest_has(const struct interest *i, struct slice database);

struct hub_topic;

/* Embedded in whoever subscribes. */
struct subscriber {
    struct subscriber *next, **at; /* at: what points to this one */
    struct hub_topic *topic;       /* NULL: not subscribed */
    bool muted;
    struct site_id site;
    /* A batch of another site was applied. The frame is borrowed. May unsubscribe itself. */
    void (*deliver)(struct subscriber *s, struct frame *f);
};

struct hub {
    struct hub_topic **buckets;
    size_t bucket_count, topic_count;
    struct subscriber *cursor; /* where hub_publish() stands, for those who unsubscribe under it */
    struct interest interest;
};

/* False when memory is short. */
bool hub_init(struct hub *h);
void hub_deinit(struct hub *h); /* nobody is subscribed */

bool hub_subscribe(struct hub *h, struct slice database, struct subscriber *s); /* false: no memory */
void hub_unsubscribe(struct hub *h, struct subscriber *s);                      /* also if not subscribed */

/* While muted it hears nothing, and costs publications nothing: for who would not listen. It stays one of the
 * subscribers for hub_each(). Does nothing to who is not subscribed, or is so already. */
void hub_mute(struct hub *h, struct subscriber *s, bool muted);

/* Is there anybody but this site? The muted count: they may listen again by the time of the publication. */
bool hub_has_receiver(const struct hub *h, struct slice database, const struct site_id *sender);

void hub_publish(struct hub *h, struct frame *f);

/* Calls `visit` for each subscriber of the database, muted or not. */
void hub_each(const struct hub *h, struct slice database, void (*visit)(struct subscriber *s, void *arg),
              void *arg);

#endif
