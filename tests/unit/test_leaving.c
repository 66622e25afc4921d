/* A database leaves the disk and comes back, between writes and crashes in any order: no write that was taken
 * is ever missing, and nobody is served a part. The steps are those of server/objects/eviction.h, one at a
 * time as the shard's thread takes them, mixed at random with a writer's and with crashes. */
#include "core/base/buf.h"
#include "faults.h"
#include "random.h"
#include "storage/objects/object_dir.h"
#include "storage/shard/left_note.h"
#include "storage/shard/shard_upload.h"
#include "storage/snapshots/restore.h"
#include "store_fixture.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { STEPS = 600, STEP_KEYS = 3 };

struct rig {
    struct store_fixture x;
    struct temp_dir dir;
    struct object_store *objects;
    uint64_t seed, made_ms;
    unsigned written; /* cells: every write is one of its own */
    struct stamp proved;
    bool has_proof;
    struct site_id site;
    unsigned left, refused, restored, crashed_leaving;
};

static struct slice name(void)
{
    return slice_str("app");
}

static struct shard *shard(struct rig *r)
{
    return store_shard(r->x.store, 0);
}

static void rig_init(struct rig *r, uint64_t seed)
{
    struct err_ctx ec = {""};
    *r = (struct rig){.seed = seed, .made_ms = 1};
    faults_skip_syncs();
    fixture_init(&r->x);
    temp_dir_make(&r->dir);
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = r->dir.path}, &r->objects, &ec), SYNC_OK,
                 "%s", ec.text);
}

static void rig_free(struct rig *r)
{
    object_store_close(r->objects);
    temp_dir_remove(&r->dir);
    fixture_free(&r->x);
}

static enum database_state state_of(struct rig *r, bool *ret_exists)
{
    enum database_state state = DATABASE_LIVE;
    struct err_ctx ec;
    cr_assert_eq(shard_database_state(shard(r), name(), ret_exists, &state, &ec), SYNC_OK);
    return state;
}

static bool is_here(struct rig *r)
{
    bool exists;
    return state_of(r, &exists) == DATABASE_LIVE && (exists || r->written == 0);
}

/* ---- coming back */

static enum sync_err target_begin(void *arg, struct err_ctx *ec)
{
    return shard_import_begin(shard(arg), name(), ec);
}

static enum sync_err target_entries(void *arg, const struct moved_entry *e, size_t count,
                                    const struct stamp *pruned, struct err_ctx *ec)
{
    return shard_import_entries(shard(arg), name(), e, count, pruned, ec);
}

static enum sync_err target_finish(void *arg, const struct import_record *record, struct err_ctx *ec)
{
    return shard_import_finish(shard(arg), name(), record, ec);
}

static void target_settle(void *arg)
{
    (void)arg;
}

static void remove_rest(struct rig *r)
{
    struct err_ctx ec;
    for (bool gone = false; !gone;)
        cr_assert_eq(shard_remove_step(shard(r), name(), STEP_KEYS, &gone, &ec), SYNC_OK, "%s", ec.text);
}

