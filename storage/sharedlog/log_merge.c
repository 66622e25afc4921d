#include "storage/sharedlog/log_merge.h"

#include "storage/leveldb/crc32c.h"
#include "storage/views/view.h"

#include <assert.h>
#include <stdlib.h>

enum { JOIN_MS_MAX = 10000 }; /* a restore to a point in time is that exact */

/* A section of the segment, and where it comes from. */
struct piece {
    struct log_section section; /* offset: behind its part's head */
    uint32_t part;
    uint64_t to; /* offset behind the segment's head */
};

struct merge {
    const struct log_merge_config *cfg;
    struct arena arena; /* of all heads */
    struct piece *pieces;
    size_t count, capacity;
    struct log_run *runs;
    size_t run_count, run_capacity;
    struct log_head head; /* the segment's */
    uint32_t *head_bytes; /* of each part */
    uint64_t data_bytes;
    size_t left_out; /* sections that are covered */

    /* What is noted that snapshots cover of the database that was asked for last. */
    char name[DATABASE_ID_MAX];
    size_t name_len;
    struct stamp noted;
};

static enum sync_err no_memory(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ENOMEM, "no memory to merge parts of the shared log");
}

static bool reaches(const struct stamp *snapshot, const struct log_section *s)
{
    return snapshot->wall_ms != 0 && stamp_cmp(&s->last, snapshot) <= 0;
}

static enum sync_err is_noted(struct merge *m, const struct log_section *s, bool *ret, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    *ret = false;
    if (m->cfg->cover == NULL || s->database.len > sizeof m->name) return SYNC_OK;
    if (!slice_eq(slice_of(m->name, m->name_len), s->database)) {
        m->name_len = 0;
        rc = log_cover_noted(m->cfg->cover, s->database, &m->noted, ec);
        if (rc != SYNC_OK) return rc;
        memcpy(m->name, s->database.bytes, s->database.len);
        m->name_len = s->database.len;
    }
    *ret = reaches(&m->noted, s);
    return SYNC_OK;
}

/* May it go? Only what is noted as covered is asked for in the object store. */
static enum sync_err may_go(struct merge *m, const struct log_section *s, bool *ret, struct err_ctx *ec)
{
    struct stamp proved;
    enum sync_err rc = is_noted(m, s, ret, ec);
    if (rc != SYNC_OK || !*ret) return rc;
    rc = log_cover_proved(m->cfg->cover, s->database, &proved, ec);
    *ret = rc == SYNC_OK && reaches(&proved, s);
    return rc;
}

/* ---- what goes in */

/* Takes the runs of a part on; ret_map tells where each of them is now. */
static enum sync_err add_runs(struct merge *m, const struct log_head *h, uint32_t *ret_map,
                              struct err_ctx *ec)
{
    for (size_t i = 0; i < h->run_count; i++) {
        struct log_run *last = m->run_count == 0 ? NULL : &m->runs[m->run_count - 1];
        bool goes_on = last != NULL && (h->runs[i].flags & LOG_OPENED) == 0 &&
                       memcmp(last->id, h->runs[i].id, LOG_RUN_BYTES) == 0;
        if (goes_on) {
            last->flags |= h->runs[i].flags & LOG_CLOSED;
        } else {
            if (m->run_count == m->run_capacity) {
                size_t capacity = m->run_capacity == 0 ? 16 : 2 * m->run_capacity;
                struct log_run *runs = realloc(m->runs, capacity * sizeof *runs);
                if (runs == NULL) return no_memory(ec);
                m->runs = runs;
                m->run_capacity = capacity;
            }
            m->runs[m->run_count++] = h->runs[i];
        }
        ret_map[i] = (uint32_t)(m->run_count - 1);
    }
    return SYNC_OK;
}

static enum sync_err add_piece(struct merge *m, const struct log_section *s, uint32_t part,
                               struct err_ctx *ec)
{
    if (m->count == m->capacity) {
        size_t capacity = m->capacity == 0 ? 256 : 2 * m->capacity;
        struct piece *pieces = realloc(m->pieces, capacity * sizeof *pieces);
        if (pieces == NULL) return no_memory(ec);
        m->pieces = pieces;
        m->capacity = capacity;
    }
    m->pieces[m->count++] = (struct piece){.section = *s, .part = part};
    m->data_bytes += s->bytes;
    return SYNC_OK;
}

