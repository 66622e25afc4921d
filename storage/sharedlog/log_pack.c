#include "storage/sharedlog/log_pack.h"

#include "storage/leveldb/crc32c.h"

#include <assert.h>
#include <stdlib.h>

enum { ROW_BYTES = 88 }; /* of a section in the index, without its name */

void log_pack_init(struct log_pack *p, size_t bytes_max)
{
    *p = (struct log_pack){.data = buf_make(bytes_max)};
}

void log_pack_deinit(struct log_pack *p)
{
    arena_deinit(&p->arena);
    free(p->sections);
    buf_deinit(&p->data);
    *p = (struct log_pack){0};
}

void log_pack_clear(struct log_pack *p)
{
    arena_deinit(&p->arena);
    p->count = 0;
    p->entries = 0;
    p->open = false;
    buf_clear(&p->data);
}

size_t log_pack_bytes(const struct log_pack *p)
{
    return p->data.len + p->arena.bytes + p->count * ROW_BYTES;
}

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory for a log object");
}

static enum sync_err add(struct log_pack *p, const struct log_section *s, struct err_ctx *ec)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity == 0 ? 64 : 2 * p->capacity;
        struct log_section *sections = realloc(p->sections, capacity * sizeof *sections);
        if (sections == NULL) return no_memory(ec);
        p->sections = sections;
        p->capacity = capacity;
    }
    struct slice name = arena_copy(&p->arena, s->database);
    if (name.bytes == NULL) return no_memory(ec);
    p->sections[p->count] = *s;
    p->sections[p->count].database = name;
    p->sections[p->count++].offset = p->data.len;
    return SYNC_OK;
}

enum sync_err log_pack_begin(struct log_pack *p, struct slice database, const struct site_id *server_site,
                             const struct stamp *after, const struct stamp *pruned, uint64_t wall_ms,
                             struct err_ctx *ec)
{
    const struct log_section s = {.database = database,
                                  .server_site = *server_site,
                                  .wall_ms = wall_ms,
                                  .after = *after,
                                  .last = *after,
                                  .pruned = *pruned};
    assert(!p->open);
    enum sync_err rc = add(p, &s, ec);
    p->open = rc == SYNC_OK;
    return rc;
}

enum sync_err log_pack_put(struct log_pack *p, const struct moved_entry *e, struct err_ctx *ec)
{
    struct log_section *s = &p->sections[p->count - 1];
    assert(p->open);
    moved_put_framed(e, &p->data);
    enum sync_err rc = buf_check(&p->data, ec);
    if (rc == SYNC_OK) s->entries++;
    return rc;
}

void log_pack_end(struct log_pack *p, const struct stamp *last, bool cut)
{
    struct log_section *s = &p->sections[p->count - 1];
    assert(p->open);
    s->last = *last;
    s->flags = cut ? LOG_SECTION_CUT : 0;
    s->bytes = p->data.len - s->offset;
    s->crc = crc32c(slice_of(p->data.bytes + s->offset, s->bytes));
    p->entries += s->entries;
    p->open = false;
}

void log_pack_drop(struct log_pack *p)
{
    assert(p->open);
    p->count--; /* its name stays in the arena until the next clear */
    p->data.len = p->sections[p->count].offset;
    p->data.failed = SYNC_OK;
    p->open = false;
}

static int section_cmp(const void *left, const void *right)
{
    const struct log_section *a = left, *b = right;
    int c = log_section_cmp(a, b);
    return c != 0 ? c : (a->offset > b->offset) - (a->offset < b->offset); /* as they were added */
}

enum sync_err log_pack_finish(struct log_pack *p, const struct log_head *h, struct buf *ret,
                              struct err_ctx *ec)
{
    uint64_t offset = 0;
    assert(!p->open);
    uint64_t *from = malloc((p->count == 0 ? 1 : p->count) * sizeof *from);
    if (from == NULL) return no_memory(ec);
    if (p->count > 0) qsort(p->sections, p->count, sizeof *p->sections, section_cmp);
    for (size_t i = 0; i < p->count; i++) {
        from[i] = p->sections[i].offset;
        p->sections[i].offset = offset;
        offset += p->sections[i].bytes;
    }
    log_object_put_head(h, p->sections, p->count, ret);
    for (size_t i = 0; i < p->count; i++) buf_put(ret, p->data.bytes + from[i], p->sections[i].bytes);
    free(from);
    return buf_check(ret, ec);
}
