#include "storage/views/delta_reader.h"

#include "core/protocol/delta_writer.h"

#include <assert.h>
#include <stdlib.h>

enum { STEP_ENTRIES_MAX = 20000 }; /* log entries looked at in one step */

struct delta_reader {
    struct shard *shard;
    char database[DATABASE_ID_MAX];
    size_t database_len;
    struct site_id asker;
    size_t page_bytes_max;
    bool bare;
    bool has_since;
    struct stamp end;      /* the delta goes up to here */
    struct stamp position; /* the client has everything up to here, or the reply has, or it is left out */
    bool has_position;     /* false: before the first stamp */
    size_t page_bytes;
    struct delta_writer writer;
    struct delta_status status;
};

/* Is something gone that the client does not have and the reply does not hold? A client without a watermark
 * misses nothing: it has no rows that a tombstone would have taken. */
static bool misses_pruned(const struct delta_reader *r, const struct database_info *info)
{
    static const struct stamp none = {0};
    return r->has_since && stamp_cmp(&info->pruned, r->has_position ? &r->position : &none) > 0;
}

static void begin(struct delta_reader *r, const struct delta_request *request,
                  const struct database_info *info)
{
    static const struct stamp none = {0};
    r->status.server_site = info->server_site;
    r->end = info->last;
    r->has_since = request->has_since;
    if (request->has_since) r->has_position = stamp_floor(&request->since, &info->server_site, &r->position);
    r->status.pruned = misses_pruned(r, info);
    r->status.done = stamp_cmp(&info->last, r->has_position ? &r->position : &none) <= 0;
}

enum sync_err delta_reader_open(struct shard *sh, const struct delta_request *request,
                                struct delta_reader **ret, struct err_ctx *ec)
{
    struct view *v = NULL;
    assert(request->database.len <= DATABASE_ID_MAX);
    struct delta_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return err_set(ec, SYNC_ENOMEM, "no memory for a delta");
    r->shard = sh;
    memcpy(r->database, request->database.bytes, request->database.len);
    r->database_len = request->database.len;
    r->asker = request->asker;
    r->page_bytes_max = request->page_bytes_max;
    r->bare = request->bare;
    delta_writer_init(&r->writer);

    enum sync_err rc = view_open(sh, request->database, &v, ec);
    if (rc != SYNC_OK) {
        delta_reader_close(r);
        return rc;
    }
    begin(r, request, view_database(v));
    view_close(v);
    *ret = r;
    return SYNC_OK;
}

/* Ends the reply with its watermark: the newest stamp, or that of the last entry before a page's end. */
static void finish(struct delta_reader *r, struct buf *out, bool has_more)
{
    const struct stamp *up_to = has_more ? &r->position : &r->end;
    delta_writer_finish(&r->writer, out);
    r->status.watermark = stamp_to_hlc(up_to, &r->status.server_site);
    r->status.has_watermark = true;
    r->status.has_more = has_more;
    r->status.done = true;
    if (!r->bare) delta_writer_watermark(&r->writer, out, &r->status.watermark);
}

/* Does the page end before this entry? Only where a transaction ends, and never before its first one. */
static bool page_ends(const struct delta_reader *r, const struct fact *f)
{
    return r->page_bytes >= r->page_bytes_max && r->has_position && r->writer.set_count > 0 &&
           !delta_writer_continues(&r->writer, f);
}

static enum sync_err read_entries(struct delta_reader *r, struct log_cursor *c, struct buf *out,
                                  size_t piece_bytes, struct err_ctx *ec)
{
    size_t begun = out->len;
    for (int i = 0; i < STEP_ENTRIES_MAX && out->len - begun < piece_bytes; i++) {
        struct log_entry entry;
        bool found;
        enum sync_err rc = log_cursor_next(c, &entry, &found, ec);
        if (rc != SYNC_OK) return rc;
        if (!found || stamp_cmp(&entry.stamp, &r->end) > 0) {
            finish(r, out, false);
            break;
        }
        if (!site_id_eq(&entry.fact.hlc.site, &r->asker)) {
            if (page_ends(r, &entry.fact)) {
                finish(r, out, true);
                break;
            }
            size_t before = out->len;
            delta_writer_add(&r->writer, out, &entry.fact);
            r->page_bytes += out->len - before;
            r->status.fact_count++;
        }
        r->position = entry.stamp;
        r->has_position = true;
    }
    return buf_check(out, ec);
}

enum sync_err delta_reader_step(struct delta_reader *r, struct buf *out, size_t piece_bytes,
                                struct err_ctx *ec)
{
    struct view *v = NULL;
    struct log_cursor *c = NULL;
    if (r->status.done) return SYNC_OK;
    enum sync_err rc = view_open(r->shard, slice_of(r->database, r->database_len), &v, ec);
    if (rc == SYNC_OK && !r->status.pruned && misses_pruned(r, view_database(v)))
        rc = err_set(ec, SYNC_EPRUNED, "SNAPSHOT_REQUIRED: pruned while it was read");
    if (rc == SYNC_OK) rc = log_cursor_open(v, r->has_position ? &r->position : NULL, &c, ec);
    if (rc == SYNC_OK) rc = read_entries(r, c, out, piece_bytes, ec);
    log_cursor_close(c);
    view_close(v);
    return rc;
}

void delta_reader_cut(struct delta_reader *r)
{
    r->page_bytes_max = 0;
}

const struct delta_status *delta_reader_status(const struct delta_reader *r)
{
    return &r->status;
}

void delta_reader_close(struct delta_reader *r)
{
    if (r == NULL) return;
    delta_writer_deinit(&r->writer);
    free(r);
}
