/* Any bytes as the head of a shared log's object, or as one of its entries; the first byte says as which.
 * What is accepted is written back the same. */
#include "storage/records/moved.h"
#include "storage/sharedlog/log_object.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

static void check_head(struct slice bytes)
{
    struct err_ctx ec;
    struct arena arena = {0};
    struct log_head head;
    struct log_section *sections;
    size_t count;
    uint32_t head_bytes;
    (void)log_object_head_bytes(bytes, &head_bytes, &ec);
    if (log_object_get_head(bytes, &arena, &head, &sections, &count, &ec) == SYNC_OK) {
        struct buf again = buf_make(bytes.len);
        log_object_put_head(&head, sections, count, &again);
        assert(again.failed == SYNC_OK && slice_eq(buf_slice(&again), bytes));
        buf_deinit(&again);
    }
    arena_deinit(&arena);
}

static void check_entries(struct slice bytes)
{
    struct err_ctx ec;
    struct moved_entry e;
    size_t size;
    while (bytes.len > 0) {
        struct slice before = bytes;
        enum sync_err rc = moved_frame_size(bytes, &size, &ec);
        if (moved_take_framed(&bytes, &e, &ec) != SYNC_OK) return;
        assert(rc == SYNC_OK && size == before.len - bytes.len);
        struct buf again = buf_make(size + MOVED_FRAME_BYTES);
        moved_put_framed(&e, &again);
        assert(again.failed == SYNC_OK && slice_eq(buf_slice(&again), slice_of(before.bytes, size)));
        buf_deinit(&again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *text = fuzz_text(data + 1, size - 1);
    struct slice bytes = slice_of(text, size - 1);
    if (data[0] % 2 == 0)
        check_head(bytes);
    else
        check_entries(bytes);
    free(text);
    return 0;
}
