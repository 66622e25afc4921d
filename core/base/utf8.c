#include "core/base/utf8.h"

size_t utf8_len(const char *text, size_t len)
{
    const uint8_t *b = (const uint8_t *)text;
    uint8_t first = b[0], low = 0x80, high = 0xbf;
    size_t want = first < 0x80                    ? 1
                  : first >= 0xc2 && first < 0xe0 ? 2
                  : first >= 0xe0 && first < 0xf0 ? 3
                                                  : 4;
    if (first >= 0x80 && (first < 0xc2 || first > 0xf4)) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (want > len) return 0;
    for (size_t i = 1; i < want; i++, low = 0x80, high = 0xbf)
        if (b[i] < low || b[i] > high) return 0;
    return want;
}

uint32_t utf8_code(const char *text, size_t len)
{
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (uint8_t)text[0] & first_bits[len];
    for (size_t i = 1; i < len; i++) code = code << 6 | ((uint8_t)text[i] & 0x3f);
    return code;
}
