#include "core/base/buf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(buf, appends_in_order)
{
    struct buf b = buf_make(1000);
    BUF_PUT_LIT(&b, "a=");
    buf_put_u64(&b, 18446744073709551615u);
    buf_put_char(&b, ' ');
    buf_printf(&b, "%s-%d", "x", 7);
    buf_put_u64(&b, 0);
    cr_assert(slice_is(buf_slice(&b), "a=18446744073709551615 x-70"));
    buf_deinit(&b);
}

Test(buf, an_append_over_the_ceiling_fails_the_buffer_and_keeps_its_memory_bounded)
{
    struct buf b = buf_make(300);
    struct err_ctx ec;
    char text[200] = {0};
    buf_put(&b, text, sizeof text);
    buf_put(&b, text, 100);
    cr_assert_eq(buf_check(&b, &ec), SYNC_OK, "exactly full is fine");
    buf_put_char(&b, 'x');
    cr_assert_eq(buf_check(&b, &ec), SYNC_ELIMIT);
    cr_assert_str_eq(ec.text, "over 300 bytes");
    cr_assert_leq(b.capacity, 300);
    buf_clear(&b);
    buf_put_char(&b, 'x');
    cr_assert_eq(buf_check(&b, &ec), SYNC_OK, "a cleared buffer may be used again");
    buf_deinit(&b);
}

Test(buf, take_hands_the_bytes_over)
{
    struct buf b = buf_make(100);
    size_t len;
    buf_put_str(&b, "mine");
    char *bytes = buf_take(&b, &len);
    cr_assert_eq(len, 4);
    cr_assert_eq(b.len, 0);
    cr_assert_null(b.bytes);
    free(bytes);
}
