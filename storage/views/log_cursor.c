#include "storage/views/view_internal.h"

#include <stdlib.h>

struct log_cursor {
    struct view *view;
    struct scan *scan;
    struct instance_value pointed; /* the record that the last entry pointed to */
};

enum sync_err log_cursor_open(struct view *v, const struct stamp *after, struct log_cursor **ret,
                              struct err_ctx *ec)
{
    struct key prefix, from;
    struct log_cursor *c = calloc(1, sizeof *c);
    if (c == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a cursor");
    c->view = v;
    key_kind_prefix(v->number, KEY_LOG, &prefix);
    enum sync_err rc = scan_open(v->reader, key_slice(&prefix), true, &c->scan, ec);
    if (rc == SYNC_OK && after != NULL) {
        key_log(v->number, after, &from);
        from.bytes[from.len++] = 0; /* the first key behind it */
        rc = scan_seek(c->scan, key_slice(&from), ec);
    }
    if (rc != SYNC_OK) {
        log_cursor_close(c);
        return view_error(v, rc, ec);
    }
    *ret = c;
    return SYNC_OK;
}

/* The fact that rests only under its own key. */
static enum sync_err follow(struct log_cursor *c, const struct logged_record *logged, struct log_entry *ret,
                            struct err_ctx *ec)
{
    struct key key;
    struct stored_record stored;
    if (logged->pointer.len > KEY_BYTES_MAX - (KEY_HEAD_BYTES - 1))
        return err_set(ec, SYNC_EFORMAT, "a log record points to a key of %zu bytes", logged->pointer.len);
    uint8_t *at = key_put_be(key.bytes, c->view->number, KEY_HEAD_BYTES - 1);
    memcpy(at, logged->pointer.bytes, logged->pointer.len);
    key.len = KEY_HEAD_BYTES - 1 + (uint32_t)logged->pointer.len;

    enum sync_err rc = reader_get(c->view->reader, key_slice(&key), &c->pointed, ec);
    if (rc != SYNC_OK) return rc;
    if (c->pointed.bytes == NULL) return err_set(ec, SYNC_EFORMAT, "a log record points to nothing");
    rc = record_get_stored(instance_value_slice(&c->pointed), logged->type, &stored, ec);
    if (rc != SYNC_OK) return rc;
    if (stamp_cmp(&stored.stamp, &ret->stamp) != 0)
        return err_set(ec, SYNC_EFORMAT, "a log record points to a fact of another stamp");
    ret->fact = stored.fact;
    ret->fact.key = slice_of(NULL, 0);
    ret->fact.table_key_len = ret->fact.row_key_len = 0;
    ret->created_ms = stored.created_ms;
    return SYNC_OK;
}

enum sync_err log_cursor_next(struct log_cursor *c, struct log_entry *ret, bool *ret_found,
                              struct err_ctx *ec)
{
    struct slice key, value;
    struct logged_record logged;
    struct log_entry entry;
    bool found;
    instance_value_deinit(&c->pointed);
    enum sync_err rc = scan_next(c->scan, &found, &key, &value, ec);
    if (rc != SYNC_OK) return view_error(c->view, rc, ec);
    if (!found) {
        *ret_found = false;
        return SYNC_OK;
    }
    if (!key_parse_stamp(slice_of(key.bytes + KEY_HEAD_BYTES, key.len - KEY_HEAD_BYTES), &entry.stamp))
        rc = err_set(ec, SYNC_EFORMAT, "a log key of %zu bytes", key.len);
    if (rc == SYNC_OK) rc = record_get_logged(value, &logged, ec);
    if (rc == SYNC_OK) {
        entry.fact = logged.fact;
        entry.created_ms = logged.created_ms;
        if (logged.is_pointer) rc = follow(c, &logged, &entry, ec);
    }
    if (rc != SYNC_OK) return view_error(c->view, rc, ec);
    *ret = entry;
    *ret_found = true;
    return SYNC_OK;
}

void log_cursor_close(struct log_cursor *c)
{
    if (c == NULL) return;
    instance_value_deinit(&c->pointed);
    scan_close(c->scan);
    free(c);
}
