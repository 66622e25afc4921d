/* Any bytes as the body of an S3 service's answer: a list, or an error document. What is taken from it keeps
 * the limits, and a list is in order. */
#include "storage/objects/s3_error.h"
#include "storage/objects/s3_list.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <string.h>

static void check_list(struct slice body, const char *prefix)
{
    struct object_page page = {0};
    struct err_ctx ec;
    if (s3_list_parse(body, prefix, &page, &ec) != SYNC_OK) return;
    assert(page.count <= OBJECT_PAGE_MAX && (page.next[0] != '\0') == page.more);
    for (size_t i = 0; i < page.count; i++) {
        assert(page.entries[i].key.len > 0);
        assert(!page.entries[i].is_prefix || page.entries[i].bytes == 0);
        assert(i == 0 || slice_cmp(page.entries[i - 1].key, page.entries[i].key) <= 0);
    }
    object_page_deinit(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice body = slice_of(data, size);
    struct s3_error e;
    struct err_ctx ec;
    check_list(body, "");
    check_list(body, "p/");
    bool is_error = s3_error_parse(body, &e);
    assert(is_error == (e.code[0] != '\0'));
    assert(s3_error_set(&ec, 403, &e) != SYNC_OK);
    for (const char *c = e.message; *c != '\0'; c++) assert((unsigned char)*c >= ' ' && *c != 0x7f);
    return 0;
}
