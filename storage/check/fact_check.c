#include "storage/check/shard_check_internal.h"

#include "storage/views/view_internal.h"

#include <inttypes.h>

#define STAMP_FORMAT "%" PRIu64 ".%u.%" PRIu32
#define STAMP_ARG(s) (s)->wall_ms, (unsigned)(s)->counter, (s)->op_seq

bool stamp_batch_before(const struct stamp *a, const struct stamp *b)
{
    return a->wall_ms != b->wall_ms ? a->wall_ms < b->wall_ms : a->counter < b->counter;
}

static const char *kind_name(enum fact_type type)
{
    switch (type) {
    case FACT_CELL: return "cell";
    case FACT_DELETE: return "tombstone";
    case FACT_MIGRATION: return "migration";
    }
    return "fact";
}

static enum fact_type type_of(enum key_kind kind)
{
    return kind == KEY_CELL ? FACT_CELL : kind == KEY_TOMBSTONE ? FACT_DELETE : FACT_MIGRATION;
}

/* ---- making records */

enum sync_err walk_put_stored(struct walk *w, const struct fact *f, const struct stamp *s,
                              uint64_t created_ms, struct err_ctx *ec)
{
    struct key key;
    uint32_t row_len;
    bool whole;
    enum sync_err rc = key_fact(w->number, f, &key, &row_len, &whole, ec);
    if (rc != SYNC_OK) return rc;
    size_t len = record_stored_size(f, !whole);
    buf_clear(&w->bytes);
    if (!buf_reserve(&w->bytes, len)) return buf_check(&w->bytes, ec);
    record_put_stored(f, s, created_ms, !whole, (uint8_t *)w->bytes.bytes);
    return walk_put(w, &key, w->bytes.bytes, len, ec);
}

/* The kind and the rest of a key: what a pointer holds. */
static struct slice pointer_of(const struct key *key)
{
    return slice_of(key->bytes + KEY_HEAD_BYTES - 1, key->len - (KEY_HEAD_BYTES - 1));
}

enum sync_err walk_put_log(struct walk *w, const struct stored_record *r, const struct key *key,
                           struct err_ctx *ec)
{
    const struct fact *f = &r->fact;
    struct key log_key;
    size_t len = record_logged_size(f);
    bool inlined = len <= RECORD_INLINE_BYTES_MAX;
    struct slice pointer = pointer_of(key);
    if (!inlined) len = 1 + pointer.len;
    buf_clear(&w->bytes);
    if (!buf_reserve(&w->bytes, len)) return buf_check(&w->bytes, ec);
    if (inlined)
        record_put_logged(f, r->created_ms, (uint8_t *)w->bytes.bytes);
    else
        record_put_pointer(f->type, pointer, (uint8_t *)w->bytes.bytes);
    key_log(w->number, &r->stamp, &log_key);
    return walk_put(w, &log_key, w->bytes.bytes, len, ec);
}

enum sync_err walk_delete_log(struct walk *w, const struct stamp *s, struct err_ctx *ec)
{
    struct key key;
    key_log(w->number, s, &key);
    return walk_delete(w, &key, ec);
}

/* ---- from the record to the log */

/* Is this log record the one of the fact, or does it point to its key? */
static enum sync_err log_is_of(struct walk *w, struct slice logged, const struct stored_record *r,
                               const struct key *key, bool *ret, struct err_ctx *ec)
{
    const struct fact *f = &r->fact;
    struct logged_record l;
    struct err_ctx ignored;
    *ret = false;
    if (record_get_logged(logged, &l, &ignored) != SYNC_OK || l.type != f->type) return SYNC_OK;
    if (l.is_pointer) {
        *ret = slice_eq(l.pointer, pointer_of(key));
        return SYNC_OK;
    }
    size_t len = record_logged_size(f);
    if (len != logged.len) return SYNC_OK;
    buf_clear(&w->bytes);
    if (!buf_reserve(&w->bytes, len)) return buf_check(&w->bytes, ec);
    record_put_logged(f, r->created_ms, (uint8_t *)w->bytes.bytes);
    *ret = slice_eq(slice_of(w->bytes.bytes, len), logged);
    return SYNC_OK;
}

static enum sync_err check_has_log(struct walk *w, const struct stored_record *r, const struct key *key,
                                   struct err_ctx *ec)
{
    struct key log_key;
    struct instance_value logged = {0};
    bool right = false;
    key_log(w->number, &r->stamp, &log_key);
    enum sync_err rc = walk_get(w, &log_key, &logged, ec);
    if (rc == SYNC_OK && logged.bytes != NULL)
        rc = log_is_of(w, instance_value_slice(&logged), r, key, &right, ec);
    bool missing = logged.bytes == NULL;
    instance_value_deinit(&logged);
    if (rc != SYNC_OK || right) return rc;
    walk_problem(w, "a %s of stamp " STAMP_FORMAT " %s", kind_name(r->fact.type), STAMP_ARG(&r->stamp),
                 missing ? "has no entry in the log" : "has another fact's entry in the log");
    return w->config->repair ? walk_put_log(w, r, key, ec) : SYNC_OK;
}

