#include "storage/views/view_internal.h"

#include <assert.h>
#include <stdlib.h>

enum sync_err view_error(const struct view *v, enum sync_err rc, struct err_ctx *ec)
{
    if (rc != SYNC_OK) err_wrap(ec, "database %.*s", (int)v->name_len, v->name);
    return rc;
}

enum key_kind view_kind_of(enum fact_type type)
{
    switch (type) {
    case FACT_CELL: return KEY_CELL;
    case FACT_DELETE: return KEY_TOMBSTONE;
    case FACT_MIGRATION: break;
    }
    return KEY_MIGRATION;
}

static enum sync_err load_info(struct view *v, const struct shard *sh, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    struct slice name = slice_of(v->name, v->name_len);
    struct database_record record = {0};
    key_database(name, &key);
    enum sync_err rc = reader_get(v->reader, key_slice(&key), &value, ec);
    v->info.exists = rc == SYNC_OK && value.bytes != NULL;
    if (v->info.exists)
        rc = record_get_database(instance_value_slice(&value), &record, ec);
    else if (rc == SYNC_OK)
        rc = shard_first_site(sh, name, &record.server_site, ec);
    instance_value_deinit(&value);
    v->number = record.number;
    v->info.server_site = record.server_site;
    v->info.last = record.last;
    v->info.pruned = record.pruned;
    v->info.asks = record.asks;
    if (rc == SYNC_OK && record.state != DATABASE_LIVE)
        rc = err_set(ec, SYNC_EBUSY, "not all of it is here at the moment, try again");
    return view_error(v, rc, ec);
}

