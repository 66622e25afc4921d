#include "storage/sharedlog/log_list.h"

#include "storage/objects/object_walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_GUESS = 16 << 10 }; /* most heads are shorter: one request */

/* ---- gathering */

struct parts {
    struct log_part *at;
    size_t count, capacity;
};

static enum sync_err add(struct parts *p, const struct log_part *part, struct err_ctx *ec)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity == 0 ? 256 : 2 * p->capacity;
        struct log_part *at = realloc(p->at, capacity * sizeof *at);
        if (at == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to list the shared log");
        p->at = at;
        p->capacity = capacity;
    }
    p->at[p->count++] = *part;
    return SYNC_OK;
}

struct listing {
    uint32_t partition;
    bool segments;
    struct parts *parts;
};

static enum sync_err see(void *arg, const struct object_entry *e, struct err_ctx *ec)
{
    const struct listing *l = arg;
    struct log_part p = {.is_segment = l->segments, .bytes = e->bytes};
    bool known = l->segments ? log_segment_parse(l->partition, e->key, &p.first, &p.last, &p.generation)
                             : log_object_parse(l->partition, e->key, &p.first);
    if (!l->segments) p.last = p.first;
    /* What somebody else put there is none of ours. */
    return known ? add(l->parts, &p, ec) : SYNC_OK;
}

static enum sync_err list(struct object_store *s, const struct object_call *call, uint32_t partition,
                          bool segments, struct parts *ret, struct err_ctx *ec)
{
    struct listing l = {.partition = partition, .segments = segments, .parts = ret};
    struct log_name prefix;
    if (segments)
        log_segment_prefix(partition, &prefix);
    else
        log_object_prefix(partition, &prefix);
    const struct object_query query = {.prefix = log_name_slice(&prefix)};
    return object_walk(s, call, &query, see, &l, ec);
}

/* By first number; what begins there and reaches further comes first, then what replaced others later. */
static int part_cmp(const void *left, const void *right)
{
    const struct log_part *a = left, *b = right;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    if (a->last != b->last) return a->last > b->last ? -1 : 1;
    if (a->is_segment != b->is_segment) return (int)b->is_segment - (int)a->is_segment;
    return (a->generation < b->generation) - (a->generation > b->generation);
}

enum sync_err log_list_read(struct object_store *s, const struct object_call *call, uint32_t partition,
                            struct log_list *ret, struct err_ctx *ec)
{
    struct parts all = {0}, replaced = {0};
    size_t kept = 0;
    /* The objects first: one that becomes part of a segment meanwhile is then there twice and not missing. */
    enum sync_err rc = list(s, call, partition, false, &all, ec);
    if (rc == SYNC_OK) rc = list(s, call, partition, true, &all, ec);
    if (rc == SYNC_OK && all.count > 0) qsort(all.at, all.count, sizeof *all.at, part_cmp);
    for (size_t i = 0; i < all.count && rc == SYNC_OK; i++) {
        const struct log_part p = all.at[i];
        uint64_t last = kept == 0 ? 0 : all.at[kept - 1].last;
        if (kept > 0 && p.last <= last)
            rc = add(&replaced, &p, ec);
        else if (kept > 0 && p.first <= last)
            rc = err_set(ec, SYNC_EFORMAT, "segments overlap at number %" PRIu64 " of the shared log",
                         p.first);
        else if (kept > 0 && p.first != last + 1)
            rc = err_set(ec, SYNC_EFORMAT, "number %" PRIu64 " of the shared log is missing", last + 1);
        else
            all.at[kept++] = p;
    }
    if (rc != SYNC_OK) {
        free(all.at);
        free(replaced.at);
        return rc;
    }
    *ret = (struct log_list){
        .parts = all.at, .count = kept, .replaced = replaced.at, .replaced_count = replaced.count};
    return SYNC_OK;
}

void log_list_deinit(struct log_list *l)
{
    free(l->parts);
    free(l->replaced);
    *l = (struct log_list){0};
}

enum sync_err log_list_replace(struct log_list *l, size_t first, size_t count, const struct log_part *segment,
                               struct err_ctx *ec)
{
    size_t replaced = l->replaced_count + count;
    struct log_part *at = realloc(l->replaced, replaced * sizeof *at);
    if (at == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to list the shared log");
    memcpy(at + l->replaced_count, l->parts + first, count * sizeof *at);
    l->replaced = at;
    l->replaced_count = replaced;
    l->parts[first] = *segment;
    l->count -= count - 1;
    memmove(l->parts + first + 1, l->parts + first + count, (l->count - first - 1) * sizeof *l->parts);
    return SYNC_OK;
}

void log_part_name(uint32_t partition, const struct log_part *p, struct log_name *ret)
{
    if (p->is_segment)
        log_segment_name(partition, p->first, p->last, p->generation, ret);
    else
        log_object_name(partition, p->first, ret);
}

/* ---- one head */

enum sync_err log_part_head(struct object_store *s, const struct object_call *call, uint32_t partition,
                            const struct log_part *p, struct arena *arena, struct log_head *ret,
                            struct log_section **ret_sections, size_t *ret_count, uint32_t *ret_head_bytes,
                            struct err_ctx *ec)
{
    struct log_name name;
    struct buf bytes = buf_make(LOG_HEAD_BYTES_MAX);
    struct object_range range = {.offset = 0, .bytes = HEAD_GUESS};
    uint32_t head_bytes = 0;
    log_part_name(partition, p, &name);
    enum sync_err rc = object_get_buf(s, call, log_name_slice(&name), &range, &bytes, NULL, ec);
    if (rc == SYNC_OK) rc = log_object_head_bytes(buf_slice(&bytes), &head_bytes, ec);
    if (rc == SYNC_OK && head_bytes > bytes.len) {
        range = (struct object_range){.offset = bytes.len, .bytes = head_bytes - bytes.len};
        rc = object_get_buf(s, call, log_name_slice(&name), &range, &bytes, NULL, ec);
        if (rc == SYNC_OK && bytes.len < head_bytes)
            rc = err_set(ec, SYNC_EFORMAT, "its head is cut after %zu bytes", bytes.len);
    }
    struct slice head = slice_of(NULL, 0);
    if (rc == SYNC_OK) {
        head = arena_copy(arena, slice_of(bytes.bytes, head_bytes));
        if (head.bytes == NULL) rc = err_set(ec, SYNC_ENOMEM, "no memory for a log object's head");
    }
    buf_deinit(&bytes);
    if (rc == SYNC_OK) rc = log_object_get_head(head, arena, ret, ret_sections, ret_count, ec);
    if (rc == SYNC_OK && (ret->partition != partition || ret->first != p->first || ret->last != p->last ||
                          ret->is_segment != p->is_segment))
        rc = err_set(ec, SYNC_EFORMAT,
                     "it says that it is number %" PRIu64 " to %" PRIu64 " of partition %" PRIu32, ret->first,
                     ret->last, ret->partition);
    if (rc == SYNC_OK) *ret_head_bytes = head_bytes;
    if (rc != SYNC_OK) err_wrap(ec, "%s", name.text);
    return rc;
}
