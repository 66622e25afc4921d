#include "storage/sharedlog/log_object.h"

#include "storage/leveldb/crc32c.h"
#include "storage/records/keys.h"
#include "storage/records/source.h"

#include <assert.h>
#include <string.h>

static const char magic[7] = {'s', 'y', 'n', 'c', 'l', 'o', 'g'};

enum {
    FORMAT_OBJECT = 1,
    FORMAT_SEGMENT = 2,
    TEXT_MAX = 255,
    HEAD_FIXED = LOG_HEAD_PREFIX + 1 + LOG_WRITER_BYTES + LOG_RUN_BYTES + 8 + 4 + 8 + 8 + 1 + 4,
    ROW_FIXED = 1 + SITE_ID_BYTES + 1 + 8 + 3 * KEY_STAMP_BYTES + 4 + 8 + 8 + 4,
    ROW_RUN = 4, /* of a segment's row */
    RUN_BYTES = LOG_RUN_BYTES + 1,
    FLAGS_ALL = LOG_OPENED | LOG_CLOSED | LOG_OBJECT_DURABLE,
};

int log_section_cmp(const struct log_section *a, const struct log_section *b)
{
    int c = slice_cmp(a->database, b->database);
    if (c == 0) c = stamp_cmp(&a->after, &b->after);
    return c != 0 ? c : stamp_cmp(&a->last, &b->last);
}

/* ---- writing */

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0) memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *put_text(uint8_t *at, struct slice s)
{
    assert(s.len <= TEXT_MAX);
    *at++ = (uint8_t)s.len;
    return put_bytes(at, s.bytes, s.len);
}

static uint8_t *put_runs(uint8_t *at, const struct log_head *h)
{
    at = key_put_be(at, h->run_count, 4);
    for (size_t i = 0; i < h->run_count; i++) {
        at = put_bytes(at, h->runs[i].id, LOG_RUN_BYTES);
        *at++ = (uint8_t)h->runs[i].flags;
    }
    return at;
}

static uint8_t *put_row(uint8_t *at, const struct log_section *s, bool is_segment)
{
    at = put_text(at, s->database);
    at = put_bytes(at, s->server_site.bytes, SITE_ID_BYTES);
    *at++ = (uint8_t)s->flags;
    at = key_put_be(at, s->wall_ms, 8);
    at = key_put_stamp(at, &s->after);
    at = key_put_stamp(at, &s->last);
    at = key_put_stamp(at, &s->pruned);
    at = key_put_be(at, s->entries, 4);
    at = key_put_be(at, s->offset, 8);
    at = key_put_be(at, s->bytes, 8);
    at = key_put_be(at, s->crc, 4);
    return is_segment ? key_put_be(at, s->run, 4) : at;
}

size_t log_object_head_size(const struct log_head *h, const struct log_section *sections, size_t count)
{
    size_t bytes = HEAD_FIXED + h->host.len + (h->is_segment ? 4 + h->run_count * RUN_BYTES : 0);
    for (size_t i = 0; i < count; i++)
        bytes += ROW_FIXED + sections[i].database.len + (h->is_segment ? ROW_RUN : 0);
    return bytes;
}

void log_object_put_head(const struct log_head *h, const struct log_section *sections, size_t count,
                         struct buf *ret)
{
    size_t bytes = log_object_head_size(h, sections, count);
    for (size_t i = 0; i < count; i++) {
        assert(sections[i].database.len > 0);
        assert(i == 0 || log_section_cmp(&sections[i - 1], &sections[i]) <= 0);
        assert(!h->is_segment || sections[i].run < h->run_count);
    }
    assert(!h->is_segment || (h->run_count > 0 && h->run_count <= LOG_RUNS_MAX));
    assert(bytes <= LOG_HEAD_BYTES_MAX);
    if (!buf_reserve(ret, bytes)) return;
    uint8_t *from = (uint8_t *)ret->bytes + ret->len, *at = from + LOG_HEAD_PREFIX;
    *at++ = (uint8_t)h->flags;
    at = put_bytes(at, h->writer, LOG_WRITER_BYTES);
    at = put_bytes(at, h->run, LOG_RUN_BYTES);
    at = key_put_be(at, h->wall_ms, 8);
    at = key_put_be(at, h->partition, 4);
    at = key_put_be(at, h->first, 8);
    at = key_put_be(at, h->last, 8);
    at = put_text(at, h->host);
    if (h->is_segment) at = put_runs(at, h);
    at = key_put_be(at, count, 4);
    for (size_t i = 0; i < count; i++) at = put_row(at, &sections[i], h->is_segment);
    assert((size_t)(at - from) == bytes);
    at = put_bytes(from, magic, sizeof magic);
    *at++ = h->is_segment ? FORMAT_SEGMENT : FORMAT_OBJECT;
    at = key_put_be(at, bytes, 4);
    (void)key_put_be(at, crc32c(slice_of(from + LOG_HEAD_PREFIX, bytes - LOG_HEAD_PREFIX)), 4);
    ret->len += bytes;
}