/* The tombstone of a row, by its key; kept for the row's next cell. */
static enum sync_err find_tombstone(struct walk *w, const struct key *row, bool *ret_found,
                                    struct stamp *ret_stamp, struct err_ctx *ec)
{
    struct instance_value value = {0};
    struct err_ctx ignored;
    if (!w->config->repair && slice_eq(key_slice(row), key_slice(&w->row))) {
        *ret_found = w->row_deleted;
        *ret_stamp = w->row_stamp;
        return SYNC_OK;
    }
    enum sync_err rc = walk_get(w, row, &value, ec);
    if (rc != SYNC_OK) return rc;
    /* One that is damaged is reported when it is its turn. */
    *ret_found = value.bytes != NULL &&
                 record_get_stamp(instance_value_slice(&value), FACT_DELETE, ret_stamp, &ignored) == SYNC_OK;
    instance_value_deinit(&value);
    w->row = *row;
    w->row_deleted = *ret_found;
    if (*ret_found) w->row_stamp = *ret_stamp;
    return SYNC_OK;
}

/* *ret_gone: the cell was removed, or would be. */
static enum sync_err check_row(struct walk *w, const struct key *key, const struct key_parts *parts,
                               const struct stamp *s, bool *ret_gone, struct err_ctx *ec)
{
    struct key row = *key;
    struct stamp deleted;
    bool found;
    *ret_gone = false;
    row.bytes[KEY_HEAD_BYTES - 1] = KEY_TOMBSTONE;
    row.len = (uint32_t)((const uint8_t *)parts->row.bytes + parts->row.len - key->bytes);
    enum sync_err rc = find_tombstone(w, &row, &found, &deleted, ec);
    if (rc != SYNC_OK || !found || !stamp_batch_before(s, &deleted)) return rc;
    walk_problem(w, "a cell of stamp " STAMP_FORMAT " is in a row that was deleted after it", STAMP_ARG(s));
    *ret_gone = true;
    if (!w->config->repair) return SYNC_OK;
    rc = walk_delete_log(w, s, ec);
    return rc == SYNC_OK ? walk_delete(w, key, ec) : rc;
}

/* ---- migrations and their index */

/* The other key of a migration's identity: of the migration at this HLC. */
static void migration_key(struct walk *w, struct slice parts, const struct hlc *hlc, struct key *ret)
{
    key_kind_prefix(w->number, KEY_MIGRATION, ret);
    hlc_encode(hlc, ret->bytes + ret->len);
    ret->len += HLC_ENCODED_SIZE;
    memcpy(ret->bytes + ret->len, parts.bytes, parts.len);
    ret->len += (uint32_t)parts.len;
}

/* Removes a migration that another one replaced. */
static enum sync_err drop_migration(struct walk *w, const struct key *key, struct err_ctx *ec)
{
    struct instance_value value = {0};
    struct stored_record r;
    struct err_ctx ignored;
    enum sync_err rc = walk_get(w, key, &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL &&
        record_get_stored(instance_value_slice(&value), FACT_MIGRATION, &r, &ignored) == SYNC_OK)
        rc = walk_delete_log(w, &r.stamp, ec);
    instance_value_deinit(&value);
    return rc == SYNC_OK ? walk_delete(w, key, ec) : rc;
}

static enum sync_err has_key(struct walk *w, const struct key *key, bool *ret, struct err_ctx *ec)
{
    struct instance_value value = {0};
    enum sync_err rc = walk_get(w, key, &value, ec);
    *ret = value.bytes != NULL;
    instance_value_deinit(&value);
    return rc;
}

