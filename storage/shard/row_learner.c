#include "storage/shard/row_learner.h"

enum {
    MISSES_MIN = 64,         /* below that a walk through the database costs more than it saves */
    STEP_ENTRIES_MAX = 1000, /* under a millisecond */
};

#define GIVEN_UP UINT32_MAX /* as `misses`: the filter was full before all rows were in it */

void row_learner_missed(struct row_learner *l, const struct row_filter *f, struct database *d)
{
    if (d->misses == GIVEN_UP || ++d->misses < MISSES_MIN || l->number != 0) return;
    if (d->rows_generation == f->generation) return; /* known already, and this row only looked as if */
    l->number = d->record.number;
    l->generation = f->generation;
    l->name = slice_of(l->name_bytes, d->name_len);
    memcpy(l->name_bytes, d->name, d->name_len);
    key_kind_prefix(l->number, KEY_CELL, &l->position);
}

/* Adds the rows of the next entries. *ret_done: there are no more of this kind. */
static enum sync_err learn(struct row_learner *l, struct row_filter *f, struct reader *r, bool *ret_done,
                           struct err_ctx *ec)
{
    struct scan *s = NULL;
    bool found = true;
    enum sync_err rc = scan_open(r, slice_of(l->position.bytes, KEY_HEAD_BYTES), false, &s, ec);
    if (rc == SYNC_OK) rc = scan_seek(s, key_slice(&l->position), ec);
    for (int i = 0; rc == SYNC_OK && i < STEP_ENTRIES_MAX; i++) {
        struct slice key, value;
        rc = scan_next(s, &found, &key, &value, ec);
        if (rc != SYNC_OK || !found) break;
        row_filter_add(f, key);
        memcpy(l->position.bytes, key.bytes, key.len);
        l->position.len = (uint32_t)key.len;
    }
    scan_close(s);
    *ret_done = !found;
    return rc;
}

/* The entries of one kind are through. True when it was the last. */
static bool next_kind(struct row_learner *l)
{
    if (l->position.bytes[KEY_HEAD_BYTES - 1] == KEY_TOMBSTONE) return true;
    key_kind_prefix(l->number, KEY_TOMBSTONE, &l->position);
    return false;
}

void row_learner_step(struct row_learner *l, struct row_filter *f, struct database_cache *c,
                      struct instance *in)
{
    struct err_ctx ignored;
    struct reader *r = NULL;
    bool kind_done = false, done = false;
    if (l->number == 0) return;
    enum sync_err rc = reader_open(in, &r, &ignored);
    if (rc == SYNC_OK) rc = learn(l, f, r, &kind_done, &ignored);
    reader_close(r);
    if (rc == SYNC_OK && kind_done) done = next_kind(l);
    bool full = f->generation != l->generation;
    if (rc == SYNC_OK && !full && !done) return;

    struct database *d = database_cache_find(c, l->name);
    if (d != NULL && d->record.number == l->number) {
        if (done && !full) d->rows_generation = f->generation;
        d->misses = full ? GIVEN_UP : 0;
    }
    l->number = 0;
}
