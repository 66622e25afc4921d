/* Any bytes as a message. What an accepted apply_changes carries is written and read again: the same facts
 * under the same keys, since that is what every other client gets. */
#include "core/protocol/message.h"

#include "core/protocol/change_set.h"
#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

enum { OUT_MAX = 1 << 24 };

static void assert_same(const struct batch *a, const struct batch *b)
{
    size_t kept = 0;
    assert(a->set_count == b->set_count && a->fact_count == b->fact_count);
    assert(a->migration_count == b->migration_count && hlc_eq(&a->highest, &b->highest));
    /* Written, a set's changes stand before its migrations. */
    for (size_t s = 0; s < a->set_count; s++) {
        const struct change_set *set = &a->sets[s];
        assert(slice_eq(set->transaction_id, b->sets[s].transaction_id));
        for (int migrations = 0; migrations < 2; migrations++) {
            for (size_t i = set->fact_first; i < set->fact_first + set->fact_count; i++) {
                if ((a->facts[i].type == FACT_MIGRATION) != (migrations == 1)) continue;
                const struct fact *f = &a->facts[i], *g = &b->facts[kept++];
                assert(f->type == g->type && hlc_eq(&f->hlc, &g->hlc) && f->set == g->set);
                assert(slice_eq(f->key, g->key) && f->row_key_len == g->row_key_len);
                assert(f->table_key_len == g->table_key_len);
                assert(slice_eq(f->schema, g->schema) && slice_eq(f->table, g->table));
                if (f->type != FACT_CELL) continue;
                assert(f->cell.has_prior == g->cell.has_prior && f->cell.value.len == g->cell.value.len);
            }
        }
    }
    assert(kept == a->fact_count);
}

static void write_and_read(const struct batch *a, struct json_reader *r)
{
    struct buf out = buf_make(OUT_MAX);
    struct err_ctx ec;
    buf_put_char(&out, '[');
    batch_put(&out, a);
    buf_put_char(&out, ']');
    assert(buf_check(&out, &ec) == SYNC_OK);
    struct batch b = {.text = fuzz_text((const uint8_t *)out.bytes, out.len)};
    struct json_value root = json_open(r, b.text, out.len);
    assert(change_sets_take(&root, &b, &ec) == SYNC_OK);
    assert(json_close(r, &ec) == SYNC_OK);
    assert_same(a, &b);
    batch_deinit(&b);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct message m;
    struct err_ctx ec;
    if (r == NULL) abort();
    if (message_read(r, fuzz_text(data, size), size, &m, &ec) == SYNC_OK) {
        if (m.changes_state.has && m.changes_state.rc == SYNC_OK) write_and_read(&m.batch, r);
        struct buf out = buf_make(OUT_MAX);
        message_put_apply_result(&out, m.request_id, &(struct merge_result){0}, slice_of(NULL, 0));
        message_put_error(&out, "X", m.changes_state.ec.text, false);
        message_put_handshake_ack(&out, m.database_id, &m.site, "c");
        assert(buf_check(&out, &ec) == SYNC_OK);
        buf_deinit(&out);
        message_deinit(&m);
    }
    json_reader_free(r);
    return 0;
}
