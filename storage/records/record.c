#include "storage/records/record.h"

#include "storage/records/keys.h"
#include "storage/records/source.h"

#include <assert.h>
#include <string.h>

static_assert(KEY_STAMP_BYTES == 14, "records and log keys spell a stamp alike");

#define HEAD_TYPE       3u /* mask */
#define HEAD_PRIOR      4u
#define HEAD_FROM_TABLE 8u
#define HEAD_KEY        16u
#define HEAD_POINTER    32u

enum {
    CREATED_BYTES = 8,
    VARINT_MAX = 5, /* 32 bits */
};

/* ---- writing ---- */

static size_t varint_size(size_t n)
{
    size_t size = 1;
    for (; n >= 0x80; n >>= 7) size++;
    return size;
}

static uint8_t *put_varint(uint8_t *at, size_t n)
{
    for (; n >= 0x80; n >>= 7) *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)n;
    return at;
}

static size_t text_size(struct slice s)
{
    return varint_size(s.len) + s.len;
}

static uint8_t *put_text(uint8_t *at, struct slice s)
{
    at = put_varint(at, s.len);
    if (s.len > 0) memcpy(at, s.bytes, s.len);
    return at + s.len;
}

static uint8_t *put_hlc(uint8_t *at, const struct hlc *h)
{
    hlc_encode(h, at);
    return at + HLC_ENCODED_SIZE;
}

static unsigned head_of(const struct fact *f)
{
    unsigned head = (unsigned)f->type;
    if (f->type == FACT_CELL && f->cell.has_prior) head |= HEAD_PRIOR;
    if (f->type == FACT_DELETE && f->del.has_prior_row) head |= HEAD_PRIOR;
    if (f->type == FACT_MIGRATION && f->migration.has_from_table) head |= HEAD_FROM_TABLE;
    return head;
}

static size_t body_size(const struct fact *f)
{
    size_t size = HLC_ENCODED_SIZE + text_size(f->schema) + text_size(f->table);
    switch (f->type) {
    case FACT_CELL:
        size += text_size(f->cell.column) + text_size(f->cell.pk) + text_size(f->cell.value);
        if (f->cell.has_prior) size += HLC_ENCODED_SIZE + text_size(f->cell.prior_value);
        break;
    case FACT_DELETE:
        size += text_size(f->del.pk);
        if (f->del.has_prior_row) size += text_size(f->del.prior_row);
        break;
    case FACT_MIGRATION:
        size += 1 + text_size(f->migration.ddl) + text_size(f->migration.schema_version);
        if (f->migration.has_from_table) size += text_size(f->migration.from_table);
        break;
    }
    return size;
}

static uint8_t *put_body(uint8_t *at, const struct fact *f)
{
    at = put_hlc(at, &f->hlc);
    at = put_text(at, f->schema);
    at = put_text(at, f->table);
    switch (f->type) {
    case FACT_CELL:
        at = put_text(at, f->cell.column);
        at = put_text(at, f->cell.pk);
        at = put_text(at, f->cell.value);
        if (!f->cell.has_prior) break;
        at = put_hlc(at, &f->cell.prior_hlc);
        at = put_text(at, f->cell.prior_value);
        break;
    case FACT_DELETE:
        at = put_text(at, f->del.pk);
        if (f->del.has_prior_row) at = put_text(at, f->del.prior_row);
        break;
    case FACT_MIGRATION:
        *at++ = (uint8_t)f->migration.type;
        if (f->migration.has_from_table) at = put_text(at, f->migration.from_table);
        at = put_text(at, f->migration.ddl);
        at = put_text(at, f->migration.schema_version);
        break;
    }
    return at;
}

size_t record_stored_size(const struct fact *f, bool keep_key)
{
    size_t size = 1 + KEY_STAMP_BYTES + body_size(f);
    if (f->type == FACT_DELETE) size += CREATED_BYTES;
    if (keep_key) size += text_size(f->key) + varint_size(f->table_key_len) + varint_size(f->row_key_len);
    return size;
}

