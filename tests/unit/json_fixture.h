/* json_fixture.h -- a JSON text in the memory that json.h wants: exactly the text and its padding, so that a
 * sanitizer sees the first byte too far. The padding holds what would do harm if it were read. */
#ifndef TESTS_JSON_FIXTURE_H
#define TESTS_JSON_FIXTURE_H

#include "core/json/json.h"

#include <stdlib.h>
#include <string.h>

/* For the caller to free(). */
static inline char *json_padded(const char *text, size_t len)
{
    char *bytes = malloc(len + JSON_PADDING);
    if (bytes == NULL) abort();
    memcpy(bytes, text, len);
    memset(bytes + len, ']', JSON_PADDING);
    return bytes;
}

#endif
