/* What a client says of itself: a line for the Authorization header, one for the site id, one for a header's
 * name, and headers "name:value" in the lines that follow. The token is a part of its header, the list of
 * tokens knows it or not, and a hook finds the headers that there are. */
#include "core/config/config.h"
#include "core/facts/site_id.h"
#include "hooks/hook_face.h"
#include "server/http/http_parse.h"
#include "server/net/auth.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

enum { HEADERS_MAX = 16 };

static struct slice take_line(struct slice *text)
{
    const char *end = text->len == 0 ? NULL : memchr(text->bytes, '\n', text->len);
    struct slice line = slice_of(text->bytes, end == NULL ? text->len : (size_t)(end - text->bytes));
    size_t used = end == NULL ? text->len : line.len + 1;
    *text = slice_of(text->bytes + used, text->len - used);
    return line;
}

static void check_token(struct slice header)
{
    static const struct slice known[] = {{"secret", 6}, {"Bearer x", 8}};
    static const struct config_auth config = {
        .mode = AUTH_MODE_TOKEN_WHITELIST, .tokens = {.items = known, .count = 2}, .tokens_file = ""};
    struct auth *a = auth_new(&config);
    char *text = fuzz_text((const uint8_t *)header.bytes, header.len);
    struct slice token = slice_of(text, http_parse_token(text, header.len));
    struct err_ctx ec;
    assert(token.len == header.len || token.len + 7 == header.len);
    assert(token.len == 0 || memcmp(token.bytes, header.bytes + header.len - token.len, token.len) == 0);
    if (a == NULL) abort();
    bool listed = slice_eq(token, known[0]) || slice_eq(token, known[1]);
    assert((auth_check(a, token, &ec) == SYNC_OK) == listed);
    auth_free(a);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_text(data, size), name[64];
    struct hook_header headers[HEADERS_MAX];
    struct hook_input in = {.headers = headers};
    struct slice rest = slice_of(copy, size);
    struct err_ctx ec;
    in.token = take_line(&rest);
    check_token(in.token);
    in.site_text = take_line(&rest);
    in.has_site = site_id_parse(in.site_text, &in.site, &ec) == SYNC_OK;
    struct slice asked = take_line(&rest);
    if (asked.len >= sizeof name) asked.len = sizeof name - 1;
    if (asked.len > 0) memcpy(name, asked.bytes, asked.len);
    name[asked.len] = '\0';
    while (rest.len > 0 && in.header_count < HEADERS_MAX) {
        struct slice line = take_line(&rest);
        const char *colon = line.len == 0 ? NULL : memchr(line.bytes, ':', line.len);
        if (colon == NULL) continue;
        size_t len = (size_t)(colon - line.bytes);
        headers[in.header_count++] = (struct hook_header){.name = slice_of(line.bytes, len),
                                                          .value = slice_of(colon + 1, line.len - len - 1)};
    }
    struct sync_request request = face_request(&in);
    struct sync_text value = {NULL, 0};
    bool there = request.header(&request, name, &value) != 0, wanted = false;
    for (size_t i = 0; i < in.header_count && !wanted; i++) {
        wanted = headers[i].name.len == strlen(name) &&
                 strncasecmp(headers[i].name.bytes, name, headers[i].name.len) == 0;
        if (wanted)
            assert(there && value.bytes == headers[i].value.bytes && value.len == headers[i].value.len);
    }
    assert(there == wanted && request.has_site == in.has_site);
    free(copy);
    return 0;
}
