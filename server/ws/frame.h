/* frame.h -- what one batch pushes: its ChangeSets as JSON, encoded once, shared by all who receive it.
 *
 * Threads: made by one; ref and unref from any; the content is constant. */
#ifndef SERVER_WS_FRAME_H
#define SERVER_WS_FRAME_H

#include "core/facts/batch.h"
#include "core/facts/site_id.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct frame {
    _Atomic size_t refs;
    struct site_id sender; /* sessions of this site do not get it */
    size_t fact_count;
    bool has_migrations; /* the receiver's next push waits a moment */
    struct slice database;
    struct slice sets; /* ChangeSets with commas between them */
    char bytes[];      /* database and sets */
};

/* One reference, the caller's. NULL when memory is short. */
struct frame *frame_new(struct slice database, const struct site_id *sender, const struct batch *b);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f); /* takes NULL */

#endif
