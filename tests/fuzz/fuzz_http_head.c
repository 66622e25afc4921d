/* A request's head as libwebsockets cuts it: texts between line feeds, in the order of `enum part`. What is
 * accepted must be what it says it is: no length but digits, no database but one that fits. */
#include "server/http/http_parse.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

enum part { METHOD, PATH, VERSION, CONNECTION, LENGTH, CODING, TYPE, ENCODING, TOKEN, QUERY, PARTS };

#define BASE "/sync"

/* Each in memory of exactly its size; NULL: fewer were given. */
static void split(const uint8_t *data, size_t size, char *ret[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
        size_t len = end == NULL ? size : (size_t)(end - data);
        ret[i] = NULL;
        if (data == NULL) continue;
        ret[i] = malloc(len + 1);
        if (ret[i] == NULL) abort();
        if (len > 0) memcpy(ret[i], data, len);
        ret[i][len] = '\0';
        data = end == NULL ? NULL : end + 1;
        size = end == NULL ? 0 : size - len - 1;
    }
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static void check_path(const char *path, struct http_request *r)
{
    size_t len = strlen(path);
    http_parse_path(BASE, slice_of(path, len), r);
    assert(r->database_len < sizeof r->database);
    if (r->endpoint != HTTP_ENDPOINT_OTHER) assert(len > strlen(BASE) && memcmp(path, BASE "/", 6) == 0);
    if (!r->database_valid) return;
    assert(r->database_len > 0 && r->database_len <= DATABASE_ID_BYTES_MAX && r->database_is_text);
    assert(memcmp(r->database, path + strlen(BASE "/"), r->database_len) == 0);
    assert(path[strlen(BASE "/") + r->database_len] == '/');
}

static void check_framing(const char *length, const char *coding, struct http_request *r)
{
    char again[32];
    http_parse_framing(length, coding, r);
    assert(!(r->is_chunked && r->framing_valid && r->has_length));
    if (!r->framing_valid || length == NULL) return;
    (void)snprintf(again, sizeof again, "%" PRIu64, r->length);
    assert(strcmp(again, length + strspn(length, "0")) == 0 ||
           (r->length == 0 && length[strspn(length, "0")] == '\0'));
    assert(strspn(length, "0123456789") == strlen(length));
}

static void check_query(const char *part)
{
    struct err_ctx ec;
    struct hlc since;
    uint64_t wait_ms;
    const char *value = http_parse_parameter(part, "wait");
    if (value != NULL && http_parse_wait(value, &wait_ms, &ec) == SYNC_OK)
        assert(wait_ms < UINT64_C(1000000000000));
    value = http_parse_parameter(part, "sinceHLC");
    if (value == NULL) return;
    char *text = strdup(value), again[HLC_TEXT];
    if (text == NULL) abort();
    if (http_parse_since(text, &since, &ec) == SYNC_OK) {
        for (char *c = text; *c != '\0'; c++) *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
        hlc_format(&since, again);
        assert(memcmp(text, again, sizeof again) == 0);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *parts[PARTS];
    split(data, size, parts);
    struct http_request r = {.method =
                                 strcmp(or_empty(parts[METHOD]), "POST") == 0 ? METHOD_POST : METHOD_GET};
    check_path(or_empty(parts[PATH]), &r);
    http_parse_connection(or_empty(parts[VERSION]), or_empty(parts[CONNECTION]), &r);
    check_framing(parts[LENGTH], parts[CODING], &r);
    http_parse_body_type(or_empty(parts[TYPE]), parts[ENCODING], &r);
    if (r.is_json) assert(strncasecmp(parts[TYPE], "application/json", 16) == 0);
    if (parts[TOKEN] != NULL) {
        size_t len = strlen(parts[TOKEN]);
        assert(http_parse_token(parts[TOKEN], len) <= len);
    }
    check_query(or_empty(parts[QUERY]));
    for (int i = 0; i < PARTS; i++) free(parts[i]);
    return 0;
}
