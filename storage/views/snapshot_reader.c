#include "storage/views/snapshot_reader.h"

#include "core/facts/gone_tables.h"
#include "core/facts/sql_value.h"
#include "core/protocol/snapshot_writer.h"

#include <assert.h>
#include <stdlib.h>

/* The order of the chunks. After TABLE_END comes the next TABLE_START, or TOMBSTONES. */
enum phase { HEADER, MIGRATIONS, TABLE_START, TABLE_ENTRIES, TABLE_END, TOMBSTONES, FOOTER, DONE };

/* Dots in a completed table's name beyond which it is sent again rather than told apart from its
 * namesakes. */
enum { NAME_DOTS_MAX = 8 };

struct snapshot_reader {
    struct view *view;
    enum phase phase;
    char id[SNAPSHOT_ID_TEXT_MAX];
    struct snapshot_header header;
    bool resumed;
    struct stamp up_to; /* resumed: tombstones above it come by the delta */
    struct gone_tables *gone;
    struct arena arena;      /* what the checkpoint held */
    struct slice *completed; /* sorted */
    size_t completed_count;
    struct buf position; /* of the entry that was passed last, of the kind that the phase reads */
    struct buf table_key, schema, table; /* of the table that is open */
    uint64_t table_entries, entries;
};

/* ---- opening */

static enum sync_err copy_checkpoint(struct snapshot_reader *r, const struct checkpoint *c,
                                     struct err_ctx *ec)
{
    r->completed = arena_get(&r->arena, c->completed_count * sizeof *r->completed);
    if (r->completed == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a checkpoint");
    for (size_t i = 0; i < c->completed_count; i++) {
        r->completed[i] = arena_copy(&r->arena, c->completed[i]);
        if (r->completed[i].len != c->completed[i].len)
            return err_set(ec, SYNC_ENOMEM, "no memory for a checkpoint");
    }
    r->completed_count = c->completed_count;
    r->entries = c->entries_processed;
    r->resumed = true;
    r->up_to = (struct stamp){.wall_ms = c->hlc.wall_ms, .counter = c->hlc.counter, .op_seq = c->hlc.op_seq};
    r->header.site = c->site;
    r->header.hlc = c->hlc;
    return SYNC_OK;
}

/* Only a point of this database's own clock, not ahead of it, and not older than what was pruned since. */
static bool can_resume(const struct checkpoint *c, const struct database_info *info)
{
    struct stamp at = {.wall_ms = c->hlc.wall_ms, .counter = c->hlc.counter, .op_seq = c->hlc.op_seq};
    return site_id_eq(&c->hlc.site, &info->server_site) && stamp_cmp(&at, &info->last) <= 0 &&
           stamp_cmp(&info->pruned, &at) <= 0 && c->snapshot_id.len <= SNAPSHOT_ID_TEXT_MAX;
}

static enum sync_err set_identity(struct snapshot_reader *r, const struct snapshot_request *request,
                                  struct err_ctx *ec)
{
    const struct database_info *info = view_database(r->view);
    const struct checkpoint *c = request->resume;
    bool resume = c != NULL && can_resume(c, info);
    struct slice id = resume ? c->snapshot_id : request->fresh_id;
    assert(id.len <= sizeof r->id);
    memcpy(r->id, id.bytes, id.len);
    r->header = (struct snapshot_header){.snapshot_id = slice_of(r->id, id.len), .site = info->server_site};
    r->header.hlc = stamp_to_hlc(&info->last, &info->server_site);
    return resume ? copy_checkpoint(r, c, ec) : SYNC_OK;
}

static enum sync_err read_migrations(struct snapshot_reader *r, struct err_ctx *ec)
{
    struct fact_cursor *c = NULL;
    struct stored_entry e;
    bool found;
    enum sync_err rc = fact_cursor_open(r->view, FACT_MIGRATION, slice_of(NULL, 0), &c, ec);
    while (rc == SYNC_OK) {
        rc = fact_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK || !found) break;
        r->header.migration_count++;
        if (!gone_tables_replay(r->gone, &e.fact)) rc = err_set(ec, SYNC_ENOMEM, "no memory for table names");
    }
    fact_cursor_close(c);
    return rc;
}

