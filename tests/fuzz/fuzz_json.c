/* Any bytes as a JSON text. What is accepted, and one level of brackets around it, is accepted again and
 * gives the same text; whatever is handed out lies within the text. */
#include "core/json/json.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>

enum { DEPTH_MAX = 16 };

static void assert_within(struct slice s, const char *text, size_t len)
{
    if (s.len == 0) return;
    assert(s.bytes >= text);
    assert(s.len <= len - (size_t)(s.bytes - text));
}

/* Walks part of the values and takes the rest, as the text's own length bits say. */
static void walk(const struct json_value *v, const char *text, size_t len, int depth)
{
    struct json_value child;
    struct slice key;
    enum json_type type = json_type(v);
    if ((type != JSON_OBJECT && type != JSON_ARRAY) || depth > 3) {
        assert_within(json_take(v).text, text, len);
        return;
    }
    struct json_walk w = type == JSON_OBJECT ? json_members(v) : json_elements(v);
    while (type == JSON_OBJECT ? json_next_member(&w, &key, &child) : json_next_element(&w, &child)) {
        if (type == JSON_OBJECT) assert_within(key, text, len);
        walk(&child, text, len, depth + 1);
        if (depth > 1 && len % 7 == 3) return; /* given up in the middle */
    }
    assert_within(json_walk_text(&w), text, len);
}

static bool accepts(struct json_reader *r, const char *text, size_t len)
{
    struct err_ctx ec;
    struct json_value root = json_open(r, text, len);
    struct json_raw raw = json_take(&root);
    assert_within(raw.text, text, len);
    return json_close(r, &ec) == SYNC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_reader *r; /* kept: what an earlier text left in it must not matter */
    if (r == NULL) r = json_reader_new(DEPTH_MAX);
    struct err_ctx ec;
    char *text = fuzz_text(data, size);
    bool good = accepts(r, text, size);
    struct json_value root = json_open(r, text, size);
    walk(&root, text, size, 0);
    bool walked = json_close(r, &ec) == SYNC_OK;
    assert(walked || !good || size % 7 == 3);
    assert(good || !walked || size % 7 == 3);

    struct json_reader *deeper = json_reader_new(DEPTH_MAX + 1);
    uint8_t *wrapped = malloc(size + 2);
    if (wrapped == NULL || deeper == NULL) abort();
    wrapped[0] = '[';
    if (size > 0) memcpy(wrapped + 1, data, size);
    wrapped[size + 1] = ']';
    char *again = fuzz_text(wrapped, size + 2);
    if (good) assert(accepts(deeper, again, size + 2));
    json_reader_free(deeper);
    free(again);
    free(wrapped);
    free(text);
    return 0;
}
