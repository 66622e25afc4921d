#include "core/election/election_workers.h"

#include <assert.h>
#include <stdlib.h>

struct election_workers workers_make(void)
{
    return (struct election_workers){0};
}

void workers_deinit(struct election_workers *w)
{
    free(w->all);
    *w = workers_make();
}

/* The first entry that does not sort before id. */
static size_t find(const struct election_workers *w, struct slice id)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_cmp(slice_str(w->all[middle].id), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct election_workers *w)
{
    if (w->count < w->capacity) return true;
    if (w->count == ELECTION_WORKERS_MAX) return false;
    size_t grown = w->capacity == 0 ? 8 : w->capacity * 2;
    if (grown > ELECTION_WORKERS_MAX) grown = ELECTION_WORKERS_MAX;
    struct election_worker *all = realloc(w->all, grown * sizeof *all);
    if (all == NULL) return false;
    w->all = all;
    w->capacity = grown;
    return true;
}

void workers_list_start(struct election_workers *w)
{
    for (size_t i = 0; i < w->count; i++) w->all[i].seen = false;
}

void workers_list_see(struct election_workers *w, struct slice id, const struct election_etag *etag,
                      uint64_t now_ms)
{
    assert(id.len > 0 && id.len <= WORKER_ID_MAX);
    size_t at = find(w, id);
    if (at < w->count && slice_is(id, w->all[at].id)) {
        struct election_worker *known = &w->all[at];
        known->seen = true;
        if (election_etag_eq(&known->etag, etag)) return;
        known->etag = *etag;
        known->changed_ms = now_ms;
        if (!known->live) known->told = false;
        known->live = true;
        return;
    }
    if (!make_room(w)) return;
    memmove(&w->all[at + 1], &w->all[at], (w->count - at) * sizeof *w->all);
    struct election_worker *fresh = &w->all[at];
    *fresh = (struct election_worker){
        .etag = *etag, .changed_ms = now_ms, .live = true, .told = false, .seen = true};
    memcpy(fresh->id, id.bytes, id.len);
    w->count++;
}

void workers_list_end(struct election_workers *w, bool complete)
{
    if (!complete) return;
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!w->all[i].seen) continue;
        if (kept != i) w->all[kept] = w->all[i];
        kept++;
    }
    w->count = kept;
}

void workers_expire(struct election_workers *w, const char *self, uint64_t now_ms, uint32_t timeout_ms)
{
    for (size_t i = 0; i < w->count; i++) {
        struct election_worker *one = &w->all[i];
        if (!one->live || now_ms - one->changed_ms < timeout_ms || strcmp(one->id, self) == 0) continue;
        one->live = false;
        one->told = false;
    }
}

size_t workers_rank(const struct election_workers *w, const char *self, const char *excluded)
{
    size_t rank = 0;
    for (size_t i = 0; i < w->count && strcmp(w->all[i].id, self) < 0; i++)
        if (w->all[i].live && (excluded == NULL || strcmp(w->all[i].id, excluded) != 0)) rank++;
    return rank;
}

size_t workers_live_others(const struct election_workers *w, const char *self)
{
    size_t live = 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->all[i].live && strcmp(w->all[i].id, self) != 0) live++;
    return live;
}
