#include "storage/objects/dir_name.h"

#include "random.h"
#include "storage/objects/object_key.h"

#include <criterion/criterion.h>

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

Test(dir_name, a_key_becomes_directories_and_a_file)
{
    static const char *const cases[][2] = {
        {"a", "a="},
        {"log/0/000042", "log/0/000042="},
        {"a b/100%", "a%20b/100%25="},
        {"a=", "a%3D="},
        {"a+/b", "a%2B/b="},
        {".profile", "%2Eprofile="},
        {"...", "%2E..="},
        {"\xc3\xa4", "%C3%A4="},
        {X64, X64 "+/%="},
        {X64 "yz", X64 "+/yz="},
        {X64 "/a", X64 "+/%/a="},
        {X64 "./a", X64 "+/%2E/a="},
        {X64 X64, X64 "+/" X64 "+/%="},
    };
    char path[DIR_PATH_MAX + 1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dir_name_path(slice_str(cases[i][0]), path);
        cr_assert_str_eq(path, cases[i][1]);
    }
}

/* A random key of bytes that have been trouble: slashes, dots, escapes, marks. */
static size_t random_key(uint64_t *seed, char *ret, size_t len_max)
{
    static const char bytes[] = "/ab.%=+ \x01\x7e\x7f";
    size_t len = 1 + random_below(seed, len_max);
    for (size_t i = 0; i < len; i++) ret[i] = bytes[random_below(seed, sizeof bytes - 1)];
    return len;
}

/* Reads a path back into its key. */
static size_t key_of_path(char *path, char *ret)
{
    size_t len = 0;
    struct dir_entry e;
    char again[DIR_NAME_MAX + 1];
    for (char *rest = NULL, *name = strtok_r(path, "/", &rest); name != NULL;
         name = strtok_r(NULL, "/", &rest)) {
        cr_assert_leq(strlen(name), DIR_NAME_MAX);
        cr_assert(strcmp(name, ".") != 0 && strcmp(name, "..") != 0, "a name that leads elsewhere");
        cr_assert(dir_name_parse(name, &e), "%s", name);
        dir_name_entry(&e, again);
        cr_assert_str_eq(again, name);
        memcpy(ret + len, e.text, e.len);
        len += e.len;
    }
    return len;
}

Test(dir_name, every_path_leads_back_to_its_key)
{
    uint64_t seed = 11;
    struct err_ctx ec;
    size_t valid = 0;
    for (int i = 0; i < 200000; i++) {
        char key[OBJECT_KEY_MAX], back[DIR_PATH_MAX], path[DIR_PATH_MAX + 1];
        size_t len = random_key(&seed, key, i % 100 == 0 ? 300 : 8);
        if (object_key_check(slice_of(key, len), &ec) != SYNC_OK) continue;
        valid++;
        dir_name_path(slice_of(key, len), path);
        cr_assert(slice_eq(slice_of(back, key_of_path(path, back)), slice_of(key, len)), "round %d", i);
    }
    cr_assert_gt(valid, 50000);
}

/* Compares two paths as a listing walks: name by name, by what each adds to the key. */
static int walk_cmp(const char *a, const char *b)
{
    for (;;) {
        struct dir_entry ea, eb;
        char name_a[DIR_NAME_MAX + 1], name_b[DIR_NAME_MAX + 1];
        size_t len_a = strcspn(a, "/"), len_b = strcspn(b, "/");
        memcpy(name_a, a, len_a);
        name_a[len_a] = '\0';
        memcpy(name_b, b, len_b);
        name_b[len_b] = '\0';
        cr_assert(dir_name_parse(name_a, &ea) && dir_name_parse(name_b, &eb));
        int c = slice_cmp(slice_of(ea.text, ea.len), slice_of(eb.text, eb.len));
        if (c != 0) return c;
        if (a[len_a] == '\0' || b[len_b] == '\0') return (a[len_a] != '\0') - (b[len_b] != '\0');
        a += len_a + 1;
        b += len_b + 1;
    }
}

Test(dir_name, names_sorted_by_what_they_add_are_in_key_order)
{
    uint64_t seed = 12;
    struct err_ctx ec;
    size_t compared = 0;
    for (int i = 0; i < 300000; i++) {
        char a[OBJECT_KEY_MAX], b[OBJECT_KEY_MAX], path_a[DIR_PATH_MAX + 1], path_b[DIR_PATH_MAX + 1];
        size_t common = i % 3 == 0 ? 60 + random_below(&seed, 8) : random_below(&seed, 3);
        memset(a, 'x', common); /* equal beginnings, up to where names are cut */
        memcpy(b, a, common);
        size_t len_a = common + random_key(&seed, a + common, 6),
               len_b = common + random_key(&seed, b + common, 6);
        struct slice ka = slice_of(a, len_a), kb = slice_of(b, len_b);
        if (object_key_check(ka, &ec) != SYNC_OK || object_key_check(kb, &ec) != SYNC_OK) continue;
        dir_name_path(ka, path_a);
        dir_name_path(kb, path_b);
        int by_key = slice_cmp(ka, kb), by_walk = walk_cmp(path_a, path_b);
        cr_assert_eq((by_key > 0) - (by_key < 0), (by_walk > 0) - (by_walk < 0), "%s and %s", path_a, path_b);
        compared++;
    }
    cr_assert_gt(compared, 50000);
}

Test(dir_name, names_that_it_did_not_write_are_not_read)
{
    static const char *const bad[] = {"",      "=",    "+",    ".",    "..",     ".hidden",   "a%",
                                      "a%2",   "a%2=", "%61=", "a b=", "%2f=",   "a%gg=",     "%2E+",
                                      X64 "=", X64,    "x+",   "a%=",  X64 "x+", "core.123~", "%2"};
    struct dir_entry e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(dir_name_parse(bad[i], &e), "%s", bad[i]);
}

Test(dir_name, the_longest_key_fits_however_it_is_made_up)
{
    char key[OBJECT_KEY_MAX], path[DIR_PATH_MAX + 1];
    struct err_ctx ec;
    memset(key, ' ', sizeof key);
    dir_name_path(slice_of(key, sizeof key), path);
    for (size_t i = 1; i < 2 * OBJECT_KEY_SEGMENTS_MAX - 1; i += 2) key[i] = '/';
    cr_assert_eq(object_key_check(slice_of(key, sizeof key), &ec), SYNC_OK, "%s", ec.text);
    dir_name_path(slice_of(key, sizeof key), path); /* the assert in it is the test */
    cr_assert_leq(strlen(path), DIR_PATH_MAX);
}
