#include "storage/objects/object_dir.h"

#include "temp_dir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct temp_dir dir;
static struct err_ctx ec;

static void begin(void)
{
    temp_dir_make(&dir);
}

static void end(void)
{
    temp_dir_remove(&dir);
}

TestSuite(object_dir, .init = begin, .fini = end);

static struct object_store *opened(const char *path)
{
    struct object_dir_config cfg = {.path = path};
    struct object_store *s;
    cr_assert_eq(object_dir_open(&cfg, &s, &ec), SYNC_OK, "%s", ec.text);
    return s;
}

static enum sync_err open_rc(const char *path)
{
    struct object_dir_config cfg = {.path = path};
    struct object_store *s;
    enum sync_err rc = object_dir_open(&cfg, &s, &ec);
    if (rc == SYNC_OK) object_store_close(s);
    return rc;
}

static void put(struct object_store *s, const char *key, const char *bytes)
{
    cr_assert_eq(object_put(s, NULL, slice_str(key), slice_str(bytes), NULL, &ec), SYNC_OK, "%s", ec.text);
}

static void check_holds(struct object_store *s, const char *key, const char *bytes)
{
    struct buf got = buf_make(1 << 20);
    cr_assert_eq(object_get_buf(s, NULL, slice_str(key), NULL, &got, NULL, &ec), SYNC_OK, "%s: %s", key,
                 ec.text);
    cr_assert(slice_is(buf_slice(&got), bytes), "%s", key);
    buf_deinit(&got);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(temp_dir_file(&dir, name), "w");
    cr_assert_not_null(f);
    fputs(text, f);
    cr_assert_eq(fclose(f), 0);
}

static size_t count_files(const char *name)
{
    size_t count = 0;
    DIR *d = opendir(temp_dir_file(&dir, name));
    cr_assert_not_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static bool exists(const char *name)
{
    return access(temp_dir_file(&dir, name), F_OK) == 0;
}

Test(object_dir, is_made_where_nothing_is_and_found_again)
{
    const char *path = temp_dir_file(&dir, "store");
    struct object_store *s = opened(path);
    cr_assert(strstr(object_store_name(s), "file:/") == object_store_name(s));
    put(s, "a/b", "1");
    object_store_close(s);
    s = opened(path);
    check_holds(s, "a/b", "1");
    object_store_close(s);
}

Test(object_dir, a_directory_of_something_else_is_refused_and_left_alone)
{
    write_file("letter.txt", "dear");
    cr_assert_eq(open_rc(dir.path), SYNC_ECONFIG);
    cr_assert(strstr(ec.text, "not an object directory and not empty (it holds letter.txt)") != NULL, "%s",
              ec.text);
    cr_assert_not(exists("objects") || exists("FORMAT"));
}

Test(object_dir, an_unknown_format_is_refused_and_left_alone)
{
    object_store_close(opened(temp_dir_file(&dir, "s")));
    write_file("s/FORMAT", "sync-coordinator objects 2\n");
    cr_assert_eq(open_rc(temp_dir_file(&dir, "s")), SYNC_EFORMAT);
    write_file("s/FORMAT", "sync-coordinator objects 1\nand more");
    cr_assert_eq(open_rc(temp_dir_file(&dir, "s")), SYNC_EFORMAT);
    write_file("s/FORMAT", "sync-coordinator objects 1\n");
    cr_assert_eq(open_rc(temp_dir_file(&dir, "s")), SYNC_OK);
}

Test(object_dir, a_path_that_cannot_be_is_the_operators_to_correct)
{
    cr_assert_eq(open_rc(temp_dir_file(&dir, "missing/store")), SYNC_ECONFIG);
    write_file("file", "");
    cr_assert_eq(open_rc(temp_dir_file(&dir, "file/store")), SYNC_ECONFIG);
    cr_assert_neq(open_rc(temp_dir_file(&dir, "file")), SYNC_OK);
}

Test(object_dir, missing_rights_say_so)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    put(s, "a", "1");
    object_store_close(s);
    cr_assert_eq(chmod(temp_dir_file(&dir, "s/objects"), 0), 0);
    cr_assert_eq(chmod(dir.path, 0755), 0);
    cr_assert_eq(chmod(temp_dir_file(&dir, "s"), 0755), 0);
    if (geteuid() == 0) cr_assert_eq(seteuid(65534), 0);
    cr_assert_eq(open_rc(temp_dir_file(&dir, "s")), SYNC_ECONFIG);
    cr_assert(strstr(ec.text, "Permission denied") != NULL, "%s", ec.text);
    if (getuid() == 0) cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(temp_dir_file(&dir, "s/objects"), 0700), 0);
}