static enum sync_err count_tables(struct snapshot_reader *r, struct err_ctx *ec)
{
    struct fact_cursor *c = NULL;
    struct stored_entry e;
    bool found;
    enum sync_err rc = fact_cursor_open(r->view, FACT_CELL, slice_of(NULL, 0), &c, ec);
    while (rc == SYNC_OK) {
        rc = fact_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK || !found) break;
        if (!gone_tables_has(r->gone, fact_table_key(&e.fact))) r->header.table_count++;
        fact_cursor_skip_table(c, fact_table_key(&e.fact));
    }
    fact_cursor_close(c);
    return rc;
}

enum sync_err snapshot_reader_open(struct shard *sh, const struct snapshot_request *request,
                                   struct snapshot_reader **ret, struct err_ctx *ec)
{
    struct snapshot_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a snapshot");
    r->position = r->table_key = r->schema = r->table = buf_make(UINT32_MAX);
    enum sync_err rc = SYNC_OK;
    r->gone = gone_tables_new();
    if (r->gone == NULL) rc = err_set(ec, SYNC_ENOMEM, "no memory for a snapshot");
    if (rc == SYNC_OK) rc = view_open(sh, request->database, &r->view, ec);
    if (rc == SYNC_OK) rc = set_identity(r, request, ec);
    if (rc == SYNC_OK) rc = read_migrations(r, ec);
    if (rc == SYNC_OK) rc = count_tables(r, ec);
    if (rc == SYNC_OK) {
        *ret = r;
        return SYNC_OK;
    }
    snapshot_reader_close(r);
    return rc;
}

void snapshot_reader_close(struct snapshot_reader *r)
{
    if (r == NULL) return;
    view_close(r->view);
    gone_tables_free(r->gone);
    arena_deinit(&r->arena);
    buf_deinit(&r->position);
    buf_deinit(&r->table_key);
    buf_deinit(&r->schema);
    buf_deinit(&r->table);
    free(r);
}

/* ---- which tables are sent */

static int compare_slices(const void *x, const void *y)
{
    return slice_cmp(*(const struct slice *)x, *(const struct slice *)y);
}

/* Is there a table of this schema and name, or was there one? Rows that went leave tombstones, and when these
 * were pruned the checkpoint is too old to be honoured. */
static enum sync_err table_existed(struct snapshot_reader *r, struct slice schema, struct slice table,
                                   bool *ret, struct err_ctx *ec)
{
    struct buf key = buf_make(UINT32_MAX);
    bool has = false;
    key_put_text(&key, schema);
    key_put_text(&key, table);
    enum sync_err rc = buf_check(&key, ec);
    if (rc == SYNC_OK) rc = view_has_table(r->view, FACT_CELL, buf_slice(&key), &has, ec);
    if (rc == SYNC_OK && !has) rc = view_has_table(r->view, FACT_DELETE, buf_slice(&key), &has, ec);
    buf_deinit(&key);
    *ret = has;
    return rc;
}

/* "a.b" + "c" and "a" + "b.c" are one name in a checkpoint. Is there another table that this one could
 * mean? */
static enum sync_err has_namesake(struct snapshot_reader *r, const struct fact *f, struct slice joined,
                                  bool *ret, struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    int dots = 0;
    *ret = false;
    for (size_t i = 0; i < joined.len && rc == SYNC_OK && !*ret; i++) {
        if (joined.bytes[i] != '.' || i == f->schema.len) continue;
        if (++dots > NAME_DOTS_MAX)
            *ret = true;
        else
            rc = table_existed(r, slice_of(joined.bytes, i),
                               slice_of(joined.bytes + i + 1, joined.len - i - 1), ret, ec);
    }
    return rc;
}

static enum sync_err is_completed(struct snapshot_reader *r, const struct fact *f, bool *ret,
                                  struct err_ctx *ec)
{
    *ret = false;
    if (r->completed_count == 0) return SYNC_OK;
    struct buf joined = buf_make(UINT32_MAX);
    buf_put_slice(&joined, f->schema);
    buf_put_char(&joined, '.');
    buf_put_slice(&joined, f->table);
    struct slice name = buf_slice(&joined);
    enum sync_err rc = buf_check(&joined, ec);
    if (rc == SYNC_OK &&
        bsearch(&name, r->completed, r->completed_count, sizeof *r->completed, compare_slices) != NULL) {
        bool namesake;
        rc = has_namesake(r, f, name, &namesake, ec);
        *ret = rc == SYNC_OK && !namesake;
    }
    buf_deinit(&joined);
    return rc;
}

