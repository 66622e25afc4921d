#include "storage/leveldb/log_format.h"

#include "storage/leveldb/crc32c.h"

enum piece_type { PIECE_FULL = 1, PIECE_FIRST, PIECE_MIDDLE, PIECE_LAST };

#define CRC_MASK_DELTA 0xa282ead8u

struct piece {
    enum piece_type type;
    struct slice data;
    size_t end;
};

/* ---- pieces */

static uint64_t get_le(const char *bytes, int count)
{
    uint64_t n = 0;
    for (int i = count; i-- > 0;) n = n << 8 | (uint8_t)bytes[i];
    return n;
}

static uint32_t mask(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + CRC_MASK_DELTA;
}

static size_t block_left(size_t at)
{
    return LOG_BLOCK_BYTES - at % LOG_BLOCK_BYTES;
}

/* A piece never begins where its head does not fit. */
static size_t skip_trailer(size_t at)
{
    return block_left(at) < LOG_PIECE_HEAD_BYTES ? at + block_left(at) : at;
}

static bool piece_at(struct slice file, size_t at, struct piece *ret)
{
    if (at > file.len || file.len - at < LOG_PIECE_HEAD_BYTES || block_left(at) < LOG_PIECE_HEAD_BYTES)
        return false;
    const char *head = file.bytes + at;
    uint8_t type = (uint8_t)head[6];
    size_t len = (size_t)get_le(head + 4, 2);
    size_t room = block_left(at) < file.len - at ? block_left(at) : file.len - at;
    if (type < PIECE_FULL || type > PIECE_LAST || len > room - LOG_PIECE_HEAD_BYTES) return false;
    if (mask(crc32c(slice_of(head + 6, 1 + len))) != (uint32_t)get_le(head, 4)) return false;
    *ret = (struct piece){.type = (enum piece_type)type,
                          .data = slice_of(head + LOG_PIECE_HEAD_BYTES, len),
                          .end = at + LOG_PIECE_HEAD_BYTES + len};
    return true;
}

/* ---- records */

bool log_record_at(struct slice file, size_t at, struct buf *record, size_t *ret_end)
{
    struct piece p;
    bool begun = false;
    buf_clear(record);
    for (;; at = p.end) {
        at = skip_trailer(at);
        if (!piece_at(file, at, &p)) return false;
        if (begun != (p.type == PIECE_MIDDLE || p.type == PIECE_LAST)) return false;
        begun = true;
        buf_put_slice(record, p.data);
        if (p.type == PIECE_MIDDLE || p.type == PIECE_FIRST) continue;
        *ret_end = p.end;
        return true;
    }
}

static void put_piece(struct buf *file, enum piece_type type, struct slice data)
{
    if (!buf_reserve(file, LOG_PIECE_HEAD_BYTES + data.len)) return;
    size_t at = file->len;
    char *head = file->bytes + at;
    head[4] = (char)(data.len & 0xff);
    head[5] = (char)(data.len >> 8);
    head[6] = (char)type;
    file->len += LOG_PIECE_HEAD_BYTES;
    buf_put_slice(file, data);
    uint32_t masked = mask(crc32c(slice_of(head + 6, 1 + data.len)));
    for (int i = 0; i < 4; i++) head[i] = (char)(masked >> 8 * i);
}

void log_record_put(struct buf *file, struct slice record)
{
    bool first = true;
    do {
        while (skip_trailer(file->len) != file->len && file->failed == SYNC_OK) buf_put_char(file, 0);
        size_t room = block_left(file->len) - LOG_PIECE_HEAD_BYTES;
        size_t len = record.len < room ? record.len : room;
        bool last = len == record.len;
        put_piece(file,
                  first  ? last ? PIECE_FULL : PIECE_FIRST
                  : last ? PIECE_LAST
                         : PIECE_MIDDLE,
                  slice_of(record.bytes, len));
        record = slice_of(record.bytes + len, record.len - len);
        first = false;
    } while (record.len > 0 && file->failed == SYNC_OK);
}

