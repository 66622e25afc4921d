/* utf8.h -- where a UTF-8 sequence ends, and which code point it is (RFC 3629). Pure. */
#ifndef CORE_BASE_UTF8_H
#define CORE_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the sequence at the start of text[0..len), len > 0; 0 when there is none: no surrogates, no
 * overlong forms, nothing past U+10FFFF, nothing cut off. */
size_t utf8_len(const char *text, size_t len);

/* The code point of a sequence for which utf8_len() gave `len`, 1 to 4. */
uint32_t utf8_code(const char *text, size_t len);

#endif
