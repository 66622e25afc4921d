/* Any bytes as a file's name in an object directory, and as a key. A name that is read is written back the
 * same; a key's path consists of such names, leads nowhere else, and gives the key again. */
#include "storage/objects/dir_name.h"
#include "storage/objects/object_key.h"

#include "tests/fuzz/fuzz_text.h"

#include <assert.h>
#include <string.h>

static void check_name(const uint8_t *data, size_t size)
{
    char name[DIR_NAME_MAX + 1], again[DIR_NAME_MAX + 1];
    struct dir_entry e;
    if (size > DIR_NAME_MAX || memchr(data, '\0', size) != NULL || memchr(data, '/', size) != NULL) return;
    memcpy(name, data, size);
    name[size] = '\0';
    if (!dir_name_parse(name, &e)) return;
    assert(e.len <= sizeof e.text);
    dir_name_entry(&e, again);
    assert(strcmp(again, name) == 0);
}

static void check_key(struct slice key)
{
    char path[DIR_PATH_MAX + 1], back[DIR_PATH_MAX];
    size_t len = 0;
    char *rest = NULL;
    dir_name_path(key, path);
    assert(path[0] != '/' && strstr(path, "//") == NULL);
    for (char *name = strtok_r(path, "/", &rest); name != NULL; name = strtok_r(NULL, "/", &rest)) {
        struct dir_entry e;
        assert(name[0] != '.' && strlen(name) <= DIR_NAME_MAX);
        assert(dir_name_parse(name, &e));
        memcpy(back + len, e.text, e.len);
        len += e.len;
    }
    assert(slice_eq(slice_of(back, len), key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err_ctx ec;
    if (size == 0) return 0;
    check_name(data, size);
    struct slice key = slice_of(data, size);
    if (object_key_check(key, &ec) == SYNC_OK) check_key(key);
    return 0;
}
