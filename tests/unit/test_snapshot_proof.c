#include "storage/snapshots/snapshot_proof.h"

#include "scripted_store.h"
#include "storage/objects/object_dir.h"
#include "storage/snapshots/snapshot_list.h"
#include "temp_dir.h"

#include <criterion/criterion.h>

static struct {
    struct temp_dir path;
    struct object_store *dir;
    struct scripted_store objects;
} x;

static void begin(void)
{
    struct err_ctx ec = {""};
    temp_dir_make(&x.path);
    const struct object_dir_config cfg = {.path = x.path.path};
    cr_assert_eq(object_dir_open(&cfg, &x.dir, &ec), SYNC_OK, "%s", ec.text);
    scripted_store_init(&x.objects, x.dir);
}

static void end(void)
{
    scripted_store_deinit(&x.objects);
    object_store_close(x.dir);
    temp_dir_remove(&x.path);
}

TestSuite(snapshot_proof, .init = begin, .fini = end);

static const struct snapshot_id id = {.stamp = {.wall_ms = 20}, .made_ms = 500};

static struct snapshot_place place(const char *path)
{
    return (struct snapshot_place){.database = slice_str("app"), .path = slice_str(path)};
}

/* Five bytes; nobody reads them. */
static void put(struct snapshot_place at, uint64_t wall_ms, uint64_t made_ms)
{
    const struct snapshot_id other = {.stamp = {.wall_ms = wall_ms}, .made_ms = made_ms};
    struct snapshot_key key;
    struct err_ctx ec;
    snapshot_key_of(at, &other, &key);
    cr_assert_eq(object_put(x.dir, NULL, snapshot_key_slice(&key), slice_str("bytes"), NULL, &ec), SYNC_OK);
}

static void set_aside(struct snapshot_place at, uint64_t wall_ms, uint64_t made_ms)
{
    const struct snapshot_id other = {.stamp = {.wall_ms = wall_ms}, .made_ms = made_ms};
    struct err_ctx ec;
    cr_assert_eq(snapshot_set_aside(x.dir, NULL, at, &other, "a test", &ec), SYNC_OK);
}

static enum snapshot_state state(struct snapshot_place at, uint64_t bytes)
{
    enum snapshot_state s;
    struct err_ctx ec = {""};
    x.objects.heads = x.objects.lists = 0;
    cr_assert_eq(snapshot_prove(&x.objects.base, NULL, at, &id, bytes, &s, &ec), SYNC_OK, "%s", ec.text);
    return s;
}

Test(snapshot_proof, one_that_is_there_costs_two_heads)
{
    put(place(""), 20, 500);
    cr_assert_eq(state(place(""), 5), SNAPSHOT_GOOD);
    cr_assert(x.objects.heads == 2 && x.objects.lists == 0);
    cr_assert_eq(state(place(""), 0), SNAPSHOT_GOOD, "whatever its size");
}

Test(snapshot_proof, missing_resized_and_damaged_ones_are_told)
{
    cr_assert_eq(state(place(""), 5), SNAPSHOT_MISSING);
    put(place(""), 19, 500);
    put(place(""), 20, 499);
    cr_assert_eq(state(place(""), 5), SNAPSHOT_MISSING, "older ones are of no use");
    put(place(""), 20, 500);
    cr_assert_eq(state(place(""), 6), SNAPSHOT_RESIZED);
    set_aside(place(""), 20, 500);
    cr_assert_eq(state(place(""), 5), SNAPSHOT_DAMAGED);
    for (int s = SNAPSHOT_GOOD; s <= SNAPSHOT_DAMAGED; s++)
        cr_assert_gt(strlen(snapshot_state_text((enum snapshot_state)s)), 0);
}

/* A new snapshot is taken, and those beyond the retained ones deleted, before that is noted. */
Test(snapshot_proof, a_newer_good_one_is_on_its_way_to_being_noted)
{
    put(place(""), 30, 600);
    cr_assert_eq(state(place(""), 5), SNAPSHOT_REPLACED);
    set_aside(place(""), 30, 600);
    cr_assert_eq(state(place(""), 5), SNAPSHOT_MISSING);
    put(place(""), 20, 501);
    cr_assert_eq(state(place(""), 5), SNAPSHOT_REPLACED, "of the same stamp");
}

Test(snapshot_proof, it_is_looked_for_where_a_restore_would_look)
{
    put(place(""), 20, 500);
    cr_assert_eq(state(place("eu/1"), 5), SNAPSHOT_GOOD, "from before it had a path");
    cr_assert_eq(state(place("eu/1"), 6), SNAPSHOT_RESIZED);
    put(place("eu/1"), 10, 400);
    cr_assert_eq(state(place("eu/1"), 5), SNAPSHOT_MISSING, "a restore would take what is at its place");
    put(place("eu/1"), 20, 500);
    cr_assert_eq(state(place("eu/1"), 5), SNAPSHOT_GOOD);
    cr_assert_eq(state(place("eu/2/3"), 5), SNAPSHOT_GOOD, "the usual place, while nothing lies there");
    set_aside(place(""), 20, 500);
    cr_assert_eq(state(place("eu/2/3"), 5), SNAPSHOT_DAMAGED);
    cr_assert_eq(state(place("eu/1"), 5), SNAPSHOT_GOOD);
}

Test(snapshot_proof, a_store_that_is_away_is_an_error_whenever_it_goes)
{
    put(place(""), 20, 500);
    for (int there = 0; there < 2; there++) {
        const struct snapshot_place at = place(there ? "" : "eu/1");
        uint32_t fuse = 0;
        for (;; fuse++) {
            enum snapshot_state s = SNAPSHOT_DAMAGED;
            struct err_ctx ec;
            x.objects.has_fuse = true;
            x.objects.fuse = fuse;
            enum sync_err rc = snapshot_prove(&x.objects.base, NULL, at, &id, 5, &s, &ec);
            cr_assert_eq(s, rc == SYNC_OK ? SNAPSHOT_GOOD : SNAPSHOT_DAMAGED, "after %u requests", fuse);
            if (rc == SYNC_OK) break;
            cr_assert_eq(rc, SYNC_EBUSY);
        }
        cr_assert_eq(fuse, there ? 2 : 4);
        x.objects.has_fuse = false;
    }
}
