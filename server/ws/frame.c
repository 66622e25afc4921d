#include "server/ws/frame.h"

#include "core/protocol/change_set.h"

#include <stdlib.h>

struct frame *frame_new(struct slice database, const struct site_id *sender, const struct batch *b)
{
    struct buf sets = buf_make(SIZE_MAX / 4);
    struct frame *f = NULL;
    batch_put(&sets, b);
    if (sets.failed == SYNC_OK) f = malloc(sizeof *f + database.len + sets.len);
    if (f != NULL) {
        *f = (struct frame){.refs = 1, .sender = *sender, .fact_count = b->fact_count};
        f->has_migrations = b->migration_count > 0;
        memcpy(f->bytes, database.bytes, database.len);
        if (sets.len > 0) memcpy(f->bytes + database.len, sets.bytes, sets.len);
        f->database = slice_of(f->bytes, database.len);
        f->sets = slice_of(f->bytes + database.len, sets.len);
    }
    buf_deinit(&sets);
    return f;
}

struct frame *frame_ref(struct frame *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void frame_unref(struct frame *f)
{
    if (f == NULL) return;
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) free(f);
}
