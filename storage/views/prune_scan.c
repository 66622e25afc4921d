#include "storage/views/view_internal.h"

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to look for old tombstones");
}

static bool old_enough(const struct stored_entry *e, uint64_t created_before_ms, const struct stamp *floor)
{
    return e->created_ms < created_before_ms && stamp_cmp(&e->stamp, floor) <= 0;
}

enum sync_err prune_scan(struct view *v, struct slice after, uint64_t created_before_ms,
                         const struct stamp *floor, size_t scan_max, struct arena *arena,
                         struct prune_candidate **ret, size_t *ret_count, struct slice *ret_after,
                         struct err_ctx *ec)
{
    struct fact_cursor *cursor = NULL;
    struct prune_candidate *candidates = NULL;
    struct stored_entry e;
    size_t count = 0, scanned = 0;
    bool found = true;
    enum sync_err rc;
    if (scan_max > 0 && scan_max <= SIZE_MAX / sizeof *candidates)
        candidates = arena_get(arena, scan_max * sizeof *candidates);
    if (candidates == NULL) return no_memory(ec);
    rc = fact_cursor_open(v, FACT_DELETE, after, &cursor, ec);
    if (rc != SYNC_OK) return rc;
    for (; scanned < scan_max; scanned++) {
        rc = fact_cursor_next(cursor, &e, &found, ec);
        if (rc != SYNC_OK || !found) break;
        after = e.position; /* good until the next call, which replaces it */
        if (!old_enough(&e, created_before_ms, floor)) continue;
        struct prune_candidate *c = &candidates[count];
        *c = (struct prune_candidate){.row_key = arena_copy(arena, fact_row_key(&e.fact)),
                                      .table_key_len = e.fact.table_key_len,
                                      .stamp = e.stamp};
        if (c->row_key.bytes == NULL && e.fact.row_key_len > 0) {
            rc = no_memory(ec);
            break;
        }
        count++;
    }
    if (rc == SYNC_OK) {
        *ret_after = slice_of(NULL, 0);
        if (found) {
            *ret_after = arena_copy(arena, after);
            if (ret_after->bytes == NULL) rc = no_memory(ec);
        }
    }
    fact_cursor_close(cursor);
    if (rc != SYNC_OK) return rc;
    *ret = candidates;
    *ret_count = count;
    return SYNC_OK;
}
