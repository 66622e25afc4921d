/* Whether the directory store asks the disk for what it promises, in the right order: the calls that matter
 * are wrapped (-Wl,--wrap), written down, and made to fail one by one. */
#include "storage/objects/dir_file.h"

#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct temp_dir dir;
static struct err_ctx ec;
static struct object_store *store;

enum { STEPS_MAX = 200, STEP_TEXT_MAX = 200 };
static char steps[STEPS_MAX][STEP_TEXT_MAX]; /* "sync objects/a", ... in order */
static int steps_count;
static int fail_at = -1; /* the step that fails with EIO */

/* Notes a step. False: it is to fail. */
static bool step(const char *what, const char *path)
{
    cr_assert_lt(steps_count, STEPS_MAX);
    snprintf(steps[steps_count], STEP_TEXT_MAX, "%s %.150s", what, path);
    errno = EIO;
    return steps_count++ != fail_at;
}

/* The path of an open file below the store; temporary files have one name. */
static const char *path_of(int fd)
{
    static char path[4096];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    cr_assert_gt(n, 0);
    path[n] = '\0';
    const char *below = path + strlen(dir.path);
    if (*below == '/') below++;
    return strncmp(below, "tmp/", 4) == 0 ? "tmp" : *below == '\0' ? "." : below;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_mkdirat(int at, const char *path, mode_t mode);
int __wrap_mkdirat(int at, const char *path, mode_t mode);
int __real_linkat(int at, const char *from, int to_at, const char *to, int flags);
int __wrap_linkat(int at, const char *from, int to_at, const char *to, int flags);
int __real_renameat(int at, const char *from, int to_at, const char *to);
int __wrap_renameat(int at, const char *from, int to_at, const char *to);
ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t offset);
int __real_unlinkat(int at, const char *path, int flags);
int __wrap_unlinkat(int at, const char *path, int flags);

int __wrap_fsync(int fd)
{
    return step("sync", path_of(fd)) ? __real_fsync(fd) : -1;
}

int __wrap_mkdirat(int at, const char *path, mode_t mode)
{
    return step("mkdir", path) ? __real_mkdirat(at, path, mode) : -1;
}

int __wrap_linkat(int at, const char *from, int to_at, const char *to, int flags)
{
    return step("link", to) ? __real_linkat(at, from, to_at, to, flags) : -1;
}

int __wrap_renameat(int at, const char *from, int to_at, const char *to)
{
    return step("rename", to) ? __real_renameat(at, from, to_at, to) : -1;
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return step("write", path_of(fd)) ? __real_pwrite(fd, bytes, len, offset) : -1;
}

int __wrap_unlinkat(int at, const char *path, int flags)
{
    return step("unlink", strncmp(path, "tmp/", 4) == 0 ? "tmp" : path) ? __real_unlinkat(at, path, flags)
                                                                        : -1;
}

static void open_store(void)
{
    struct object_dir_config cfg = {.path = dir.path};
    cr_assert_eq(object_dir_open(&cfg, &store, &ec), SYNC_OK, "%s", ec.text);
    steps_count = 0;
}

static void begin(void)
{
    temp_dir_make(&dir);
    open_store();
}

static void end(void)
{
    fail_at = -1;
    object_store_close(store);
    temp_dir_remove(&dir);
}

TestSuite(dir_file, .init = begin, .fini = end);

static void check_steps(const char *const *wanted, int count)
{
    for (int i = 0; i < count && i < steps_count; i++) cr_assert_str_eq(steps[i], wanted[i], "step %d", i);
    cr_assert_eq(steps_count, count, "%d steps, not %d", steps_count, count);
}

#define CHECK_STEPS(...)                                                                                     \
    check_steps((const char *const[]){__VA_ARGS__},                                                          \
                (int)(sizeof(const char *[]){__VA_ARGS__} / sizeof(char *)))

static enum sync_err put(const char *key, const char *bytes)
{
    return object_put(store, NULL, slice_str(key), slice_str(bytes), NULL, &ec);
}

static enum sync_err create(const char *key, const char *bytes, enum object_outcome *outcome)
{
    return object_put_if_absent(store, NULL, slice_str(key), slice_str(bytes), outcome, NULL, &ec);
}

