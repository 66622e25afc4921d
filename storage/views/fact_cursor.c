#include "storage/views/view_internal.h"

#include <assert.h>
#include <stdlib.h>

struct fact_cursor {
    struct view *view;
    struct scan *scan;
    enum fact_type type;
    struct slice last;     /* stored key of the entry returned last, with its head; the scan's bytes */
    bool skip;             /* a table is to be skipped before the next entry */
    struct key skip_to;    /* the first key behind it */
    enum sync_err skip_rc; /* making skip_to failed so: told by the next call */
    struct err_ctx skip_ec;
    char key[3 * KEY_PART_MAX]; /* of the entry returned last, put together from its stored key's parts */
};

enum sync_err fact_cursor_open(struct view *v, enum fact_type type, struct slice after,
                               struct fact_cursor **ret, struct err_ctx *ec)
{
    struct key key;
    key_kind_prefix(v->number, view_kind_of(type), &key);
    if (after.len >= sizeof key.bytes - key.len)
        return err_set(ec, SYNC_EFORMAT, "a cursor's position of %zu bytes", after.len);
    struct fact_cursor *c = calloc(1, sizeof *c);
    if (c == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a cursor");
    c->view = v;
    c->type = type;
    enum sync_err rc = scan_open(v->reader, key_slice(&key), false, &c->scan, ec);
    if (rc == SYNC_OK && after.len > 0) {
        memcpy(key.bytes + key.len, after.bytes, after.len);
        key.len += (uint32_t)after.len;
        key.bytes[key.len++] = 0; /* the first key behind it */
        rc = scan_seek(c->scan, key_slice(&key), ec);
    }
    if (rc != SYNC_OK) {
        fact_cursor_close(c);
        return view_error(v, rc, ec);
    }
    *ret = c;
    return SYNC_OK;
}

/* The fact's key, from the record when it is kept there, otherwise from the parts of the stored one. */
static enum sync_err restore_key(struct fact_cursor *c, struct slice rest, const struct stored_record *r,
                                 struct fact *f, struct err_ctx *ec)
{
    struct key_parts parts;
    if (!key_parse_parts(view_kind_of(c->type), rest, &parts) || parts.whole == r->has_key)
        return err_set(ec, SYNC_EFORMAT, "damaged key of %zu bytes", rest.len);
    if (r->has_key) return SYNC_OK;
    const struct slice pieces[] = {parts.table, parts.row, parts.column};
    size_t len = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        if (pieces[i].len > 0) memcpy(c->key + len, pieces[i].bytes, pieces[i].len);
        len += pieces[i].len;
    }
    assert(len <= sizeof c->key);
    f->key = slice_of(c->key, len);
    f->table_key_len = (uint32_t)parts.table.len;
    f->row_key_len = f->table_key_len + (c->type == FACT_MIGRATION ? 0 : (uint32_t)parts.row.len);
    return SYNC_OK;
}

enum sync_err fact_cursor_next(struct fact_cursor *c, struct stored_entry *ret, bool *ret_found,
                               struct err_ctx *ec)
{
    struct slice key, value;
    struct stored_record r;
    bool found;
    enum sync_err rc = c->skip_rc;
    if (rc != SYNC_OK) {
        *ec = c->skip_ec;
        return view_error(c->view, rc, ec);
    }
    if (c->skip) rc = scan_seek(c->scan, key_slice(&c->skip_to), ec);
    c->skip = false;
    c->last = slice_of(NULL, 0);
    if (rc == SYNC_OK) rc = scan_next(c->scan, &found, &key, &value, ec);
    if (rc != SYNC_OK) return view_error(c->view, rc, ec);
    if (!found) {
        *ret_found = false;
        return SYNC_OK;
    }
    c->last = key;
    struct slice rest = slice_of(key.bytes + KEY_HEAD_BYTES, key.len - KEY_HEAD_BYTES);
    rc = record_get_stored(value, c->type, &r, ec);
    if (rc == SYNC_OK) rc = restore_key(c, rest, &r, &r.fact, ec);
    if (rc != SYNC_OK) return view_error(c->view, rc, ec);
    *ret =
        (struct stored_entry){.fact = r.fact, .stamp = r.stamp, .created_ms = r.created_ms, .position = rest};
    *ret_found = true;
    return SYNC_OK;
}

void fact_cursor_skip_table(struct fact_cursor *c, struct slice table_key)
{
    assert(c->type != FACT_MIGRATION);
    c->skip_rc = key_table(c->view->number, view_kind_of(c->type), table_key, &c->skip_to, &c->skip_ec);
    if (c->skip_rc != SYNC_OK) return;
    key_after_prefix(&c->skip_to);
    c->skip = slice_cmp(c->last, key_slice(&c->skip_to)) < 0; /* never back to what was read already */
}

void fact_cursor_close(struct fact_cursor *c)
{
    if (c == NULL) return;
    scan_close(c->scan);
    free(c);
}
