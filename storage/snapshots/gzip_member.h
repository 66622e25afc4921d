/* gzip_member.h -- gzip in members that are each complete, and whose length their head tells.
 *
 * A gzip file is a sequence of members (RFC 1952, 2.2), and every gzip tool reads them as one text. Here each
 * has at most MEMBER_TEXT_MAX bytes of text, and an extra field (2.3.1.1) "SC" of four bytes: the length of
 * the whole member, little-endian. So a reader has one member's bytes in its hands before it unpacks them,
 * and the faster of the two libraries, which takes whole blocks only, can be used both ways.
 *
 * Pure. */
#ifndef STORAGE_SNAPSHOTS_GZIP_MEMBER_H
#define STORAGE_SNAPSHOTS_GZIP_MEMBER_H

#include "core/base/slice.h"

#include <libdeflate.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MEMBER_TEXT_MAX = 256 << 10,
    MEMBER_HEAD_BYTES = 20, /* no member of any gzip is shorter than this */
    MEMBER_TAIL_BYTES = 8,  /* CRC-32 and length of the text */
    MEMBER_BYTES_MAX = MEMBER_HEAD_BYTES + MEMBER_TEXT_MAX + 1024 + MEMBER_TAIL_BYTES,
};

/* Writes one member, and returns its length. At most MEMBER_TEXT_MAX bytes of text. */
size_t gzip_member_put(struct libdeflate_compressor *c, struct slice text, uint8_t ret[MEMBER_BYTES_MAX]);

/* The length that a head tells, MEMBER_BYTES_MAX at most; 0: it is no head of such a member, though perhaps
 * of another gzip. */
size_t gzip_member_bytes(const uint8_t head[MEMBER_HEAD_BYTES]);

/* The text of a member that is here as a whole. False: it is damaged. */
bool gzip_member_get(struct libdeflate_decompressor *d, struct slice member, uint8_t ret[MEMBER_TEXT_MAX],
                     size_t *ret_len);

#endif
