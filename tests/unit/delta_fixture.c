#include "delta_fixture.h"

#include "json_fixture.h"
#include "store_model.h"

#include "core/protocol/change_set.h"

#include <assert.h>
#include <stdio.h>

enum { STEPS_MAX = 1000000, REPLY_BYTES_MAX = 1 << 28 };

static void expect(enum sync_err rc, const struct err_ctx *ec)
{
    if (rc == SYNC_OK) return;
    fprintf(stderr, "delta: %s: %s\n", err_name(rc), ec->text);
    abort();
}

struct delta_request delta_request_of(const char *database, char asker, const struct hlc *since)
{
    struct delta_request q = {.database = slice_str(database), .page_bytes_max = SIZE_MAX};
    q.asker.bytes[0] = (uint8_t)asker;
    q.has_since = since != NULL;
    if (since != NULL) q.since = *since;
    return q;
}

static void print_set(struct buf *out, const struct batch *b, const struct change_set *set)
{
    static const struct stamp none;
    char id[TRANSACTION_ID_MAX + 1];
    bool has_highest = false;
    (void)hlc_format_transaction(&set->hlc, id);
    assert(slice_is(set->transaction_id, id));
    assert(site_id_eq(&set->site, &set->hlc.site));
    buf_printf(out, "set %s %u\n", id, set->hlc.op_seq);
    for (size_t i = 0; i < set->fact_count; i++) {
        const struct fact *f = &b->facts[set->fact_first + i];
        assert(hlc_same_transaction(&f->hlc, &set->hlc));
        assert(hlc_cmp(&f->hlc, &set->hlc) <= 0);
        if (hlc_eq(&f->hlc, &set->hlc)) has_highest = true;
        bool same_list = i > 0 && (f[-1].type == FACT_MIGRATION) == (f->type == FACT_MIGRATION);
        assert(!same_list || f[-1].hlc.op_seq <= f->hlc.op_seq);
        model_print(out, f, &none);
    }
    assert(has_highest);
}

static void print_batch(struct buf *out, const struct batch *b, const struct delta_status *status)
{
    assert(b->fact_count == status->fact_count);
    assert((b->set_count > 0) == status->has_watermark);
    if (b->set_count == 0) return;
    for (size_t i = 0; i + 1 < b->set_count; i++) {
        assert(b->sets[i].fact_count > 0);
        print_set(out, b, &b->sets[i]);
    }
    const struct change_set *last = &b->sets[b->set_count - 1];
    assert(last->fact_count == 0);
    assert(hlc_eq(&last->hlc, &status->watermark));
    assert(site_id_eq(&last->site, &status->server_site));
    assert(site_id_eq(&last->hlc.site, &status->server_site));
}

void delta_print(struct buf *out, const struct buf *reply, const struct delta_status *status)
{
    struct err_ctx ec;
    struct batch b = {0};
    struct buf array = buf_make(REPLY_BYTES_MAX);
    struct json_reader *json = json_reader_new(JSON_DEPTH_DEFAULT);
    assert(json != NULL);
    buf_put_char(&array, '[');
    buf_put_slice(&array, buf_slice(reply));
    buf_put_char(&array, ']');
    expect(buf_check(&array, &ec), &ec);
    char *padded = json_padded(array.bytes, array.len);
    struct json_value v = json_open(json, padded, array.len);
    expect(change_sets_take(&v, &b, &ec), &ec);
    expect(json_close(json, &ec), &ec);
    print_batch(out, &b, status);
    batch_deinit(&b);
    json_reader_free(json);
    buf_deinit(&array);
    free(padded);
}

struct delta_status delta_read_page(struct shard *sh, const struct delta_request *q, size_t piece_bytes,
                                    struct buf *out, void (*then)(void *arg), void *arg)
{
    struct err_ctx ec;
    struct buf reply = buf_make(REPLY_BYTES_MAX);
    struct delta_reader *r;
    expect(delta_reader_open(sh, q, &r, &ec), &ec);
    for (int steps = 0; !delta_reader_status(r)->done; steps++) {
        assert(steps < STEPS_MAX);
        expect(delta_reader_step(r, &reply, piece_bytes, &ec), &ec);
        if (then != NULL) then(arg);
    }
    size_t len = reply.len;
    expect(delta_reader_step(r, &reply, piece_bytes, &ec), &ec);
    assert(reply.len == len); /* after the end there is nothing */
    struct delta_status status = *delta_reader_status(r);
    delta_print(out, &reply, &status);
    delta_reader_close(r);
    buf_deinit(&reply);
    return status;
}