/* The index of one part. */
static enum sync_err take_part(struct merge *m, const struct log_part *p, uint32_t index, struct err_ctx *ec)
{
    struct log_head head;
    struct log_section *sections;
    size_t count;
    enum sync_err rc = log_part_head(m->cfg->objects, m->cfg->call, m->cfg->partition, p, &m->arena, &head,
                                     &sections, &count, &m->head_bytes[index], ec);
    if (rc != SYNC_OK) return rc;
    uint32_t *map = arena_get(&m->arena, head.run_count * sizeof *map);
    if (map == NULL) return no_memory(ec);
    if (index == 0) m->head.flags = head.flags & (LOG_OPENED | LOG_OBJECT_DURABLE);
    if ((head.flags & LOG_OBJECT_DURABLE) == 0) m->head.flags &= ~(unsigned)LOG_OBJECT_DURABLE;
    m->head.flags = (m->head.flags & ~(unsigned)LOG_CLOSED) | (head.flags & LOG_CLOSED);
    memcpy(m->head.writer, head.writer, LOG_WRITER_BYTES);
    memcpy(m->head.run, head.run, LOG_RUN_BYTES);
    m->head.wall_ms = head.wall_ms;
    m->head.host = head.host;
    rc = add_runs(m, &head, map, ec);
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) {
        bool goes;
        rc = may_go(m, &sections[i], &goes, ec);
        if (rc == SYNC_OK && goes) m->left_out++;
        if (rc != SYNC_OK || goes) continue;
        sections[i].run = map[sections[i].run];
        rc = add_piece(m, &sections[i], index, ec);
    }
    return rc;
}

static int piece_cmp(const void *left, const void *right)
{
    const struct piece *a = left, *b = right;
    int c = log_section_cmp(&a->section, &b->section);
    return c != 0 ? c : (a->part > b->part) - (a->part < b->part);
}

/* ---- the segment */

/* One row for what follows without a gap, soon, of one run, site and mark of pruning. */
static bool joins(const struct log_section *row, uint64_t row_began_ms, const struct log_section *s)
{
    return slice_eq(row->database, s->database) && site_id_eq(&row->server_site, &s->server_site) &&
           row->run == s->run && stamp_cmp(&row->last, &s->after) == 0 &&
           stamp_cmp(&row->pruned, &s->pruned) == 0 && s->wall_ms >= row_began_ms &&
           s->wall_ms - row_began_ms <= JOIN_MS_MAX && s->entries <= UINT32_MAX - row->entries;
}

/* The rows, and each piece's place. The checksums come with the bytes. */
static size_t lay_out(struct merge *m, struct log_section *rows)
{
    uint64_t offset = 0, began_ms = 0;
    size_t count = 0;
    if (m->count > 0) qsort(m->pieces, m->count, sizeof *m->pieces, piece_cmp);
    for (size_t i = 0; i < m->count; i++) {
        const struct log_section *s = &m->pieces[i].section;
        struct log_section *row = count == 0 ? NULL : &rows[count - 1];
        m->pieces[i].to = offset;
        if (row != NULL && joins(row, began_ms, s)) {
            row->last = s->last;
            row->flags = s->flags;
            row->wall_ms = s->wall_ms;
            row->entries += s->entries;
            row->bytes += s->bytes;
        } else {
            rows[count] = *s;
            rows[count++].offset = offset;
            began_ms = s->wall_ms;
        }
        offset += s->bytes;
    }
    return count;
}

static int from_cmp(const void *left, const void *right)
{
    const struct piece *a = *(const struct piece *const *)left, *b = *(const struct piece *const *)right;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    return (a->section.offset > b->section.offset) - (a->section.offset < b->section.offset);
}

/* Puts a part's bytes where they belong, as they come. */
struct scatter {
    struct piece *const *pieces; /* of the part, by their offset there */
    size_t count, next;
    uint64_t at; /* offset of the next byte, behind the part's head */
    uint8_t *data;
};

