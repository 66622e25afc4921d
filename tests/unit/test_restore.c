/* Snapshots in an object store that is a directory: written from a random database, read back, damaged,
 * thinned out, and restored into another store, where all facts must be the same. */
#include "storage/snapshots/restore.h"

#include "core/base/buf.h"
#include "random.h"
#include "random_batch.h"
#include "storage/objects/object_dir.h"
#include "storage/snapshots/facts_digest.h"
#include "store_fixture.h"
#include "temp_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char name[] = "org:app.1";

struct rig {
    const char *path; /* where a hook says that it lies; NULL: none says */
    struct store_fixture from, to;
    struct temp_dir dir;
    struct object_store *objects;
    uint64_t seed, epoch, made_ms;
    /* What a log would hold: entries behind a stamp, read from `from` itself. */
    bool has_log, log_open;
    struct view *log_view;
    struct log_cursor *log_cursor;
    struct log_summary log_says;
    uint32_t warnings;
    size_t fail_after; /* entries() calls that succeed; SIZE_MAX: all */
};

static struct slice database(void)
{
    return slice_str(name);
}

static void write_some(struct rig *r, size_t groups)
{
    for (size_t i = 0; i < groups; i++, r->epoch++) {
        struct view *v = fixture_view(&r->from, name);
        struct site_id site = view_database(v)->server_site;
        view_close(v);
        struct batch b = random_batch(&r->seed, r->epoch, &site);
        struct apply_request a = {.database = database(), .batch = &b, .now_ms = 1000 + r->epoch};
        shard_apply(store_shard(r->from.store, 0), &a);
        cr_assert_eq(a.rc, SYNC_OK);
        batch_deinit(&b);
    }
}

static void rig_init(struct rig *r)
{
    struct err_ctx ec = {""};
    *r = (struct rig){.seed = 7, .made_ms = 5000, .fail_after = SIZE_MAX};
    fixture_init(&r->from);
    fixture_init(&r->to);
    temp_dir_make(&r->dir);
    cr_assert_eq(object_dir_open(&(struct object_dir_config){.path = r->dir.path}, &r->objects, &ec), SYNC_OK,
                 "%s", ec.text);
    write_some(r, 60);
}

static void rig_free(struct rig *r)
{
    object_store_close(r->objects);
    temp_dir_remove(&r->dir);
    fixture_free(&r->from);
    fixture_free(&r->to);
}

static struct snapshot_made take_snapshot_at(struct rig *r, struct snapshot_place at)
{
    struct object_writer_config cfg = OBJECT_WRITER_CONFIG_DEFAULT;
    struct snapshot_made made;
    struct err_ctx ec;
    struct view *v = fixture_view(&r->from, name);
    cr_assert_eq(snapshot_write(r->objects, &cfg, v, at, r->made_ms++, NULL, &made, &ec), SYNC_OK, "%s",
                 ec.text);
    view_close(v);
    cr_assert_eq(snapshot_verify(r->objects, NULL, at, &made, &ec), SYNC_OK, "%s", ec.text);
    return made;
}

static struct snapshot_made take_snapshot(struct rig *r)
{
    return take_snapshot_at(r, snapshot_place_of(database()));
}

/* ---- the target: a shard on this thread */

static enum sync_err target_begin(void *arg, struct err_ctx *ec)
{
    struct rig *r = arg;
    struct shard *sh = store_shard(r->to.store, 0);
    bool gone = false;
    while (!gone) cr_assert_eq(shard_remove_step(sh, database(), 100, &gone, ec), SYNC_OK, "%s", ec->text);
    return shard_import_begin(sh, database(), ec);
}

static enum sync_err target_entries(void *arg, const struct moved_entry *entries, size_t count,
                                    const struct stamp *pruned, struct err_ctx *ec)
{
    struct rig *r = arg;
    if (r->fail_after == 0) return err_set(ec, SYNC_ESTORE, "on purpose");
    r->fail_after--;
    return shard_import_entries(store_shard(r->to.store, 0), database(), entries, count, pruned, ec);
}

static enum sync_err target_finish(void *arg, const struct import_record *record, struct err_ctx *ec)
{
    struct rig *r = arg;
    return shard_import_finish(store_shard(r->to.store, 0), database(), record, ec);
}

static void target_settle(void *arg)
{
    (void)arg;
}

/* ---- the log: what is current in `from` behind a stamp */

