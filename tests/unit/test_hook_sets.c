#include "hooks/hook_sets.h"

#include "core/protocol/change_set.h"

#include "tests/unit/hook_fixture.h"

#include <criterion/criterion.h>

#define TWO_SETS                                                                                             \
    "[" CHANGE_SET(HLC_A1, CELL("[1]", "a", "10", HLC_A0) "," CELL("[1]", "b", "\"x\"", HLC_A1),             \
                   "") "," CHANGE_SET(HLC_A3, DELETE("[2]", HLC_A3),                                         \
                                      MIGRATION("add_column", "2", HLC_A2)) "]"

static struct hook_sets view_of(const struct batch *b)
{
    struct hook_sets s;
    struct err_ctx ec = {""};
    cr_assert_eq(hook_sets_init(&s, b, &ec), SYNC_OK, "%s", ec.text);
    return s;
}

static enum sync_err carry_out(struct hook_sets *s, struct hook_actions *a, struct err_ctx *ec)
{
    enum sync_err rc = hook_sets_carry_out(s, a, ec);
    hook_actions_deinit(a);
    return rc;
}

static void settle(struct hook_sets *s, struct batch *b)
{
    struct err_ctx ec = {""};
    cr_assert_eq(hook_sets_settle(s, b, &ec), SYNC_OK, "%s", ec.text);
}

