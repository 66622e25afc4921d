/* A chunked body in pieces of any size: decoded the same as in one, never longer than it may be. The first
 * byte is the size of the pieces. */
#include "server/http/chunked.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

enum { BODY_MAX = 300, CEILING = 1 << 12 };

static enum sync_err decode(struct slice text, size_t step, struct chunked *c, struct buf *out)
{
    enum sync_err rc = SYNC_OK;
    struct err_ctx ec;
    *c = (struct chunked){0};
    for (size_t at = 0; at < text.len && rc == SYNC_OK; at += step) {
        size_t n = text.len - at < step ? text.len - at : step;
        char *piece = fuzz_text((const uint8_t *)text.bytes + at, n);
        rc = chunked_decode(c, piece, n, BODY_MAX, out, &ec);
        free(piece);
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chunked whole, split;
    struct buf a = buf_make(CEILING), b = buf_make(CEILING);
    if (size < 2) return 0;
    struct slice text = slice_of(data + 1, size - 1);
    enum sync_err rc = decode(text, text.len, &whole, &a);
    enum sync_err rc_split = decode(text, (size_t)data[0] % 16 + 1, &split, &b);
    assert(rc == rc_split && slice_eq(buf_slice(&a), buf_slice(&b)) && a.len <= BODY_MAX);
    assert(rc == SYNC_OK || rc == SYNC_EBADMSG || rc == SYNC_ELIMIT);
    assert(rc != SYNC_OK || whole.state == split.state);
    buf_deinit(&a);
    buf_deinit(&b);
    return 0;
}