static enum sync_err check_has_index(struct walk *w, const struct stored_record *r, const struct key *key,
                                     bool *ret_gone, struct err_ctx *ec)
{
    struct slice parts = slice_of(key->bytes + KEY_HEAD_BYTES + HLC_ENCODED_SIZE,
                                  key->len - KEY_HEAD_BYTES - HLC_ENCODED_SIZE);
    struct key index, other;
    struct instance_value value = {0};
    struct hlc hlc;
    struct stamp stamp;
    struct err_ctx ignored;
    bool other_found = false;
    *ret_gone = false;
    key_kind_prefix(w->number, KEY_MIGRATION_INDEX, &index);
    memcpy(index.bytes + index.len, parts.bytes, parts.len);
    index.len += (uint32_t)parts.len;
    enum sync_err rc = walk_get(w, &index, &value, ec);
    bool readable =
        rc == SYNC_OK && value.bytes != NULL &&
        record_get_migration_index(instance_value_slice(&value), &hlc, &stamp, &ignored) == SYNC_OK;
    instance_value_deinit(&value);
    if (rc != SYNC_OK) return rc;
    int order = readable ? hlc_cmp(&hlc, &r->fact.hlc) : 0;
    if (readable && order == 0 && stamp_cmp(&stamp, &r->stamp) == 0) return SYNC_OK;
    if (order != 0) {
        migration_key(w, parts, &hlc, &other);
        rc = has_key(w, &other, &other_found, ec);
        if (rc != SYNC_OK) return rc;
    }
    walk_problem(w, "a migration of stamp " STAMP_FORMAT " %s", STAMP_ARG(&r->stamp),
                 order > 0 && other_found ? "was replaced by another" : "is not in the index");
    *ret_gone = order > 0 && other_found;
    if (!w->config->repair) return SYNC_OK;
    if (*ret_gone) return drop_migration(w, key, ec);
    if (other_found) rc = drop_migration(w, &other, ec);
    uint8_t bytes[MIGRATION_INDEX_BYTES];
    record_put_migration_index(&r->fact.hlc, &r->stamp, bytes);
    return rc == SYNC_OK ? walk_put(w, &index, bytes, sizeof bytes, ec) : rc;
}

enum sync_err check_migration_index(struct walk *w, const struct key *key, struct slice value,
                                    struct err_ctx *ec)
{
    struct hlc hlc;
    struct stamp stamp;
    struct err_ctx why;
    struct key_parts parts;
    bool found = false;
    struct slice rest = slice_of(key->bytes + KEY_HEAD_BYTES, key->len - KEY_HEAD_BYTES);
    enum sync_err rc = SYNC_OK;
    bool sound = key_parse_parts(KEY_TOMBSTONE, rest, &parts) &&
                 record_get_migration_index(value, &hlc, &stamp, &why) == SYNC_OK;
    if (sound) {
        struct key migration;
        migration_key(w, rest, &hlc, &migration);
        rc = has_key(w, &migration, &found, ec);
    }
    if (rc != SYNC_OK || found) return rc;
    walk_problem(w, sound ? "the index names a migration that is not there" : "damaged migration index");
    return w->config->repair ? walk_delete(w, key, ec) : SYNC_OK; /* made anew from the migration, if any */
}

/* ---- stored records */

/* The key and the record belong together, and the record can be read. */
static bool read_stored(enum key_kind kind, const struct key *key, struct slice value,
                        struct stored_record *ret, struct key_parts *ret_parts)
{
    struct err_ctx ignored;
    struct slice rest = slice_of(key->bytes + KEY_HEAD_BYTES, key->len - KEY_HEAD_BYTES);
    struct hlc hlc;
    if (!key_parse_parts(kind, rest, ret_parts)) return false;
    if (record_get_stored(value, type_of(kind), ret, &ignored) != SYNC_OK) return false;
    if (ret_parts->whole == ret->has_key) return false;
    if (kind != KEY_MIGRATION) return true;
    hlc_decode(key->bytes + KEY_HEAD_BYTES, &hlc);
    return hlc_eq(&hlc, &ret->fact.hlc);
}

enum sync_err check_stored(struct walk *w, enum key_kind kind, const struct key *key, struct slice value,
                           struct err_ctx *ec)
{
    struct stored_record r;
    struct key_parts parts;
    bool gone = false;
    if (!read_stored(kind, key, value, &r, &parts)) {
        walk_problem(w, "a damaged %s record of %zu bytes", kind_name(type_of(kind)), value.len);
        /* What the log has of it comes back from there. */
        return w->config->repair ? walk_delete(w, key, ec) : SYNC_OK;
    }
    walk_see_stamp(w, &r.stamp);
    enum sync_err rc = SYNC_OK;
    if (kind == KEY_CELL) rc = check_row(w, key, &parts, &r.stamp, &gone, ec);
    if (kind == KEY_MIGRATION) rc = check_has_index(w, &r, key, &gone, ec);
    if (rc != SYNC_OK || gone) return rc;
    return check_has_log(w, &r, key, ec);
}

/* ---- from the log to the record */

