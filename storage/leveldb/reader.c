#include "storage/leveldb/instance_internal.h"

#include "core/base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SCAN_ENTRY_BYTES_MAX = 1 << 30 }; /* a record with its key is smaller */

struct scan {
    struct reader *reader;
    struct scan *next, **link; /* reader->scans */
    leveldb_iterator_t *it;    /* NULL: cut off */
    bool moved;                /* `it` stands on the entry that was returned last */
    struct buf entry;          /* that entry: key, then value */
    size_t prefix_len;
    char prefix[];
};

static enum sync_err cut_off_error(struct err_ctx *ec)
{
    return err_set(ec, SYNC_ESTORE, "the store was opened again after a failed write");
}

enum sync_err reader_open(struct instance *in, struct reader **ret, struct err_ctx *ec)
{
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to read");
    r->in = in;
    r->options = leveldb_readoptions_create();
    r->options_uncached = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(r->options, 1);
    leveldb_readoptions_set_verify_checksums(r->options_uncached, 1);
    leveldb_readoptions_set_fill_cache(r->options_uncached, 0);
    (void)pthread_mutex_init(&r->lock, NULL);

    (void)pthread_mutex_lock(&in->lock);
    r->db = in->db;
    if (r->db != NULL) r->snapshot = leveldb_create_snapshot(r->db);
    r->next = in->readers;
    r->link = &in->readers;
    if (r->next != NULL) r->next->link = &r->next;
    in->readers = r;
    (void)pthread_mutex_unlock(&in->lock);
    if (r->snapshot == NULL) {
        reader_close(r);
        return err_set(ec, SYNC_ESTORE, "the store is closed after a failed write");
    }
    leveldb_readoptions_set_snapshot(r->options, r->snapshot);
    leveldb_readoptions_set_snapshot(r->options_uncached, r->snapshot);
    *ret = r;
    return SYNC_OK;
}

void reader_cut_off(struct reader *r)
{
    (void)pthread_mutex_lock(&r->lock);
    for (struct scan *s = r->scans; s != NULL; s = s->next) {
        leveldb_iter_destroy(s->it);
        s->it = NULL;
    }
    if (r->db != NULL) leveldb_release_snapshot(r->db, r->snapshot);
    r->db = NULL;
    r->snapshot = NULL;
    (void)pthread_mutex_unlock(&r->lock);
}

