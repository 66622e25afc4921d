#include "core/base/base64.h"

#include <assert.h>

static const char text_std[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char text_url[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value of a character, +1 so that the table's zeros mean "not base64". The two alphabets share one table;
 * what differs is four characters, told apart by is_foreign(). */
static const uint8_t value_of[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['-'] = 63,
    ['/'] = 64, ['_'] = 64,
};

size_t base64_encode(enum base64_alphabet alphabet, const uint8_t *bytes, size_t len, char *ret)
{
    assert(alphabet != BASE64_ANY);
    const char *text = alphabet == BASE64_STD ? text_std : text_url;
    size_t at = 0, i = 0;
    for (; len - i >= 3; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        ret[at++] = text[v >> 18];
        ret[at++] = text[v >> 12 & 63];
        ret[at++] = text[v >> 6 & 63];
        ret[at++] = text[v & 63];
    }
    if (i == len) return at;
    uint32_t v = (uint32_t)bytes[i] << 16 | (len - i == 2 ? (uint32_t)bytes[i + 1] << 8 : 0);
    ret[at++] = text[v >> 18];
    ret[at++] = text[v >> 12 & 63];
    if (len - i == 2) ret[at++] = text[v >> 6 & 63];
    while (alphabet == BASE64_STD && at % 4 != 0) ret[at++] = '=';
    return at;
}

/* Is c, which has a value, of the other alphabet? */
static bool is_foreign(enum base64_alphabet alphabet, char c)
{
    if (alphabet == BASE64_STD) return c == '-' || c == '_';
    if (alphabet == BASE64_URL) return c == '+' || c == '/';
    return false;
}

/* The next `count` characters, up to 4, as a number. */
static bool take_group(enum base64_alphabet alphabet, const char *text, size_t count, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t value = value_of[(uint8_t)text[i]];
        if (value == 0 || (value >= 63 && is_foreign(alphabet, text[i]))) return false;
        v = v << 6 | (value - 1);
    }
    *ret = v;
    return true;
}

bool base64_decode(enum base64_alphabet alphabet, struct slice text, uint8_t *ret, size_t ret_max,
                   size_t *ret_len)
{
    size_t chars = text.len, i = 0, at = 0;
    uint32_t v;
    if (chars % 4 == 0 && chars > 0 && text.bytes[chars - 1] == '=')
        chars -= text.bytes[chars - 2] == '=' ? 2 : 1;
    if (chars % 4 == 1) return false;
    size_t len = chars / 4 * 3 + (chars % 4 == 0 ? 0 : chars % 4 - 1);
    if (ret != NULL && len > ret_max) return false;

    for (; chars - i >= 4; i += 4, at += 3) {
        if (!take_group(alphabet, text.bytes + i, 4, &v)) return false;
        if (ret == NULL) continue;
        ret[at] = (uint8_t)(v >> 16);
        ret[at + 1] = (uint8_t)(v >> 8);
        ret[at + 2] = (uint8_t)v;
    }
    if (i < chars) {
        size_t spare = chars - i == 2 ? 4 : 2; /* bits of v behind its last whole byte: zeros */
        if (!take_group(alphabet, text.bytes + i, chars - i, &v)) return false;
        if ((v & ((1U << spare) - 1)) != 0) return false;
        v >>= spare;
        if (ret != NULL && spare == 2) ret[at] = (uint8_t)(v >> 8);
        if (ret != NULL) ret[len - 1] = (uint8_t)v;
    }
    *ret_len = len;
    return true;
}
