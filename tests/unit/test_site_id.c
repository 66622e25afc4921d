#include "core/facts/site_id.h"

#include <criterion/criterion.h>

Test(site_id, text_is_22_characters_of_base64url)
{
    struct site_id s;
    struct err_ctx ec;
    char text[SITE_ID_TEXT + 1];
    cr_assert_eq(site_id_parse(slice_str("AAAAAAAAQACAAAAAAAAD6Q"), &s, &ec), SYNC_OK);
    cr_assert_eq(s.bytes[15], 0xe9);
    site_id_format(&s, text);
    cr_assert_str_eq(text, "AAAAAAAAQACAAAAAAAAD6Q");
}

Test(site_id, refuses_everything_else)
{
    static const char *const bad[] = {"",
                                      "AAAAAAAAQACAAAAAAAAD6",
                                      "AAAAAAAAQACAAAAAAAAD6QA",
                                      "AAAAAAAAQACAAAAAAAAD6Q==",
                                      "AAAAAAAAQACAAAAAAAAD6+",
                                      "AAAAAAAAQACAAAAAAAAD6R" /* unused bits set */};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct site_id s = {{42}};
        struct err_ctx ec;
        cr_assert_eq(site_id_parse(slice_str(bad[i]), &s, &ec), SYNC_EBADMSG, "%s", bad[i]);
        cr_assert_eq(s.bytes[0], 42, "untouched");
    }
}