static enum sync_err is_skipped(struct snapshot_reader *r, const struct fact *f, bool *ret,
                                struct err_ctx *ec)
{
    *ret = gone_tables_has(r->gone, fact_table_key(f));
    return *ret ? SYNC_OK : is_completed(r, f, ret, ec);
}

static enum sync_err remember(struct buf *b, struct slice s, struct err_ctx *ec)
{
    buf_clear(b);
    buf_put_slice(b, s);
    return buf_check(b, ec);
}

/* ---- the chunks */

/* Finds the next table to send. False in *ret_found when there is none. */
static enum sync_err find_table(struct snapshot_reader *r, struct fact_cursor *c, struct buf *out,
                                bool *ret_found, struct err_ctx *ec)
{
    struct stored_entry e;
    for (;;) {
        bool skipped;
        enum sync_err rc = fact_cursor_next(c, &e, ret_found, ec);
        if (rc != SYNC_OK || !*ret_found) return rc;
        rc = is_skipped(r, &e.fact, &skipped, ec);
        if (rc != SYNC_OK) return rc;
        if (!skipped) break;
        rc = remember(&r->position, e.position, ec);
        if (rc != SYNC_OK) return rc;
        fact_cursor_skip_table(c, fact_table_key(&e.fact));
    }
    uint64_t estimate;
    enum sync_err rc =
        view_estimate_cells(r->view, fact_table_key(&e.fact), SNAPSHOT_CHUNK_ENTRIES_MAX, &estimate, ec);
    if (rc == SYNC_OK) rc = remember(&r->table_key, fact_table_key(&e.fact), ec);
    if (rc == SYNC_OK) rc = remember(&r->schema, e.fact.schema, ec);
    if (rc == SYNC_OK) rc = remember(&r->table, e.fact.table, ec);
    if (rc != SYNC_OK) return rc;
    r->table_entries = 0;
    snapshot_put_table_start(out, &e.fact, estimate);
    return SYNC_OK;
}

static enum sync_err step_table_start(struct snapshot_reader *r, struct buf *out, struct err_ctx *ec)
{
    struct fact_cursor *c = NULL;
    bool found = false;
    enum sync_err rc = fact_cursor_open(r->view, FACT_CELL, buf_slice(&r->position), &c, ec);
    if (rc == SYNC_OK) rc = find_table(r, c, out, &found, ec);
    fact_cursor_close(c);
    if (rc == SYNC_OK && !found) buf_clear(&r->position); /* tombstones are read from their first */
    r->phase = found ? TABLE_ENTRIES : TOMBSTONES;
    return rc;
}

static bool chunk_is_full(const struct buf *out, size_t begun, uint64_t count)
{
    return count == SNAPSHOT_CHUNK_ENTRIES_MAX || out->len - begun >= SNAPSHOT_CHUNK_BYTES;
}

static enum sync_err step_table_entries(struct snapshot_reader *r, struct buf *out, struct err_ctx *ec)
{
    struct fact_cursor *c = NULL;
    size_t begun = out->len;
    uint64_t count = 0;
    enum sync_err rc = fact_cursor_open(r->view, FACT_CELL, buf_slice(&r->position), &c, ec);
    while (rc == SYNC_OK && !chunk_is_full(out, begun, count)) {
        struct stored_entry e;
        bool found;
        rc = fact_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK) break;
        bool same = found && slice_eq(fact_table_key(&e.fact), buf_slice(&r->table_key));
        if (found && !same && r->table_entries + count == 0) {
            /* The rest of a table that was skipped on the way here: the open one is still to come. */
            fact_cursor_skip_table(c, fact_table_key(&e.fact));
            continue;
        }
        if (!same) {
            r->phase = TABLE_END;
            break;
        }
        if (count == 0) snapshot_begin_entries(out, &e.fact);
        snapshot_put_cell(out, &e.fact, count == 0);
        count++;
        rc = remember(&r->position, e.position, ec);
    }
    fact_cursor_close(c);
    if (count > 0) snapshot_end_entries(out);
    r->table_entries += count;
    return rc;
}