static enum sync_err log_open(void *arg, struct slice db, const struct stamp *after, uint64_t until_ms,
                              struct err_ctx *ec)
{
    struct rig *r = arg;
    (void)until_ms;
    cr_assert(slice_eq(db, database()));
    r->log_view = fixture_view(&r->from, name);
    return log_cursor_open(r->log_view, after, &r->log_cursor, ec);
}

static enum sync_err log_next(void *arg, struct moved_entry *ret, struct stamp *ret_pruned, bool *ret_found,
                              struct err_ctx *ec)
{
    struct rig *r = arg;
    struct log_entry e;
    enum sync_err rc = log_cursor_next(r->log_cursor, &e, ret_found, ec);
    if (rc == SYNC_OK && *ret_found)
        *ret = (struct moved_entry){.stamp = e.stamp, .fact = e.fact, .created_ms = e.created_ms};
    *ret_pruned = view_database(r->log_view)->pruned;
    return rc;
}

static void log_summary_of(void *arg, struct log_summary *ret)
{
    struct rig *r = arg;
    *ret = r->log_says;
    ret->found = true;
    ret->server_site = view_database(r->log_view)->server_site;
    ret->last = view_database(r->log_view)->last;
    ret->pruned = view_database(r->log_view)->pruned;
}

static void log_close(void *arg)
{
    struct rig *r = arg;
    log_cursor_close(r->log_cursor);
    view_close(r->log_view);
    r->log_cursor = NULL;
    r->log_view = NULL;
}

static void on_warning(void *arg, struct slice key, const struct err_ctx *why)
{
    struct rig *r = arg;
    cr_assert(slice_starts_with(key, slice_str("snapshots/org~3aapp.1/")), "%.*s", SLICE_ARG(key));
    cr_assert_gt(strlen(why->text), 0);
    r->warnings++;
}

static enum sync_err restore(struct rig *r, uint64_t until_ms, struct restore_result *ret, struct err_ctx *ec)
{
    const struct import_target target = {.arg = r,
                                         .begin = target_begin,
                                         .entries = target_entries,
                                         .finish = target_finish,
                                         .settle = target_settle};
    const struct log_source log = {
        .arg = r, .open = log_open, .next = log_next, .summary = log_summary_of, .close = log_close};
    const struct restore_request q = {.objects = r->objects,
                                      .database = database(),
                                      .path = slice_str(r->path == NULL ? "" : r->path),
                                      .until_ms = until_ms,
                                      .log = r->has_log ? &log : NULL,
                                      .target = &target,
                                      .new_site = {{9, 9, 9}},
                                      .warn = on_warning,
                                      .warn_arg = r};
    return restore_database(&q, ret, ec);
}

static void remove_restored(struct rig *r)
{
    struct err_ctx ec;
    struct view *v = fixture_view(&r->to, name);
    struct stamp last = view_database(v)->last;
    bool leaving, gone = false;
    view_close(v);
    struct shard *sh = store_shard(r->to.store, 0);
    cr_assert_eq(shard_leave(sh, database(), &last, &leaving, &ec), SYNC_OK);
    cr_assert(leaving);
    while (!gone) cr_assert_eq(shard_remove_step(sh, database(), 1000, &gone, &ec), SYNC_OK);
}