bool log_ends_at(struct slice file, size_t at)
{
    return at >= file.len || skip_trailer(at) >= file.len;
}

bool log_find_record(struct slice file, size_t at, bool (*accepts)(struct slice record, void *arg), void *arg,
                     struct buf *record, size_t *ret_at)
{
    while (at < file.len) {
        struct piece p;
        size_t end;
        if (!piece_at(file, at, &p)) {
            at++; /* a length is no guide where something is damaged */
            continue;
        }
        if (log_record_at(file, at, record, &end) &&
            (record->failed != SYNC_OK || accepts(buf_slice(record), arg))) {
            *ret_at = at;
            return true;
        }
        at = p.end;
    }
    return false;
}

/* ---- what is in them */

struct source {
    const char *at;
    size_t left;
    bool bad;
};

static struct slice take(struct source *s, uint64_t len)
{
    if (s->bad || len > s->left) {
        s->bad = true;
        return slice_of(NULL, 0);
    }
    struct slice bytes = slice_of(s->at, (size_t)len);
    s->at += len;
    s->left -= (size_t)len;
    return bytes;
}

static uint64_t take_varint(struct source *s)
{
    uint64_t n = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        struct slice byte = take(s, 1);
        if (s->bad) return 0;
        n |= (uint64_t)(byte.bytes[0] & 0x7f) << shift;
        if ((byte.bytes[0] & 0x80) == 0) return n;
    }
    s->bad = true;
    return 0;
}

static void skip_text(struct source *s)
{
    uint64_t len = take_varint(s);
    (void)take(s, len);
}

bool log_batch_read(struct slice record, struct log_batch *ret)
{
    enum { TAG_DELETE, TAG_PUT };
    struct source s = {.at = record.bytes, .left = record.len};
    struct slice head = take(&s, 8 + 4);
    if (s.bad) return false;
    struct log_batch b = {.sequence = get_le(head.bytes, 8), .count = (uint32_t)get_le(head.bytes + 8, 4)};
    for (uint32_t i = 0; i < b.count && !s.bad; i++) {
        struct slice tag = take(&s, 1);
        if (s.bad || (uint8_t)tag.bytes[0] > TAG_PUT) return false;
        skip_text(&s);
        if (tag.bytes[0] == TAG_PUT) skip_text(&s);
    }
    if (s.bad || s.left != 0 || b.count == 0) return false;
    *ret = b;
    return true;
}

bool log_edit_read(struct slice record, struct log_edit *ret)
{
    enum {
        TAG_COMPARATOR = 1,
        TAG_LOG_NUMBER,
        TAG_NEXT_FILE,
        TAG_LAST_SEQUENCE,
        TAG_COMPACT_POINTER,
        TAG_DELETED_FILE,
        TAG_NEW_FILE,
        TAG_PREV_LOG_NUMBER = 9,
    };
    struct source s = {.at = record.bytes, .left = record.len};
    struct log_edit e = *ret;
    if (record.len == 0) return false;
    while (s.left > 0 && !s.bad) {
        switch (take_varint(&s)) {
        case TAG_COMPARATOR: skip_text(&s); break;
        case TAG_LOG_NUMBER:
            e.log_number = take_varint(&s);
            e.has_log_number = true;
            break;
        case TAG_NEXT_FILE:
        case TAG_LAST_SEQUENCE: (void)take_varint(&s); break;
        case TAG_COMPACT_POINTER: /* level, key */
            (void)take_varint(&s);
            skip_text(&s);
            break;
        case TAG_DELETED_FILE: /* level, number */
            (void)take_varint(&s);
            (void)take_varint(&s);
            break;
        case TAG_NEW_FILE: /* level, number, size, lowest key, highest key */
            for (int i = 0; i < 3; i++) (void)take_varint(&s);
            skip_text(&s);
            skip_text(&s);
            break;
        case TAG_PREV_LOG_NUMBER: e.prev_log_number = take_varint(&s); break;
        default: return false;
        }
    }
    if (s.bad) return false;
    *ret = e;
    return true;
}