void record_put_stored(const struct fact *f, const struct stamp *s, uint64_t created_ms, bool keep_key,
                       uint8_t *ret)
{
    uint8_t *at = ret;
    *at++ = (uint8_t)(head_of(f) | (keep_key ? HEAD_KEY : 0));
    at = key_put_stamp(at, s);
    if (f->type == FACT_DELETE) at = key_put_be(at, created_ms, CREATED_BYTES);
    at = put_body(at, f);
    if (keep_key) {
        at = put_text(at, f->key);
        at = put_varint(at, f->table_key_len);
        at = put_varint(at, f->row_key_len);
    }
    assert((size_t)(at - ret) == record_stored_size(f, keep_key));
}

size_t record_logged_size(const struct fact *f)
{
    return 1 + (f->type == FACT_DELETE ? (size_t)CREATED_BYTES : 0) + body_size(f);
}

void record_put_logged(const struct fact *f, uint64_t created_ms, uint8_t *ret)
{
    uint8_t *at = ret;
    *at++ = (uint8_t)head_of(f);
    if (f->type == FACT_DELETE) at = key_put_be(at, created_ms, CREATED_BYTES);
    at = put_body(at, f);
    assert((size_t)(at - ret) == record_logged_size(f));
}

void record_put_pointer(enum fact_type type, struct slice key_rest, uint8_t *ret)
{
    assert(1 + key_rest.len >= RECORD_POINTER_BYTES_MIN);
    *ret = (uint8_t)((unsigned)type | HEAD_POINTER);
    memcpy(ret + 1, key_rest.bytes, key_rest.len);
}

/* ---- reading ---- */

static uint32_t take_varint(struct source *s)
{
    uint64_t n = 0;
    for (int i = 0; i < VARINT_MAX; i++) {
        const uint8_t *byte = source_take(s, 1);
        if (byte == NULL) return 0;
        n |= (uint64_t)(*byte & 0x7f) << (7 * i);
        if (*byte >= 0x80) continue;
        if ((*byte == 0 && i > 0) || n > UINT32_MAX) break; /* longer than needed, or too large */
        return (uint32_t)n;
    }
    s->bad = true;
    return 0;
}

static struct slice take_text(struct source *s)
{
    size_t len = take_varint(s);
    const uint8_t *bytes = source_take(s, len);
    return slice_of(bytes, bytes == NULL ? 0 : len);
}

static void take_hlc(struct source *s, struct hlc *ret)
{
    const uint8_t *bytes = source_take(s, HLC_ENCODED_SIZE);
    if (bytes != NULL) hlc_decode(bytes, ret);
}

static struct stamp take_stamp(struct source *s)
{
    struct stamp stamp = {.wall_ms = source_take_be(s, 8)};
    stamp.counter = (uint16_t)source_take_be(s, 2);
    stamp.op_seq = (uint32_t)source_take_be(s, 4);
    return stamp;
}

static const char *type_name(enum fact_type type)
{
    switch (type) {
    case FACT_CELL: return "cell";
    case FACT_DELETE: return "tombstone";
    case FACT_MIGRATION: return "migration";
    }
    return "fact";
}

static void take_body(struct source *s, unsigned head, struct fact *f)
{
    take_hlc(s, &f->hlc);
    f->schema = take_text(s);
    f->table = take_text(s);
    switch (f->type) {
    case FACT_CELL:
        f->cell = (struct cell_part){.has_prior = (head & HEAD_PRIOR) != 0};
        f->cell.column = take_text(s);
        f->cell.pk = take_text(s);
        f->cell.value = take_text(s);
        if (!f->cell.has_prior) break;
        take_hlc(s, &f->cell.prior_hlc);
        f->cell.prior_value = take_text(s);
        break;
    case FACT_DELETE:
        f->del = (struct delete_part){.has_prior_row = (head & HEAD_PRIOR) != 0};
        f->del.pk = take_text(s);
        if (f->del.has_prior_row) f->del.prior_row = take_text(s);
        break;
    case FACT_MIGRATION: {
        unsigned type = (unsigned)source_take_be(s, 1);
        if (type >= MIGRATION_TYPE_COUNT) s->bad = true;
        f->migration = (struct migration_part){.type = (enum migration_type)type,
                                               .has_from_table = (head & HEAD_FROM_TABLE) != 0};
        if (f->migration.has_from_table) f->migration.from_table = take_text(s);
        f->migration.ddl = take_text(s);
        f->migration.schema_version = take_text(s);
        break;
    }
    }
}