void reader_close(struct reader *r)
{
    if (r == NULL) return;
    assert(r->scans == NULL);
    (void)pthread_mutex_lock(&r->in->lock);
    *r->link = r->next;
    if (r->next != NULL) r->next->link = r->link;
    if (r->db != NULL) leveldb_release_snapshot(r->db, r->snapshot);
    (void)pthread_mutex_unlock(&r->in->lock);
    leveldb_readoptions_destroy(r->options);
    leveldb_readoptions_destroy(r->options_uncached);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

enum sync_err reader_get(struct reader *r, struct slice key, struct instance_value *ret, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    char *text = NULL, *bytes = NULL;
    size_t len = 0;
    (void)pthread_mutex_lock(&r->lock);
    if (r->db == NULL)
        rc = cut_off_error(ec);
    else
        bytes = leveldb_get(r->db, r->options, key.bytes, key.len, &len, &text);
    (void)pthread_mutex_unlock(&r->lock);
    if (text != NULL) return instance_error(ec, "get", text);
    if (rc == SYNC_OK) *ret = (struct instance_value){.bytes = bytes, .len = len};
    return rc;
}

enum sync_err reader_approximate_bytes(struct reader *r, struct slice from, struct slice to, uint64_t *ret,
                                       struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    (void)pthread_mutex_lock(&r->lock);
    if (r->db == NULL)
        rc = cut_off_error(ec);
    else
        leveldb_approximate_sizes(r->db, 1, &from.bytes, &from.len, &to.bytes, &to.len, ret);
    (void)pthread_mutex_unlock(&r->lock);
    return rc;
}

enum sync_err scan_open(struct reader *r, struct slice prefix, bool keep_cached, struct scan **ret,
                        struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    struct scan *s = malloc(sizeof *s + prefix.len);
    if (s == NULL) return err_set(ec, SYNC_ENOMEM, "no memory to scan");
    *s = (struct scan){
        .reader = r, .entry = buf_make(SCAN_ENTRY_BYTES_MAX), .prefix_len = prefix.len, .link = &r->scans};
    memcpy(s->prefix, prefix.bytes, prefix.len);

    (void)pthread_mutex_lock(&r->lock);
    if (r->db == NULL) {
        rc = cut_off_error(ec);
    } else {
        s->it = leveldb_create_iterator(r->db, keep_cached ? r->options : r->options_uncached);
        leveldb_iter_seek(s->it, s->prefix, s->prefix_len);
        s->next = r->scans;
        if (s->next != NULL) s->next->link = &s->next;
        r->scans = s;
    }
    (void)pthread_mutex_unlock(&r->lock);
    if (rc != SYNC_OK) {
        free(s);
        return rc;
    }
    *ret = s;
    return SYNC_OK;
}

void scan_close(struct scan *s)
{
    if (s == NULL) return;
    struct reader *r = s->reader;
    (void)pthread_mutex_lock(&r->lock);
    *s->link = s->next;
    if (s->next != NULL) s->next->link = s->link;
    if (s->it != NULL) leveldb_iter_destroy(s->it);
    (void)pthread_mutex_unlock(&r->lock);
    buf_deinit(&s->entry);
    free(s);
}

enum sync_err scan_seek(struct scan *s, struct slice key, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    (void)pthread_mutex_lock(&s->reader->lock);
    if (s->it == NULL)
        rc = cut_off_error(ec);
    else
        leveldb_iter_seek(s->it, key.bytes, key.len);
    s->moved = false;
    (void)pthread_mutex_unlock(&s->reader->lock);
    return rc;
}

/* Copies the entry that the iterator stands on; false at the end. */
static bool copy_entry(struct scan *s, size_t *ret_key_len)
{
    struct slice prefix = slice_of(s->prefix, s->prefix_len);
    struct slice key, value;
    if (!leveldb_iter_valid(s->it)) return false;
    key.bytes = leveldb_iter_key(s->it, &key.len);
    if (!slice_starts_with(key, prefix)) return false;
    value.bytes = leveldb_iter_value(s->it, &value.len);
    buf_clear(&s->entry);
    buf_put_slice(&s->entry, key);
    buf_put_slice(&s->entry, value);
    *ret_key_len = key.len;
    return true;
}

enum sync_err scan_next(struct scan *s, bool *ret_found, struct slice *ret_key, struct slice *ret_value,
                        struct err_ctx *ec)
{
    size_t key_len = 0;
    bool found = false;
    char *text = NULL;
    (void)pthread_mutex_lock(&s->reader->lock);
    if (s->it == NULL) {
        (void)pthread_mutex_unlock(&s->reader->lock);
        return cut_off_error(ec);
    }
    if (s->moved && leveldb_iter_valid(s->it)) leveldb_iter_next(s->it);
    found = copy_entry(s, &key_len);
    s->moved = found;
    /* A damaged block does not end the iterator, which goes on behind it: so ask at every step. */
    leveldb_iter_get_error(s->it, &text);
    (void)pthread_mutex_unlock(&s->reader->lock);

    if (text != NULL) return instance_error(ec, "scan", text);
    enum sync_err rc = found ? buf_check(&s->entry, ec) : SYNC_OK;
    if (rc != SYNC_OK) return rc;
    *ret_found = found;
    if (found) {
        struct slice entry = buf_slice(&s->entry);
        *ret_key = slice_of(entry.bytes, key_len);
        *ret_value = slice_of(entry.bytes + key_len, entry.len - key_len);
    }
    return SYNC_OK;
}
