#include "core/protocol/delta_writer.h"

#include "core/protocol/change_set.h"

#include <assert.h>

void delta_writer_init(struct delta_writer *w)
{
    *w = (struct delta_writer){.migrations = buf_make(SIZE_MAX / 2)};
}

void delta_writer_deinit(struct delta_writer *w)
{
    buf_deinit(&w->migrations);
}

bool delta_writer_continues(const struct delta_writer *w, const struct fact *f)
{
    return w->is_open && hlc_same_transaction(&w->highest, &f->hlc) && w->highest.op_seq <= f->hlc.op_seq;
}

static void begin_set(struct delta_writer *w, struct buf *out, const struct hlc *h)
{
    char id[TRANSACTION_ID_MAX + 1];
    size_t len = hlc_format_transaction(h, id);
    if (w->set_count++ > 0) buf_put_char(out, ',');
    BUF_PUT_LIT(out, "{\"siteId\":");
    json_put_site(out, &h->site);
    BUF_PUT_LIT(out, ",\"transactionId\":\"");
    buf_put(out, id, len);
    BUF_PUT_LIT(out, "\",\"changes\":[");
}

static void end_set(struct buf *out, struct slice migrations, const struct hlc *h)
{
    BUF_PUT_LIT(out, "],\"schemaMigrations\":[");
    buf_put_slice(out, migrations);
    BUF_PUT_LIT(out, "],\"hlc\":");
    json_put_hlc(out, h);
    buf_put_char(out, '}');
}

void delta_writer_add(struct delta_writer *w, struct buf *out, const struct fact *f)
{
    if (!delta_writer_continues(w, f)) {
        delta_writer_finish(w, out);
        begin_set(w, out, &f->hlc);
        w->is_open = true;
    }
    w->highest = f->hlc;
    if (f->type == FACT_MIGRATION) {
        if (w->migrations.len > 0) buf_put_char(&w->migrations, ',');
        fact_put(&w->migrations, f);
        return;
    }
    if (w->has_change) buf_put_char(out, ',');
    w->has_change = true;
    fact_put(out, f);
}

void delta_writer_finish(struct delta_writer *w, struct buf *out)
{
    if (!w->is_open) return;
    if (w->migrations.failed != SYNC_OK && out->failed == SYNC_OK) out->failed = w->migrations.failed;
    end_set(out, buf_slice(&w->migrations), &w->highest);
    buf_clear(&w->migrations);
    w->is_open = w->has_change = false;
}

void delta_writer_watermark(struct delta_writer *w, struct buf *out, const struct hlc *watermark)
{
    assert(!w->is_open);
    begin_set(w, out, watermark);
    end_set(out, slice_of(NULL, 0), watermark);
}
