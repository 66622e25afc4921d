/* Lines of stored snapshots: what is read is written as the same line again. And whole snapshots, unzipped:
 * whatever comes, it ends. */
#include "storage/snapshots/snapshot_read.h"

#include <assert.h>
#include <stdlib.h>

static void check_line(const uint8_t *data, size_t size)
{
    struct json_reader *json = json_reader_new(JSON_DEPTH_DEFAULT);
    struct arena arena = {0};
    struct snapshot_line line, again;
    struct err_ctx ec;
    struct buf out = buf_make(SIZE_MAX / 4);
    static const char padding[JSON_PADDING];
    buf_put(&out, data, size);
    buf_put(&out, padding, sizeof padding);
    assert(json != NULL && out.failed == SYNC_OK);
    if (snapshot_get_line(json, &arena, slice_of(out.bytes, size), &line, &ec) == SYNC_OK) {
        struct buf text = buf_make(SIZE_MAX / 4), second = buf_make(SIZE_MAX / 4);
        for (int i = 0; i < 2; i++) {
            struct buf *to = i == 0 ? &text : &second;
            const struct snapshot_line *from = i == 0 ? &line : &again;
            switch (line.type) {
            case SNAPSHOT_LINE_HEAD: snapshot_put_head(to, &from->head); break;
            case SNAPSHOT_LINE_FACT: snapshot_put_fact(to, &from->entry); break;
            case SNAPSHOT_LINE_FOOT: break; /* its hash can be any 64 characters */
            }
            if (i == 1 || line.type == SNAPSHOT_LINE_FOOT) break;
            size_t len = to->len;
            buf_put(to, padding, sizeof padding);
            assert(snapshot_get_line(json, &arena, slice_of(to->bytes, len - 1), &again, &ec) == SYNC_OK);
            to->len = len;
            assert(again.type == line.type);
        }
        assert(line.type == SNAPSHOT_LINE_FOOT || slice_eq(buf_slice(&text), buf_slice(&second)));
        buf_deinit(&text);
        buf_deinit(&second);
    }
    buf_deinit(&out);
    arena_deinit(&arena);
    json_reader_free(json);
}

static struct arena *room(void *arg)
{
    return arg;
}

static enum sync_err on_head(void *arg, const struct snapshot_head *h, struct err_ctx *ec)
{
    (void)arg, (void)ec;
    assert(h->database.len > 0);
    return SYNC_OK;
}

static enum sync_err on_fact(void *arg, const struct moved_entry *e, struct err_ctx *ec)
{
    (void)arg, (void)ec;
    assert(e->fact.key.len > 0);
    return SYNC_OK;
}

static void check_stream(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    const struct snapshot_handler h = {.arg = &arena, .room = room, .head = on_head, .fact = on_fact};
    struct snapshot_decoder *d;
    struct err_ctx ec;
    if (snapshot_decoder_new(&h, slice_of(NULL, 0), &d, &ec) != SYNC_OK) abort();
    if (snapshot_decoder_put(d, slice_of(data, size), &ec) == SYNC_OK) (void)snapshot_decoder_end(d, &ec);
    snapshot_decoder_free(d);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 && data[0] == 0x1f && data[1] == 0x8b)
        check_stream(data, size);
    else
        check_line(data, size);
    return 0;
}
