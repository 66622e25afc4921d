/* Any text as an AWS profile file. Keys that are taken from it can go into a header as they are. */
#include "storage/objects/credentials.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check_value(const char *value, size_t max)
{
    assert(strlen(value) <= max);
    for (; *value != '\0'; value++) assert(*value > ' ' && *value <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct credentials_keys keys;
    char *text = malloc(size + 1);
    if (text == NULL) abort();
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    if (credentials_parse(text, "default", &keys)) {
        assert(keys.access_key_id[0] != '\0' && keys.secret_access_key[0] != '\0');
        check_value(keys.access_key_id, CREDENTIALS_KEY_ID_MAX);
        check_value(keys.secret_access_key, CREDENTIALS_SECRET_MAX);
        check_value(keys.session_token, CREDENTIALS_TOKEN_MAX);
    }
    free(text);
    return 0;
}
