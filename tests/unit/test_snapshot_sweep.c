/* What a sweep deletes, and above all what it leaves: on an object directory with objects that are named as
 * snapshots are. */
#include "storage/snapshots/snapshot_sweep.h"

#include "storage/objects/object_dir.h"
#include "storage/snapshots/snapshot_list.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>

static uint32_t page_max; /* keys of a page; 0: as usual */

enum sync_err __real_object_list(struct object_store *s, const struct object_call *call,
                                 const struct object_query *query, struct object_page *ret,
                                 struct err_ctx *ec);
enum sync_err __wrap_object_list(struct object_store *s, const struct object_call *call,
                                 const struct object_query *query, struct object_page *ret,
                                 struct err_ctx *ec);

enum sync_err __wrap_object_list(struct object_store *s, const struct object_call *call,
                                 const struct object_query *query, struct object_page *ret,
                                 struct err_ctx *ec)
{
    struct object_query q = *query;
    q.entries_max = page_max;
    return __real_object_list(s, call, &q, ret, ec);
}

struct rig {
    struct temp_dir dir;
    struct object_store *objects;
    const char *known; /* the database whose snapshots the caller has verified, up to: */
    struct snapshot_id newest;
    size_t asked;
};

static void rig_init(struct rig *r)
{
    struct err_ctx ec = {""};
    *r = (struct rig){.known = ""};
    temp_dir_make(&r->dir);
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = r->dir.path}, &r->objects, &ec), SYNC_OK,
                 "%s", ec.text);
}

static void rig_free(struct rig *r)
{
    object_store_close(r->objects);
    temp_dir_remove(&r->dir);
}

static struct snapshot_id id_at(uint64_t n)
{
    return (struct snapshot_id){.stamp = {.wall_ms = 1000 + n}, .made_ms = 5000 + n};
}

static void put(struct rig *r, const char *database, uint64_t n)
{
    struct snapshot_id id = id_at(n);
    struct snapshot_key key;
    struct err_ctx ec;
    snapshot_key_of(snapshot_place_of(slice_str(database)), &id, &key);
    cr_assert_eq(object_put(r->objects, NULL, snapshot_key_slice(&key), slice_str("x"), NULL, &ec), SYNC_OK,
                 "%s", ec.text);
}

static bool verified(void *arg, struct slice database, struct snapshot_id *ret)
{
    struct rig *r = arg;
    r->asked++;
    *ret = r->newest;
    return slice_is(database, r->known);
}

static struct snapshot_swept sweep(struct rig *r, uint32_t retained)
{
    const struct snapshot_sweep s = {.retained = retained, .verified = verified, .arg = r};
    struct snapshot_swept swept;
    struct err_ctx ec = {""};
    cr_assert_eq(snapshot_sweep(r->objects, NULL, &s, &swept, &ec), SYNC_OK, "%s", ec.text);
    return swept;
}

/* The snapshots that are left, as digits, the newest first. */
static const char *left(struct rig *r, const char *database, char ret[32])
{
    struct snapshot_list l;
    struct err_ctx ec = {""};
    cr_assert_eq(snapshot_list(r->objects, NULL, snapshot_place_of(slice_str(database)), &l, &ec), SYNC_OK,
                 "%s", ec.text);
    for (size_t i = 0; i < l.count; i++) ret[i] = (char)('0' + l.entries[i].id.made_ms - 5000);
    ret[l.count] = '\0';
    snapshot_list_deinit(&l);
    return ret;
}

Test(snapshot_sweep, thins_out_what_is_older_than_the_verified_one_and_beyond_the_kept)
{
    struct rig r;
    char text[32];
    rig_init(&r);
    for (uint64_t n = 1; n <= 6; n++) put(&r, "app", n);
    put(&r, "few", 1);
    put(&r, "few", 2);
    r.known = "app";
    r.newest = id_at(5); /* the sixth is just being written: nobody has read it back */
    struct snapshot_swept swept = sweep(&r, 2);
    cr_assert_str_eq(left(&r, "app", text), "654");
    cr_assert_str_eq(left(&r, "few", text), "21");
    cr_assert(swept.databases == 2 && swept.snapshots == 8 && swept.thinned == 1);
    cr_assert_eq(r.asked, 1, "of a database that has few nothing is asked");
    rig_free(&r);
}

Test(snapshot_sweep, leaves_alone_what_the_caller_has_not_verified)
{
    struct rig r;
    char text[32];
    rig_init(&r);
    for (uint64_t n = 1; n <= 4; n++) put(&r, "others", n);
    struct snapshot_swept swept = sweep(&r, 1);
    cr_assert_str_eq(left(&r, "others", text), "4321");
    cr_assert_eq(swept.thinned, 0);
    rig_free(&r);
}

Test(snapshot_sweep, deletes_nothing_when_the_verified_one_is_gone)
{
    struct rig r;
    char text[32];
    rig_init(&r);
    for (uint64_t n = 1; n <= 4; n++) put(&r, "app", n);
    r.known = "app";
    r.newest = id_at(5);
    struct snapshot_swept swept = sweep(&r, 1);
    cr_assert_str_eq(left(&r, "app", text), "4321");
    cr_assert_eq(swept.thinned, 0);
    rig_free(&r);
}

Test(snapshot_sweep, keeps_the_last_good_one_when_the_verified_one_was_set_aside)
{
    struct rig r;
    char text[32];
    struct err_ctx ec;
    struct snapshot_id id = id_at(4);
    rig_init(&r);
    for (uint64_t n = 1; n <= 4; n++) put(&r, "app", n);
    r.known = "app";
    r.newest = id;
    cr_assert_eq(snapshot_set_aside(r.objects, NULL, snapshot_place_of(slice_str("app")), &id, "a test", &ec),
                 SYNC_OK);
    (void)sweep(&r, 1);
    cr_assert_str_eq(left(&r, "app", text), "43");
    rig_free(&r);
}

Test(snapshot_sweep, sees_a_database_whole_across_pages)
{
    for (page_max = 1; page_max <= 9; page_max++) {
        struct rig r;
        char text[32];
        rig_init(&r);
        put(&r, "a", 1);
        for (uint64_t n = 1; n <= 6; n++) put(&r, "app", n);
        put(&r, "z", 1);
        r.known = "app";
        r.newest = id_at(6);
        struct snapshot_swept swept = sweep(&r, 3);
        cr_assert_str_eq(left(&r, "app", text), "654", "pages of %u", page_max);
        cr_assert(swept.databases == 3 && swept.snapshots == 8 && swept.thinned == 1, "pages of %u",
                  page_max);
        rig_free(&r);
    }
}

Test(snapshot_sweep, passes_over_what_is_no_snapshot)
{
    struct rig r;
    char text[32];
    struct err_ctx ec;
    rig_init(&r);
    for (uint64_t n = 1; n <= 3; n++) put(&r, "app", n);
    static const char *const strange[] = {"snapshots/app/notes.txt", "snapshots/README", "snapshots/~zz/x"};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        cr_assert_eq(object_put(r.objects, NULL, slice_str(strange[i]), slice_str("x"), NULL, &ec), SYNC_OK);
    r.known = "app";
    r.newest = id_at(3);
    struct snapshot_swept swept = sweep(&r, 3);
    cr_assert(swept.snapshots == 3 && swept.thinned == 0);
    (void)sweep(&r, 1);
    cr_assert_str_eq(left(&r, "app", text), "3");
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        struct object_info info;
        cr_assert_eq(object_head(r.objects, NULL, slice_str(strange[i]), &info, &ec), SYNC_OK);
    }
    rig_free(&r);
}
