/* Any bytes as the text of an HLC or a site id; what is accepted is written back the same. Pairs of HLCs, and
 * stamps made from them, keep their order. */
#include "core/facts/hlc.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void check_pair(const uint8_t *data)
{
    struct hlc a, b;
    struct stamp floor;
    uint8_t again[HLC_ENCODED_SIZE];
    hlc_decode(data, &a);
    hlc_decode(data + HLC_ENCODED_SIZE, &b);
    hlc_encode(&a, again);
    assert(memcmp(again, data, sizeof again) == 0);
    assert(sign(hlc_cmp(&a, &b)) == sign(memcmp(data, data + HLC_ENCODED_SIZE, HLC_ENCODED_SIZE)));
    assert(hlc_eq(&a, &b) == (hlc_cmp(&a, &b) == 0));

    /* b's site is the server's; the floor is the last stamp at or below a. */
    if (stamp_floor(&a, &b.site, &floor)) {
        struct hlc h = stamp_to_hlc(&floor, &b.site);
        assert(hlc_cmp(&h, &a) <= 0);
    }
    if (a.wall_ms == UINT64_MAX || b.wall_ms == UINT64_MAX) return; /* no clock is that far ahead */
    struct stamp last = {.wall_ms = b.wall_ms, .counter = b.counter, .op_seq = b.op_seq};
    struct stamp next = stamp_next(&last, &a);
    struct hlc h = stamp_to_hlc(&next, &b.site);
    assert(stamp_cmp(&next, &last) > 0 && hlc_cmp(&h, &a) > 0 && next.op_seq == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct err_ctx ec;
    struct hlc h;
    struct site_id site;
    char written[HLC_TEXT], site_text[SITE_ID_TEXT + 1];
    if (hlc_parse(text, &h, &ec) == SYNC_OK) {
        hlc_format(&h, written);
        assert(slice_eq(text, slice_of(written, HLC_TEXT)));
        char id[TRANSACTION_ID_MAX + 1];
        assert(hlc_format_transaction(&h, id) == strlen(id));
    }
    if (site_id_parse(text, &site, &ec) == SYNC_OK) {
        site_id_format(&site, site_text);
        assert(slice_is(text, site_text));
    }
    if (size == 2 * HLC_ENCODED_SIZE) check_pair(data);
    return 0;
}
