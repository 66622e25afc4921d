#include "core/json/json_text.h"

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/utf8.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum { SURROGATE_FIRST = 0xd800, SURROGATE_LOW = 0xdc00, SURROGATE_END = 0xe000, REPLACEMENT = 0xfffd };

size_t json_text_len(const char *text)
{
    size_t len = 0;
    while (text[len] != '"') len += text[len] == '\\' ? 2 : 1;
    return len;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Reads the escape at *at (its backslash), moves past it, returns the code point; -1 when malformed. A
 * surrogate without its other half is returned as it is. */
static int32_t take_escape(const char **at, const char *end)
{
    const char *p = *at + 1;
    if (p == end) return -1;
    char c = *p++;
    int32_t code;
    switch (c) {
    case '"':
    case '\\':
    case '/': code = c; break;
    case 'b': code = '\b'; break;
    case 'f': code = '\f'; break;
    case 'n': code = '\n'; break;
    case 'r': code = '\r'; break;
    case 't': code = '\t'; break;
    case 'u':
        code = hex4(p, end);
        if (code < 0) return -1;
        p += 4;
        if (code >= SURROGATE_FIRST && code < SURROGATE_LOW && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            int32_t low = hex4(p + 2, end);
            if (low >= SURROGATE_LOW && low < SURROGATE_END) {
                code = 0x10000 + ((code - SURROGATE_FIRST) << 10) + (low - SURROGATE_LOW);
                p += 6;
            }
        }
        break;
    default: return -1;
    }
    *at = p;
    return code;
}

static bool is_surrogate(int32_t code)
{
    return code >= SURROGATE_FIRST && code < SURROGATE_END;
}

bool json_text_check(struct slice inside, bool *ret_lone)
{
    const char *at = inside.bytes, *end = inside.bytes + inside.len;
    if (ret_lone != NULL) *ret_lone = false;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        int32_t code = take_escape(&at, end);
        if (code < 0) return false;
        if (ret_lone != NULL && is_surrogate(code)) *ret_lone = true;
    }
    return true;
}

/* The UTF-8 of a code point; of a surrogate, which has none, that of U+FFFD. Returns its length. */
static size_t utf8_of(int32_t code, char ret[4])
{
    if (is_surrogate(code)) code = REPLACEMENT;
    if (code < 0x80) {
        ret[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        ret[0] = (char)(0xc0 | code >> 6);
        ret[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        ret[0] = (char)(0xe0 | code >> 12);
        ret[1] = (char)(0x80 | (code >> 6 & 63));
        ret[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    ret[0] = (char)(0xf0 | code >> 18);
    ret[1] = (char)(0x80 | (code >> 12 & 63));
    ret[2] = (char)(0x80 | (code >> 6 & 63));
    ret[3] = (char)(0x80 | (code & 63));
    return 4;
}

static void put_utf8(struct buf *out, int32_t code)
{
    char bytes[4];
    size_t len = utf8_of(code, bytes);
    buf_put(out, bytes, len);
}

void json_text_resolve(struct slice inside, struct buf *out)
{
    const char *at = inside.bytes, *end = inside.bytes + inside.len;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        if (escape == NULL) escape = end;
        buf_put(out, at, (size_t)(escape - at));
        at = escape;
        if (at == end) return;
        int32_t code = take_escape(&at, end);
        assert(code >= 0); /* json_text_check() came first */
        put_utf8(out, code);
    }
}

bool json_text_resolve_in(struct slice inside, struct arena *arena, struct slice *ret)
{
    *ret = inside;
    if (memchr(inside.bytes, '\\', inside.len) == NULL) return true;
    struct buf text = buf_make(inside.len); /* resolving never makes a text longer */
    json_text_resolve(inside, &text);
    *ret = text.failed == SYNC_OK ? arena_copy(arena, buf_slice(&text)) : slice_of(NULL, 0);
    buf_deinit(&text);
    return ret->bytes != NULL; /* an escape stands for a byte at least, so NULL is no empty text */
}

struct slice json_text_short(struct slice inside, char *room, size_t room_bytes)
{
    const char *at = inside.bytes, *end = inside.bytes + inside.len;
    size_t len = 0;
    if (memchr(at, '\\', inside.len) == NULL) return inside;
    while (at < end) {
        char bytes[4] = {*at};
        size_t n = 1;
        if (*at == '\\') {
            int32_t code = take_escape(&at, end);
            assert(code >= 0); /* json_text_check() came first */
            n = utf8_of(code, bytes);
        } else {
            at++;
        }
        if (n > room_bytes - len) return inside;
        memcpy(room + len, bytes, n);
        len += n;
    }
    return slice_of(room, len);
}

static void put_escape(struct buf *out, char c)
{
    switch (c) {
    case '"': BUF_PUT_LIT(out, "\\\""); break;
    case '\\': BUF_PUT_LIT(out, "\\\\"); break;
    case '\n': BUF_PUT_LIT(out, "\\n"); break;
    case '\r': BUF_PUT_LIT(out, "\\r"); break;
    case '\t': BUF_PUT_LIT(out, "\\t"); break;
    default: buf_printf(out, "\\u%04x", (unsigned)(uint8_t)c);
    }
}

void json_put_text(struct buf *out, struct slice text)
{
    size_t plain = 0; /* first byte not yet written */
    buf_put_char(out, '"');
    for (size_t i = 0; i < text.len;) {
        uint8_t c = (uint8_t)text.bytes[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t n = c < 0x80 ? 0 : utf8_len(text.bytes + i, text.len - i);
        if (n > 0) {
            i += n;
            continue;
        }
        buf_put(out, text.bytes + plain, i - plain);
        if (c < 0x80)
            put_escape(out, (char)c);
        else
            put_utf8(out, REPLACEMENT);
        plain = ++i;
    }
    if (plain < text.len) buf_put(out, text.bytes + plain, text.len - plain); /* of no bytes may be NULL */
    buf_put_char(out, '"');
}

void json_put_raw(struct buf *out, struct slice value)
{
    size_t at = out->len;
    buf_put_slice(out, value);
    if (out->failed != SYNC_OK ||
        (memchr(value.bytes, '\n', value.len) == NULL && memchr(value.bytes, '\r', value.len) == NULL))
        return;
    for (; at < out->len; at++)
        if (out->bytes[at] == '\n' || out->bytes[at] == '\r') out->bytes[at] = ' ';
}
