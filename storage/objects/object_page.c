/* object_page.c -- building a page of a list (see object_impl.h). */
#include "storage/objects/object_impl.h"

#include <assert.h>
#include <stdlib.h>

/* Keys grow where a server adds them to its answer; the ceiling leaves room for the longest of all. */
static const size_t page_text_bytes_max = (size_t)OBJECT_PAGE_MAX * OBJECT_KEY_MAX;

void object_page_build_init(struct object_page_build *b)
{
    *b = (struct object_page_build){.text = buf_make(page_text_bytes_max)};
}

void object_page_build_deinit(struct object_page_build *b)
{
    object_page_deinit(&b->page);
    buf_deinit(&b->text);
    free(b->key_ends);
    b->key_ends = NULL;
    b->capacity = 0;
}

static bool grow(struct object_page_build *b)
{
    size_t capacity = b->capacity == 0 ? 64 : b->capacity * 2;
    struct object_entry *entries = realloc(b->page.entries, capacity * sizeof *entries);
    if (entries == NULL) return false;
    b->page.entries = entries;
    size_t *key_ends = realloc(b->key_ends, capacity * sizeof *key_ends);
    if (key_ends == NULL) return false;
    b->key_ends = key_ends;
    b->capacity = capacity;
    return true;
}

enum sync_err object_page_build_add(struct object_page_build *b, struct slice key,
                                    const struct object_entry *entry, struct err_ctx *ec)
{
    if (b->page.count == OBJECT_PAGE_MAX)
        return err_set(ec, SYNC_EIO, "list page of more than %d entries", OBJECT_PAGE_MAX);
    if (b->page.count == b->capacity && !grow(b))
        return err_set(ec, SYNC_ENOMEM, "list page of %zu entries", b->page.count);
    buf_put_slice(&b->text, key);
    enum sync_err rc = buf_check(&b->text, ec);
    if (rc != SYNC_OK) return rc;
    b->page.entries[b->page.count] = *entry;
    b->key_ends[b->page.count] = b->text.len;
    b->page.count++;
    return SYNC_OK;
}

static int entry_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct object_entry *)a)->key, ((const struct object_entry *)b)->key);
}

void object_page_build_finish(struct object_page_build *b, struct object_page *ret)
{
    size_t unused, start = 0;
    b->page.text = buf_take(&b->text, &unused);
    for (size_t i = 0; i < b->page.count; i++) {
        b->page.entries[i].key = slice_of(b->page.text + start, b->key_ends[i] - start);
        start = b->key_ends[i];
    }
    if (b->page.count > 0) qsort(b->page.entries, b->page.count, sizeof *b->page.entries, entry_cmp);
    *ret = b->page;
    b->page = (struct object_page){0};
    object_page_build_deinit(b);
}
