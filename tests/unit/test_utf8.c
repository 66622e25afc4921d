#include "core/base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

Test(utf8, sequences_are_measured_and_decoded)
{
    static const struct {
        const char *text;
        size_t len;
        uint32_t code;
    } good[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[8] = {0};
        strcpy(text, good[i].text);
        text[strlen(text)] = 'x';
        cr_assert_eq(utf8_len(text, good[i].len + 1), good[i].len, "%zu", i);
        cr_assert_eq(utf8_code(text, good[i].len), good[i].code, "%zu", i);
        if (good[i].len > 1) cr_assert_eq(utf8_len(text, good[i].len - 1), 0, "%zu: cut off", i);
    }
}

Test(utf8, what_is_no_sequence_has_no_length)
{
    static const char *const bad[] = {
        "\x80",             /* a continuation alone */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc2\x41",
        "\xe2\x82\x28",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(utf8_len(bad[i], strlen(bad[i])), 0, "%zu", i);
}