/* ---- reading */

static void take_bytes(struct source *s, void *ret, size_t len)
{
    const uint8_t *bytes = source_take(s, len);
    if (bytes != NULL) memcpy(ret, bytes, len);
}

static struct slice take_text(struct source *s)
{
    size_t len = (size_t)source_take_be(s, 1);
    const uint8_t *bytes = source_take(s, len);
    return slice_of(bytes, bytes == NULL ? 0 : len);
}

static struct stamp take_stamp(struct source *s)
{
    struct stamp stamp = {0};
    const uint8_t *bytes = source_take(s, KEY_STAMP_BYTES);
    if (bytes != NULL) (void)key_parse_stamp(slice_of(bytes, KEY_STAMP_BYTES), &stamp);
    return stamp;
}

static struct log_section take_row(struct source *s, bool is_segment)
{
    struct log_section row = {.database = take_text(s)};
    take_bytes(s, row.server_site.bytes, SITE_ID_BYTES);
    row.flags = (unsigned)source_take_be(s, 1);
    row.wall_ms = source_take_be(s, 8);
    row.after = take_stamp(s);
    row.last = take_stamp(s);
    row.pruned = take_stamp(s);
    row.entries = (uint32_t)source_take_be(s, 4);
    row.offset = source_take_be(s, 8);
    row.bytes = source_take_be(s, 8);
    row.crc = (uint32_t)source_take_be(s, 4);
    if (is_segment) row.run = (uint32_t)source_take_be(s, 4);
    return row;
}

/* A segment's runs, or an object's only one. */
static enum sync_err take_runs(struct source *s, struct arena *arena, struct log_head *h, struct err_ctx *ec)
{
    size_t count = h->is_segment ? (size_t)source_take_be(s, 4) : 1;
    if (s->bad || count == 0 || count > LOG_RUNS_MAX || (h->is_segment && count > s->left / RUN_BYTES))
        return err_set(ec, SYNC_EFORMAT, "damaged head of a log object: %zu runs", count);
    struct log_run *runs = arena_get(arena, count * sizeof *runs);
    if (runs == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a log object's runs");
    for (size_t i = 0; i < count && h->is_segment; i++) {
        take_bytes(s, runs[i].id, LOG_RUN_BYTES);
        runs[i].flags = (unsigned)source_take_be(s, 1);
        if ((runs[i].flags & ~(unsigned)FLAGS_ALL) != 0)
            return err_set(ec, SYNC_EFORMAT, "damaged head of a log object: flags of a run");
    }
    if (!h->is_segment) {
        memcpy(runs[0].id, h->run, LOG_RUN_BYTES);
        runs[0].flags = h->flags;
    }
    h->runs = runs;
    h->run_count = count;
    return SYNC_OK;
}

enum sync_err log_object_head_bytes(struct slice prefix, uint32_t *ret, struct err_ctx *ec)
{
    if (prefix.len < LOG_HEAD_PREFIX || memcmp(prefix.bytes, magic, sizeof magic) != 0)
        return err_set(ec, SYNC_EFORMAT, "not an object of the shared log");
    unsigned format = (uint8_t)prefix.bytes[sizeof magic];
    if (format != FORMAT_OBJECT && format != FORMAT_SEGMENT)
        return err_set(ec, SYNC_EFORMAT, "shared log of format %u, this build reads up to %d", format,
                       FORMAT_SEGMENT);
    uint64_t bytes = key_get_be((const uint8_t *)prefix.bytes + sizeof magic + 1, 4);
    if (bytes < HEAD_FIXED || bytes > LOG_HEAD_BYTES_MAX)
        return err_set(ec, SYNC_EFORMAT, "damaged head of a log object");
    *ret = (uint32_t)bytes;
    return SYNC_OK;
}

static enum sync_err damaged(struct slice bytes, struct err_ctx *ec)
{
    return err_set(ec, SYNC_EFORMAT, "damaged head of a log object, %zu bytes", bytes.len);
}

/* Is the row one that may follow, and do its numbers fit together? */
static bool row_is_good(const struct log_section *before, const struct log_section *row, uint64_t offset,
                        size_t run_count)
{
    if (row->run >= run_count) return false;
    if (row->database.len == 0 || (row->flags & ~(unsigned)LOG_SECTION_CUT) != 0) return false;
    if (row->offset != offset || row->bytes > UINT64_MAX - offset) return false;
    if ((row->entries == 0) != (row->bytes == 0) || row->entries > row->bytes) return false;
    if (stamp_cmp(&row->after, &row->last) > 0) return false;
    return before == NULL || log_section_cmp(before, row) <= 0;
}

enum sync_err log_object_get_head(struct slice bytes, struct arena *arena, struct log_head *ret,
                                  struct log_section **ret_sections, size_t *ret_count, struct err_ctx *ec)
{
    uint32_t head_bytes;
    struct log_head h;
    enum sync_err rc = log_object_head_bytes(bytes, &head_bytes, ec);
    if (rc != SYNC_OK) return rc;
    struct slice body = slice_of(bytes.bytes + LOG_HEAD_PREFIX, bytes.len - LOG_HEAD_PREFIX);
    if (head_bytes != bytes.len || key_get_be((const uint8_t *)bytes.bytes + 12, 4) != crc32c(body))
        return damaged(bytes, ec);

