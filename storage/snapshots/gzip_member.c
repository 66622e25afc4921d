#include "storage/snapshots/gzip_member.h"

#include <assert.h>
#include <string.h>

/* RFC 1952, 2.3: deflate, an extra field, no time, no word about the system; the field's length, its name,
 * and the length of what it holds. */
static const uint8_t head_begin[MEMBER_HEAD_BYTES - 4] = {0x1f, 0x8b, 8, 4, 0,   0,   0, 0,
                                                          0,    0xff, 8, 0, 'S', 'C', 4, 0};

static uint8_t *put_le32(uint8_t *at, uint32_t n)
{
    for (int i = 0; i < 4; i++) *at++ = (uint8_t)(n >> 8 * i);
    return at;
}

size_t gzip_member_put(struct libdeflate_compressor *c, struct slice text, uint8_t ret[MEMBER_BYTES_MAX])
{
    size_t room = MEMBER_BYTES_MAX - MEMBER_HEAD_BYTES - MEMBER_TAIL_BYTES;
    assert(text.len <= MEMBER_TEXT_MAX && libdeflate_deflate_compress_bound(c, text.len) <= room);
    memcpy(ret, head_begin, sizeof head_begin);
    size_t packed = libdeflate_deflate_compress(c, text.bytes, text.len, ret + MEMBER_HEAD_BYTES, room);
    assert(packed > 0);
    uint8_t *at = ret + MEMBER_HEAD_BYTES + packed;
    at = put_le32(at, libdeflate_crc32(0, text.bytes, text.len));
    at = put_le32(at, (uint32_t)text.len);
    size_t bytes = (size_t)(at - ret);
    (void)put_le32(ret + sizeof head_begin, (uint32_t)bytes);
    return bytes;
}

size_t gzip_member_bytes(const uint8_t head[MEMBER_HEAD_BYTES])
{
    const uint8_t *at = head + sizeof head_begin;
    if (memcmp(head, head_begin, sizeof head_begin) != 0) return 0;
    size_t bytes = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
    return bytes >= MEMBER_HEAD_BYTES + MEMBER_TAIL_BYTES && bytes <= MEMBER_BYTES_MAX ? bytes : 0;
}

bool gzip_member_get(struct libdeflate_decompressor *d, struct slice member, uint8_t ret[MEMBER_TEXT_MAX],
                     size_t *ret_len)
{
    size_t used;
    return libdeflate_gzip_decompress_ex(d, member.bytes, member.len, ret, MEMBER_TEXT_MAX, &used, ret_len) ==
               LIBDEFLATE_SUCCESS &&
           used == member.len;
}
