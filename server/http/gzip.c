#include "server/http/gzip.h"

#include <zlib.h>

enum { STEP_BYTES = 64 << 10, GZIP_ONLY = 16 + MAX_WBITS };

static enum sync_err inflate_all(z_stream *z, struct buf *out, size_t bytes_max, struct err_ctx *ec)
{
    for (;;) {
        size_t left = bytes_max - out->len;
        size_t step = left < STEP_BYTES ? left : STEP_BYTES;
        if (step > 0 && !buf_reserve(out, step)) return buf_check(out, ec);
        unsigned char beyond; /* at the limit one byte more tells whether there is more */
        z->next_out = step > 0 ? (unsigned char *)out->bytes + out->len : &beyond;
        z->avail_out = step > 0 ? (uInt)step : 1;
        int result = inflate(z, Z_NO_FLUSH);
        if (step == 0 && z->avail_out == 0)
            return err_set(ec, SYNC_ELIMIT, "the body inflates to over %zu bytes", bytes_max);
        if (step > 0) out->len += step - z->avail_out;
        if (result == Z_STREAM_END) return SYNC_OK;
        if (result != Z_OK) return err_set(ec, SYNC_EBADMSG, "the body is not gzip, or is cut short");
    }
}

enum sync_err gzip_inflate(struct buf *b, size_t bytes_max, struct err_ctx *ec)
{
    struct buf out = buf_make(b->bytes_max);
    z_stream z = {.next_in = (unsigned char *)b->bytes, .avail_in = (uInt)b->len};
    if (b->len > UINT32_MAX) return err_set(ec, SYNC_ELIMIT, "over 4 GiB");
    if (inflateInit2(&z, GZIP_ONLY) != Z_OK) return err_set(ec, SYNC_ENOMEM, "no memory to inflate the body");
    enum sync_err rc = inflate_all(&z, &out, bytes_max, ec);
    if (rc == SYNC_OK && z.avail_in > 0)
        rc = err_set(ec, SYNC_EBADMSG, "the body goes on after its gzip end");
    (void)inflateEnd(&z);
    if (rc == SYNC_OK) {
        buf_deinit(b);
        *b = out;
    } else {
        buf_deinit(&out);
    }
    return rc;
}
