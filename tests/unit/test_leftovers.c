#include "storage/objects/leftovers.h"

#include "storage/objects/object_dir.h"
#include "temp_dir.h"

#include <criterion/criterion.h>

enum { AGE_MS = 600000 };

struct rig {
    struct temp_dir dir;
    struct object_store *objects;
    struct leftovers leftovers;
};

static void rig_init(struct rig *r)
{
    struct err_ctx ec = {""};
    *r = (struct rig){0};
    temp_dir_make(&r->dir);
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = r->dir.path}, &r->objects, &ec), SYNC_OK,
                 "%s", ec.text);
}

static void rig_free(struct rig *r)
{
    leftovers_deinit(&r->leftovers);
    object_store_close(r->objects);
    temp_dir_remove(&r->dir);
}

static void put(struct rig *r, const char *key, const char *bytes)
{
    struct err_ctx ec;
    cr_assert_eq(object_put(r->objects, NULL, slice_str(key), slice_str(bytes), NULL, &ec), SYNC_OK);
}

static bool is_there(struct rig *r, const char *key)
{
    struct object_info info;
    struct err_ctx ec;
    return object_head(r->objects, NULL, slice_str(key), &info, &ec) == SYNC_OK;
}

static uint32_t sweep(struct rig *r, uint64_t now_ms)
{
    struct err_ctx ec = {""};
    uint32_t removed;
    cr_assert_eq(
        leftovers_sweep(&r->leftovers, r->objects, NULL, slice_str("probe/"), now_ms, AGE_MS, &removed, &ec),
        SYNC_OK, "%s", ec.text);
    return removed;
}

Test(leftovers, go_when_two_looks_far_apart_have_shown_them)
{
    struct rig r;
    rig_init(&r);
    put(&r, "probe/b", "x");
    put(&r, "other/b", "x");
    cr_assert_eq(sweep(&r, 1000), 0, "the first look deletes nothing");
    put(&r, "probe/a", "x");
    put(&r, "probe/c", "x");
    cr_assert_eq(sweep(&r, 1000 + AGE_MS - 1), 0);
    cr_assert_eq(sweep(&r, 1000 + AGE_MS), 1);
    cr_assert(!is_there(&r, "probe/b") && is_there(&r, "probe/a") && is_there(&r, "probe/c"));
    cr_assert_eq(sweep(&r, 1000 + 3 * (uint64_t)AGE_MS), 2);
    cr_assert(!is_there(&r, "probe/a") && !is_there(&r, "probe/c") && is_there(&r, "other/b"));
    cr_assert_eq(sweep(&r, 1000 + 9 * (uint64_t)AGE_MS), 0);
    rig_free(&r);
}

Test(leftovers, what_is_written_anew_is_young_again)
{
    struct rig r;
    rig_init(&r);
    put(&r, "probe/a", "x");
    (void)sweep(&r, 1000);
    put(&r, "probe/a", "longer");
    cr_assert_eq(sweep(&r, 1000 + AGE_MS), 0);
    cr_assert_eq(sweep(&r, 1000 + 2 * AGE_MS - 1), 0);
    cr_assert_eq(sweep(&r, 1000 + 2 * AGE_MS), 1);
    rig_free(&r);
}