static void expect_same(struct rig *r)
{
    struct err_ctx ec;
    struct facts_digest a, b;
    struct view *from = fixture_view(&r->from, name), *to = fixture_view(&r->to, name);
    cr_assert_eq(facts_digest(from, &a, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(facts_digest(to, &b, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_str_eq(a.counts.sha256, b.counts.sha256);
    cr_assert(a.counts.cells == b.counts.cells && a.counts.cells > 20 && a.counts.deletes > 3 &&
              a.counts.migrations > 3);
    cr_assert_eq(stamp_cmp(&view_database(from)->last, &view_database(to)->last), 0);
    view_close(from);
    view_close(to);
}

static struct site_id site_of(struct store_fixture *x, bool *ret_asks)
{
    struct view *v = fixture_view(x, name);
    struct site_id site = view_database(v)->server_site;
    *ret_asks = view_database(v)->asks;
    view_close(v);
    return site;
}

/* The restored database goes on under its own site id, or under a new one and asks. */
static void expect_site(struct rig *r, bool kept, bool asks_sites)
{
    bool asks, ignored;
    struct site_id from = site_of(&r->from, &ignored), to = site_of(&r->to, &asks);
    cr_assert_eq(site_id_eq(&from, &to), kept);
    cr_assert_eq(asks, asks_sites);
}

static void damage(struct rig *r, const struct snapshot_id *id, size_t cut, size_t flip)
{
    struct buf bytes = buf_make(64 << 20);
    struct snapshot_key key;
    struct err_ctx ec;
    snapshot_key_of(snapshot_place_of(database()), id, &key);
    cr_assert_eq(object_get_buf(r->objects, NULL, snapshot_key_slice(&key), NULL, &bytes, NULL, &ec),
                 SYNC_OK);
    cr_assert_lt(cut, bytes.len);
    /* A run of them: a single byte may be a match's distance into other text of the same letters. */
    cr_assert(flip == SIZE_MAX || flip < bytes.len);
    for (size_t i = flip; i < bytes.len && i - flip < 16; i++) bytes.bytes[i] = (char)~bytes.bytes[i];
    cr_assert_eq(object_put(r->objects, NULL, snapshot_key_slice(&key),
                            slice_of(bytes.bytes, bytes.len - cut), NULL, &ec),
                 SYNC_OK);
    buf_deinit(&bytes);
}

/* ---- tests */

Test(restore, a_snapshot_brings_everything_back, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    rig_init(&r);
    struct snapshot_made made = take_snapshot(&r);
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(result.found && result.from_snapshot && !result.complete && result.set_aside == 0);
    cr_assert_eq(result.snapshot_facts, made.foot.cells + made.foot.deletes + made.foot.migrations);
    expect_same(&r);
    expect_site(&r, false, true);
    rig_free(&r);
}

Test(restore, the_log_goes_on_where_the_snapshot_ends, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    rig_init(&r);
    r.has_log = true;
    r.log_says = (struct log_summary){.closed = true};
    (void)take_snapshot(&r);
    write_some(&r, 40);
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(result.from_snapshot && result.complete && result.log_facts > 10);
    expect_same(&r);
    expect_site(&r, true, false);
    rig_free(&r);
}

Test(restore, without_a_snapshot_the_log_alone_will_do, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    rig_init(&r);
    r.has_log = true;
    r.log_says = (struct log_summary){.object_durable = true};
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(result.found && !result.from_snapshot && result.complete);
    expect_same(&r);
    expect_site(&r, false, false); /* readers may have seen what was not acknowledged */
    remove_restored(&r);
    r.log_says = (struct log_summary){.closed = true};
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(result.complete);
    expect_site(&r, true, false);
    remove_restored(&r);
    r.log_says = (struct log_summary){0}; /* it ended by a crash, and acknowledged before it was uploaded */
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_not(result.complete);
    expect_same(&r);
    expect_site(&r, false, true);
    rig_free(&r);
}

Test(restore, what_the_object_store_does_not_know_is_not_begun, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    rig_init(&r);
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_not(result.found);
    struct view *v = fixture_view(&r.to, name);
    cr_assert_not(view_database(v)->exists);
    view_close(v);
    rig_free(&r);
}

/* Whatever is wrong with the newest snapshot, the one before it and the log make up for it. */
Test(restore, a_damaged_snapshot_is_set_aside_and_the_one_before_it_used, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    rig_init(&r);
    r.has_log = true;
    r.log_says = (struct log_summary){.closed = true};
    (void)take_snapshot(&r);
    write_some(&r, 20);
    struct snapshot_made newest = take_snapshot(&r);
    write_some(&r, 20);
    for (size_t i = 0; i < 6; i++) {
        struct snapshot_list l;
        size_t flip = i == 0   ? SIZE_MAX
                      : i == 1 ? 2
                      : i == 2 ? (size_t)newest.bytes - 3
                               : i * (size_t)newest.bytes / 7;
        damage(&r, &newest.id, i == 0 ? 100 : 0, flip);
        cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
        cr_assert(result.from_snapshot && result.set_aside == i + 1, "damage %zu", i);
        cr_assert(result.complete, "the log reaches further than the damaged ones did");
        cr_assert_lt(stamp_cmp(&result.snapshot.stamp, &newest.id.stamp), 0);
        expect_same(&r);
        expect_site(&r, result.complete, !result.complete);
        cr_assert_eq(r.warnings, i + 1);
        remove_restored(&r);
        cr_assert_eq(snapshot_list(r.objects, NULL, snapshot_place_of(database()), &l, &ec), SYNC_OK);
        cr_assert(l.count == i + 2 && l.entries[0].damaged && !l.entries[i + 1].damaged);
        snapshot_list_deinit(&l);
        /* Known to be damaged it is not read again, and no second warning comes. */
        cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
        cr_assert(result.set_aside == i + 1 && r.warnings == i + 1);
        remove_restored(&r);
        newest = take_snapshot(&r);
        struct snapshot_id before;
        cr_assert_eq(
            snapshot_thin_out(r.objects, NULL, snapshot_place_of(database()), &newest.id, 2, &before, &ec),
            SYNC_OK);
        cr_assert_eq(snapshot_id_cmp(&before, &result.snapshot), 0, "the good one, not the damaged");
    }
    rig_free(&r);
}

Test(restore, an_interrupted_restore_begins_again_from_nothing, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    struct view *v;
    rig_init(&r);
    r.has_log = true;
    (void)take_snapshot(&r);
    write_some(&r, 40);
    for (size_t i = 0; i < 2; i++) {
        r.fail_after = i;
        cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_ESTORE);
        cr_assert_eq(view_open(store_shard(r.to.store, 0), database(), &v, &ec), SYNC_EBUSY);
        fixture_reopen(&r.to);
        cr_assert_eq(view_open(store_shard(r.to.store, 0), database(), &v, &ec), SYNC_EBUSY);
    }
    cr_assert_eq(r.warnings, 0, "that says nothing about the snapshot");
    r.fail_after = SIZE_MAX;
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    expect_same(&r);
    rig_free(&r);
}

Test(restore, to_a_time_takes_the_snapshot_made_before_it, .timeout = 120)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec;
    rig_init(&r);
    struct snapshot_made first = take_snapshot(&r);
    write_some(&r, 10);
    (void)take_snapshot(&r);
    cr_assert_eq(restore(&r, first.id.made_ms, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(snapshot_id_cmp(&result.snapshot, &first.id), 0);
    remove_restored(&r);
    cr_assert_eq(restore(&r, first.id.made_ms - 1, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_not(result.found);
    rig_free(&r);
}

Test(restore, snapshots_beyond_the_retained_go_and_the_last_good_one_never, .timeout = 120)
{
    struct rig r;
    struct err_ctx ec;
    struct snapshot_list l;
    struct snapshot_id before;
    struct snapshot_made made[5];
    rig_init(&r);
    for (size_t i = 0; i < 5; i++) {
        made[i] = take_snapshot(&r);
        write_some(&r, 3);
    }
    cr_assert_eq(
        snapshot_set_aside(r.objects, NULL, snapshot_place_of(database()), &made[3].id, "a test", &ec),
        SYNC_OK);
    cr_assert_eq(
        snapshot_thin_out(r.objects, NULL, snapshot_place_of(database()), &made[4].id, 3, &before, &ec),
        SYNC_OK);
    cr_assert_eq(snapshot_id_cmp(&before, &made[2].id), 0);
    cr_assert_eq(snapshot_list(r.objects, NULL, snapshot_place_of(database()), &l, &ec), SYNC_OK);
    cr_assert_eq(l.count, 4, "three good ones and the damaged one between them");
    snapshot_list_deinit(&l);
    cr_assert_eq(
        snapshot_thin_out(r.objects, NULL, snapshot_place_of(database()), &made[4].id, 0, &before, &ec),
        SYNC_OK);
    cr_assert_eq(snapshot_list(r.objects, NULL, snapshot_place_of(database()), &l, &ec), SYNC_OK);
    cr_assert(l.count == 1 && snapshot_id_cmp(&l.entries[0].id, &made[4].id) == 0);
    snapshot_list_deinit(&l);
    rig_free(&r);
}

Test(restore, names_of_databases_are_told_apart_and_come_back)
{
    static const char *const ids[] = {"a", "a:b", "a.b", ".", "..", "a..b", "a~3ab", "-", "A/b", "\xc3\xa9"};
    struct snapshot_id id = {.stamp = {.wall_ms = 1, .counter = 2, .op_seq = 3}, .made_ms = 4}, back;
    char longest[DATABASE_ID_MAX], database_back[DATABASE_ID_MAX];
    struct slice path;
    struct snapshot_key key;
    size_t len;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        snapshot_key_of(snapshot_place_of(slice_str(ids[i])), &id, &key);
        cr_assert(snapshot_key_parse(snapshot_key_slice(&key), &back), "%s", key.text);
        cr_assert_eq(snapshot_id_cmp(&id, &back), 0);
        cr_assert(
            snapshot_key_database(SNAPSHOTS_PREFIX, snapshot_key_slice(&key), database_back, &len, &path));
        cr_assert(slice_eq(slice_of(database_back, len), slice_str(ids[i])), "%s", key.text);
        snapshot_damaged_key(snapshot_place_of(slice_str(ids[i])), &id, &key);
        cr_assert(snapshot_damaged_parse(snapshot_key_slice(&key), &back));
    }
    memset(longest, ':', sizeof longest);
    snapshot_key_of(snapshot_place_of(slice_of(longest, sizeof longest)), &id, &key);
    cr_assert_leq(strlen(key.text), OBJECT_KEY_MAX);
    cr_assert_not(
        snapshot_key_database(SNAPSHOTS_PREFIX, slice_str("snapshots/a~61/x"), database_back, &len, &path));
    cr_assert_not(snapshot_key_parse(slice_str("snapshots/a/other"), &back));
}

Test(restore, a_place_is_a_folder_of_one_database)
{
    static const struct snapshot_id id = {.stamp = {.wall_ms = 1, .counter = 2, .op_seq = 3}, .made_ms = 4};
    static const char *const places[][2] = {{"a", "b"}, {"a/b", "b"}, {"a~2fb", ""}, {"\xc3\xa9/x", "c:d"}};
    struct snapshot_id back;
    char name_back[DATABASE_ID_MAX];
    struct snapshot_key key;
    struct slice path;
    struct err_ctx ec;
    size_t len;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const struct snapshot_place at = {.path = slice_str(places[i][0]),
                                          .database =
                                              slice_str(places[i][1][0] == '\0' ? "x" : places[i][1])};
        cr_assert_eq(snapshot_place_check(at, &ec), SYNC_OK, "%s", ec.text);
        snapshot_key_of(at, &id, &key);
        cr_assert(snapshot_key_parse(snapshot_key_slice(&key), &back), "%s", key.text);
        cr_assert(snapshot_key_database(SNAPSHOTS_PREFIX, snapshot_key_slice(&key), name_back, &len, &path));
        cr_assert(slice_eq(slice_of(name_back, len), at.database), "%s", key.text);
        cr_assert(slice_eq(path, at.path), "%s", key.text);
    }
    static const char *const bad[] = {"/a", "a/", "a//b", ".", "a/../b", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_neq(snapshot_place_check(
                          (struct snapshot_place){.database = database(), .path = slice_str(bad[i])}, &ec),
                      SYNC_OK, "%s", bad[i]);
    char longest[OBJECT_KEY_MAX];
    memset(longest, 'p', sizeof longest);
    const struct snapshot_place full = {.database = database(), .path = slice_of(longest, sizeof longest)};
    cr_assert_eq(snapshot_place_check(full, &ec), SYNC_ELIMIT);
}

Test(restore, snapshots_are_found_where_the_database_lies)
{
    struct rig r;
    struct restore_result result;
    struct err_ctx ec = {""};
    struct snapshot_list l;
    rig_init(&r);
    const struct snapshot_place at = {.database = database(), .path = slice_str("tenants/a")},
                                usual = snapshot_place_of(database());
    (void)take_snapshot_at(&r, usual);
    write_some(&r, 5);
    r.path = "tenants/a";
    struct snapshot_made early = take_snapshot_at(&r, usual); /* of the time before there was a path */
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert(result.from_snapshot);
    cr_assert_eq(snapshot_id_cmp(&result.snapshot, &early.id), 0, "where there is no other");
    remove_restored(&r);

    write_some(&r, 5);
    struct snapshot_made made = take_snapshot_at(&r, at);
    cr_assert_eq(restore(&r, 0, &result, &ec), SYNC_OK, "%s", ec.text);
    cr_assert_eq(snapshot_id_cmp(&result.snapshot, &made.id), 0);
    remove_restored(&r);

    /* What lies below a folder is of others. */
    cr_assert_eq(
        snapshot_list(r.objects, NULL,
                      (struct snapshot_place){.database = slice_str("a"), .path = slice_str("tenants")}, &l,
                      &ec),
        SYNC_OK);
    cr_assert_eq(l.count, 0);
    snapshot_list_deinit(&l);
    rig_free(&r);
}