static enum sync_err step_tombstones(struct snapshot_reader *r, struct buf *out, struct err_ctx *ec)
{
    struct fact_cursor *c = NULL;
    size_t begun = out->len;
    uint64_t count = 0;
    enum sync_err rc = fact_cursor_open(r->view, FACT_DELETE, buf_slice(&r->position), &c, ec);
    while (rc == SYNC_OK && !chunk_is_full(out, begun, count)) {
        struct stored_entry e;
        bool found;
        rc = fact_cursor_next(c, &e, &found, ec);
        if (rc != SYNC_OK) break;
        if (!found) {
            r->phase = FOOTER;
            break;
        }
        struct slice table_key = fact_table_key(&e.fact);
        if (count > 0 && !slice_eq(table_key, buf_slice(&r->table_key))) break; /* a chunk has one table */
        rc = remember(&r->position, e.position, ec);
        if (rc != SYNC_OK) break;
        if (gone_tables_has(r->gone, table_key)) {
            fact_cursor_skip_table(c, table_key);
            continue;
        }
        if (r->resumed && stamp_cmp(&e.stamp, &r->up_to) > 0) continue;
        if (count == 0) {
            rc = remember(&r->table_key, table_key, ec);
            if (rc != SYNC_OK) break;
            snapshot_begin_entries(out, &e.fact);
        }
        snapshot_put_tombstone(out, &e.fact, e.created_ms, count == 0);
        count++;
    }
    fact_cursor_close(c);
    if (count > 0) snapshot_end_entries(out);
    return rc;
}

static enum sync_err step_migrations(struct snapshot_reader *r, struct buf *out, struct err_ctx *ec)
{
    struct fact_cursor *c = NULL;
    struct stored_entry e;
    bool found = false;
    enum sync_err rc = fact_cursor_open(r->view, FACT_MIGRATION, buf_slice(&r->position), &c, ec);
    if (rc == SYNC_OK) rc = fact_cursor_next(c, &e, &found, ec);
    if (rc == SYNC_OK && found) {
        snapshot_put_migration(out, &e.fact);
        rc = remember(&r->position, e.position, ec);
    }
    fact_cursor_close(c);
    if (rc == SYNC_OK && !found) {
        buf_clear(&r->position); /* cells are read from their first */
        r->phase = TABLE_START;
    }
    return rc;
}

/* One phase's next chunk; appends nothing where the phase turned out to be over. */
static enum sync_err step_once(struct snapshot_reader *r, struct buf *out, struct err_ctx *ec)
{
    switch (r->phase) {
    case HEADER:
        snapshot_put_header(out, &r->header);
        r->phase = MIGRATIONS;
        return SYNC_OK;
    case MIGRATIONS: return step_migrations(r, out, ec);
    case TABLE_START: return step_table_start(r, out, ec);
    case TABLE_ENTRIES: return step_table_entries(r, out, ec);
    case TABLE_END:
        snapshot_put_table_end(out, buf_slice(&r->schema), buf_slice(&r->table), r->table_entries);
        r->entries += r->table_entries;
        r->phase = TABLE_START;
        return SYNC_OK;
    case TOMBSTONES: return step_tombstones(r, out, ec);
    case FOOTER:
        snapshot_put_footer(out, r->header.snapshot_id, r->header.table_count, r->entries,
                            r->header.migration_count);
        r->phase = DONE;
        return SYNC_OK;
    case DONE: break;
    }
    return SYNC_OK;
}

enum sync_err snapshot_reader_step(struct snapshot_reader *r, struct buf *out, bool *ret_done,
                                   struct err_ctx *ec)
{
    enum sync_err rc = SYNC_OK;
    size_t begun = out->len;
    while (rc == SYNC_OK && out->len == begun && r->phase != DONE) {
        rc = step_once(r, out, ec);
        if (rc == SYNC_OK) rc = buf_check(out, ec);
    }
    *ret_done = r->phase == DONE;
    return rc;
}
