#include "storage/objects/leftovers.h"

#include <stdlib.h>

void leftovers_deinit(struct leftovers *l)
{
    object_page_deinit(&l->page);
    free(l->since_ms);
    *l = (struct leftovers){0};
}

/* Since when the entry is there as it is. Both pages are in key order, so *at only goes forward. */
static uint64_t since(const struct leftovers *last, size_t *at, const struct object_entry *e, uint64_t now_ms)
{
    while (*at < last->page.count && slice_cmp(last->page.entries[*at].key, e->key) < 0) ++*at;
    if (*at == last->page.count) return now_ms;
    const struct object_entry *seen = &last->page.entries[*at];
    bool same = slice_eq(seen->key, e->key) && seen->modified_ms == e->modified_ms && seen->bytes == e->bytes;
    return same ? last->since_ms[*at] : now_ms;
}

enum sync_err leftovers_sweep(struct leftovers *l, struct object_store *s, const struct object_call *call,
                              struct slice prefix, uint64_t now_ms, uint64_t age_ms, uint32_t *ret_removed,
                              struct err_ctx *ec)
{
    const struct object_query query = {.prefix = prefix};
    struct leftovers seen = {0};
    size_t at = 0;
    *ret_removed = 0;
    enum sync_err rc = object_list(s, call, &query, &seen.page, ec);
    if (rc != SYNC_OK) return rc;
    if (seen.page.count > 0) {
        seen.since_ms = calloc(seen.page.count, sizeof *seen.since_ms);
        if (seen.since_ms == NULL) {
            leftovers_deinit(&seen);
            return err_set(ec, SYNC_ENOMEM, "no memory to look for leftovers");
        }
    }
    for (size_t i = 0; i < seen.page.count; i++) {
        seen.since_ms[i] = since(l, &at, &seen.page.entries[i], now_ms);
        if (rc != SYNC_OK || now_ms - seen.since_ms[i] < age_ms) continue;
        rc = object_delete(s, call, seen.page.entries[i].key, ec);
        if (rc == SYNC_OK) ++*ret_removed;
    }
    leftovers_deinit(l);
    *l = seen;
    return rc;
}
