#include "core/facts/hlc.h"

#include "random.h"

#include <criterion/criterion.h>

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* Few distinct values, so that ties are common. */
static struct hlc random_hlc(uint64_t *seed)
{
    struct hlc h = {.wall_ms = 1 + random_below(seed, 3), .counter = (uint16_t)random_below(seed, 3)};
    h.site.bytes[random_below(seed, SITE_ID_BYTES)] = (uint8_t)random_below(seed, 3);
    h.op_seq = (uint32_t)random_below(seed, 3);
    return h;
}

Test(hlc, encoding_sorts_like_values)
{
    uint64_t seed = 42;
    for (int i = 0; i < 20000; i++) {
        struct hlc a = random_hlc(&seed), b = random_hlc(&seed);
        uint8_t ea[HLC_ENCODED_SIZE], eb[HLC_ENCODED_SIZE];
        hlc_encode(&a, ea);
        hlc_encode(&b, eb);
        cr_assert_eq(sign(hlc_cmp(&a, &b)), sign(memcmp(ea, eb, sizeof ea)), "pair %d", i);
    }
}

Test(hlc, text_comes_back_and_the_layout_is_the_protocols)
{
    struct hlc h;
    struct err_ctx ec;
    char text[HLC_TEXT];
    const char *known = "AAABlB8pfdYAAQAAAAAAAEAAgAAAAAAAA+gAAAAB";
    cr_assert_eq(hlc_parse(slice_str(known), &h, &ec), SYNC_OK);
    cr_assert_eq(h.wall_ms, 1735689600470u);
    cr_assert_eq(h.counter, 1);
    cr_assert_eq(h.op_seq, 1);
    hlc_format(&h, text);
    cr_assert(slice_is(slice_of(text, sizeof text), known));
    char id[TRANSACTION_ID_MAX + 1];
    hlc_format_transaction(&h, id);
    cr_assert_str_eq(id, "1735689600470:1:AAAAAAAAQACAAAAAAAAD6A");
}

Test(hlc, refuses_what_is_not_40_characters_of_standard_base64)
{
    static const char *const bad[] = {
        "", "AAABlB8pfdYAAQAAAAAAAEAAgAAAAAAAA+gAAAA", "AAABlB8pfdYAAQAAAAAAAEAAgAAAAAAAA-gAAAAB",
        "AAABlB8pfdYAAQAAAAAAAEAAgAAAAAAAA+gAAA==", "AAABlB8pfdYAAQAAAAAAAEAAgAAAAAAAA gAAAAB"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hlc h;
        struct err_ctx ec;
        cr_assert_eq(hlc_parse(slice_str(bad[i]), &h, &ec), SYNC_EBADMSG, "%s", bad[i]);
    }
}

Test(hlc, longest_transaction_id_fits)
{
    struct hlc h = {.wall_ms = UINT64_MAX, .counter = UINT16_MAX};
    char id[TRANSACTION_ID_MAX + 1];
    cr_assert_eq(hlc_format_transaction(&h, id), TRANSACTION_ID_MAX);
}

Test(hlc, drift_is_refused_from_60001_ms_ahead)
{
    struct err_ctx ec;
    struct hlc h = {.wall_ms = 1060000};
    cr_assert_eq(hlc_check_drift(&h, 1000000, &ec), SYNC_OK);
    h.wall_ms++;
    cr_assert_eq(hlc_check_drift(&h, 1000000, &ec), SYNC_EDRIFT);
    h.wall_ms = UINT64_MAX;
    cr_assert_eq(hlc_check_drift(&h, 1000000, &ec), SYNC_EDRIFT);
    h.wall_ms = 0;
    cr_assert_eq(hlc_check_drift(&h, 1000000, &ec), SYNC_OK, "old facts are welcome");
}

Test(hlc, a_stamp_is_above_the_last_one_and_above_all_that_arrived)
{
    struct stamp last = {.wall_ms = 100, .counter = 5, .op_seq = 9};
    struct hlc arrived = {.wall_ms = 90, .counter = 9, .op_seq = 3};
    struct stamp s = stamp_next(&last, &arrived);
    cr_assert(s.wall_ms == 100 && s.counter == 6 && s.op_seq == 0);
    arrived.wall_ms = 100;
    s = stamp_next(&last, &arrived);
    cr_assert(s.wall_ms == 100 && s.counter == 10);
    arrived.wall_ms = 101;
    arrived.counter = UINT16_MAX;
    s = stamp_next(&last, &arrived);
    cr_assert(s.wall_ms == 102 && s.counter == 0, "a full counter moves the wall");
}

/* By definition: the greatest stamp whose HLC is <= the watermark. Compared with a search over a small
 * space. */
Test(hlc, stamp_floor_is_the_greatest_stamp_not_above_the_watermark)
{
    uint64_t seed = 11;
    for (int i = 0; i < 5000; i++) {
        struct hlc w = random_hlc(&seed), server = random_hlc(&seed);
        if (i % 3 == 0) server.site = w.site;
        struct stamp floor;
        bool found = stamp_floor(&w, &server.site, &floor);
        for (int k = 0; k < 50; k++) {
            struct stamp s = {.wall_ms = random_below(&seed, 5), .counter = (uint16_t)random_below(&seed, 4)};
            s.op_seq = (uint32_t)random_below(&seed, 4);
            struct hlc as_hlc = stamp_to_hlc(&s, &server.site);
            bool has = hlc_cmp(&as_hlc, &w) <= 0;
            cr_assert_eq(has, found && stamp_cmp(&s, &floor) <= 0, "watermark %d, stamp %d", i, k);
        }
    }
}

Test(hlc, nothing_is_below_the_lowest_watermark)
{
    struct hlc w = {0};
    struct site_id server = {{1}};
    struct stamp floor;
    cr_assert_not(stamp_floor(&w, &server, &floor));
}