static enum sync_err put_bytes(void *arg, struct slice bytes, struct err_ctx *ec)
{
    struct scatter *s = arg;
    (void)ec;
    uint64_t from = s->at, to = from + bytes.len;
    s->at = to;
    while (s->next < s->count) {
        const struct piece *p = s->pieces[s->next];
        uint64_t begins = p->section.offset, ends = begins + p->section.bytes;
        uint64_t low = begins > from ? begins : from, high = ends < to ? ends : to;
        if (low < high) memcpy(s->data + p->to + (low - begins), bytes.bytes + (low - from), high - low);
        if (ends > to) break;
        s->next++;
    }
    return SYNC_OK;
}

/* The sections of one part, in one request. */
static enum sync_err fetch(struct merge *m, const struct log_part *part, uint32_t head_bytes,
                           struct piece *const *pieces, size_t count, uint8_t *data, struct err_ctx *ec)
{
    const struct log_section *first = &pieces[0]->section, *last = &pieces[count - 1]->section;
    const uint64_t end = last->offset + last->bytes;
    struct scatter s = {.pieces = pieces, .count = count, .at = first->offset, .data = data};
    const struct object_sink sink = {.put = put_bytes, .arg = &s};
    const struct object_range range = {.offset = head_bytes + first->offset, .bytes = end - first->offset};
    struct log_name name;
    if (range.bytes == 0) return SYNC_OK;
    log_part_name(m->cfg->partition, part, &name);
    enum sync_err rc =
        object_get(m->cfg->objects, m->cfg->call, log_name_slice(&name), &range, &sink, NULL, ec);
    if (rc == SYNC_OK && s.at != end) rc = err_set(ec, SYNC_EFORMAT, "it is cut");
    for (size_t i = 0; i < count && rc == SYNC_OK; i++)
        rc = log_section_check(&pieces[i]->section, slice_of(data + pieces[i]->to, pieces[i]->section.bytes),
                               ec);
    if (rc != SYNC_OK) err_wrap(ec, "%s", name.text);
    return rc;
}

static enum sync_err fetch_all(struct merge *m, const struct log_part *parts, uint8_t *data,
                               struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    struct piece **from = malloc((m->count == 0 ? 1 : m->count) * sizeof(struct piece *));
    if (from == NULL) return no_memory(ec);
    for (size_t i = 0; i < m->count; i++) from[i] = &m->pieces[i];
    if (m->count > 0) qsort(from, m->count, sizeof *from, from_cmp);
    for (size_t i = 0, next; i < m->count && rc == SYNC_OK; i = next) {
        uint32_t part = from[i]->part;
        for (next = i; next < m->count && from[next]->part == part;) next++;
        rc = fetch(m, &parts[part], m->head_bytes[part], from + i, next - i, data, ec);
    }
    free(from);
    return rc;
}

/* Without an answer to trust: is it there? Whatever stands there was made of the same parts. */
static enum sync_err look(struct merge *m, const struct log_part *p, enum log_merged *ret, struct err_ctx *ec)
{
    struct log_head head;
    struct log_section *sections;
    size_t count;
    uint32_t head_bytes;
    struct err_ctx why = *ec;
    enum sync_err rc = log_part_head(m->cfg->objects, m->cfg->call, m->cfg->partition, p, &m->arena, &head,
                                     &sections, &count, &head_bytes, ec);
    *ret = rc == SYNC_OK ? LOG_MERGED : LOG_UNSURE;
    if (rc == SYNC_ENOTFOUND) *ec = why;
    return rc == SYNC_ENOTFOUND || rc == SYNC_EBUSY ? SYNC_OK : rc;
}

static enum sync_err create(struct merge *m, const struct log_part *p, struct slice bytes,
                            enum log_merged *ret, struct err_ctx *ec)
{
    struct log_name name;
    enum object_outcome outcome = OBJECT_UNKNOWN;
    log_part_name(m->cfg->partition, p, &name);
    enum sync_err rc =
        object_put_if_absent(m->cfg->objects, m->cfg->call, log_name_slice(&name), bytes, &outcome, NULL, ec);
    *ret = LOG_MERGED;
    if (rc == SYNC_OK && outcome == OBJECT_LOST) (void)err_set(ec, SYNC_EBUSY, "it was there, and is not");
    if (rc == SYNC_OK && outcome != OBJECT_OK) rc = look(m, p, ret, ec);
    if (rc != SYNC_OK || *ret != LOG_MERGED) err_wrap(ec, "%s", name.text);
    return rc;
}

