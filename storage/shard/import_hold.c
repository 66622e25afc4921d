#include "storage/shard/import_hold.h"

#include "storage/records/record.h"

#include <stdlib.h>

enum {
    KEY_BYTES = 40, /* of a log entry's: beside its record */
    /* What makes a memtable full is its allocated memory, which is at least what was put into it. */
    FULL_PER_CENT = 110,
};

struct import_hold *import_hold_add(struct import_holds *l, uint32_t number, uint64_t hash_seed)
{
    struct import_hold *h = calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->number = number;
    overlay_init(&h->overlay, hash_seed);
    h->next = l->first;
    l->first = h;
    return h;
}

struct import_hold *import_hold_find(const struct import_holds *l, uint32_t number)
{
    struct import_hold *h = l->first;
    while (h != NULL && h->number != number) h = h->next;
    return h;
}

void import_hold_drop(struct import_holds *l, uint32_t number)
{
    struct import_hold **at = &l->first;
    while (*at != NULL && (*at)->number != number) at = &(*at)->next;
    struct import_hold *h = *at;
    if (h == NULL) return;
    *at = h->next;
    overlay_deinit(&h->overlay);
    free(h);
}

void import_holds_deinit(struct import_holds *l)
{
    while (l->first != NULL) import_hold_drop(l, l->first->number);
}

void import_hold_count(struct import_hold *h, const struct fact *f)
{
    size_t logged = record_logged_size(f);
    h->bytes += logged + KEY_BYTES;
    if (logged > RECORD_INLINE_BYTES_MAX) logged = KEY_BYTES; /* only pointed to */
    h->bytes += logged + KEY_BYTES;
    h->log_bytes += logged + KEY_BYTES;
}

bool import_hold_is_full(const struct import_hold *h, size_t write_buffer_bytes)
{
    return h->log_bytes >= write_buffer_bytes / 100 * FULL_PER_CENT || h->bytes >= IMPORT_HOLD_BYTES_MAX;
}

void import_hold_clear(struct import_hold *h)
{
    overlay_deinit(&h->overlay);
    h->log_bytes = h->bytes = 0;
}
