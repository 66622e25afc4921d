#include "storage/delta_reader.h"

#include "core/delta_writer.h"

#include <assert.h>
#include <stdlib.h>

enum { STEP_ENTRIES_MAX = 20000 }; /* log entries looked at in one step */

struct delta_reader {
    struct shard *shard;
    char database[DATABASE_ID_MAX];
    size_t database_len;
    struct site_id asker;
    size_t page_bytes_max;
    bool has_floor;
    struct stamp floor;    /* the client has everything up to here */
    struct stamp end;      /* the delta goes up to here */
    struct stamp position; /* everything up to here is in the reply or left out of it */
    bool has_position;
    size_t page_bytes;
    struct delta_writer writer;
    struct delta_status status;
};

static bool is_pruned(const struct delta_reader *r, const struct database_info *info)
{
    return r->has_floor && stamp_cmp(&info->pruned, &r->floor) > 0;
}

static void begin(struct delta_reader *r, const struct delta_request *request,
                  const struct database_info *info)
{
    r->status.server_site = info->server_site;
    r->end = info->last;
    if (request->has_since) r->has_floor = stamp_floor(&request->since, &info->server_site, &r->floor);
    r->has_position = r->has_floor;
    r->position = r->floor;
    r->status.pruned = is_pruned(r, info);
    /* A watermark below every stamp counts like none for the log, but what was pruned is missing all the
     * same. */
    if (request->has_since && !r->has_floor) r->status.pruned = info->pruned.wall_ms != 0;
    static const struct stamp none = {0};
    bool anything =
        stamp_cmp(&info->last, &none) > 0 && (!r->has_floor || stamp_cmp(&info->last, &r->floor) > 0);
    r->status.done = !anything;
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
    delta_writer_watermark(&r->writer, out, &r->status.watermark);
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
    if (rc == SYNC_OK && !r->status.pruned && is_pruned(r, view_database(v)))
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