enum sync_err view_open(struct shard *sh, struct slice database, struct view **ret, struct err_ctx *ec)
{
    if (database.len == 0 || database.len > DATABASE_ID_MAX)
        return err_set(ec, SYNC_ELIMIT, "a database's name has 1 to %d bytes, not %zu", DATABASE_ID_MAX,
                       database.len);
    struct view *v = calloc(1, sizeof *v);
    if (v == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a view");
    v->name_len = database.len;
    memcpy(v->name, database.bytes, database.len);
    enum sync_err rc = view_error(v, reader_open(sh->instance, &v->reader, ec), ec);
    if (rc == SYNC_OK) rc = load_info(v, sh, ec);
    if (rc != SYNC_OK) {
        view_close(v);
        return rc;
    }
    *ret = v;
    return SYNC_OK;
}

void view_close(struct view *v)
{
    if (v == NULL) return;
    reader_close(v->reader);
    free(v);
}

const struct database_info *view_database(const struct view *v)
{
    return &v->info;
}

/* How many cells or tombstones of the table there are, up to `max`, and the last key that was looked at. */
static enum sync_err count_entries(struct view *v, const struct key *table, uint64_t max, uint64_t *ret,
                                   struct key *ret_last, struct err_ctx *ec)
{
    struct scan *scan = NULL;
    uint64_t count = 0;
    bool found = true;
    enum sync_err rc = scan_open(v->reader, key_slice(table), true, &scan, ec);
    while (rc == SYNC_OK && count < max) {
        struct slice key, value;
        rc = scan_next(scan, &found, &key, &value, ec);
        if (rc != SYNC_OK || !found) break;
        if (key.len > sizeof ret_last->bytes) {
            rc = err_set(ec, SYNC_EFORMAT, "a key of %zu bytes", key.len);
            break;
        }
        memcpy(ret_last->bytes, key.bytes, key.len);
        ret_last->len = (uint32_t)key.len;
        count++;
    }
    scan_close(scan);
    if (rc == SYNC_OK) *ret = count;
    return rc;
}

enum sync_err view_estimate_cells(struct view *v, struct slice table_key, uint64_t exact_max, uint64_t *ret,
                                  struct err_ctx *ec)
{
    struct key table, last, end;
    uint64_t count = 0, sample_bytes = 0, all_bytes = 0;
    enum sync_err rc = key_table(v->number, KEY_CELL, table_key, &table, ec);
    if (rc == SYNC_OK) rc = count_entries(v, &table, exact_max, &count, &last, ec);
    if (rc == SYNC_OK && count > 0 && count == exact_max) {
        /* As many bytes a cell as those that were counted. What is in memory only counts for nothing. */
        end = table;
        key_after_prefix(&end);
        rc = reader_approximate_bytes(v->reader, key_slice(&table), key_slice(&last), &sample_bytes, ec);
        if (rc == SYNC_OK)
            rc = reader_approximate_bytes(v->reader, key_slice(&table), key_slice(&end), &all_bytes, ec);
        if (rc == SYNC_OK && sample_bytes > 0 && all_bytes > sample_bytes)
            count = (uint64_t)((double)count * ((double)all_bytes / (double)sample_bytes));
    }
    if (rc == SYNC_OK) *ret = count;
    return view_error(v, rc, ec);
}

enum sync_err view_has_table(struct view *v, enum fact_type type, struct slice table_key, bool *ret,
                             struct err_ctx *ec)
{
    struct key table, last;
    uint64_t count = 0;
    assert(type != FACT_MIGRATION);
    enum sync_err rc = key_table(v->number, view_kind_of(type), table_key, &table, ec);
    if (rc == SYNC_OK) rc = count_entries(v, &table, 1, &count, &last, ec);
    if (rc == SYNC_OK) *ret = count > 0;
    return view_error(v, rc, ec);
}

enum sync_err view_site_was_asked(struct view *v, const struct site_id *site, bool *ret, struct err_ctx *ec)
{
    struct key key;
    struct instance_value value = {0};
    key_asked(v->number, site, &key);
    enum sync_err rc = reader_get(v->reader, key_slice(&key), &value, ec);
    if (rc == SYNC_OK) *ret = value.bytes != NULL;
    instance_value_deinit(&value);
    return view_error(v, rc, ec);
}

/* Moves to the next record that is live, or is not. */
static enum sync_err next_record(struct scan *scan, bool live, struct slice *ret_name, bool *ret_found,
                                 struct err_ctx *ec)
{
    for (;;) {
        struct slice key, value;
        struct database_record record;
        enum sync_err rc = scan_next(scan, ret_found, &key, &value, ec);
        if (rc != SYNC_OK || !*ret_found) return rc;
        *ret_name = slice_of(key.bytes + KEY_HEAD_BYTES, key.len - KEY_HEAD_BYTES);
        if (ret_name->len == 0 || ret_name->len > DATABASE_ID_MAX)
            return err_set(ec, SYNC_EFORMAT, "a database's name of %zu bytes", ret_name->len);
        rc = record_get_database(value, &record, ec);
        if (rc != SYNC_OK) {
            err_wrap(ec, "database %.*s", SLICE_ARG(*ret_name));
            return rc;
        }
        if ((record.state == DATABASE_LIVE) == live) return SYNC_OK;
    }
}

static enum sync_err next_database(struct shard *sh, bool live, struct slice after, char ret[DATABASE_ID_MAX],
                                   size_t *ret_len, bool *ret_found, struct err_ctx *ec)
{
    struct reader *reader = NULL;
    struct scan *scan = NULL;
    struct key prefix, from;
    struct slice name = {0};
    bool found = false;
    if (after.len > DATABASE_ID_MAX)
        return err_set(ec, SYNC_ELIMIT, "a database's name has at most %d bytes", DATABASE_ID_MAX);
    key_kind_prefix(0, KEY_DATABASE, &prefix);
    key_database(after, &from);
    if (after.len > 0) from.bytes[from.len++] = 0; /* the first key behind it */

    enum sync_err rc = reader_open(sh->instance, &reader, ec);
    if (rc == SYNC_OK) rc = scan_open(reader, key_slice(&prefix), true, &scan, ec);
    if (rc == SYNC_OK) rc = scan_seek(scan, key_slice(&from), ec);
    if (rc == SYNC_OK) rc = next_record(scan, live, &name, &found, ec);
    if (rc == SYNC_OK && found) {
        memcpy(ret, name.bytes, name.len);
        *ret_len = name.len;
    }
    if (rc == SYNC_OK) *ret_found = found;
    scan_close(scan);
    reader_close(reader);
    return rc;
}

enum sync_err shard_next_database(struct shard *sh, struct slice after, char ret[DATABASE_ID_MAX],
                                  size_t *ret_len, bool *ret_found, struct err_ctx *ec)
{
    return next_database(sh, true, after, ret, ret_len, ret_found, ec);
}

enum sync_err shard_next_unfinished(struct shard *sh, struct slice after, char ret[DATABASE_ID_MAX],
                                    size_t *ret_len, bool *ret_found, struct err_ctx *ec)
{
    return next_database(sh, false, after, ret, ret_len, ret_found, ec);
}