/* The flags that a record of this type may have, beside its type. */
static unsigned flags_of(enum fact_type type)
{
    return type == FACT_MIGRATION ? HEAD_FROM_TABLE : HEAD_PRIOR;
}

static void take_key(struct source *s, struct fact *f)
{
    f->key = take_text(s);
    f->table_key_len = take_varint(s);
    f->row_key_len = take_varint(s);
    if (f->table_key_len > f->row_key_len || f->row_key_len > f->key.len) s->bad = true;
}

enum sync_err record_get_stored(struct slice bytes, enum fact_type type, struct stored_record *ret,
                                struct err_ctx *ec)
{
    struct source s = {.at = (const uint8_t *)bytes.bytes, .left = bytes.len};
    struct stored_record r = {0};
    unsigned head = (unsigned)source_take_be(&s, 1);
    if ((head & HEAD_TYPE) != (unsigned)type || (head & ~(HEAD_TYPE | HEAD_KEY | flags_of(type))) != 0)
        s.bad = true;
    r.fact.type = type;
    r.stamp = take_stamp(&s);
    if (type == FACT_DELETE) r.created_ms = source_take_be(&s, CREATED_BYTES);
    take_body(&s, head, &r.fact);
    r.has_key = (head & HEAD_KEY) != 0;
    if (r.has_key) take_key(&s, &r.fact);
    if (s.bad || s.left != 0)
        return err_set(ec, SYNC_EFORMAT, "damaged %s record of %zu bytes", type_name(type), bytes.len);
    *ret = r;
    return SYNC_OK;
}

enum sync_err record_get_logged(struct slice bytes, struct logged_record *ret, struct err_ctx *ec)
{
    struct source s = {.at = (const uint8_t *)bytes.bytes, .left = bytes.len};
    struct logged_record r = {0};
    unsigned head = (unsigned)source_take_be(&s, 1);
    unsigned type = head & HEAD_TYPE;
    if (type > FACT_MIGRATION) {
        s.bad = true;
    } else if ((head & ~HEAD_TYPE) == HEAD_POINTER) {
        r.is_pointer = true;
        r.type = (enum fact_type)type;
        if (s.left + 1 < RECORD_POINTER_BYTES_MIN) s.bad = true;
        r.pointer = slice_of(s.at, s.left);
        s.left = 0;
    } else {
        r.type = r.fact.type = (enum fact_type)type;
        if ((head & ~(HEAD_TYPE | flags_of(r.type))) != 0) s.bad = true;
        if (r.type == FACT_DELETE) r.created_ms = source_take_be(&s, CREATED_BYTES);
        take_body(&s, head, &r.fact);
    }
    if (s.bad || s.left != 0) return err_set(ec, SYNC_EFORMAT, "damaged log record of %zu bytes", bytes.len);
    *ret = r;
    return SYNC_OK;
}

enum sync_err record_get_stamp(struct slice bytes, enum fact_type type, struct stamp *ret, struct err_ctx *ec)
{
    struct source s = {.at = (const uint8_t *)bytes.bytes, .left = bytes.len};
    unsigned head = (unsigned)source_take_be(&s, 1);
    struct stamp stamp = take_stamp(&s);
    if (s.bad || (head & HEAD_TYPE) != (unsigned)type)
        return err_set(ec, SYNC_EFORMAT, "damaged %s record of %zu bytes", type_name(type), bytes.len);
    *ret = stamp;
    return SYNC_OK;
}

/* ---- records of fixed size ---- */

#define MARK_STATE 3u /* mask */
#define MARK_ASKS  4u