Test(dir_file, bytes_are_synced_before_they_get_their_name_and_the_name_before_the_answer)
{
    cr_assert_eq(put("a/b", "x"), SYNC_OK);
    CHECK_STEPS("write tmp", "write tmp", "sync tmp", "mkdir objects", "sync .", "mkdir objects/a",
                "sync objects", "rename objects/a/b=", "sync objects/a");
}

Test(dir_file, directories_known_to_be_durable_are_not_synced_again)
{
    cr_assert_eq(put("a/b", "x"), SYNC_OK);
    steps_count = 0;
    cr_assert_eq(put("a/c", "x"), SYNC_OK);
    CHECK_STEPS("write tmp", "write tmp", "sync tmp", "rename objects/a/c=", "sync objects/a");
}

Test(dir_file, another_store_does_not_trust_directories_that_it_has_not_synced)
{
    cr_assert_eq(put("a/b", "x"), SYNC_OK);
    object_store_close(store);
    open_store();
    cr_assert_eq(put("a/c", "x"), SYNC_OK);
    CHECK_STEPS("write tmp", "write tmp", "sync tmp", "mkdir objects", "sync .", "mkdir objects/a",
                "sync objects", "rename objects/a/c=", "sync objects/a");
}

Test(dir_file, creating_links_and_a_loser_writes_nothing)
{
    enum object_outcome outcome;
    cr_assert_eq(create("a", "x", &outcome), SYNC_OK);
    CHECK_STEPS("write tmp", "write tmp", "sync tmp", "mkdir objects", "sync .",
                "link objects/a=", "sync objects", "unlink tmp");
    steps_count = 0;
    cr_assert_eq(create("a", "y", &outcome), SYNC_OK);
    cr_assert_eq(outcome, OBJECT_LOST);
    cr_assert_eq(steps_count, 0);
}

Test(dir_file, a_deletion_is_synced)
{
    cr_assert_eq(put("a/b", "x"), SYNC_OK);
    steps_count = 0;
    cr_assert_eq(object_delete(store, NULL, slice_str("a/b"), &ec), SYNC_OK);
    CHECK_STEPS("unlink objects/a/b=", "sync objects/a");
}

/* Is the object there as it was, or as it was to become? */
static bool holds(const char *key, const char *bytes)
{
    struct buf got = buf_make(1000);
    enum sync_err rc = object_get_buf(store, NULL, slice_str(key), NULL, &got, NULL, &ec);
    bool is = rc == SYNC_OK && slice_is(buf_slice(&got), bytes);
    cr_assert(rc == SYNC_OK || rc == SYNC_ENOTFOUND, "%s", ec.text);
    buf_deinit(&got);
    return is;
}

Test(dir_file, whichever_step_of_a_put_fails_it_is_reported_and_nothing_is_torn)
{
    for (int failing = 0; failing < 9; failing++) {
        char key[16];
        snprintf(key, sizeof key, "d%d/k", failing);
        cr_assert_eq(put(key, "before"), SYNC_OK);
        object_store_close(store);
        open_store(); /* forgets what is durable, so that all nine steps are there */
        fail_at = failing;
        enum sync_err rc = put(key, "after");
        fail_at = -1;
        cr_assert_eq(rc, SYNC_EIO, "step %d, %s: %s", failing, steps[failing], err_name(rc));
        cr_assert(strstr(ec.text, "Input/output error") != NULL, "%s", ec.text);
        cr_assert(holds(key, "before") != holds(key, "after"), "step %d, %s", failing, steps[failing]);
        cr_assert_eq(put(key, "again"), SYNC_OK, "%s", ec.text);
        cr_assert(holds(key, "again"));
    }
}

Test(dir_file, a_creation_that_may_be_there_is_unknown_and_one_that_is_not_is_an_error)
{
    for (int failing = 0; failing < 7; failing++) {
        enum object_outcome outcome = OBJECT_LOST;
        char key[16];
        snprintf(key, sizeof key, "k%d", failing);
        object_store_close(store);
        open_store();
        fail_at = failing;
        enum sync_err rc = create(key, "x", &outcome);
        fail_at = -1;
        bool published = strncmp(steps[failing], "sync objects", 12) == 0;
        cr_assert_eq(rc == SYNC_OK, published, "step %d, %s: %s", failing, steps[failing], err_name(rc));
        cr_assert(!published || outcome == OBJECT_UNKNOWN);
        cr_assert_eq(holds(key, "x"), published, "step %d, %s", failing, steps[failing]);
    }
}