Test(object_dir, what_a_crash_left_half_made_is_finished)
{
    struct object_store *s;
    cr_assert_eq(mkdir(temp_dir_file(&dir, "s"), 0700), 0);
    cr_assert_eq(mkdir(temp_dir_file(&dir, "s/objects"), 0700), 0);
    write_file("s/lock", "");
    s = opened(temp_dir_file(&dir, "s"));
    put(s, "a", "1");
    check_holds(s, "a", "1");
    object_store_close(s);
}

Test(object_dir, a_damaged_object_is_reported_and_can_be_replaced)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    struct object_info info;
    enum object_outcome outcome;
    struct buf got = buf_make(100);
    static const off_t lengths[] = {0, 10, 31, 32, 36, 42};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put(s, "a", "0123456789");
        cr_assert_eq(object_head(s, NULL, slice_str("a"), &info, &ec), SYNC_OK);
        cr_assert_eq(truncate(temp_dir_file(&dir, "s/objects/a="), lengths[i]), 0);
        bool whole = lengths[i] == 42;
        enum sync_err right = whole ? SYNC_OK : SYNC_EIO;
        cr_assert_eq(object_get_buf(s, NULL, slice_str("a"), NULL, &got, NULL, &ec), right, "%ld",
                     lengths[i]);
        cr_assert(whole || strstr(ec.text, "damaged") != NULL, "%s", ec.text);
        cr_assert_eq(
            object_put_if_match(s, NULL, slice_str("a"), slice_str("x"), &info.version, &outcome, NULL, &ec),
            right);
        buf_clear(&got);
    }
    put(s, "a", "whole again");
    check_holds(s, "a", "whole again");
    buf_deinit(&got);
    object_store_close(s);
}

Test(object_dir, a_piece_missing_out_of_an_object_is_noticed)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    struct object_info info;
    char bytes[100];
    put(s, "a", "0123456789");
    FILE *f = fopen(temp_dir_file(&dir, "s/objects/a="), "r+");
    size_t len = fread(bytes, 1, sizeof bytes, f);
    cr_assert_eq(len, 42);
    rewind(f);
    cr_assert_eq(fwrite(bytes + 3, 1, len - 3, f), len - 3, "its end is as it was");
    cr_assert_eq(ftruncate(fileno(f), (off_t)len - 3), 0);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(object_head(s, NULL, slice_str("a"), &info, &ec), SYNC_EIO);
    object_store_close(s);
}

Test(object_dir, empty_directories_do_not_hide_what_is_behind_them)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    char key[32];
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof key, "d%02d/x", i);
        put(s, key, "1");
        if (i % 20 != 19) cr_assert_eq(object_delete(s, NULL, slice_str(key), &ec), SYNC_OK);
    }
    for (uint32_t page_max = 1; page_max <= 4; page_max++) {
        for (int delimited = 0; delimited <= 1; delimited++) {
            struct object_page page = {.more = true};
            char next[OBJECT_TOKEN_MAX + 1] = "", got[200] = "";
            for (int pages = 0; page.more && pages < 10; pages++) {
                struct object_query q = {.entries_max = page_max, .continuation = slice_str(next)};
                if (delimited) q.delimiter = '/';
                cr_assert_eq(object_list(s, NULL, &q, &page, &ec), SYNC_OK);
                for (size_t i = 0; i < page.count; i++)
                    snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ",
                             SLICE_ARG(page.entries[i].key));
                memcpy(next, page.next, sizeof next);
                bool more = page.more;
                object_page_deinit(&page);
                page.more = more;
            }
            cr_assert_str_eq(got, delimited ? "d19/ d39/ d59/ " : "d19/x d39/x d59/x ");
        }
    }
    object_store_close(s);
}

Test(object_dir, files_of_others_in_it_are_not_listed)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    struct object_page page;
    put(s, "a/b", "1");
    write_file("s/objects/a/core.123~", "x");
    write_file("s/objects/a/.nfs0001", "x");
    write_file("s/objects/plain", "x");
    cr_assert_eq(mkdir(temp_dir_file(&dir, "s/objects/lost+found"), 0700), 0);
    cr_assert_eq(object_list(s, NULL, &(struct object_query){0}, &page, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(page.count, 1);
    object_page_deinit(&page);
    object_store_close(s);
}

Test(object_dir, an_object_cannot_be_led_out_of_it_by_a_link)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    struct object_info info;
    write_file("secret", "secret");
    cr_assert_eq(symlink("../../secret", temp_dir_file(&dir, "s/objects/a=")), 0);
    cr_assert_eq(object_head(s, NULL, slice_str("a"), &info, &ec), SYNC_EIO, "%s", ec.text);
    object_store_close(s);
}

