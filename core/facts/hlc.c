#include "core/facts/hlc.h"

#include "core/base/base64.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static_assert(HLC_ENCODED_SIZE == 30, "hlc wire layout");
static_assert(BASE64_TEXT_MAX(HLC_ENCODED_SIZE) == HLC_TEXT, "hlc text needs no padding");

int hlc_cmp(const struct hlc *a, const struct hlc *b)
{
    if (a->wall_ms != b->wall_ms) return a->wall_ms < b->wall_ms ? -1 : 1;
    if (a->counter != b->counter) return a->counter < b->counter ? -1 : 1;
    int c = site_id_cmp(&a->site, &b->site);
    if (c != 0) return c;
    return (a->op_seq > b->op_seq) - (a->op_seq < b->op_seq);
}

bool hlc_same_transaction(const struct hlc *a, const struct hlc *b)
{
    return a->wall_ms == b->wall_ms && a->counter == b->counter && site_id_eq(&a->site, &b->site);
}

bool hlc_eq(const struct hlc *a, const struct hlc *b)
{
    return a->op_seq == b->op_seq && hlc_same_transaction(a, b);
}

static void put_be(uint8_t *ret, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) ret[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

void hlc_encode(const struct hlc *h, uint8_t ret[HLC_ENCODED_SIZE])
{
    put_be(ret, h->wall_ms, 8);
    put_be(ret + 8, h->counter, 2);
    memcpy(ret + 10, h->site.bytes, SITE_ID_BYTES);
    put_be(ret + 26, h->op_seq, 4);
}

void hlc_decode(const uint8_t bytes[HLC_ENCODED_SIZE], struct hlc *ret)
{
    ret->wall_ms = get_be(bytes, 8);
    ret->counter = (uint16_t)get_be(bytes + 8, 2);
    memcpy(ret->site.bytes, bytes + 10, SITE_ID_BYTES);
    ret->op_seq = (uint32_t)get_be(bytes + 26, 4);
}

enum sync_err hlc_parse(struct slice text, struct hlc *ret, struct err_ctx *ec)
{
    uint8_t bytes[HLC_ENCODED_SIZE];
    size_t len;
    if (text.len != HLC_TEXT || !base64_decode(BASE64_STD, text, bytes, sizeof bytes, &len) ||
        len != HLC_ENCODED_SIZE)
        return err_set(ec, SYNC_EBADMSG, "an HLC is %d characters of standard base64", HLC_TEXT);
    hlc_decode(bytes, ret);
    return SYNC_OK;
}

void hlc_format(const struct hlc *h, char ret[HLC_TEXT])
{
    uint8_t bytes[HLC_ENCODED_SIZE];
    hlc_encode(h, bytes);
    (void)base64_encode(BASE64_STD, bytes, sizeof bytes, ret); /* 40 characters, always */
}

size_t hlc_format_transaction(const struct hlc *h, char ret[TRANSACTION_ID_MAX + 1])
{
    char site[SITE_ID_TEXT + 1];
    site_id_format(&h->site, site);
    int n =
        snprintf(ret, TRANSACTION_ID_MAX + 1, "%" PRIu64 ":%u:%s", h->wall_ms, (unsigned)h->counter, site);
    assert(n > 0 && n <= TRANSACTION_ID_MAX);
    return (size_t)n;
}

enum sync_err hlc_check_drift(const struct hlc *h, uint64_t now_ms, struct err_ctx *ec)
{
    if (h->wall_ms > now_ms && h->wall_ms - now_ms > HLC_DRIFT_MS_MAX)
        return err_set(ec, SYNC_EDRIFT,
                       "HLC is %" PRIu64 " ms ahead of this server's clock, at most %d are taken",
                       h->wall_ms - now_ms, HLC_DRIFT_MS_MAX);
    return SYNC_OK;
}

int stamp_cmp(const struct stamp *a, const struct stamp *b)
{
    if (a->wall_ms != b->wall_ms) return a->wall_ms < b->wall_ms ? -1 : 1;
    if (a->counter != b->counter) return a->counter < b->counter ? -1 : 1;
    return (a->op_seq > b->op_seq) - (a->op_seq < b->op_seq);
}

struct stamp stamp_next(const struct stamp *last, const struct hlc *highest_arrived)
{
    struct stamp next = {.wall_ms = highest_arrived->wall_ms, .counter = highest_arrived->counter};
    if (last->wall_ms > next.wall_ms || (last->wall_ms == next.wall_ms && last->counter > next.counter)) {
        next.wall_ms = last->wall_ms;
        next.counter = last->counter;
    }
    if (next.counter == UINT16_MAX) {
        assert(next.wall_ms < UINT64_MAX); /* drift check: no wall clock is that far ahead */
        next.wall_ms++;
        next.counter = 0;
    } else {
        next.counter++;
    }
    return next;
}

struct hlc stamp_to_hlc(const struct stamp *s, const struct site_id *server_site)
{
    return (struct hlc){
        .wall_ms = s->wall_ms, .counter = s->counter, .site = *server_site, .op_seq = s->op_seq};
}

bool stamp_floor(const struct hlc *watermark, const struct site_id *server_site, struct stamp *ret)
{
    struct stamp s = {
        .wall_ms = watermark->wall_ms, .counter = watermark->counter, .op_seq = watermark->op_seq};
    int c = site_id_cmp(&watermark->site, server_site);
    if (c > 0) {
        s.op_seq = UINT32_MAX; /* every stamp of this wall and counter sorts below the watermark */
    } else if (c < 0) {
        if (s.wall_ms == 0 && s.counter == 0) return false;
        if (s.counter == 0) s.wall_ms--;
        s.counter--; /* 0 wraps to 65535, as it should */
        s.op_seq = UINT32_MAX;
    }
    *ret = s;
    return true;
}