static struct restore_result come_back(struct rig *r)
{
    const struct import_target target = {.arg = r,
                                         .begin = target_begin,
                                         .entries = target_entries,
                                         .finish = target_finish,
                                         .settle = target_settle};
    struct restore_request q = {
        .objects = r->objects, .database = name(), .target = &target, .new_site = {{9, 9, 9}}};
    struct restore_result result;
    struct left_note note;
    struct err_ctx ec;
    bool found = false;
    remove_rest(r);
    cr_assert_eq(shard_left_note(shard(r), name(), &found, &note, &ec), SYNC_OK);
    cr_assert(found, "it told how it was when it left");
    q.left = &note;
    cr_assert_eq(restore_database(&q, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(shard_left_note(shard(r), name(), &found, &note, &ec), SYNC_OK);
    cr_assert_not(found);
    r->restored++;
    return result;
}

static void expect_all(struct rig *r)
{
    struct arena arena = {0};
    struct view *v = fixture_view(&r->x, "app");
    cr_assert(site_id_eq(&view_database(v)->server_site, &r->site), "its server site id stayed");
    cr_assert_not(view_database(v)->asks);
    view_close(v);
    const char *log = fixture_log(&r->x, "app", &arena);
    unsigned lines = 0;
    for (const char *at = log; *at != '\0'; at++) lines += *at == '\n';
    cr_assert_eq(lines, r->written, "%u of %u", lines, r->written);
    arena_deinit(&arena);
}

/* ---- the steps */

static void write_one(struct rig *r)
{
    char pk[32];
    struct batch b = facts_batch();
    (void)snprintf(pk, sizeof pk, "[%u]", r->written);
    facts_cell(&b, facts_hlc(1000 + r->written, 0, 'a', 0), "t", pk, "c", "1");
    if (is_here(r)) {
        (void)fixture_apply(&r->x, "app", &b);
        if (r->written++ == 0) {
            struct view *v = fixture_view(&r->x, "app");
            r->site = view_database(v)->server_site;
            view_close(v);
        }
        return;
    }
    bool exists;
    (void)state_of(r, &exists);
    if (exists) { /* the shard refuses by itself while a part is here; when it is gone, presence does */
        struct apply_request a = {.database = name(), .batch = &b};
        shard_apply(shard(r), &a);
        cr_assert_eq(a.rc, SYNC_EBUSY, "%s", a.ec.text);
    }
    batch_deinit(&b);
}

static void upload(struct rig *r)
{
    struct err_ctx ec;
    if (!is_here(r) || r->written == 0) return;
    struct view *v = fixture_view(&r->x, "app");
    const struct upload_position p = {.database = name(), .position = view_database(v)->last};
    view_close(v);
    cr_assert_eq(shard_uploaded(shard(r), &p, 1, 0, NULL, &ec), SYNC_OK);
}

static void prove(struct rig *r)
{
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    struct snapshot_made made;
    struct err_ctx ec;
    if (!is_here(r) || r->written == 0) return;
    struct view *v = fixture_view(&r->x, "app");
    cr_assert_eq(
        snapshot_write(r->objects, &cfg, v, snapshot_place_of(name()), r->made_ms++, NULL, &made, &ec),
        SYNC_OK, "%s", ec.text);
    r->proved = view_database(v)->last;
    r->has_proof = true;
    view_close(v);
}

static void leave(struct rig *r)
{
    struct err_ctx ec;
    bool leaving, waiting;
    if (!r->has_proof || !is_here(r)) return;
    struct view *v = fixture_view(&r->x, "app");
    bool same = stamp_cmp(&view_database(v)->last, &r->proved) == 0;
    view_close(v);
    cr_assert_eq(shard_is_waiting(shard(r), name(), &waiting, NULL, &ec), SYNC_OK);
    cr_assert_eq(shard_leave(shard(r), name(), &r->proved, &leaving, &ec), SYNC_OK);
    cr_assert_eq(leaving, same && !waiting, "written since: %d, waits: %d", !same, waiting);
    leaving ? r->left++ : r->refused++;
}

static void remove_some(struct rig *r)
{
    struct err_ctx ec;
    bool gone;
    if (!is_here(r))
        cr_assert_eq(shard_remove_step(shard(r), name(), STEP_KEYS, &gone, &ec), SYNC_OK);
    else if (r->written > 0)
        cr_assert_eq(shard_remove_step(shard(r), name(), STEP_KEYS, &gone, &ec), SYNC_EBUSY);
}

static void crash(struct rig *r)
{
    r->crashed_leaving += !is_here(r);
    fixture_reopen(&r->x);
}

Test(leaving, between_writes_and_crashes_nothing_is_lost_and_no_part_is_served, .timeout = 120)
{
    unsigned left = 0, refused = 0, restored = 0, crashed = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rig r;
        rig_init(&r, seed);
        for (size_t i = 0; i < STEPS; i++) {
            switch (random_below(&r.seed, 16)) {
            case 0:
            case 1:
            case 2: write_one(&r); break;
            case 3:
            case 4:
            case 5: upload(&r); break;
            case 6:
            case 7: prove(&r); break;
            case 8:
            case 9:
            case 10: leave(&r); break;
            case 11:
            case 12:
            case 13: remove_some(&r); break;
            case 14:
                if (random_below(&r.seed, 4) == 0) crash(&r);
                break;
            default:
                if (is_here(&r)) break;
                cr_assert(come_back(&r).complete);
                expect_all(&r);
            }
        }
        if (!is_here(&r)) (void)come_back(&r);
        expect_all(&r);
        left += r.left;
        refused += r.refused;
        restored += r.restored;
        crashed += r.crashed_leaving;
        rig_free(&r);
    }
    cr_assert(left > 20 && refused > 20 && restored > 20 && crashed > 5, "%u left, %u refused, %u back, %u",
              left, refused, restored, crashed);
}

/* Every write of LevelDB fails in turn, or succeeds and says that it failed; then the machine goes down. */
Test(leaving, a_failed_write_leaves_it_whole_or_unserved, .timeout = 120)
{
    for (int kind = FAULT_DB_WRITE; kind <= FAULT_DB_WRITE_LATE; kind++) {
        bool failed = true;
        for (long nth = 1; failed; nth++) {
            struct rig r;
            struct err_ctx ec;
            bool leaving = false, gone = false;
            rig_init(&r, 1);
            for (int i = 0; i < 5; i++) write_one(&r);
            upload(&r);
            prove(&r);
            faults_arm((enum fault)kind, nth, 1);
            enum sync_err rc = shard_leave(shard(&r), name(), &r.proved, &leaving, &ec);
            while (rc == SYNC_OK && leaving && !gone)
                rc = shard_remove_step(shard(&r), name(), STEP_KEYS, &gone, &ec);
            failed = faults_disarm();
            cr_assert_eq(rc != SYNC_OK, failed);
            crash(&r);
            if (!is_here(&r)) cr_assert(come_back(&r).complete);
            expect_all(&r);
            rig_free(&r);
        }
    }
}

Test(leaving, less_than_what_left_is_not_complete_and_gets_a_new_site_id)
{
    struct rig r;
    struct snapshot_list l;
    struct err_ctx ec;
    struct snapshot_key key;
    bool gone, leaving;
    rig_init(&r, 1);
    write_one(&r);
    prove(&r);
    write_one(&r);
    upload(&r);
    prove(&r);
    cr_assert_eq(shard_leave(shard(&r), name(), &r.proved, &leaving, &ec), SYNC_OK);
    cr_assert(leaving);
    cr_assert_eq(shard_remove_step(shard(&r), name(), 1000, &gone, &ec), SYNC_OK);
    cr_assert(gone);
    cr_assert_eq(snapshot_list(r.objects, NULL, snapshot_place_of(name()), &l, &ec), SYNC_OK);
    cr_assert_eq(l.count, 2);
    snapshot_key_of(snapshot_place_of(name()), &l.entries[0].id, &key); /* somebody deletes the newest */
    cr_assert_eq(object_delete(r.objects, NULL, snapshot_key_slice(&key), &ec), SYNC_OK);
    snapshot_list_deinit(&l);
    struct restore_result result = come_back(&r);
    cr_assert(!result.complete && !result.keeps_site && result.record.asks);
    cr_assert_not(site_id_eq(&result.record.server_site, &r.site));
    rig_free(&r);
}

Test(leaving, a_store_tells_which_database_is_elsewhere)
{
    struct rig r;
    struct err_ctx ec;
    struct left_note note;
    char found_name[DATABASE_ID_MAX];
    size_t len;
    bool found, leaving, gone;
    rig_init(&r, 1);
    cr_assert_eq(shard_any_elsewhere(shard(&r), found_name, &len, &found, &ec), SYNC_OK);
    cr_assert_not(found);
    write_one(&r);
    upload(&r);
    prove(&r);
    cr_assert_eq(shard_leave(shard(&r), name(), &r.proved, &leaving, &ec), SYNC_OK);
    for (int i = 0; i < 2; i++) { /* on its way, and gone */
        cr_assert_eq(shard_any_elsewhere(shard(&r), found_name, &len, &found, &ec), SYNC_OK);
        cr_assert(found && slice_is(slice_of(found_name, len), "app"));
        cr_assert_eq(shard_remove_step(shard(&r), name(), 1000, &gone, &ec), SYNC_OK);
    }
    (void)come_back(&r);
    cr_assert_eq(shard_any_elsewhere(shard(&r), found_name, &len, &found, &ec), SYNC_OK);
    cr_assert_not(found);
    uint8_t bytes[LEFT_NOTE_BYTES] = {0};
    cr_assert_eq(left_note_get(slice_of(bytes, sizeof bytes), &note, &ec), SYNC_EFORMAT, "another format");
    cr_assert_eq(left_note_get(slice_of(bytes, 5), &note, &ec), SYNC_EFORMAT);
    rig_free(&r);
}
