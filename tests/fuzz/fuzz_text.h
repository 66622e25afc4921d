/* fuzz_text.h -- the fuzzer's bytes in memory of exactly their size and the reader's padding, so that a
 * sanitizer sees the first byte too far. */
#ifndef TESTS_FUZZ_TEXT_H
#define TESTS_FUZZ_TEXT_H

#include "core/json/json.h"

#include <stdlib.h>
#include <string.h>

/* What every target is: returns 0, or crashes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For free(). The padding holds closing brackets, which do harm if they are read. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + JSON_PADDING);
    if (text == NULL) abort();
    if (size > 0) memcpy(text, data, size);
    for (size_t i = 0; i < JSON_PADDING; i++) text[size + i] = size % 2 == 0 ? ']' : '}';
    return text;
}

#endif