    struct source s = {.at = (const uint8_t *)body.bytes, .left = body.len};
    h.is_segment = bytes.bytes[sizeof magic] == FORMAT_SEGMENT;
    h.flags = (unsigned)source_take_be(&s, 1);
    take_bytes(&s, h.writer, LOG_WRITER_BYTES);
    take_bytes(&s, h.run, LOG_RUN_BYTES);
    h.wall_ms = source_take_be(&s, 8);
    h.partition = (uint32_t)source_take_be(&s, 4);
    h.first = source_take_be(&s, 8);
    h.last = source_take_be(&s, 8);
    h.host = take_text(&s);
    rc = take_runs(&s, arena, &h, ec);
    if (rc != SYNC_OK) return rc;
    size_t count = (size_t)source_take_be(&s, 4);
    if (s.bad || count > s.left / ROW_FIXED || (h.flags & ~(unsigned)FLAGS_ALL) != 0 || h.first > h.last)
        return damaged(bytes, ec);
    struct log_section *rows = arena_get(arena, (count == 0 ? 1 : count) * sizeof *rows);
    if (rows == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a log object's index");
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        rows[i] = take_row(&s, h.is_segment);
        if (s.bad || !row_is_good(i == 0 ? NULL : &rows[i - 1], &rows[i], offset, h.run_count))
            return damaged(bytes, ec);
        offset += rows[i].bytes;
    }
    if (s.left != 0) return damaged(bytes, ec);
    *ret = h;
    *ret_sections = rows;
    *ret_count = count;
    return SYNC_OK;
}

uint64_t log_object_data_bytes(const struct log_section *sections, size_t count)
{
    return count == 0 ? 0 : sections[count - 1].offset + sections[count - 1].bytes;
}

size_t log_object_find(const struct log_section *sections, size_t count, struct slice database,
                       const struct log_section **ret)
{
    size_t low = 0, high = count;
    while (low < high) { /* the first that is not below */
        size_t middle = low + (high - low) / 2;
        if (slice_cmp(sections[middle].database, database) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t found = 0;
    while (low + found < count && slice_eq(sections[low + found].database, database)) found++;
    if (found > 0) *ret = &sections[low];
    return found;
}

enum sync_err log_section_check(const struct log_section *s, struct slice bytes, struct err_ctx *ec)
{
    if (bytes.len == s->bytes && crc32c(bytes) == s->crc) return SYNC_OK;
    return err_set(ec, SYNC_EFORMAT, "damaged section of the shared log, %zu bytes", bytes.len);
}
