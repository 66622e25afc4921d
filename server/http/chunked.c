#include "server/http/chunked.h"

enum { SIZE_DIGITS_MAX = 15 }; /* less than 2^60 */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static enum sync_err malformed(struct err_ctx *ec)
{
    return err_set(ec, SYNC_EBADMSG, "the chunked body is malformed");
}

static void begin_line(struct chunked *c, enum chunked_state state)
{
    c->state = state;
    c->line_len = 0;
}

/* A line feed ends the size line. */
static enum sync_err end_size(struct chunked *c)
{
    c->digits = 0;
    begin_line(c, c->left == 0 ? CHUNKED_TRAILER : CHUNKED_DATA);
    return SYNC_OK;
}

/* A character of the size line behind its digits. */
static enum sync_err take_size_end(struct chunked *c, char ch, struct err_ctx *ec)
{
    if (ch == '\n') return end_size(c);
    if (c->state == CHUNKED_LINE_FEED || ++c->line_len > CHUNK_LINE_MAX) return malformed(ec);
    if (ch == '\r')
        c->state = CHUNKED_LINE_FEED;
    else if (ch == ';')
        c->state = CHUNKED_EXTENSION;
    else if (c->state == CHUNKED_SIZE_END && ch != ' ' && ch != '\t')
        return malformed(ec);
    return SYNC_OK;
}

/* One character of what is not data. */
static enum sync_err take(struct chunked *c, char ch, struct err_ctx *ec)
{
    int digit = hex_of(ch);
    switch (c->state) {
    case CHUNKED_SIZE:
        if (digit < 0) {
            if (c->digits == 0) return malformed(ec);
            c->state = CHUNKED_SIZE_END;
            return take_size_end(c, ch, ec);
        }
        if (++c->digits > SIZE_DIGITS_MAX) return malformed(ec);
        c->left = c->left << 4 | (uint64_t)digit;
        return SYNC_OK;
    case CHUNKED_SIZE_END:
    case CHUNKED_EXTENSION:
    case CHUNKED_LINE_FEED: return take_size_end(c, ch, ec);
    case CHUNKED_DATA_END:
        if (ch == '\r' && c->line_len++ == 0) return SYNC_OK;
        if (ch != '\n') return malformed(ec);
        begin_line(c, CHUNKED_SIZE);
        return SYNC_OK;
    case CHUNKED_TRAILER:
        if (++c->trailers > CHUNK_TRAILERS_MAX) return malformed(ec);
        if (ch == '\r') return SYNC_OK;
        if (ch != '\n')
            c->line_len++;
        else if (c->line_len == 0)
            c->state = CHUNKED_DONE;
        else
            c->line_len = 0;
        return SYNC_OK;
    default: return SYNC_OK;
    }
}

enum sync_err chunked_decode(struct chunked *c, const char *bytes, size_t len, size_t bytes_max,
                             struct buf *out, struct err_ctx *ec)
{
    for (size_t at = 0; at < len && c->state != CHUNKED_DONE;) {
        if (c->state != CHUNKED_DATA) {
            enum sync_err rc = take(c, bytes[at++], ec);
            if (rc != SYNC_OK) return rc;
            continue;
        }
        if (c->left > bytes_max - out->len)
            return err_set(ec, SYNC_ELIMIT, "the body has over %zu bytes", bytes_max);
        size_t n = len - at < c->left ? len - at : (size_t)c->left;
        buf_put(out, bytes + at, n);
        at += n;
        c->left -= n;
        if (c->left == 0) begin_line(c, CHUNKED_DATA_END);
    }
    return buf_check(out, ec);
}
