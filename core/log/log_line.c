#include "core/log/log_line.h"

#include "core/base/utf8.h"

#include <assert.h>
#include <stdio.h>

static const char ellipsis[] = "\xe2\x80\xa6";    /* U+2026 */
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

void log_line_start(struct log_line *l, size_t reserved)
{
    assert(reserved < sizeof l->bytes);
    l->len = 0;
    l->limit = sizeof l->bytes - reserved;
    l->full = false;
}

void log_line_finish(struct log_line *l)
{
    l->limit = sizeof l->bytes;
}

void log_line_cut(struct log_line *l, size_t len)
{
    assert(len <= l->len);
    l->len = len;
}

void log_line_put(struct log_line *l, struct slice text)
{
    if (text.len > l->limit - l->len) {
        l->full = true;
        return;
    }
    if (text.len > 0) memcpy(l->bytes + l->len, text.bytes, text.len);
    l->len += text.len;
}

void log_line_put_u64(struct log_line *l, uint64_t n)
{
    char digits[20]; /* 2^64 - 1 has 20 */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    log_line_put(l, slice_of(digits + at, sizeof digits - at));
}

void log_line_put_i64(struct log_line *l, int64_t n)
{
    size_t first = l->len;
    bool was_full = l->full;
    l->full = false;
    if (n < 0) log_line_put(l, slice_str("-"));
    log_line_put_u64(l, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    if (l->full) log_line_cut(l, first);
    l->full |= was_full;
}

/* Characters that a terminal or a reader would act on instead of showing them. */
static bool is_active(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c}, {0x200b, 0x200f},   {0x2028, 0x202e},
        {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

/* How the character at the start of `rest` is written between quotes: points *ret at its own bytes or into
 * `room`; returns how many bytes of `rest` it takes. */
static size_t next_piece(struct slice rest, char room[16], struct slice *ret)
{
    char c = rest.bytes[0];
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') { /* nearly all of them */
        *ret = slice_of(rest.bytes, 1);
        return 1;
    }
    size_t taken = utf8_len(rest.bytes, rest.len);
    if (taken == 0) {
        *ret = slice_str(replacement);
        return 1;
    }
    uint32_t code = utf8_code(rest.bytes, taken);
    int n = 0;
    if (code == '"' || code == '\\')
        n = snprintf(room, 16, "\\%c", (char)code);
    else if (code == '\n' || code == '\r' || code == '\t')
        n = snprintf(room, 16, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
    else if (is_active(code) && code < 0x10000)
        n = snprintf(room, 16, "\\u%04x", (unsigned)code);
    else if (is_active(code))
        n = snprintf(room, 16, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                     (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));
    *ret = n > 0 ? slice_of(room, (size_t)n) : slice_of(rest.bytes, taken);
    return taken;
}

void log_line_put_quoted(struct log_line *l, struct slice text)
{
    size_t first = l->len, written = 0;
    bool was_full = l->full;
    l->full = false;
    log_line_put(l, slice_str("\""));
    for (size_t i = 0; i < text.len;) {
        char room[16];
        struct slice piece;
        i += next_piece(slice_of(text.bytes + i, text.len - i), room, &piece);
        if (piece.len > LOG_VALUE_BYTES_MAX - written) {
            log_line_put(l, slice_str(ellipsis));
            break;
        }
        written += piece.len;
        log_line_put(l, piece);
    }
    log_line_put(l, slice_str("\""));
    if (l->full) log_line_cut(l, first);
    l->full |= was_full;
}

/* Plain enough to be told from the next field without quotes. */
static bool is_plain(struct slice text)
{
    if (text.len == 0 || text.len > LOG_VALUE_BYTES_MAX) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') return false;
    }
    return true;
}

void log_line_put_value(struct log_line *l, struct slice text)
{
    if (is_plain(text))
        log_line_put(l, text);
    else
        log_line_put_quoted(l, text);
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

void log_line_put_time(struct log_line *l, uint64_t unix_ms)
{
    static const unsigned month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const uint64_t ms_max = 253402300799999; /* the end of the year 9999 */
    if (unix_ms > ms_max) unix_ms = ms_max;
    uint64_t day = unix_ms / 86400000;
    unsigned ms = (unsigned)(unix_ms % 86400000);
    unsigned year = 1970, month = 0;
    while (day >= (is_leap(year) ? 366u : 365u)) day -= is_leap(year++) ? 366 : 365;
    for (; month < 11; month++) {
        unsigned days = month_days[month] + (month == 1 && is_leap(year));
        if (day < days) break;
        day -= days;
    }
    char text[40];
    int n = snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month + 1,
                     (unsigned)day + 1, ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    assert(n == 24);
    log_line_put(l, slice_of(text, (size_t)n));
}
