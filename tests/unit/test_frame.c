#include "server/ws/frame.h"

#include "facts.h"

#include "core/protocol/change_set.h"

#include <criterion/criterion.h>

Test(frame, holds_its_own_copy_of_everything)
{
    static const struct site_id site = {.bytes = {5}};
    char name[] = "shop";
    struct batch b = facts_batch();
    (void)facts_cell(&b, facts_hlc(7, 0, 'a', 0), "t", "[1]", "c", "\"x\"");
    b.sets[0].transaction_id = slice_str("7:0:a");
    struct buf sets = buf_make(1 << 20);
    batch_put(&sets, &b);
    struct frame *f = frame_new(slice_str(name), &site, &b);
    cr_assert_not_null(f);
    batch_deinit(&b);
    memset(name, '?', 4);
    cr_assert(slice_is(f->database, "shop"));
    cr_assert(slice_eq(f->sets, buf_slice(&sets)));
    cr_assert(site_id_eq(&f->sender, &site));
    cr_assert_eq(f->fact_count, 1);
    cr_assert_not(f->has_migrations);
    buf_deinit(&sets);
    frame_unref(f);
}

Test(frame, knows_that_it_holds_migrations)
{
    static const struct site_id site = {0};
    struct batch b = facts_batch();
    (void)facts_migration(&b, facts_hlc(7, 0, 'a', 0), "t", MIGRATION_CREATE_TABLE, "1", "\"\"");
    struct frame *f = frame_new(slice_str("shop"), &site, &b);
    cr_assert(f->has_migrations);
    frame_unref(f);
    batch_deinit(&b);
}

Test(frame, of_an_empty_batch_is_empty)
{
    static const struct site_id site = {0};
    struct batch b = {0};
    struct frame *f = frame_new(slice_str("shop"), &site, &b);
    cr_assert_eq(f->sets.len, 0);
    cr_assert_eq(frame_ref(f), f);
    frame_unref(f);
    cr_assert(slice_is(f->database, "shop"), "one reference is left");
    frame_unref(f);
    frame_unref(NULL);
}
