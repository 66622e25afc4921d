#include "storage/objects/object_walk.h"

#include <string.h>

enum sync_err object_walk(struct object_store *s, const struct object_call *call,
                          const struct object_query *query,
                          enum sync_err (*each)(void *arg, const struct object_entry *e, struct err_ctx *ec),
                          void *arg, struct err_ctx *ec)
{
    char next[OBJECT_TOKEN_MAX + 1] = "";
    struct object_query q = *query;
    enum sync_err rc = SYNC_OK;
    for (bool more = true; more && rc == SYNC_OK;) {
        struct object_page page;
        q.continuation = slice_str(next);
        rc = object_list(s, call, &q, &page, ec);
        if (rc != SYNC_OK) break;
        for (size_t i = 0; i < page.count && rc == SYNC_OK; i++) rc = each(arg, &page.entries[i], ec);
        more = page.more;
        memcpy(next, page.next, sizeof next);
        object_page_deinit(&page);
    }
    return rc;
}
