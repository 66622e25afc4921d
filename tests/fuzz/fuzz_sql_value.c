/* Any bytes as a pk, in two parts split at the first newline: `[values]` both. Each key stands for itself: of
 * two keys that differ, none begins the other. A key does not depend on what surrounds its value. */
#include "core/facts/sql_value.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

enum { KEY_MAX = 1 << 22 };

/* Takes text as an array of values; false when it is refused. */
static bool key_of(const uint8_t *data, size_t size, struct buf *key)
{
    struct json_reader *r = json_reader_new(JSON_DEPTH_DEFAULT);
    struct arena arena = {0};
    struct slice taken = {0};
    struct err_ctx ec;
    if (r == NULL) abort();
    char *text = fuzz_text(data, size);
    struct json_value root = json_open(r, text, size);
    bool good = sql_values_take(&root, &arena, key, &taken, &ec) == SYNC_OK;
    good = json_close(r, &ec) == SYNC_OK && good;
    if (good) assert(taken.len <= size && taken.bytes[0] == '[' && taken.bytes[taken.len - 1] == ']');

    /* Without an identity the same is accepted and refused. */
    struct arena none = {0};
    root = json_open(r, text, size);
    bool checked = sql_values_take(&root, &none, NULL, &taken, &ec) == SYNC_OK;
    checked = json_close(r, &ec) == SYNC_OK && checked;
    assert(checked == good);
    arena_deinit(&none);
    arena_deinit(&arena);
    free(text);
    json_reader_free(r);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size == 0 ? NULL : memchr(data, '\n', size);
    size_t first = split == NULL ? size : (size_t)(split - data);
    struct buf a = buf_make(KEY_MAX), b = buf_make(KEY_MAX);
    bool good = key_of(data, first, &a);
    if (good) assert(a.failed == SYNC_OK && a.bytes[a.len - 1] == '\0');
    if (good && split != NULL && key_of(split + 1, size - first - 1, &b)) {
        bool equal = slice_eq(buf_slice(&a), buf_slice(&b));
        assert(equal || !slice_starts_with(buf_slice(&a), buf_slice(&b)));
        assert(equal || !slice_starts_with(buf_slice(&b), buf_slice(&a)));
    }
    buf_deinit(&a);
    buf_deinit(&b);
    return 0;
}
