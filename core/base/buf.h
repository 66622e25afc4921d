/* buf.h -- a growing byte buffer born with a ceiling.
 *
 * Appending never fails at the call: the first append that memory or the ceiling refuses marks the buffer
 * failed, later ones do nothing, and whoever built the text asks once, at the end (buf_check). So encoders
 * read as a list of appends. A failed buffer's bytes are not to be used.
 *
 * Threads: one at a time. */
#ifndef CORE_BASE_BUF_H
#define CORE_BASE_BUF_H

#include "core/base/err.h"
#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *bytes;
    size_t len;
    size_t capacity;
    size_t bytes_max; /* len never passes it */
    enum sync_err failed;
};

/* An empty buffer; allocates nothing yet. */
static inline struct buf buf_make(size_t bytes_max)
{
    return (struct buf){.bytes_max = bytes_max};
}

void buf_deinit(struct buf *b); /* frees the bytes; the buffer may be used again, as after buf_make() */

/* Keeps the memory, forgets the content and any failure. */
static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = SYNC_OK;
}

/* Of buf_reserve(), which is inline where nothing has to grow: encoders append a few bytes at a time. */
bool buf_grow(struct buf *b, size_t more);

/* Makes room for `more` bytes. False (and the buffer is marked failed) when memory or the ceiling refuses. */
static inline bool buf_reserve(struct buf *b, size_t more)
{
    return (b->failed == SYNC_OK && more <= b->capacity - b->len) || buf_grow(b, more);
}

static inline void buf_put(struct buf *b, const void *bytes, size_t len)
{
    if (len == 0 || !buf_reserve(b, len)) return;
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static inline void buf_put_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.bytes, s.len);
}

static inline void buf_put_str(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

/* A string literal, its length known while compiling. */
#define BUF_PUT_LIT(b, literal) buf_put((b), "" literal, sizeof(literal) - 1)

static inline void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_put_u64(struct buf *b, uint64_t n); /* decimal */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Errors: SYNC_ENOMEM, SYNC_ELIMIT ("over N bytes"), whichever append failed first. */
enum sync_err buf_check(const struct buf *b, struct err_ctx *ec);

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->bytes, b->len);
}

/* The bytes become the caller's to free(); the buffer is empty again. *ret_len is their count. */
char *buf_take(struct buf *b, size_t *ret_len);

#endif