Test(object_dir, leftovers_of_dead_writers_go_and_those_of_living_ones_stay)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s")), *other;
    struct object_upload *u;
    char *part = calloc(1, 1000);
    write_file("s/tmp/0123456789abcdef", "half");
    cr_assert_eq(object_upload_begin(s, NULL, slice_str("up"), OBJECT_PART_BYTES_MIN, &u, &ec), SYNC_OK);
    cr_assert_eq(object_upload_part(u, NULL, 1, slice_of(part, 1000), &ec), SYNC_OK);
    cr_assert_eq(count_files("s/tmp"), 2);
    other = opened(temp_dir_file(&dir, "s"));
    cr_assert_eq(count_files("s/tmp"), 1, "the living one's");
    object_store_close(other);
    cr_assert_eq(object_upload_complete(u, NULL, 1, NULL, &ec), SYNC_OK, "%s", ec.text);
    object_upload_free(u);
    cr_assert_eq(count_files("s/tmp"), 0);
    object_store_close(s);
    free(part);
}

Test(object_dir, empty_directories_go_when_nobody_else_has_it_open)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    put(s, "a/b/c/d", "1");
    put(s, "a/x", "1");
    cr_assert_eq(object_delete(s, NULL, slice_str("a/b/c/d"), &ec), SYNC_OK);
    cr_assert(exists("s/objects/a/b/c"));
    object_store_close(opened(temp_dir_file(&dir, "s")));
    cr_assert(exists("s/objects/a/b/c"), "another store is open and relies on it");
    object_store_close(s);
    s = opened(temp_dir_file(&dir, "s"));
    cr_assert_not(exists("s/objects/a/b"));
    check_holds(s, "a/x", "1");
    object_store_close(s);
}

Test(object_dir, directories_removed_behind_its_back_are_made_again)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    enum object_outcome outcome;
    put(s, "a/b/c", "1");
    cr_assert_eq(object_delete(s, NULL, slice_str("a/b/c"), &ec), SYNC_OK);
    cr_assert_eq(rmdir(temp_dir_file(&dir, "s/objects/a/b")), 0);
    put(s, "a/b/c", "2");
    cr_assert_eq(object_delete(s, NULL, slice_str("a/b/c"), &ec), SYNC_OK);
    cr_assert_eq(rmdir(temp_dir_file(&dir, "s/objects/a/b")), 0);
    cr_assert_eq(object_put_if_absent(s, NULL, slice_str("a/b/c"), slice_str("3"), &outcome, NULL, &ec),
                 SYNC_OK);
    cr_assert_eq(outcome, OBJECT_OK);
    check_holds(s, "a/b/c", "3");
    object_store_close(s);
}

/* Puts something too large, and looks that it fails well. */
static void check_full(struct object_store *s, const char *text)
{
    static char large[1 << 20];
    enum object_outcome outcome;
    enum sync_err rc = object_put(s, NULL, slice_str("old"), slice_of(large, sizeof large), NULL, &ec);
    cr_assert_eq(rc, SYNC_EIO, "%s", ec.text);
    cr_assert(strstr(ec.text, text) != NULL, "%s", ec.text);
    rc = object_put_if_absent(s, NULL, slice_str("new"), slice_of(large, sizeof large), &outcome, NULL, &ec);
    cr_assert_eq(rc, SYNC_EIO);
    check_holds(s, "old", "whole");
    cr_assert_eq(count_files("s/tmp"), 0, "the half-written files are gone");
    put(s, "small", "fits");
    check_holds(s, "small", "fits");
}

Test(object_dir, a_full_disk_is_said_and_spoils_nothing)
{
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0)
        cr_skip_test("no mount namespace here");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", dir.path, "tmpfs", 0, "size=256k") != 0)
        cr_skip_test("no mounts here");
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    put(s, "old", "whole");
    check_full(s, "No space left on device (the object directory's disk is full)");
    object_store_close(s);
    cr_assert_eq(umount2(dir.path, MNT_DETACH), 0);
}

Test(object_dir, a_write_that_fails_in_the_middle_spoils_nothing)
{
    struct rlimit limit = {.rlim_cur = 100000, .rlim_max = 100000};
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    put(s, "old", "whole");
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    check_full(s, "File too large");
    object_store_close(s);
}

Test(object_dir, a_writer_that_waits_for_another_gives_up_at_its_time)
{
    struct object_store *s = opened(temp_dir_file(&dir, "s"));
    struct object_call call = {.timeout_ms = 100};
    char name[32];
    int fds[64];
    put(s, "a", "1");
    for (int i = 0; i < 64;
         i++) { /* as if writers stood still in the middle of replacing, whatever their keys */
        snprintf(name, sizeof name, "s/guards/%02x", i);
        fds[i] = open(temp_dir_file(&dir, name), O_RDWR | O_CREAT, 0600);
        cr_assert_eq(flock(fds[i], LOCK_EX), 0);
    }
    cr_assert_eq(object_put(s, &call, slice_str("a"), slice_str("2"), NULL, &ec), SYNC_EBUSY);
    cr_assert(strstr(ec.text, "wait for another writer: out of time") != NULL, "%s", ec.text);
    check_holds(s, "a", "1");
    for (int i = 0; i < 64; i++) close(fds[i]);
    put(s, "a", "2");
    object_store_close(s);
}
