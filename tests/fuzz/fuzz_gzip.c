/* Any bytes as a gzip body: refused or inflated, never beyond the limit; and the same limit up or down one
 * gives the same text or none. */
#include "server/http/gzip.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

enum { BODY_MAX = 1 << 16, CEILING = 1 << 20 };

static enum sync_err inflate_to(const uint8_t *data, size_t size, size_t bytes_max, struct buf *ret)
{
    struct err_ctx ec;
    *ret = buf_make(CEILING);
    buf_put(ret, data, size);
    if (buf_check(ret, &ec) != SYNC_OK) return SYNC_ELIMIT;
    enum sync_err rc = gzip_inflate(ret, bytes_max, &ec);
    assert(rc == SYNC_OK || rc == SYNC_EBADMSG || rc == SYNC_ELIMIT);
    assert(rc != SYNC_OK || ret->len <= bytes_max);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, other;
    if (inflate_to(data, size, BODY_MAX, &whole) == SYNC_OK) {
        assert(inflate_to(data, size, whole.len, &other) == SYNC_OK);
        assert(slice_eq(buf_slice(&whole), buf_slice(&other)));
        buf_deinit(&other);
        if (whole.len > 0) {
            assert(inflate_to(data, size, whole.len - 1, &other) == SYNC_ELIMIT);
            buf_deinit(&other);
        }
    }
    buf_deinit(&whole);
    return 0;
}
