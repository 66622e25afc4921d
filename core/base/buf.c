#include "core/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_BYTES = 256 };

void buf_deinit(struct buf *b)
{
    free(b->bytes);
    *b = buf_make(b->bytes_max);
}

bool buf_grow(struct buf *b, size_t more)
{
    if (b->failed != SYNC_OK) return false;
    if (more > b->bytes_max - b->len) {
        b->failed = SYNC_ELIMIT;
        return false;
    }
    size_t want = b->len + more;
    size_t grown = b->capacity < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->capacity;
    while (grown < want) grown = grown > b->bytes_max / 2 ? b->bytes_max : grown * 2;
    if (grown > b->bytes_max) grown = b->bytes_max;
    char *bytes = realloc(b->bytes, grown);
    if (bytes == NULL) {
        b->failed = SYNC_ENOMEM;
        return false;
    }
    b->bytes = bytes;
    b->capacity = grown;
    return true;
}

void buf_put_u64(struct buf *b, uint64_t n)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    buf_put(b, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text) {
        if (b->failed == SYNC_OK) b->failed = SYNC_ELIMIT; /* callers print short, bounded things */
        return;
    }
    buf_put(b, text, (size_t)n);
}

enum sync_err buf_check(const struct buf *b, struct err_ctx *ec)
{
    if (b->failed == SYNC_OK) return SYNC_OK;
    if (b->failed == SYNC_ENOMEM)
        return err_set(ec, SYNC_ENOMEM, "no memory for a buffer of %zu bytes", b->len);
    return err_set(ec, b->failed, "over %zu bytes", b->bytes_max);
}

char *buf_take(struct buf *b, size_t *ret_len)
{
    char *bytes = b->bytes;
    *ret_len = b->len;
    *b = buf_make(b->bytes_max);
    return bytes;
}
