/* base64.h -- the two base64 alphabets of RFC 4648, strict about what they accept.
 *
 * BASE64_STD is section 4 (+ and /, padded when written); BASE64_URL is section 5 (- and _, not padded when
 * written); BASE64_ANY reads either, for URLs. Reading takes padding or none, but padding that is there must
 * be right, and the unused bits of the last character must be zero, so that one byte string has one text.
 *
 * Pure. */
#ifndef CORE_BASE_BASE64_H
#define CORE_BASE_BASE64_H

#include "core/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum base64_alphabet { BASE64_STD, BASE64_URL, BASE64_ANY };

/* Characters that `bytes` bytes become at most, padding included. */
#define BASE64_TEXT_MAX(bytes) (((bytes) + 2) / 3 * 4)

/* Writes the text of `len` bytes to ret, which has room for BASE64_TEXT_MAX(len), and returns its length.
 * Not zero terminated. `alphabet` is BASE64_STD or BASE64_URL. */
size_t base64_encode(enum base64_alphabet alphabet, const uint8_t *bytes, size_t len, char *ret);

/* False, ret unspecified, when text is not base64 of that alphabet or needs more than ret_max bytes. With
 * ret NULL it only checks and counts. */
bool base64_decode(enum base64_alphabet alphabet, struct slice text, uint8_t *ret, size_t ret_max,
                   size_t *ret_len);

#endif