static void assert_json(const struct batch *b, const char *want)
{
    struct buf out = buf_make(1 << 20);
    buf_put_char(&out, '[');
    batch_put(&out, b);
    buf_put_char(&out, ']');
    cr_assert(slice_eq(buf_slice(&out), slice_str(want)), "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_deinit(&out);
}

Test(hook_sets, approved_batches_stay_as_they_are)
{
    struct batch *b = batch_of(TWO_SETS);
    const struct fact *before = b->facts;
    struct hook_sets s = view_of(b);
    struct hook_actions none = {0};
    struct err_ctx ec;
    cr_assert_eq(carry_out(&s, &none, &ec), SYNC_OK);
    settle(&s, b);
    cr_assert_eq(b->facts, before);
    assert_json(b, TWO_SETS);
    hook_sets_deinit(&s);
    batch_free(b);
}

Test(hook_sets, rejected_sets_leave_the_batch_and_are_named)
{
    struct batch *b = batch_of(TWO_SETS);
    struct hook_sets s = view_of(b);
    struct hook_actions a = {0};
    struct err_ctx ec;
    struct hook_rejection why = {
        .reason = slice_str("not \"here\""), .code = slice_str("NO"), .table = slice_str("t")};
    cr_assert(hook_actions_reject(&a, &s, 1, &why));
    cr_assert_eq(carry_out(&s, &a, &ec), SYNC_OK);
    cr_assert_eq(s.count, 1);
    cr_assert_eq(s.rejected_facts, 2);
    settle(&s, b);
    assert_json(b, "[" CHANGE_SET(
                       HLC_A1, CELL("[1]", "a", "10", HLC_A0) "," CELL("[1]", "b", "\"x\"", HLC_A1), "") "]");
    cr_assert_eq(b->migration_count, 0);
    cr_assert_eq(b->highest.op_seq, 1, "the rejected one counts no more");
    struct buf out = buf_make(1000);
    hook_rejections_put(&out, &s);
    cr_assert(
        slice_is(buf_slice(&out), "[{\"reason\":\"not \\\"here\\\"\",\"code\":\"NO\",\"table\":\"t\"}]"),
        "%.*s", SLICE_ARG(buf_slice(&out)));
    buf_deinit(&out);
    hook_sets_deinit(&s);
    batch_free(b);
}

Test(hook_sets, dropped_changes_leave_their_set_also_when_two_hooks_drop)
{
    struct batch *b = batch_of(TWO_SETS);
    struct hook_sets s = view_of(b);
    struct hook_actions first = {0}, second = {0};
    struct err_ctx ec;
    cr_assert(hook_actions_drop(&first, &s, 0, 0));
    cr_assert(hook_actions_drop(&first, &s, 0, 0), "twice is once");
    cr_assert_eq(carry_out(&s, &first, &ec), SYNC_OK);
    cr_assert(slice_is(hook_sets_fact(&s, 0, 0)->cell.column, "b"), "the next hook sees what is left");
    cr_assert_null(hook_sets_fact(&s, 0, 1));
    cr_assert(hook_actions_drop(&second, &s, 1, 1), "a migration");
    cr_assert_eq(carry_out(&s, &second, &ec), SYNC_OK);
    cr_assert_eq(s.dropped_count, 2);
    settle(&s, b);
    assert_json(b, "[" CHANGE_SET(HLC_A1, CELL("[1]", "b", "\"x\"", HLC_A1),
                                  "") "," CHANGE_SET(HLC_A3, DELETE("[2]", HLC_A3), "") "]");
    cr_assert_eq(b->facts[1].set, 1);
    hook_sets_deinit(&s);
    batch_free(b);
}

Test(hook_sets, changes_have_one_numbering_wherever_migrations_stand)
{
    struct batch *b = batch_of("[{\"siteId\":\"" SITE_A "\",\"transactionId\":\"x\",\"hlc\":\"" HLC_A1
                               "\",\"schemaMigrations\":[" MIGRATION(
                                   "add_column", "2", HLC_A0) "],\"changes\":[" DELETE("[2]", HLC_A1) "]}]");
    cr_assert_eq(b->facts[0].type, FACT_MIGRATION, "as it came");
    struct hook_sets s = view_of(b);
    cr_assert_eq(hook_sets_fact(&s, 0, 0)->type, FACT_DELETE);
    cr_assert_eq(hook_sets_fact(&s, 0, 1)->type, FACT_MIGRATION);
    hook_sets_deinit(&s);
    batch_free(b);
}

Test(hook_sets, replacements_are_owned_by_the_batch)
{
    struct batch *b = batch_of(TWO_SETS);
    struct hook_sets s = view_of(b);
    struct hook_actions a = {0};
    struct err_ctx ec = {""};
    const char *json = CHANGE_SET(HLC_A2, CELL("[7]", "\\u0063", "{\"k\":[1]}", HLC_A2), "");
    cr_assert(hook_actions_drop(&a, &s, 0, 0), "forgotten, since the set is replaced");
    cr_assert(hook_actions_replace(&a, &s, 0, slice_str("{}")), "forgotten, since the last one counts");
    cr_assert(hook_actions_replace(&a, &s, 0, slice_str(json)));
    cr_assert_eq(carry_out(&s, &a, &ec), SYNC_OK, "%s", ec.text);
    settle(&s, b);
    hook_sets_deinit(&s); /* and the batch still stands */
    assert_json(b, "[" CHANGE_SET(HLC_A2, CELL("[7]", "c", "{\"k\":[1]}", HLC_A2), "") "," CHANGE_SET(
                       HLC_A3, DELETE("[2]", HLC_A3), MIGRATION("add_column", "2", HLC_A2)) "]");
    cr_assert_gt(b->facts[0].key.len, 0);
    batch_free(b);
}

Test(hook_sets, replacements_are_checked_like_what_arrives)
{
    static const char *const bad[] = {
        "",
        "nonsense",
        "{}",
        "[]",
        CHANGE_SET(HLC_A0, "", "") "," CHANGE_SET(HLC_A0, "", ""),
        CHANGE_SET(HLC_A0, CELL("[{\"__bin\":\"!\"}]", "a", "1", HLC_A0), ""),
        "{\"siteId\":\"AAAAAAAAQACAAAAAAAAD6Q\",\"transactionId\":\"1735689600441:0:" SITE_A
        "\",\"hlc\":\"" HLC_A0 "\",\"changes\":[]}",
        "{\"siteId\":\"" SITE_A "\",\"transactionId\":\"other\",\"hlc\":\"" HLC_A0 "\",\"changes\":[]}",
        CHANGE_SET(HLC_A0, "", "") "] [",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct batch *b = batch_of(TWO_SETS);
        struct hook_sets s = view_of(b);
        struct hook_actions a = {0};
        struct err_ctx ec = {""};
        cr_assert(hook_actions_replace(&a, &s, 0, slice_str(bad[i])));
        cr_assert_eq(carry_out(&s, &a, &ec), SYNC_EBADMSG, "%s", bad[i]);
        cr_assert_not_null(strstr(ec.text, "ChangeSet 0"), "%s", ec.text);
        hook_sets_deinit(&s);
        batch_free(b);
    }
}

Test(hook_sets, decisions_about_what_is_not_there_break_all_of_them)
{
    struct batch *b = batch_of(TWO_SETS);
    struct hook_sets s = view_of(b);
    struct hook_rejection why = {.reason = slice_str("no")};
    for (int what = 0; what < 4; what++) {
        struct hook_actions a = {0};
        struct err_ctx ec;
        cr_assert(hook_actions_reject(&a, &s, 0, &why));
        bool taken = what == 0   ? hook_actions_reject(&a, &s, 2, &why)
                     : what == 1 ? hook_actions_drop(&a, &s, 1, 2)
                     : what == 2 ? hook_actions_drop(&a, &s, UINT32_MAX, 0)
                                 : hook_actions_replace(&a, &s, 2, slice_str("{}"));
        cr_assert_not(taken);
        cr_assert_not(hook_actions_reject(&a, &s, 0, &why), "nothing more is taken");
        cr_assert_eq(carry_out(&s, &a, &ec), SYNC_EBADMSG);
    }
    hook_sets_deinit(&s);
    batch_free(b);
}

Test(hook_sets, long_texts_of_rejections_are_cut)
{
    static char text[REJECTION_TEXT_MAX + 500];
    memset(text, 'r', sizeof text);
    struct batch *b = batch_of(TWO_SETS);
    struct hook_sets s = view_of(b);
    struct hook_actions a = {0};
    struct err_ctx ec;
    struct hook_rejection why = {.reason = slice_of(text, sizeof text)};
    cr_assert(hook_actions_reject(&a, &s, 0, &why));
    cr_assert_eq(carry_out(&s, &a, &ec), SYNC_OK);
    cr_assert_eq(s.rejected[0].reason.len, REJECTION_TEXT_MAX);
    hook_sets_deinit(&s);
    batch_free(b);
}