static enum sync_err check_pointer(struct walk *w, const struct key *log_key, const struct stamp *s,
                                   const struct logged_record *l, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    struct stamp stored;
    struct err_ctx ignored;
    bool right = false;
    enum sync_err rc = SYNC_OK;
    if (l->pointer.len <= sizeof key.bytes - (KEY_HEAD_BYTES - 1) &&
        l->pointer.bytes[0] == (char)view_kind_of(l->type)) {
        (void)key_put_be(key.bytes, w->number, 4);
        memcpy(key.bytes + KEY_HEAD_BYTES - 1, l->pointer.bytes, l->pointer.len);
        key.len = (uint32_t)(KEY_HEAD_BYTES - 1 + l->pointer.len);
        rc = walk_get(w, &key, &value, ec);
        right = rc == SYNC_OK && value.bytes != NULL &&
                record_get_stamp(instance_value_slice(&value), l->type, &stored, &ignored) == SYNC_OK &&
                stamp_cmp(&stored, s) == 0;
        instance_value_deinit(&value);
    }
    if (rc != SYNC_OK || right) return rc;
    walk_problem(w, "the log entry of stamp " STAMP_FORMAT " points to no such %s", STAMP_ARG(s),
                 kind_name(l->type));
    return w->config->repair ? walk_delete(w, log_key, ec) : SYNC_OK;
}

/* A fact that only the log has: made again, unless something that came later took it away. */
static enum sync_err restore(struct walk *w, const struct logged_record *l, const struct key *log_key,
                             const struct stamp *s, struct err_ctx *ec)
{
    const struct fact *f = &l->fact;
    struct stamp deleted;
    bool found = false;
    enum sync_err rc = SYNC_OK;
    if (f->type == FACT_CELL) {
        struct key row;
        rc = key_row(w->number, KEY_TOMBSTONE, fact_row_key(f), f->table_key_len, &row, ec);
        if (rc == SYNC_OK) rc = find_tombstone(w, &row, &found, &deleted, ec);
        if (rc != SYNC_OK) return rc;
        if (found && stamp_batch_before(s, &deleted)) return walk_delete(w, log_key, ec);
    }
    return walk_put_stored(w, f, s, l->created_ms, ec);
}

/* The stamp under the fact's own key. A migration is found at its own HLC: an older or newer one of its
 * identity is the index's concern. */
static enum sync_err stored_stamp(struct walk *w, const struct fact *f, bool *ret_found, struct stamp *ret,
                                  struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    struct stored_record r;
    struct key_parts parts;
    uint32_t row_len;
    bool whole;
    *ret_found = false;
    enum sync_err rc = key_fact(w->number, f, &key, &row_len, &whole, ec);
    if (rc == SYNC_OK) rc = walk_get(w, &key, &value, ec);
    if (rc == SYNC_OK && value.bytes != NULL &&
        read_stored(view_kind_of(f->type), &key, instance_value_slice(&value), &r, &parts)) {
        *ret_found = true;
        *ret = r.stamp;
    }
    instance_value_deinit(&value);
    return rc;
}

enum sync_err check_logged(struct walk *w, const struct key *key, struct slice value, struct err_ctx *ec)
{
    struct slice rest = slice_of(key->bytes + KEY_HEAD_BYTES, key->len - KEY_HEAD_BYTES);
    struct stamp s, stored;
    struct logged_record l;
    struct err_ctx why;
    bool found;
    if (!key_parse_stamp(rest, &s) || record_get_logged(value, &l, &why) != SYNC_OK) {
        walk_problem(w, "a damaged log record of %zu bytes", value.len);
        return w->config->repair ? walk_delete(w, key, ec) : SYNC_OK;
    }
    walk_see_stamp(w, &s);
    if (l.is_pointer) return check_pointer(w, key, &s, &l, ec);
    arena_deinit(&w->arena);
    enum sync_err rc = fact_key_make(w->json, &w->arena, &l.fact, &why);
    if (rc == SYNC_EBADMSG) {
        walk_problem(w, "the log entry of stamp " STAMP_FORMAT " is of no fact: %s", STAMP_ARG(&s), why.text);
        return w->config->repair ? walk_delete(w, key, ec) : SYNC_OK;
    }
    if (rc != SYNC_OK) {
        *ec = why;
        return rc;
    }
    rc = stored_stamp(w, &l.fact, &found, &stored, ec);
    if (rc != SYNC_OK || (found && stamp_cmp(&stored, &s) == 0)) return rc;
    bool replaced = found && stamp_cmp(&stored, &s) > 0;
    walk_problem(w, "the log entry of stamp " STAMP_FORMAT " is of a %s that %s", STAMP_ARG(&s),
                 kind_name(l.type),
                 replaced ? "was replaced"
                 : found  ? "is older elsewhere"
                          : "is not there");
    if (!w->config->repair) return SYNC_OK;
    if (replaced) return walk_delete(w, key, ec);
    if (found) rc = walk_delete_log(w, &stored, ec);
    return rc == SYNC_OK ? restore(w, &l, key, &s, ec) : rc;
}
