/* Any bytes as base64, and as bytes to be written. One byte string has one text, padding aside. */
#include "core/base/base64.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

static void check_decode(enum base64_alphabet alphabet, const uint8_t *data, size_t size)
{
    size_t counted = 0, len = 0;
    char *text = fuzz_text(data, size);
    uint8_t *bytes = malloc(size + 1);
    char *again = malloc(BASE64_TEXT_MAX(size) + 1);
    if (bytes == NULL || again == NULL) abort();
    if (base64_decode(alphabet, slice_of(text, size), NULL, 0, &counted)) {
        assert(base64_decode(alphabet, slice_of(text, size), bytes, counted, &len));
        assert(len == counted);
        if (counted > 0) assert(!base64_decode(alphabet, slice_of(text, size), bytes, counted - 1, &len));
        size_t written = base64_encode(alphabet, bytes, counted, again);
        size_t chars = size;
        while (chars > 0 && text[chars - 1] == '=') chars--;
        while (written > 0 && again[written - 1] == '=') written--;
        assert(chars == written && memcmp(again, text, chars) == 0);
    }
    free(again);
    free(bytes);
    free(text);
}

static void check_encode(enum base64_alphabet alphabet, const uint8_t *data, size_t size)
{
    size_t len;
    char *text = malloc(BASE64_TEXT_MAX(size) + 1);
    uint8_t *bytes = malloc(size + 1);
    if (text == NULL || bytes == NULL) abort();
    size_t written = base64_encode(alphabet, data, size, text);
    assert(written <= BASE64_TEXT_MAX(size));
    assert(base64_decode(alphabet, slice_of(text, written), bytes, size, &len));
    assert(len == size && (size == 0 || memcmp(bytes, data, size) == 0));
    assert(base64_decode(BASE64_ANY, slice_of(text, written), bytes, size, &len));
    free(bytes);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_decode(BASE64_STD, data, size);
    check_decode(BASE64_URL, data, size);
    check_encode(BASE64_STD, data, size);
    check_encode(BASE64_URL, data, size);
    return 0;
}