size_t record_put_database(const struct database_record *d, uint8_t *ret)
{
    uint8_t *at = ret;
    unsigned mark = (unsigned)d->state | (d->asks ? MARK_ASKS : 0);
    *at++ = mark == 0 ? DATABASE_FORMAT : DATABASE_FORMAT_MARKED;
    at = key_put_be(at, d->number, 4);
    memcpy(at, d->server_site.bytes, SITE_ID_BYTES);
    at = key_put_stamp(at + SITE_ID_BYTES, &d->last);
    at = key_put_stamp(at, &d->pruned);
    assert(at == ret + DATABASE_RECORD_BYTES);
    if (mark == 0) return DATABASE_RECORD_BYTES;
    *at++ = (uint8_t)mark;
    at = key_put_be(at, d->asks ? d->asked_count : 0, 4);
    assert(at == ret + DATABASE_RECORD_BYTES_MAX);
    return DATABASE_RECORD_BYTES_MAX;
}

enum sync_err record_get_database(struct slice bytes, struct database_record *ret, struct err_ctx *ec)
{
    struct source s = {.at = (const uint8_t *)bytes.bytes, .left = bytes.len};
    struct database_record d = {0};
    unsigned format = (unsigned)source_take_be(&s, 1), mark = 0;
    if (!s.bad && format != DATABASE_FORMAT && format != DATABASE_FORMAT_MARKED)
        return err_set(ec, SYNC_EFORMAT, "database record of format %u, this build reads up to %d", format,
                       DATABASE_FORMAT_MARKED);
    d.number = (uint32_t)source_take_be(&s, 4);
    const uint8_t *site = source_take(&s, SITE_ID_BYTES);
    if (site != NULL) memcpy(d.server_site.bytes, site, SITE_ID_BYTES);
    d.last = take_stamp(&s);
    d.pruned = take_stamp(&s);
    if (format == DATABASE_FORMAT_MARKED) {
        mark = (unsigned)source_take_be(&s, 1);
        d.asked_count = (uint32_t)source_take_be(&s, 4);
        if (mark == 0 || (mark & ~(MARK_STATE | MARK_ASKS)) != 0 || (mark & MARK_STATE) > DATABASE_LEAVING)
            s.bad = true;
        d.state = (enum database_state)(mark & MARK_STATE);
        d.asks = (mark & MARK_ASKS) != 0;
        if (!d.asks && d.asked_count != 0) s.bad = true;
    }
    if (s.bad || s.left != 0 || d.number == 0)
        return err_set(ec, SYNC_EFORMAT, "damaged database record of %zu bytes", bytes.len);
    *ret = d;
    return SYNC_OK;
}

void record_put_counter(uint32_t count, uint8_t ret[COUNTER_RECORD_BYTES])
{
    ret[0] = DATABASE_FORMAT;
    (void)key_put_be(ret + 1, count, 4);
}

enum sync_err record_get_counter(struct slice bytes, uint32_t *ret, struct err_ctx *ec)
{
    const uint8_t *at = (const uint8_t *)bytes.bytes;
    if (bytes.len != COUNTER_RECORD_BYTES || at[0] != DATABASE_FORMAT)
        return err_set(ec, SYNC_EFORMAT, "damaged counter of databases, %zu bytes", bytes.len);
    *ret = (uint32_t)key_get_be(at + 1, 4);
    return SYNC_OK;
}

void record_put_migration_index(const struct hlc *hlc, const struct stamp *s,
                                uint8_t ret[MIGRATION_INDEX_BYTES])
{
    (void)key_put_stamp(put_hlc(ret, hlc), s);
}

enum sync_err record_get_migration_index(struct slice bytes, struct hlc *ret_hlc, struct stamp *ret_stamp,
                                         struct err_ctx *ec)
{
    struct source s = {.at = (const uint8_t *)bytes.bytes, .left = bytes.len};
    if (bytes.len != MIGRATION_INDEX_BYTES)
        return err_set(ec, SYNC_EFORMAT, "damaged migration index of %zu bytes", bytes.len);
    take_hlc(&s, ret_hlc);
    *ret_stamp = take_stamp(&s);
    return SYNC_OK;
}