/* Lays the segment out, fetches, and creates it. */
static enum sync_err make(struct merge *m, const struct log_part *parts, struct log_part *segment,
                          enum log_merged *ret, struct err_ctx *ec)
{
    struct buf bytes = buf_make(m->cfg->bytes_max);
    struct log_section *rows = malloc((m->count == 0 ? 1 : m->count) * sizeof *rows);
    if (rows == NULL) return no_memory(ec);
    size_t count = lay_out(m, rows), head_bytes = log_object_head_size(&m->head, rows, count);
    enum sync_err rc = SYNC_OK;
    *ret = LOG_TOO_LARGE;
    if (head_bytes > m->cfg->bytes_max || m->data_bytes > m->cfg->bytes_max - head_bytes) goto out;
    segment->bytes = head_bytes + m->data_bytes;
    if (!buf_reserve(&bytes, segment->bytes)) {
        rc = no_memory(ec);
        goto out;
    }
    uint8_t *data = (uint8_t *)bytes.bytes + head_bytes;
    rc = fetch_all(m, parts, data, ec);
    if (rc != SYNC_OK) goto out;
    for (size_t i = 0; i < count; i++) rows[i].crc = crc32c(slice_of(data + rows[i].offset, rows[i].bytes));
    log_object_put_head(&m->head, rows, count, &bytes);
    assert(bytes.len == head_bytes);
    rc = create(m, segment, slice_of(bytes.bytes, segment->bytes), ret, ec);
out:
    free(rows);
    buf_deinit(&bytes);
    return rc;
}

enum sync_err log_merge(const struct log_merge_config *cfg, const struct log_part *parts, size_t count,
                        uint64_t generation, enum log_merged *ret, struct log_part *ret_part,
                        struct err_ctx *ec)
{
    struct merge m = {.cfg = cfg, .head_bytes = calloc(count, sizeof(uint32_t))};
    struct log_part segment = {
        .first = parts[0].first, .last = parts[count - 1].last, .is_segment = true, .generation = generation};
    uint64_t heads = 0;
    enum sync_err rc = m.head_bytes == NULL ? no_memory(ec) : SYNC_OK;
    m.head = (struct log_head){
        .is_segment = true, .partition = cfg->partition, .first = segment.first, .last = segment.last};
    *ret = LOG_TOO_LARGE;
    for (size_t i = 0; i < count && rc == SYNC_OK && heads <= cfg->bytes_max; i++) {
        rc = take_part(&m, &parts[i], (uint32_t)i, ec);
        heads += m.head_bytes[i];
    }
    m.head.runs = m.runs;
    m.head.run_count = m.run_count;
    if (rc == SYNC_OK && count == 1 && m.left_out == 0)
        *ret = LOG_UNCHANGED;
    else if (rc == SYNC_OK && heads <= cfg->bytes_max && m.run_count <= LOG_RUNS_MAX)
        rc = make(&m, parts, &segment, ret, ec);
    if (rc == SYNC_OK && *ret == LOG_MERGED) *ret_part = segment;
    free(m.head_bytes);
    free(m.pieces);
    free(m.runs);
    arena_deinit(&m.arena);
    return rc;
}

enum sync_err log_merge_weigh(const struct log_merge_config *cfg, const struct log_part *part,
                              struct log_weight *ret, struct err_ctx *ec)
{
    struct merge m = {.cfg = cfg};
    struct log_head head;
    struct log_section *sections;
    size_t count = 0;
    uint32_t head_bytes;
    struct log_weight w = {.all_covered = true};
    enum sync_err rc = log_part_head(cfg->objects, cfg->call, cfg->partition, part, &m.arena, &head,
                                     &sections, &count, &head_bytes, ec);
    for (size_t i = 0; i < count && rc == SYNC_OK; i++) {
        bool covered;
        rc = is_noted(&m, &sections[i], &covered, ec);
        /* A row's share of the head is small and about the same for all. */
        uint64_t bytes = sections[i].bytes + head_bytes / count;
        if (covered)
            w.covered_bytes += bytes;
        else
            w.bytes += bytes;
        if (!covered) w.all_covered = false;
    }
    arena_deinit(&m.arena);
    if (rc == SYNC_OK) *ret = w;
    return rc;
}
