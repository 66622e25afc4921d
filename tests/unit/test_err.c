#include "core/base/err.h"

#include <criterion/criterion.h>
#include <string.h>

Test(err, text_grows_a_prefix_at_each_level)
{
    struct err_ctx ec;
    cr_assert_eq(err_set(&ec, SYNC_EFORMAT, "format %d", 9), SYNC_EFORMAT);
    err_wrap(&ec, "open %s", "shard-3");
    err_wrap(&ec, "start");
    cr_assert_str_eq(ec.text, "start: open shard-3: format 9");
}

Test(err, long_texts_are_cut_not_overrun)
{
    struct err_ctx ec;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&ec, SYNC_EIO, "%s", text);
    cr_assert_eq(strlen(ec.text), ERR_TEXT_MAX - 1);
    err_wrap(&ec, "%s", text);
    cr_assert_eq(strlen(ec.text), ERR_TEXT_MAX - 1);
}

Test(err, every_code_has_a_name_and_a_status)
{
#define X(code, http, name)                                                                                  \
    cr_assert_str_eq(err_name(SYNC_##code), name);                                                           \
    cr_assert_eq(err_http_status(SYNC_##code), http);
    SYNC_ERR_MAP(X)
#undef X
}
